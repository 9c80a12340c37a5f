"""`listen` and `speak` in the parallel mode: a stream for each codebook, each with its own delay.

The code of frame f stands in step f + shift of its codebook. Speech that would come out before its
step can know of its decision stays silent until it may (`waited` counts those frames): it is
silenced in the sound, before the codec, so that no code before then can tell that it is coming.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from schemas.sample import Media
from schemas.timeline import Say
from token_schema.layouts.parallel_grid import EPS, Grid, Ids, LaneStreams
from token_schema.models import AudioLane


@dataclass(frozen=True)
class Speech:
    """What a `speak` lane says: frames [first, stop) that sound, and times [start_s, end_s) to
    silence before coding. `steps`: those that it takes until its last sounding code is out."""

    sounding: tuple[tuple[int, int], ...]
    silenced: tuple[tuple[float, float], ...]
    waited: int
    steps: int


# ---- listen ------------------------------------------------------------------------------------


def listen_streams(grid: Grid, lane: AudioLane, media: Media, n_steps: int) -> LaneStreams:
    """Codes of what is heard. A code is known when its frame, and what its codec looks ahead, is
    over."""
    codec, shifts = grid.codecs.get(lane.codec), grid.shifts(lane)
    rate_hz = grid.timeline.listen.sample_rate_hz
    ids = _codes(grid, lane, media.listen(), rate_hz, n_steps)
    out, pads = _delayed(grid, lane, ids, shifts, n_steps)
    ends = grid.starts(n_steps + 1)[1:] + round(codec.lookahead_s, 6)
    reach = np.zeros(out.shape)
    for q, shift in enumerate(shifts):
        reach[shift:, q] = ends[: max(0, n_steps - shift)]
    return LaneStreams(out, pads, reach)


# ---- speak -------------------------------------------------------------------------------------


def speech_of(grid: Grid, lane: AudioLane) -> Speech:
    """When the lane sounds. Raises StrettoError where speech yields to a barge-in before the
    lane's step can know of it."""
    shifts, ahead_s = grid.shifts(lane), grid.codecs.get(lane.codec).lookahead_s
    sounding, silenced, waited = [], [], 0
    for event in grid.timeline.agent:
        if not isinstance(event, Say):
            continue
        _check_cut(grid, lane, event, min(shifts), ahead_s)
        free = max(0, grid.first_knowing(event.decided_s) - min(shifts))
        spans, heard_s = list(_frames(grid, event)), grid.at(free) + ahead_s
        if spans and free and event.start_s < heard_s:
            silenced.append((event.start_s, heard_s))
            over = math.ceil(heard_s / grid.schema.block_s - 1e-6)
            waited += sum(max(0, min(stop, over) - first) for first, stop in spans)
        sounding += [(max(a, free), b) for a, b in spans if b > max(a, free)]
    last = max((stop for _, stop in sounding), default=0)
    steps = last + max(shifts) if last else 0
    return Speech(tuple(sounding), tuple(silenced), waited, steps)


def _frames(grid: Grid, event: Say) -> Iterator[tuple[int, int]]:
    """Frames [first, stop) in which a piece of the event sounds, up to the end it really had."""
    per_s = float(1 / grid.schema.block)
    spans = [(p.start_s, min(p.end_s, event.end_s)) for p in event.pieces]
    for start_s, end_s in spans or [(event.start_s, event.end_s)]:
        if end_s > start_s:
            yield math.floor(start_s * per_s + EPS), math.ceil(end_s * per_s - EPS)


def _check_cut(grid: Grid, lane: AudioLane, event: Say, shift: int, ahead_s: float) -> None:
    """The first frame that the cut changes must not come out before the barge-in is known."""
    if event.cut_s is None or event.cut_by is None:
        return
    frame = math.floor((event.cut_s - ahead_s) / grid.schema.block_s + EPS)
    missing = grid.first_knowing(event.cut_by.revealed_s) - (frame + shift)
    if missing > 0:
        raise StrettoError(
            f"speech yields at {event.cut_s:g} s, before its step can know why"
            f" ({event.cut_by.revealed_s:g} s)",
            f"{grid.where(lane)}: {event.id}",
            f"delay the lane by {missing} more, or make the corpus with a longer `reaction_s`",
        )


