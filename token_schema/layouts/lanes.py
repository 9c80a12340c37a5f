"""The grid of blocks, and what stands in the `look` and `act` lanes of the blocks mode.

A lane is one LaneBlocks: flat arrays over all blocks of a sample. `audio_lanes` makes those of
sound, `block_text` those of text, `block_assembly` puts them together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from schemas.sample import Media
from schemas.timeline import Act, LookTrack, Timeline
from token_schema.codec_set import CodecSet
from token_schema.models import ActLane, AudioLane, LookLane
from token_schema.schema import TokenSchema, exact, fitting_blocks
from token_schema.tokens import CONTENT, IDLE

Ids = NDArray[np.int32]
EPS_S = 1e-9  # times are rounded to the microsecond; this only absorbs float division


@dataclass(frozen=True)
class LaneBlocks:
    """What stands between a lane's boundary tokens, block after block: `counts[b]` of the m tokens
    belong to block b.

    `known_s` is the world time that a token itself rests on (0: none), `factor` multiplies its
    loss, `rows` is the row of `values()` that it stands for (-1: none). `idle[b]`: the block tells
    nothing. `present[b]` and `closed[b]`: the lane is there at all, and has its `close`.
    """

    ids: Ids
    counts: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    idle: NDArray[np.bool_]
    known_s: NDArray[np.float64] | None = None
    factor: NDArray[np.float32] | None = None
    rows: NDArray[np.int64] | None = None
    values: Callable[[], NDArray[np.float32]] | None = None
    present: NDArray[np.bool_] | None = None
    closed: NDArray[np.bool_] | None = None

    def only(self, present: NDArray[np.bool_]) -> LaneBlocks:
        """Without the blocks in which it is not present."""
        keep = np.repeat(present, self.counts)

        def kept(array: NDArray[Any] | None) -> Any:
            return None if array is None else array[keep]

        return replace(
            self,
            ids=self.ids[keep],
            counts=np.where(present, self.counts, 0),
            kinds=self.kinds[keep],
            known_s=kept(self.known_s),
            factor=kept(self.factor),
            rows=kept(self.rows),
            present=present,
        )


def empty(n_blocks: int) -> LaneBlocks:
    """A lane whose channel the sample does not have."""
    return LaneBlocks(
        np.zeros(0, np.int32),
        np.zeros(n_blocks, np.int64),
        np.zeros(0, np.uint8),
        np.ones(n_blocks, bool),
    )


@dataclass(frozen=True)
class Grid:
    """The blocks of one sample."""

    schema: TokenSchema
    timeline: Timeline
    n_blocks: int

    @cached_property
    def edges_s(self) -> NDArray[np.float64]:
        """Start of each block and the end of the last, rounded as Timelines are: [n_blocks + 1]."""
        block = self.schema.block
        return np.round(np.arange(self.n_blocks + 1) * block.numerator / block.denominator, 6)

    def frames(self, lane: AudioLane) -> NDArray[np.int64]:
        """First frame of each block and the end of the last, int64 [n_blocks + 1]."""
        per_block = exact(lane.rate_hz) * self.schema.block
        if per_block.denominator == 1:
            return np.arange(self.n_blocks + 1) * per_block.numerator
        return np.array([self.schema.frame_at(lane, b) for b in range(self.n_blocks + 1)])

    @property
    def where(self) -> str:
        return self.timeline.key


def audio_blocks(schema: TokenSchema, timeline: Timeline) -> int:
    """Blocks that the sample's own length fills, the last one padded."""
    return max(1, math.ceil(timeline.duration_s / schema.block_s - 1e-6))


# ---- look --------------------------------------------------------------------------------------


def camera_track(lane: LookLane, timeline: Timeline) -> LookTrack | None:
    """The track a lane takes; None when the sample has no camera, or none of the lane's number.

    Raises StrettoError when there are cameras and none of the lane's name.
    """
    tracks = timeline.look
    if isinstance(lane.camera, int):
        return tracks[lane.camera] if lane.camera < len(tracks) else None
    named = [t for t in tracks if t.camera == lane.camera]
    if tracks and not named:
        raise StrettoError(
            f"no camera {lane.camera!r}",
            f"{timeline.key}: lane {lane.name}",
            "cameras here: " + ", ".join(t.camera for t in tracks),
        )
    return named[0] if named else None


def look_times_s(schema: TokenSchema, lane: LookLane, n_blocks: int) -> NDArray[np.float64]:
    """When the lane shows a frame: float64 [n_blocks * frames], evenly spaced."""
    step = schema.block / lane.frames
    return np.arange(n_blocks * lane.frames) * step.numerator / step.denominator


def shown_frames(
    schema: TokenSchema, lane: LookLane, track: LookTrack, n_blocks: int
) -> NDArray[np.int64]:
    """Frame shown at each of the lane's times, int64 [n_blocks * frames]; the last is held."""
    at = look_times_s(schema, lane, n_blocks) - track.start_s
    return np.minimum(np.floor(at * track.fps + 1e-6).astype(np.int64), track.frame_count - 1)


