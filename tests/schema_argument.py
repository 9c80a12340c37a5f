"""Is a sequence a sample of its schema? Argued from the schema, not from the grammar's machine.

`argue(schema, codecs, ids, parsed)` is given what the grammar says of every id and checks, lane by
lane: every block has its lanes in order, every id is one that its lane and class can have, audio
has exactly its frames and pads, images and rows are whole, and texts are begun and ended.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from token_schema.codec_set import CodecSet
from token_schema.grammar import Parsed
from token_schema.models import ActLane, AudioLane, Lane, LookLane, PhaseLane, TextLane
from token_schema.schema import TokenSchema, exact
from token_schema.tokens import CLOSE, CONTENT, IDLE, OPEN, PROMPT


def argue(schema: TokenSchema, codecs: CodecSet, ids: list[int], parsed: Parsed) -> None:
    flat = np.array(ids)
    body = parsed.block >= 0
    order(schema, parsed)
    for i, lane in enumerate(schema.lanes):
        mine = np.flatnonzero((parsed.lane == i) & body)
        tokens = [(int(flat[k]), int(parsed.kind[k]), int(parsed.block[k])) for k in mine]
        belongs(codecs, lane, tokens)
        inside = [t for t in tokens if t[1] in (CONTENT, IDLE)]
        blocks: list[list[tuple[int, int]]] = [[] for _ in range(int(parsed.block.max()) + 1)]
        for token, kind, block in inside:
            blocks[block].append((token, kind))
        if isinstance(lane, TextLane):
            text(schema, codecs, lane, blocks)
        elif isinstance(lane, AudioLane):
            audio(schema, codecs, lane, blocks)
        elif isinstance(lane, LookLane) and schema.timing == "blocks":
            wanted = codecs.get(lane.codec).tokens * lane.frames
            assert {len(b) for b in blocks} in ({0}, {wanted})
        elif isinstance(lane, ActLane) and schema.timing == "blocks":
            assert all(len({k for _, k in b}) < 2 for b in blocks)
            assert all(len(b) == 1 for b in blocks if b and b[0][1] == IDLE)


def order(schema: TokenSchema, parsed: Parsed) -> None:
    """Blocks follow each other without a gap; in each the lanes stand in their order."""
    block = parsed.block
    assert (np.diff(block) >= 0).all() and (np.diff(block) <= 1).all()
    lane, kind = parsed.lane.astype(int), parsed.kind.astype(int)
    body = np.flatnonzero(block >= 0)
    if schema.timing == "frames":
        rows = lane[body].reshape(-1, len(schema.streams))
        assert (rows == [s.lane for s in schema.streams]).all()
        return
    rank = np.where(lane == PROMPT, np.where(kind == OPEN, -1, 1000), lane * 3 + 1)
    rank[(lane != PROMPT) & (kind == OPEN)] -= 1
    rank[(lane != PROMPT) & (kind == CLOSE)] += 1
    if schema.clock.turns:
        group = [i for i, x in enumerate(schema.lanes) if x.name in schema.clock.turns.interleave]
        for i in group:
            rank[lane == i] = group[0] * 3 + 1
    for a, b in zip(body, body[1:], strict=False):
        if block[a] == block[b]:
            assert rank[a] <= rank[b]


def belongs(codecs: CodecSet, lane: Lane, tokens: list[tuple[int, int, int]]) -> None:
    """Every id is one that this lane has in this class."""
    vocabulary = codecs.vocabulary

    def named(*fields: str) -> set[int]:
        found = (getattr(lane, f, None) for f in fields)
        return {vocabulary.id(t) for t in found if t}

    codes: set[int] = set()
    if not isinstance(lane, PhaseLane) and not (
        isinstance(lane, AudioLane) and lane.as_ != "codes"
    ):
        r = vocabulary.range(lane.codec)
        codes = set(range(r.start, r.stop))
    sets: dict[int, set[int]] = {
        CONTENT: codes | named("begin", "end", "cut", "slot", "active"),
        IDLE: named("idle", "wait", "epad", "pad"),
        OPEN: named("open"),
        CLOSE: named("close"),
    }
    assert all(token in sets[kind] for token, kind, _ in tokens)


def text(schema: TokenSchema, codecs: CodecSet, lane: TextLane, blocks: list[Any]) -> None:
    """Budgets are kept; every event is begun and ended once (a turn's last one may be cut)."""
    marks = {codecs.vocabulary.id(t): c for t, c in ((lane.cut, "C"), (lane.end, "E")) if t}
    marks |= {codecs.vocabulary.id(lane.begin): "B"} if lane.begin else {}
    cells = ["".join(marks.get(t, "T") for t, k in b if k == CONTENT) for b in blocks]
    event = ("B" if lane.begin else "") + "T*"
    if lane.end:
        whole = f"({event}[EC])*"
    else:
        whole = f"({event})*" if not lane.cut else f"({event}C?)*"
    if schema.timing == "turns":
        assert all(re.fullmatch(f"{whole}({event})?", c) for c in cells)
        return
    room = lane.budget or 1
    assert all(len(b) <= room for b in blocks) and not any("C" in c[1:] for c in cells)
    if lane.fixed or schema.timing == "frames":
        assert all(len(b) == room for b in blocks)
    else:
        assert all(len(b) == 1 for b in blocks if any(k == IDLE for _, k in b))
    tail = f"({event})?" if schema.clock.tail == "drop" else ""
    assert re.fullmatch(whole + tail, "".join(cells))


def audio(schema: TokenSchema, codecs: CodecSet, lane: AudioLane, blocks: list[Any]) -> None:
    """As many positions as the clock says, pads where the delay leaves nothing, books in turn."""
    codes = lane.as_ == "codes"
    books = lane.codebooks if codes else 1
    ahead = codecs.get(lane.codec).lookahead_s * lane.rate_hz if codes else 0
    delays = lane.delays or (0,) * books
    for b, block in enumerate(blocks):
        kinds = [k for _, k in block]
        if schema.timing == "turns":
            assert set(kinds) <= {CONTENT}
        elif schema.timing == "frames":
            first = [lane.delay + d + -int(-ahead // 1) for d in delays]
            assert all(b >= f or k == IDLE for f, k in zip(first, kinds, strict=True))
            assert lane.idle or all(
                b < f or k == CONTENT for f, k in zip(first, kinds, strict=True)
            )
        elif len(block) == 1 and kinds == [IDLE] and lane.idle:
            continue
        elif block or schema.phase_of(lane.name) is None:
            per_block = exact(lane.rate_hz) * schema.block
            up = -1 if lane.channel == "listen" else 1  # what is heard is waited for
            start, stop = (up * (k * per_block * up // 1) for k in (b, b + 1))
            pads = lane.delay * int(per_block) - int(-ahead // 1) - int(start)
            assert len(block) == (stop - start) * books
            assert kinds == [IDLE if j // books < pads else CONTENT for j in range(len(block))]
        if codes:
            r = codecs.vocabulary.range(lane.codec)
            told = [
                ((t - r.start) // r.entries, j % books) for j, (t, k) in enumerate(block) if not k
            ]
            assert all(q == j for q, j in told)
