"""The content of each lane, block by block: ids, whether the block is idle, and what is then known.

Every function takes the whole sample and gives one LaneBlocks. Codes are computed for the whole
track at once (the codecs are causal: a longer track gives the same codes for its first part).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from schemas.sample import Media
from schemas.timeline import Act, LookTrack, Say, Timeline
from token_schema.codec_set import CodecSet
from token_schema.language import (
    ActLane,
    AudioLane,
    LookLane,
    TextLane,
    TokenSchema,
    exact,
    fitting_blocks,
)
from token_schema.placement import Marks, PlacedText, QueuedText, place_text

Ids = NDArray[np.int32]
EPS_S = 1e-9  # times are rounded to the microsecond; this only absorbs float division


@dataclass
class LaneBlocks:
    """`content[b]` ids of block b. `idle[b]`: it is the idle token. `reach_s[b]`: the latest world
    time that the block's content shows (input lanes only). `content_known_s[b]`: per token, where
    it is not the same for all."""

    content: list[Ids]
    idle: list[bool]
    reach_s: list[float] | None = None
    content_known_s: list[NDArray[np.float64]] | None = None


@dataclass(frozen=True)
class Grid:
    """The blocks of one sample."""

    schema: TokenSchema
    timeline: Timeline
    n_blocks: int

    def start_s(self, b: int) -> float:
        """Start of block b (the end of block b - 1), rounded as Timelines are."""
        return round(float(self.schema.block * b), 6)


def audio_blocks(schema: TokenSchema, timeline: Timeline) -> int:
    """Blocks that the sample's own length fills, the last one padded."""
    return max(1, math.ceil(timeline.duration_s / schema.clock.block_s - 1e-6))


def known_before(schema: TokenSchema, index: int) -> Callable[[int], float]:
    """known(b) for lane `index`: the latest world time shown before it by block b."""
    before = schema.lanes[:index]
    grid_s = Grid(schema, None, 0).start_s  # type: ignore[arg-type]
    if any(lane.channel == "listen" for lane in before):
        return lambda b: grid_s(b + 1)
    looks = [lane for lane in before if isinstance(lane, LookLane)]
    # frames of the block: the last of them is shown (frames - 1) / frames into the block
    part = max(((x.frames - 1) / x.frames for x in looks), default=0.0)
    return lambda b: round(grid_s(b) + part * schema.clock.block_s, 6)


# ---- text --------------------------------------------------------------------------------------


def place_lane(
    schema: TokenSchema, codecs: CodecSet, timeline: Timeline, index: int, n_blocks: int
) -> PlacedText:
    """The placed tokens of text lane `index`; it may have more than `n_blocks` blocks."""
    lane = schema.lanes[index]
    assert isinstance(lane, TextLane)
    codec, vocabulary = codecs.get(lane.codec), codecs.vocabulary
    start = vocabulary.range(lane.codec).start
    events = [e for e in timeline.agent if e.kind == lane.channel]
    encoded = codec.encode_batch([e.text for e in events]) if events else []  # type: ignore[union-attr]
    queue = [
        QueuedText(e.id, tuple(start + i for i in ids), e.decided_s, e.cut_s)
        for e, ids in zip(events, encoded, strict=True)
    ]
    marks = Marks(vocabulary.id(lane.end), vocabulary.id(lane.cut))
    return place_text(
        queue,
        known_before(schema, index),
        n_blocks,
        lane.budget,
        marks,
        schema.clock.tail == "extend",
    )


def text_blocks(lane: TextLane, codecs: CodecSet, placed: PlacedText, n_blocks: int) -> LaneBlocks:
    """The placed tokens over all blocks, `idle` where there are none."""
    idle = np.array([codecs.vocabulary.id(lane.idle)], np.int32)
    blocks = placed.blocks + [[]] * (n_blocks - len(placed.blocks))
    return LaneBlocks(
        [np.array(b, np.int32) if b else idle for b in blocks], [not b for b in blocks]
    )


# ---- audio -------------------------------------------------------------------------------------


def listen_blocks(grid: Grid, lane: AudioLane, codecs: CodecSet, media: Media) -> LaneBlocks:
    """Codes of what is heard; a code is known at the end of its own frame."""
    ids = _audio_ids(grid, lane, codecs, media.listen(), grid.timeline.listen.sample_rate_hz)
    frames = grid.schema.frames_per_block(lane)
    ends = np.arange(1, grid.n_blocks * frames + 1) / lane.rate_hz
    known = np.repeat(np.round(ends, 6).reshape(grid.n_blocks, frames), lane.codebooks, axis=1)
    return LaneBlocks(
        list(ids),
        [False] * grid.n_blocks,
        [grid.start_s(b + 1) for b in range(grid.n_blocks)],
        list(known),
    )


def speak_blocks(grid: Grid, lane: AudioLane, codecs: CodecSet, media: Media) -> LaneBlocks:
    """Codes of what the agent says; `idle` in blocks where no piece of a Say sounds."""
    idle = _unspoken(grid) if lane.idle else np.zeros(grid.n_blocks, bool)
    if idle.all():
        ids = np.zeros((grid.n_blocks, 0), np.int32)
    else:
        ids = _audio_ids(grid, lane, codecs, media.speak(), grid.timeline.speak.sample_rate_hz)
    quiet = np.array([codecs.vocabulary.id(lane.idle)] if lane.idle else [], np.int32)
    return LaneBlocks([quiet if idle[b] else ids[b] for b in range(grid.n_blocks)], idle.tolist())