def speak_streams(
    grid: Grid, lane: AudioLane, media: Media, speech: Speech, n_steps: int
) -> LaneStreams:
    """Codes of what the agent says; `idle` (where the lane has it) in frames without a sound."""
    shifts = grid.shifts(lane)
    quiet = np.ones(n_steps, bool)
    for first, stop in speech.sounding:
        quiet[first:stop] = False
    if lane.idle and quiet.all():
        ids = np.zeros((n_steps, lane.codebooks), np.int32)
    else:
        rate_hz = grid.timeline.speak.sample_rate_hz
        ids = _codes(grid, lane, _silenced(media.speak(), speech, rate_hz), rate_hz, n_steps)
    if lane.idle:
        ids[quiet] = grid.id(lane.idle)
    else:
        quiet[:] = False
    out, pads = _delayed(grid, lane, ids, shifts, n_steps)
    for q, shift in enumerate(shifts):
        pads[shift:, q] = quiet[: max(0, n_steps - shift)]
    return LaneStreams(out, pads)


def _silenced(pcm: NDArray[np.int16], speech: Speech, rate_hz: int) -> NDArray[np.int16]:
    """The track without what must wait. One voice does not talk over itself: nothing else is
    lost."""
    if speech.silenced:
        pcm = pcm.copy()
        for start_s, end_s in speech.silenced:
            pcm[math.floor(start_s * rate_hz + EPS) : math.ceil(end_s * rate_hz - EPS)] = 0
    return pcm


# ---- both --------------------------------------------------------------------------------------


def _codes(
    grid: Grid, lane: AudioLane, pcm: NDArray[np.int16], sample_rate_hz: int, n_frames: int
) -> Ids:
    """Ids [n_frames, codebooks] of a track, silence behind its end."""
    codec = grid.codecs.get(lane.codec)
    if codec.sample_rate_hz != sample_rate_hz:
        raise StrettoError(
            f"audio has {sample_rate_hz} Hz, codec {lane.codec!r} {codec.sample_rate_hz}",
            grid.where(lane),
            "run `stretto fit` on this corpus",
        )
    return book_ids(grid, lane, encode_frames(codec, pcm, n_frames))


def encode_frames(codec: object, pcm: NDArray[np.int16], n_frames: int) -> NDArray[np.int32]:
    """Codes [n_frames, codebooks], silence behind the end, whole for a codec that looks ahead."""
    ahead = math.ceil(codec.lookahead_s * codec.rate_hz - EPS)  # type: ignore[attr-defined]
    samples = (n_frames + ahead) * codec.frame_samples  # type: ignore[attr-defined]
    padded = np.zeros(samples, np.int16)
    padded[: min(len(pcm), samples)] = pcm[:samples]
    return codec.encode(padded)[:n_frames]  # type: ignore[attr-defined]


def book_ids(grid: Grid, lane: AudioLane, codes: NDArray[np.int32]) -> Ids:
    """Global ids [n, lane.codebooks] of codes [n, codebooks or more]."""
    r = grid.codecs.vocabulary.range(lane.codec)
    starts = r.start + r.entries * np.arange(lane.codebooks, dtype=np.int32)
    return codes[:, : lane.codebooks].astype(np.int32) + starts


def _delayed(
    grid: Grid, lane: AudioLane, ids: Ids, shifts: tuple[int, ...], n_steps: int
) -> tuple[Ids, NDArray[np.bool_]]:
    """Each codebook moved down by its shift; `pad` stands where that leaves nothing."""
    pad = grid.id(lane.pad) if any(shifts) else 0
    out = np.full((n_steps, lane.codebooks), pad, np.int32)
    pads = np.ones(out.shape, bool)
    for q, shift in enumerate(shifts):
        out[shift:, q] = ids[: max(0, n_steps - shift), q]
        pads[shift:, q] = False
    return out, pads
