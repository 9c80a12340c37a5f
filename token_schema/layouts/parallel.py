"""Parallel mode: a Timeline as rows of ids, one row a step, one column a stream.

    tokens = compile_frames(schema, codecs, timeline, media)
    rows = tokens.ids.reshape(-1, tokens.streams)      # prompt rows first, then step 0, 1, ...

Steps cover the sample's length; more follow until delayed speech, rows of actions and, with
`tail: extend`, queued text are out. Where a step's outputs could know of an event only later, it
waits: text and speech alike (see `parallel_grid`, `parallel_audio`, `placement`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.sample import Media
from schemas.timeline import Timeline
from token_schema.codec_set import CodecSet
from token_schema.layouts.parallel_audio import Speech, listen_streams, speak_streams, speech_of
from token_schema.layouts.parallel_grid import Grid, LaneStreams
from token_schema.layouts.parallel_prompt import prompt_lane, prompt_rows
from token_schema.layouts.parallel_rows import ActRows, act_streams, look_streams, rows_of
from token_schema.layouts.parallel_text import missing_epad, place, text_stream
from token_schema.layouts.placement import PlacedText
from token_schema.layouts.shown import not_placed
from token_schema.models import ActLane, AudioLane, Lane, LookLane, TextLane
from token_schema.schema import TokenSchema
from token_schema.tokens import CONTENT, IDLE, PROMPT, Report, Tokens


def compile_frames(
    schema: TokenSchema, codecs: CodecSet, timeline: Timeline, media: Media
) -> Tokens:
    """The tokens of one sample. Raises StrettoError where schema, codecs and sample do not fit."""
    grid = Grid(schema, codecs, timeline)
    plan = _plan(grid)
    lanes = [_streams(grid, plan, i, media) for i in range(len(schema.lanes))]
    return _assemble(grid, lanes, _report(grid, plan))


def stream_vocabulary(schema: TokenSchema, codecs: CodecSet) -> tuple[NDArray[np.int32], ...]:
    """Per stream the sorted global ids that it can ever hold, int32."""
    first = prompt_lane(schema)
    return tuple(_stream_ids(schema, codecs, s.lane, s.book, first) for s in schema.streams)


# ---- which steps there are ---------------------------------------------------------------------


@dataclass
class _Plan:
    """What decides how many steps there are, by lane index."""

    speech: dict[int, Speech] = field(default_factory=dict)
    rows: dict[int, ActRows | None] = field(default_factory=dict)
    text: dict[int, PlacedText] = field(default_factory=dict)
    n_steps: int = 0


def _plan(grid: Grid) -> _Plan:
    plan = _Plan(n_steps=grid.own)
    for i, lane in enumerate(grid.schema.lanes):
        if isinstance(lane, AudioLane) and lane.channel == "speak":
            plan.speech[i] = speech_of(grid, lane)
            plan.n_steps = max(plan.n_steps, plan.speech[i].steps)
        if isinstance(lane, ActLane):
            found = plan.rows[i] = rows_of(grid, lane)
            plan.n_steps = max(plan.n_steps, found.steps if found else 0)
    count = plan.n_steps
    for i, lane in enumerate(grid.schema.lanes):
        if isinstance(lane, TextLane):
            placed = plan.text[i] = place(grid, lane, count)
            plan.n_steps = max(plan.n_steps, len(placed.blocks) + lane.delay)
    return plan


# ---- the streams of a lane ---------------------------------------------------------------------


def _streams(grid: Grid, plan: _Plan, index: int, media: Media) -> LaneStreams:
    lane, n = grid.schema.lanes[index], plan.n_steps
    if isinstance(lane, TextLane):
        return text_stream(grid, lane, plan.text[index], n)
    if isinstance(lane, LookLane):
        return look_streams(grid, lane, media, n)
    if isinstance(lane, ActLane):
        return act_streams(grid, lane, plan.rows[index], media, n)
    assert isinstance(lane, AudioLane)
    if lane.channel == "listen":
        return listen_streams(grid, lane, media, n)
    return speak_streams(grid, lane, media, plan.speech[index], n)


# ---- the whole ---------------------------------------------------------------------------------


def _report(grid: Grid, plan: _Plan) -> Report:
    act, schema = grid.timeline.act, grid.schema
    placed = plan.text.values()
    missing = (missing_epad(grid, schema.lanes[i], p) for i, p in plan.text.items())  # type: ignore[arg-type]
    return Report(
        blocks=plan.n_steps,
        tail_blocks=plan.n_steps - grid.own,
        dropped_text_tokens=sum(p.dropped for p in placed),
        silent_events=sum(p.silent_events for p in placed),
        not_placed=not_placed(schema, grid.timeline),
        step_count=act.step_count if act else None,
        waited_frames=sum(s.waited for s in plan.speech.values()),
        missing_epad=sum(missing),
    )


def _assemble(grid: Grid, lanes: list[LaneStreams], report: Report) -> Tokens:
    """Prompt rows and steps, flat, row by row."""
    schema, head = grid.schema, prompt_rows(grid)
    index = np.array([s.lane for s in schema.streams], np.uint8)
    rows, n = len(head[0]), report.blocks
    ids = np.concatenate([head[0], np.concatenate([x.ids for x in lanes], axis=1)])
    idle = np.concatenate([x.idle for x in lanes], axis=1)
    kind = np.concatenate([head[1], np.where(idle, IDLE, CONTENT).astype(np.uint8)])
    lane = np.concatenate([np.full((rows, len(index)), PROMPT, np.uint8), np.tile(index, (n, 1))])
    block = np.concatenate([np.full(rows, -1, np.int32), np.arange(n, dtype=np.int32)])
    known = np.concatenate([np.zeros((rows, len(index))), _known(grid, lanes, n)])
    return Tokens(
        ids=ids.ravel(),
        lane=lane.ravel(),
        kind=kind.ravel(),
        block=np.repeat(block, len(index)),
        loss=_loss(schema, lane, kind, rows).ravel(),
        known_s=np.maximum.accumulate(known.ravel()),
        report=report,
        streams=len(index),
    )


def _known(grid: Grid, lanes: list[LaneStreams], n_steps: int) -> NDArray[np.float64]:
    """[T, streams]: what the ids of each step rest on, before the running maximum."""
    outputs = np.zeros((n_steps, 1))
    outputs[grid.late :, 0] = grid.starts(max(0, n_steps - grid.late))
    return np.concatenate(
        [np.broadcast_to(outputs if x.reach_s is None else x.reach_s, x.ids.shape) for x in lanes],
        axis=1,
    )


def _loss(
    schema: TokenSchema, lane: NDArray[np.uint8], kind: NDArray[np.uint8], rows: int
) -> NDArray[np.float32]:
    """Weights of lane and class; `loss.books` multiplies the codes of its streams behind the
    prompt's rows."""
    weights = np.zeros((256, 4), np.float32)
    if schema.prompt:
        weights[PROMPT] = schema.prompt.loss.weights()
    for i, x in enumerate(schema.lanes):
        weights[i] = x.loss.weights()
    out = weights[lane, kind]
    for s, stream in enumerate(schema.streams):
        if books := schema.lanes[stream.lane].loss.books:
            codes = kind[rows:, s] == CONTENT
            out[rows:, s][codes] *= np.float32(books[stream.book])
    return out


# ---- which ids a stream can hold ---------------------------------------------------------------


def _stream_ids(
    schema: TokenSchema, codecs: CodecSet, index: int, book: int, first: int | None
) -> NDArray[np.int32]:
    vocabulary, lane = codecs.vocabulary, schema.lanes[index]
    spans = [_span(codecs, lane, book)]
    specials = list(lane.specials())
    if index == first:
        assert schema.prompt is not None
        r = vocabulary.range(schema.prompt.codec)
        spans.append((r.start, r.stop))
        specials += [schema.prompt.open, schema.prompt.close]
    parts: list[Any] = [np.arange(start, stop) for start, stop in spans]
    return np.unique(np.concatenate([*parts, [vocabulary.id(t) for t in specials]])).astype(
        np.int32
    )


def _span(codecs: CodecSet, lane: Lane, book: int) -> tuple[int, int]:
    """The ids of the codes of one of its streams."""
    r = codecs.vocabulary.range(lane.codec)  # type: ignore[union-attr]
    return r.book(book) if isinstance(lane, AudioLane) else (r.start, r.stop)
