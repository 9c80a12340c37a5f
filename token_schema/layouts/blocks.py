"""The interleaved mode with blocks of a fixed time: lanes follow each other inside every block.

    tokens = compile_blocks(schema, codecs, timeline, media)

The sequence is the prompt, then for every block `clock.open`, its lanes in order, each
`open content close`, and `clock.close`. Blocks cover the sample's length (the last is padded: audio
with silence, actions by holding). Blocks are added until a delayed lane has said all, and, with
`tail: extend`, until no text is queued.

Lanes are flat arrays, put together by computing where each goes: the cost is that of numpy per
token, not of Python.
"""

from __future__ import annotations

import numpy as np

from schemas.sample import Media
from schemas.timeline import Timeline
from token_schema.codec_set import CodecSet
from token_schema.layouts import lanes
from token_schema.layouts.audio_lanes import audio_lane, spoken_blocks
from token_schema.layouts.block_assembly import assemble
from token_schema.layouts.block_text import missing_epad, place_lane, text_lane
from token_schema.layouts.lanes import Grid, LaneBlocks
from token_schema.layouts.placement import PlacedText
from token_schema.layouts.shown import not_placed
from token_schema.models import ActLane, AudioLane, Lane, LookLane, PhaseLane, TextLane
from token_schema.schema import TokenSchema
from token_schema.tokens import CONTENT, IDLE, Report, Tokens


def compile_blocks(
    schema: TokenSchema, codecs: CodecSet, timeline: Timeline, media: Media
) -> Tokens:
    """The tokens of one sample. Raises StrettoError where schema, codecs and sample do not fit."""
    own = lanes.audio_blocks(schema, timeline)
    speaks = (x for x in schema.lanes if isinstance(x, AudioLane) and x.channel == "speak")
    count = max([own, *(spoken_blocks(schema, x, codecs, timeline) for x in speaks)])
    placed = {
        x.name: place_lane(schema, codecs, timeline, i, count)
        for i, x in enumerate(schema.lanes)
        if isinstance(x, TextLane)
    }
    n_blocks = max([count, *(len(p.blocks) for p in placed.values())])
    grid = Grid(schema, timeline, n_blocks)
    contents = [_content(grid, x, codecs, media, placed) for x in schema.lanes]
    _govern(grid, codecs, placed, contents)
    report = Report(
        blocks=n_blocks,
        tail_blocks=n_blocks - own,
        dropped_text_tokens=sum(p.dropped for p in placed.values()),
        silent_events=sum(p.silent_events for p in placed.values()),
        not_placed=not_placed(schema, timeline),
        step_count=timeline.act.step_count if timeline.act else None,
        missing_epad=sum(missing_epad(x, codecs, placed) for x in schema.lanes),
    )
    return assemble(grid, codecs, contents, report)


def _content(
    grid: Grid, lane: Lane, codecs: CodecSet, media: Media, placed: dict[str, PlacedText]
) -> LaneBlocks:
    if isinstance(lane, TextLane):
        return text_lane(lane, codecs, placed[lane.name], grid.n_blocks)
    if isinstance(lane, LookLane):
        return lanes.look_lane(grid, lane, codecs, media)
    if isinstance(lane, ActLane):
        return lanes.act_lane(grid, lane, codecs, media)
    if isinstance(lane, AudioLane):
        return audio_lane(grid, lane, codecs, media)
    return lanes.empty(grid.n_blocks)  # a phase: `_govern` fills it


def _govern(
    grid: Grid, codecs: CodecSet, placed: dict[str, PlacedText], contents: list[LaneBlocks]
) -> None:
    """Fill in the phase lanes and leave out, where they are idle, the lanes that they govern."""
    schema, n = grid.schema, grid.n_blocks
    for i, lane in enumerate(schema.lanes):
        if not isinstance(lane, PhaseLane):
            continue
        governed = [k for k, x in enumerate(schema.lanes) if x.name in lane.of]
        active = np.zeros(n, bool)
        for k in governed:
            active |= ~contents[k].idle
            if text := placed.get(schema.lanes[k].name):
                going = np.zeros(n + 1, bool)
                going[1 : len(text.going) + 1] = text.going
                active |= going[1:] | going[:-1]
        for k in governed:
            contents[k] = contents[k].only(active)
        names = (codecs.vocabulary.id(lane.idle), codecs.vocabulary.id(lane.active))
        contents[i] = LaneBlocks(
            np.where(active, names[1], names[0]).astype(np.int32),
            np.ones(n, np.int64),
            np.where(active, CONTENT, IDLE).astype(np.uint8),
            ~active,
        )
