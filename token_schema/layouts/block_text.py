"""Text lanes of the blocks mode: what is known before them, what is placed, how a cell is filled.

    placed = place_lane(schema, codecs, timeline, index, n_blocks)
    content = text_lane(lane, codecs, placed, n_blocks)

What is known decides where text may stand; `Tokens.known_s` is made of what the inputs show.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import chain

import numpy as np

from schemas.timeline import Timeline
from token_schema.codec_set import CodecSet
from token_schema.layouts import text_lanes
from token_schema.layouts.lanes import LaneBlocks
from token_schema.layouts.placement import Cells, PlacedText, place_text
from token_schema.models import AudioLane, Lane, LookLane, TextLane
from token_schema.schema import TokenSchema, exact
from token_schema.tokens import CONTENT, IDLE


def known_before(schema: TokenSchema, codecs: CodecSet, index: int) -> Callable[[int], float]:
    """known(b) for lane `index`: until when the inputs that stand before it by block b tell all.

    A lane under a phase knows what its phase knows: the phase tells of it. Frames of `listen` count
    when they are there whole, with what their codec looks ahead.
    """
    phase = schema.phase_of(schema.lanes[index].name)
    index = index if phase is None else phase
    heard = [i for i, x in enumerate(schema.lanes) if x.channel == "listen"]
    before = [i for i in heard if i < index]
    block = schema.block
    if before:
        ends = [_heard_until(schema, codecs, i, 1) for i in before]
        return lambda b: max(0.0, *(end(b) for end in ends))
    late = [_heard_until(schema, codecs, i, 0) for i in heard if _late(schema, codecs, i)]
    if late:
        return lambda b: max(0.0, *(end(b) for end in late))
    # frames of the block: the last of them is shown (frames - 1) / frames into the block
    looks = [x.frames for x in schema.lanes[:index] if isinstance(x, LookLane)]
    part = max(((frames - 1) / frames for frames in looks), default=0.0)
    return lambda b: round(
        round(b * block.numerator / block.denominator, 6) + part * schema.block_s, 6
    )


def _late(schema: TokenSchema, codecs: CodecSet, index: int) -> bool:
    lane = schema.lanes[index]
    assert isinstance(lane, AudioLane)
    return lane.fractional is not None or codecs.shift_frames(lane) > 0


def _heard_until(
    schema: TokenSchema, codecs: CodecSet, index: int, after: int
) -> Callable[[int], float]:
    """b -> until when `listen` lane `index` has told all by the end of block b - 1 + after."""
    lane = schema.lanes[index]
    assert isinstance(lane, AudioLane)
    shift = codecs.shift_frames(lane)
    per_block = exact(lane.rate_hz) * schema.block
    top, bottom, rate_hz = per_block.numerator, per_block.denominator, lane.rate_hz
    return lambda b: round((-((b + after) * -top // bottom) - shift) / rate_hz, 6)


def place_lane(
    schema: TokenSchema, codecs: CodecSet, timeline: Timeline, index: int, n_blocks: int
) -> PlacedText:
    """The placed tokens of text lane `index`; it may have more than `n_blocks` blocks.

    A word is due in the first block that knows the world until its start: so no block before a
    barge-in is known tells whether the words behind it sounded.
    """
    lane = schema.lanes[index]
    assert isinstance(lane, TextLane) and lane.budget is not None
    known = cache(known_before(schema, codecs, index))
    return place_text(
        text_lanes.queue(lane, codecs, timeline),
        Cells(
            count=n_blocks,
            known_s=known,
            until_s=known,
            budget=lane.budget,
            extend=schema.clock.tail == "extend",
            one_event=lane.end_closes,
        ),
        text_lanes.marks(lane, codecs),
    )


def text_lane(lane: TextLane, codecs: CodecSet, placed: PlacedText, n_blocks: int) -> LaneBlocks:
    """The placed tokens over all blocks, fillers where there are none."""
    more = n_blocks - len(placed.blocks)
    cells = placed.blocks + [[]] * more
    going, soon = placed.going + [False] * more, placed.soon + [False] * more
    idle, wait, epad = (_id(codecs, t) for t in (lane.idle, lane.wait or lane.idle, lane.epad))
    filler = [wait if g else idle for g in going]
    if epad is not None:
        filler = [epad if s else f for s, f in zip(soon, filler, strict=True)]
    room = lane.budget if lane.fixed and lane.budget else 1
    filled = [
        cell if f is None or (cell and not lane.fixed) else [*cell, *[f] * (room - len(cell))]
        for cell, f in zip(cells, filler, strict=True)
    ]
    counts = np.fromiter(map(len, filled), np.int64, n_blocks)
    told = np.fromiter(map(len, cells), np.int64, n_blocks)
    ids = np.fromiter(chain.from_iterable(filled), np.int32, int(counts.sum()))
    place = np.arange(len(ids)) - np.repeat(np.cumsum(counts) - counts, counts)
    kinds = np.where(place < np.repeat(told, counts), CONTENT, IDLE).astype(np.uint8)
    closed = None
    if lane.end_closes:
        ends = {_id(codecs, t) for t in (lane.end, lane.cut) if t}
        closed = np.array([not cell or cell[-1] not in ends for cell in cells])
    return LaneBlocks(ids, counts, kinds, told == 0, closed=closed)


def _id(codecs: CodecSet, name: str | None) -> int | None:
    return None if name is None else codecs.vocabulary.id(name)


def missing_epad(lane: Lane, codecs: CodecSet, placed: dict[str, PlacedText]) -> int:
    """Texts that begin a cell behind a cell with nothing, which could not know of them."""
    if not isinstance(lane, TextLane) or not lane.epad:
        return 0
    p = placed[lane.name]
    ends = {_id(codecs, t) for t in (lane.end, lane.cut) if t}
    return sum(
        bool(cell) and cell[0] not in ends and not before and not soon
        for before, soon, cell in zip(p.blocks, p.soon, p.blocks[1:], strict=False)
    )