def _audio_ids(
    grid: Grid, lane: AudioLane, codecs: CodecSet, pcm: NDArray[np.int16], sample_rate_hz: int
) -> Ids:
    """Ids [n_blocks, frames * codebooks], frame by frame, silence to the end of the last block."""
    codec, where = codecs.get(lane.codec), f"{grid.timeline.key}: {lane.name}"
    if codec.sample_rate_hz != sample_rate_hz:
        raise StrettoError(
            f"audio has {sample_rate_hz} Hz, codec {lane.codec!r} {codec.sample_rate_hz}",
            where,
            "run `stretto fit` on this corpus",
        )
    frames = grid.schema.frames_per_block(lane) * grid.n_blocks
    samples = frames * codec.frame_samples
    padded = np.zeros(samples, np.int16)
    padded[: min(len(pcm), samples)] = pcm[:samples]
    codes = codec.encode(padded)[:, : lane.codebooks]
    r = codecs.vocabulary.range(lane.codec)
    ids = codes.astype(np.int32) + (r.start + r.entries * np.arange(lane.codebooks, dtype=np.int32))
    return ids.reshape(grid.n_blocks, -1)


def _unspoken(grid: Grid) -> NDArray[np.bool_]:
    """Blocks in which nothing of a Say sounds: its pieces, up to the end it really had."""
    idle = np.ones(grid.n_blocks, bool)
    block_s = grid.schema.clock.block_s
    for event in grid.timeline.agent:
        if not isinstance(event, Say):
            continue
        spans = [(p.start_s, min(p.end_s, event.end_s)) for p in event.pieces]
        for start_s, end_s in spans or [(event.start_s, event.end_s)]:
            if end_s > start_s:
                first = math.floor(start_s / block_s + EPS_S)
                idle[first : math.ceil(end_s / block_s - EPS_S)] = False
    return idle


# ---- look --------------------------------------------------------------------------------------


def camera_track(lane: LookLane, timeline: Timeline) -> LookTrack | None:
    """The track a lane takes; None when the sample has no camera. Raises StrettoError."""
    if not timeline.look:
        return None
    named = [t for t in timeline.look if lane.camera in (None, t.camera)]
    if not named:
        raise StrettoError(
            f"no camera {lane.camera!r}",
            f"{timeline.key}: lane {lane.name}",
            "cameras here: " + ", ".join(t.camera for t in timeline.look),
        )
    return named[0]


def shown_frames(
    schema: TokenSchema, lane: LookLane, track: LookTrack, n_blocks: int
) -> NDArray[np.int64]:
    """Frame shown at each of the lane's times, int64 [n_blocks * frames]; the last is held."""
    times = [
        schema.block * (b + Fraction(k, lane.frames))
        for b in range(n_blocks)
        for k in range(lane.frames)
    ]
    at = np.array([float(t) for t in times]) - track.start_s
    return np.minimum(np.floor(at * track.fps + 1e-6).astype(np.int64), track.frame_count - 1)


def look_blocks(grid: Grid, lane: LookLane, codecs: CodecSet, media: Media) -> LaneBlocks:
    """Codes of `frames` frames a block, each the one shown at its time; the last one is held."""
    track, n = camera_track(lane, grid.timeline), grid.n_blocks
    if track is None:
        return LaneBlocks([np.zeros(0, np.int32)] * n, [False] * n)
    shown = shown_frames(grid.schema, lane, track, n)
    if shown[0] < 0:
        raise StrettoError(
            f"camera {track.camera!r} starts at {track.start_s:g} s, not at 0",
            f"{grid.timeline.key}: lane {lane.name}",
        )
    indices, back = np.unique(shown, return_inverse=True)
    codec, start = codecs.get(lane.codec), codecs.vocabulary.range(lane.codec).start
    codes = codec.encode_batch(media.frames(track.camera, indices.tolist())) + start
    ids = codes[back].reshape(n, -1).astype(np.int32)
    last = grid.schema.clock.block_s * (lane.frames - 1) / lane.frames
    return LaneBlocks(list(ids), [False] * n, [round(grid.start_s(b) + last, 6) for b in range(n)])


# ---- act ---------------------------------------------------------------------------------------


def steps_per_block(schema: TokenSchema, fps: float, where: str) -> int:
    """Action steps in a block. Raises StrettoError with the block lengths that fit."""
    steps = exact(fps) * schema.block
    if steps.denominator != 1:
        rates = [exact(x.rate_hz) for x in schema.lanes if isinstance(x, AudioLane)]
        fits = fitting_blocks([*rates, exact(fps)], schema.block)
        raise StrettoError(
            f"{fps:g} action steps a second give {float(steps):g} in a block of"
            f" {schema.clock.block_s:g} s",
            f"{where}: lane act",
            "block lengths that fit: " + ", ".join(f"{float(f):g}" for f in fits),
        )
    return int(steps)


def act_blocks(grid: Grid, lane: ActLane, codecs: CodecSet, media: Media) -> LaneBlocks:
    """FAST codes of all steps of a block; `idle` where an idle Act holds the last row."""
    track, n = grid.timeline.act, grid.n_blocks
    rows = media.act() if track else None
    if track is None or rows is None:
        return LaneBlocks([np.zeros(0, np.int32)] * n, [False] * n)
    steps = steps_per_block(grid.schema, track.fps, grid.timeline.key)
    codec = codecs.action(lane, grid.timeline.subset)
    chunks = _chunks(rows, n, steps)
    held = _held(grid.timeline, rows, chunks) if lane.idle else np.zeros(n, bool)
    start = codecs.vocabulary.range(lane.codec).start
    coded = iter(codec.encode_batch([chunks[b] for b in range(n) if not held[b]]))
    hold = np.array([codecs.vocabulary.id(lane.idle)] if lane.idle else [], np.int32)
    return LaneBlocks(
        [hold if h else np.array(next(coded), np.int32) + start for h in held], held.tolist()
    )


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
