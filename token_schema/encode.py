"""Encode: a Timeline and its media as token ids under a schema.

    tokens = compile_sample(schema, codecs, timeline, media)
    tokens.ids, tokens.lane, tokens.loss, tokens.known_s, tokens.block, tokens.kind

The sequence is the prompt, then for every block its lanes in order, each `open content close`.
Blocks cover the sample's length (the last is padded: audio with silence, actions by holding); text
that is still queued then adds tail blocks when the schema says `tail: extend`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.sample import Media
from schemas.timeline import Timeline
from token_schema import lanes as lane_content
from token_schema.codec_set import CodecSet
from token_schema.lanes import Grid, LaneBlocks
from token_schema.language import ActLane, AudioLane, Lane, LookLane, TextLane, TokenSchema

PROMPT = 255  # lane number of the prompt
CONTENT, IDLE, OPEN, CLOSE = range(4)  # token classes, as models.TOKEN_CLASSES


@dataclass(frozen=True)
class Report:
    """What encoding left out or added.

    `dropped_text_tokens` were cut by a barge-in (or by `tail: drop`); `silent_events` were cut
    before their first token; `not_placed` counts, by kind, events that the schema has no lane for.
    """

    blocks: int
    tail_blocks: int
    dropped_text_tokens: int
    silent_events: int
    not_placed: dict[str, int]
    step_count: int | None


@dataclass(frozen=True)
class Tokens:
    """A sample as tokens, arrays of one length n.

    `ids` int32; `lane` uint8, the index in `schema.lanes` or 255 for the prompt; `kind` uint8, the
    class (0 content, 1 idle, 2 open, 3 close); `block` int32, -1 for the prompt; `loss` float32;
    `known_s` float64, the latest world time that the tokens up to and with this one rest on (an
    input code counts its own frame; the prompt 0).
    """

    ids: NDArray[np.int32]
    lane: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    block: NDArray[np.int32]
    loss: NDArray[np.float32]
    known_s: NDArray[np.float64]
    report: Report

    def __len__(self) -> int:
        return len(self.ids)


def compile_sample(
    schema: TokenSchema, codecs: CodecSet, timeline: Timeline, media: Media
) -> Tokens:
    """The tokens of one sample. Raises StrettoError where schema, codecs and sample do not fit."""
    own = lane_content.audio_blocks(schema, timeline)
    placed = {
        i: lane_content.place_lane(schema, codecs, timeline, i, own)
        for i, lane in enumerate(schema.lanes)
        if isinstance(lane, TextLane)
    }
    n_blocks = max([own, *(len(p.blocks) for p in placed.values())])
    grid = Grid(schema, timeline, n_blocks)
    contents = [
        lane_content.text_blocks(lane, codecs, placed[i], n_blocks)
        if isinstance(lane, TextLane)
        else _codes(grid, lane, codecs, media)
        for i, lane in enumerate(schema.lanes)
    ]
    act = timeline.act
    report = Report(
        blocks=n_blocks,
        tail_blocks=n_blocks - own,
        dropped_text_tokens=sum(p.dropped for p in placed.values()),
        silent_events=sum(p.silent_events for p in placed.values()),
        not_placed=_not_placed(schema, timeline),
        step_count=act.step_count if act else None,
    )
    return _assemble(grid, codecs, contents, report)


def _codes(grid: Grid, lane: Lane, codecs: CodecSet, media: Media) -> LaneBlocks:
    if isinstance(lane, LookLane):
        return lane_content.look_blocks(grid, lane, codecs, media)
    if isinstance(lane, ActLane):
        return lane_content.act_blocks(grid, lane, codecs, media)
    assert isinstance(lane, AudioLane)
    make = lane_content.listen_blocks if lane.channel == "listen" else lane_content.speak_blocks
    return make(grid, lane, codecs, media)


def _not_placed(schema: TokenSchema, timeline: Timeline) -> dict[str, int]:
    """Events that no lane shows. `hear` is in the sound of `listen`, `say` in that of `speak`."""
    channels = {lane.channel for lane in schema.lanes}
    shown = set(channels) | ({"hear"} if "listen" in channels else set())
    shown |= {"say"} if "speak" in channels else set()
    missing = Counter(e.kind for e in (*timeline.world, *timeline.agent) if e.kind not in shown)
    return dict(sorted(missing.items()))


def prompt_text(schema: TokenSchema, timeline: Timeline) -> str:
    """The head's text: the context fields that the schema takes and the sample has, one a line."""
    values = (getattr(timeline.context, field) for field in schema.prompt.take)
    return "\n".join(v for v in values if v)


def _assemble(grid: Grid, codecs: CodecSet, contents: list[LaneBlocks], report: Report) -> Tokens:
    """Segments (open, content, close of each lane of each block) joined into flat arrays."""
    schema, vocabulary = grid.schema, codecs.vocabulary
    text = codecs.get(schema.prompt.codec).encode(prompt_text(schema, grid.timeline))
    start = vocabulary.range(schema.prompt.codec).start
    ends = {
        x.name: (_one(vocabulary.id(x.open)), _one(vocabulary.id(x.close))) for x in schema.lanes
    }
    parts = [
        _one(vocabulary.id(schema.prompt.open)),
        np.array(text, np.int32) + start,
        _one(vocabulary.id(schema.prompt.close)),
    ]
    # one row a segment: lane, class, block, known_s
    rows: list[tuple[int, int, int, float]] = [
        (PROMPT, OPEN, -1, 0.0),
        (PROMPT, CONTENT, -1, 0.0),
        (PROMPT, CLOSE, -1, 0.0),
    ]
    known, finer = 0.0, {}
    for b in range(grid.n_blocks):
        for i, (lane, blocks) in enumerate(zip(schema.lanes, contents, strict=True)):
            rows.append((i, OPEN, b, known))
            if blocks.reach_s is not None:
                known = max(known, blocks.reach_s[b])
            if blocks.content_known_s is not None:
                before = rows[-1][3]
                finer[len(parts) + 1] = np.maximum(blocks.content_known_s[b], before)
            rows.append((i, IDLE if blocks.idle[b] else CONTENT, b, known))
            rows.append((i, CLOSE, b, known))
            parts += [ends[lane.name][0], blocks.content[b], ends[lane.name][1]]
    return _flatten(schema, parts, rows, finer, report)


def _flatten(
    schema: TokenSchema,
    parts: list[NDArray[np.int32]],
    rows: list[tuple[int, int, int, float]],
    finer: dict[int, NDArray[np.float64]],
    report: Report,
) -> Tokens:
    lengths = np.fromiter(map(len, parts), np.int64, len(parts))
    lane, kind, block, known = (
        np.repeat(np.array(column), lengths) for column in zip(*rows, strict=True)
    )
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    for at, values in finer.items():
        known[offsets[at] : offsets[at + 1]] = values
    weights = np.zeros((256, 4), np.float32)
    weights[PROMPT] = schema.prompt.loss.weights()
    for i, x in enumerate(schema.lanes):
        weights[i] = x.loss.weights()
    return Tokens(
        np.concatenate(parts).astype(np.int32),
        lane.astype(np.uint8),
        kind.astype(np.uint8),
        block.astype(np.int32),
        weights[lane, kind],
        known.astype(np.float64),
        report,
    )


def _one(token_id: int) -> NDArray[np.int32]:
    return np.array([token_id], np.int32)