def look_lane(grid: Grid, lane: LookLane, codecs: CodecSet, media: Media) -> LaneBlocks:
    """Codes of `frames` frames a block, each the one shown at its time; the last one is held."""
    track, n = camera_track(lane, grid.timeline), grid.n_blocks
    if track is None:
        return empty(n)
    shown = shown_frames(grid.schema, lane, track, n)
    if shown[0] < 0:
        raise StrettoError(
            f"camera {track.camera!r} starts at {track.start_s:g} s, not at 0",
            f"{grid.where}: lane {lane.name}",
        )
    indices, back = np.unique(shown, return_inverse=True)
    codec, start = codecs.get(lane.codec), codecs.vocabulary.range(lane.codec).start
    codes = codec.encode_batch(media.frames(track.camera, indices.tolist())) + start
    ids = codes[back].astype(np.int32)
    times = np.round(look_times_s(grid.schema, lane, n), 6)
    return LaneBlocks(
        ids.ravel(),
        np.full(n, lane.frames * ids.shape[1]),
        np.full(ids.size, CONTENT, np.uint8),
        np.zeros(n, bool),
        np.repeat(times, ids.shape[1]),
    )


# ---- act ---------------------------------------------------------------------------------------


def steps_per_block(schema: TokenSchema, fps: float, where: str) -> int:
    """Action steps in a block. Raises StrettoError with the block lengths that fit."""
    steps = exact(fps) * schema.block
    if steps.denominator != 1:
        rates = [exact(x.rate_hz) for x in schema.lanes if isinstance(x, AudioLane)]
        fits = fitting_blocks([*rates, exact(fps)], schema.block)
        raise StrettoError(
            f"{fps:g} action steps a second give {float(steps):g} in a block of"
            f" {schema.block_s:g} s",
            f"{where}: lane act",
            "block lengths that fit: " + ", ".join(f"{float(f):g}" for f in fits),
        )
    return int(steps)


def act_lane(grid: Grid, lane: ActLane, codecs: CodecSet, media: Media) -> LaneBlocks:
    """Codes of all steps of a block; `idle` where an idle Act holds the last row."""
    track, n = grid.timeline.act, grid.n_blocks
    rows = media.act() if track else None
    if track is None or rows is None:
        return empty(n)
    steps = steps_per_block(grid.schema, track.fps, grid.where)
    chunks = _chunks(rows, n, steps)
    held = _held(grid.timeline, rows, chunks) if lane.idle else np.zeros(n, bool)
    coded = _coded(codecs.action(lane, grid.timeline.subset), chunks, held)
    start = codecs.vocabulary.range(lane.codec).start
    counts = np.ones(n, np.int64)
    counts[~held] = [len(c) for c in coded]
    idle = np.repeat(held, counts)
    ids = np.full(len(idle), codecs.vocabulary.id(lane.idle) if lane.idle else 0, np.int32)
    if coded:
        ids[~idle] = np.concatenate([np.asarray(c, np.int32) for c in coded]) + start
    kinds = np.where(idle, IDLE, CONTENT).astype(np.uint8)
    return LaneBlocks(ids, counts, kinds, held, np.repeat(grid.edges_s[1:], counts))


def _coded(codec: Any, chunks: NDArray[np.float32], held: NDArray[np.bool_]) -> list[Sequence[int]]:
    """Ids of the chunks that are not held; a chunk that repeats the one before is coded once."""
    told = chunks[~held]
    if not len(told):
        return []
    new = np.ones(len(told), bool)
    new[1:] = (told[1:] != told[:-1]).any(axis=(1, 2))
    coded = codec.encode_batch(list(told[new]))
    return [coded[k] for k in (np.cumsum(new) - 1).tolist()]


def _chunks(rows: NDArray[np.float32], n: int, steps: int) -> NDArray[np.float32]:
    """[n, steps, D]: the rows, the last one repeated to the end (or cut where blocks end)."""
    at = np.minimum(np.arange(n * steps), len(rows) - 1)
    return rows[at].reshape(n, steps, rows.shape[1])


def _held(
    timeline: Timeline, rows: NDArray[np.float32], chunks: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Blocks whose every step is idle and repeats the row before the block.

    A hold means "as before", so that it can be decoded: idling that starts from another row (or
    at t = 0) is coded once.
    """
    n, steps = chunks.shape[:2]
    idle = np.zeros(max(n * steps, len(rows)), bool)
    idle[len(rows) :] = True  # behind the last row there is nothing but holding it
    for event in timeline.agent:
        if isinstance(event, Act) and event.mode == "idle":
            idle[event.first_step : event.first_step + event.step_count] = True
    same = np.zeros(n, bool)
    same[1:] = (chunks[1:] == chunks[:-1, -1:]).all(axis=(1, 2))
    return idle[: n * steps].reshape(n, steps).all(axis=1) & same
