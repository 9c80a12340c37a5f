"""`look` and `act` in the parallel mode: images spread over steps, rows of actions in one step.

A frame of the camera stands every `every` steps: the one shown when the first of them begins. Its
codes fill those steps row by row, `pad` behind them. A row of actions stands in the first step
that begins after its own time: that of the image it rests on, which has begun to enter by then
(an image that is spread over many steps is out only when they are).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from schemas.sample import Media
from schemas.timeline import LookTrack
from token_schema.layouts.lanes import camera_track
from token_schema.layouts.parallel_grid import Grid, LaneStreams, later
from token_schema.models import ActLane, LookLane
from token_schema.schema import exact

# ---- look --------------------------------------------------------------------------------------


def look_streams(grid: Grid, lane: LookLane, media: Media, n_steps: int) -> LaneStreams:
    """Codes of a frame every `every` steps; `pad` throughout for a sample without a camera."""
    pad, track = grid.id(lane.pad), camera_track(lane, grid.timeline)
    windows = -(-n_steps // lane.every)
    ids = np.full((windows, lane.every * lane.streams), pad, np.int32)
    if track is not None:
        codes = _image_codes(grid, lane, track, media, windows)
        ids[:, : codes.shape[1]] = codes
    ids = ids.reshape(-1, lane.streams)[:n_steps]
    ids, idle = later(ids, ids == pad, lane.delay, pad)
    reach = np.repeat(grid.starts(n_steps)[:, None], lane.streams, axis=1)
    return LaneStreams(ids, idle, reach)


def _image_codes(
    grid: Grid, lane: LookLane, track: LookTrack, media: Media, windows: int
) -> NDArray[np.int32]:
    """Global ids [windows, codes of a frame]; the last frame is held."""
    codec, start = grid.codecs.get(lane.codec), grid.codecs.vocabulary.range(lane.codec).start
    if codec.tokens > lane.every * lane.streams:
        raise StrettoError(
            f"a frame has {codec.tokens} codes, {lane.every} steps of {lane.streams} streams hold"
            f" {lane.every * lane.streams}",
            f"{grid.schema.name}: lane {lane.name}",
            f"say streams: {-(-codec.tokens // lane.every)}",
        )
    at = grid.starts(windows * lane.every)[:: lane.every] - track.start_s
    shown = np.minimum(np.floor(at * track.fps + 1e-6).astype(np.int64), track.frame_count - 1)
    if shown[0] < 0:
        raise StrettoError(
            f"camera {track.camera!r} starts at {track.start_s:g} s, not at 0", grid.where(lane)
        )
    indices, back = np.unique(shown, return_inverse=True)
    return (codec.encode_batch(media.frames(track.camera, indices.tolist())) + start)[back]


# ---- act ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ActRows:
    """Where each row of a sample's actions stands: row k in place `places[k]`, of which a step has
    `per_step`, each `dims` streams wide. `steps` is how many it takes until the last is out."""

    places: NDArray[np.int64]
    per_step: int
    dims: int
    codec: Any

    @cached_property
    def steps(self) -> int:
        return int(self.places[-1]) // self.per_step + 1 if len(self.places) else 0


def rows_of(grid: Grid, lane: ActLane) -> ActRows | None:
    """The rows' places; None for a sample without actions. Raises StrettoError where they do not
    fit into the lane's streams."""
    track, where = grid.timeline.act, f"{grid.schema.name}: lane {lane.name}"
    if track is None:
        return None
    codec = grid.codecs.action(lane, grid.timeline.subset)
    if codec.fixed is None:
        raise StrettoError(
            f"codec {lane.codec!r} has no fixed number of codes a row", where, "use type uniform"
        )
    every, per_step = exact(track.fps) * grid.schema.block, lane.streams // codec.fixed
    if every > per_step:
        raise StrettoError(
            f"{track.fps:g} rows a second of {codec.fixed} codes do not fit into {lane.streams}"
            f" streams of {grid.schema.block_s:g} s",
            where,
            f"say streams: {math.ceil(every) * codec.fixed}",
        )
    return ActRows(_places(grid, lane, every, per_step), per_step, codec.fixed, codec)


def _places(grid: Grid, lane: ActLane, every: Fraction, per_step: int) -> NDArray[np.int64]:
    """Row k at time k / fps stands in step floor(time / frame_s) + 1, and where listening comes
    late by so many steps more; rows that find it full spill into the next."""
    assert grid.timeline.act is not None
    k = np.arange(grid.timeline.act.step_count, dtype=np.int64)
    step = k * every.denominator // every.numerator + 1 + grid.late + lane.delay
    return k + np.maximum.accumulate(step * per_step - k)


def act_streams(
    grid: Grid, lane: ActLane, rows: ActRows | None, media: Media, n_steps: int
) -> LaneStreams:
    """Codes of every row in its place, `pad` elsewhere."""
    ids = np.full((n_steps, lane.streams), grid.id(lane.pad), np.int32)
    idle = np.ones(ids.shape, bool)
    values = media.act() if rows is not None else None
    if rows is None or values is None or not len(rows.places):
        return LaneStreams(ids, idle)
    if len(values) != len(rows.places):
        raise StrettoError(
            f"act has {len(values)} rows, its track {len(rows.places)}", grid.where(lane)
        )
    codes = _row_codes(rows, values) + grid.codecs.vocabulary.range(lane.codec).start
    step, first = rows.places // rows.per_step, rows.places % rows.per_step * rows.dims
    columns = first[:, None] + np.arange(rows.dims)
    ids[step[:, None], columns] = codes
    idle[step[:, None], columns] = False
    return LaneStreams(ids, idle)


def _row_codes(rows: ActRows, values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Codes [rows, D]: the codec takes chunks of up to `horizon` rows."""
    chunks = [
        values[i : i + rows.codec.horizon] for i in range(0, len(rows.places), rows.codec.horizon)
    ]
    coded = rows.codec.encode_batch(chunks)
    return np.concatenate([np.asarray(c, np.int32) for c in coded]).reshape(-1, rows.dims)
