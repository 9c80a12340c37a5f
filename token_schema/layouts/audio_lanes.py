"""What the audio lanes of the blocks mode hold: codes of what is heard or said, slots, mel rows.

    content = audio_lane(grid, lane, codecs, media)

Position p of a lane holds frame p - shift (`CodecSet.shift_frames`). Codes are computed for the whole
track at once: a codec without look-ahead gives the same codes for the first part of a longer track.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from schemas.sample import Media
from schemas.timeline import AudioTrack, Say, Timeline
from token_schema.codec_set import CodecSet
from token_schema.codecs.mel_slots import MelSlots
from token_schema.layouts.lanes import EPS_S, Grid, Ids, LaneBlocks
from token_schema.models import AudioLane
from token_schema.schema import TokenSchema, exact
from token_schema.tokens import CONTENT, IDLE


def sounding_frames(lane: AudioLane, timeline: Timeline, count: int) -> NDArray[np.bool_]:
    """Frames in which a Say sounds: its pieces, up to the end it really had. bool [count]."""
    sounds = np.zeros(count, bool)
    for event in timeline.agent:
        if not isinstance(event, Say):
            continue
        spans = [(p.start_s, min(p.end_s, event.end_s)) for p in event.pieces]
        for start_s, end_s in spans or [(event.start_s, event.end_s)]:
            if end_s > start_s:
                first = math.floor(start_s * lane.rate_hz + EPS_S)
                sounds[first : math.ceil(end_s * lane.rate_hz - EPS_S)] = True
    return sounds


def spoken_blocks(
    schema: TokenSchema, lane: AudioLane, codecs: CodecSet, timeline: Timeline
) -> int:
    """Blocks that a speak lane needs until its last sounding code is out."""
    rate, block = exact(lane.rate_hz), schema.block
    ends = sounding_frames(lane, timeline, math.ceil(timeline.duration_s * lane.rate_hz) + 1)
    if not ends.any():
        return 0
    last = int(np.flatnonzero(ends)[-1]) + codecs.shift_frames(lane)
    blocks = math.ceil((last + 1) / (rate * block))
    # of a lane that carries, block b ends with frame floor((b + 1) * frames a block)
    return blocks if schema.frame_at(lane, blocks) > last else blocks + 1


def audio_lane(grid: Grid, lane: AudioLane, codecs: CodecSet, media: Media) -> LaneBlocks:
    """Codes, slots or mel rows of what is heard or said; a code is known when its sound is.

    A speak lane with `idle` says so in blocks in which nothing sounds, and reads no audio when
    nothing sounds at all.
    """
    vocabulary, n = codecs.vocabulary, grid.n_blocks
    edges, shift = grid.frames(lane), codecs.shift_frames(lane)
    books = lane.codebooks if lane.as_ == "codes" else 1
    frame = np.arange(edges[-1]) - shift
    per_block = np.diff(edges)
    sounding = sounding_blocks(grid, lane, codecs)
    idle = ~sounding if lane.idle else np.zeros(n, bool)
    shown = np.repeat(~idle, per_block)
    frame = frame[shown]
    counts = np.where(idle, 1, per_block * books)
    is_frame = np.repeat(~idle, counts)
    ids = np.full(len(is_frame), vocabulary.id(lane.idle) if lane.idle else 0, np.int32)
    ids[is_frame] = _frame_ids(grid, lane, codecs, media, frame).ravel()
    rows = np.full(len(ids), -1, np.int64)
    rows[is_frame] = np.repeat(frame, books)
    real = rows >= 0
    known = np.where(real, np.round((rows + 1) / lane.rate_hz + codecs.lookahead_s(lane), 6), 0.0)
    factor = None
    if lane.loss.books:
        factor = np.ones(len(ids), np.float32)
        factor[is_frame] = np.tile(np.array(lane.loss.books, np.float32), len(frame))
        factor[~real] = 1
    return LaneBlocks(
        ids,
        counts,
        np.where(real, CONTENT, IDLE).astype(np.uint8),
        ~sounding,
        np.maximum(known, 0),
        factor,
        rows if lane.as_ != "codes" else None,
        (lambda: mel_rows(grid, lane, media)) if lane.as_ != "codes" else None,
    )


def sounding_blocks(grid: Grid, lane: AudioLane, codecs: CodecSet) -> NDArray[np.bool_]:
    """Blocks of a speak lane that hold a code in which a Say sounds; all blocks of `listen`."""
    edges = grid.frames(lane)
    if lane.channel == "listen":
        return np.ones(grid.n_blocks, bool)
    shift = codecs.shift_frames(lane)
    sounds = np.zeros(edges[-1], bool)
    sounds[shift:] = sounding_frames(lane, grid.timeline, max(0, int(edges[-1]) - shift))
    total = np.concatenate([[0], np.cumsum(sounds)])
    return np.diff(total[edges]) > 0


def _frame_ids(
    grid: Grid, lane: AudioLane, codecs: CodecSet, media: Media, frame: NDArray[np.int64]
) -> Ids:
    """Ids [len(frame), codebooks] of these frames, `pad` where there is none (below 0)."""
    vocabulary = codecs.vocabulary
    if lane.as_ != "codes":
        assert lane.slot is not None
        ids = np.full((len(frame), 1), vocabulary.id(lane.slot), np.int32)
    elif len(frame) and frame[-1] >= 0:
        ids = _audio_ids(grid, lane, codecs, media, int(frame[-1]) + 1)[np.maximum(frame, 0)]
    else:
        ids = np.zeros((len(frame), lane.codebooks), np.int32)
    if len(frame) and frame[0] < 0:
        ids[frame < 0] = vocabulary.id(_pad(lane, grid.where))
    return ids


def _pad(lane: AudioLane, where: str) -> str:
    if not lane.pad:
        raise StrettoError(
            f"codec {lane.codec!r} looks ahead: its first codes come late",
            f"{where}: lane {lane.name}",
            "give the lane a `pad` token",
        )
    return lane.pad


def _track(grid: Grid, lane: AudioLane, media: Media) -> tuple[AudioTrack, NDArray[np.int16]]:
    heard = lane.channel == "listen"
    track = grid.timeline.listen if heard else grid.timeline.speak
    return track, media.listen() if heard else media.speak()


def _padded(pcm: NDArray[np.int16], samples: int) -> NDArray[np.int16]:
    """Exactly so many samples, silence at the end."""
    out = np.zeros(samples, np.int16)
    out[: min(len(pcm), samples)] = pcm[:samples]
    return out


def _audio_ids(grid: Grid, lane: AudioLane, codecs: CodecSet, media: Media, count: int) -> Ids:
    """Ids [count, codebooks] of the first frames, silence behind the end of the track."""
    codec = codecs.get(lane.codec)
    track, pcm = _track(grid, lane, media)
    if codec.sample_rate_hz != track.sample_rate_hz:
        raise StrettoError(
            f"audio has {track.sample_rate_hz} Hz, codec {lane.codec!r} {codec.sample_rate_hz}",
            f"{grid.where}: {lane.name}",
            "run `stretto fit` on this corpus",
        )
    frames = int(grid.frames(lane)[-1])
    codes = codec.encode(_padded(pcm, frames * codec.frame_samples))[:count, : lane.codebooks]
    r = codecs.vocabulary.range(lane.codec)
    return codes.astype(np.int32) + (
        r.start + r.entries * np.arange(lane.codebooks, dtype=np.int32)
    )


def mel_rows(grid: Grid, lane: AudioLane, media: Media) -> NDArray[np.float32]:
    """The rows of a slots or mel lane, float32 [frames, dim]; row f is that of frame f."""
    track, pcm = _track(grid, lane, media)
    slots = MelSlots.of(track.sample_rate_hz, lane.rate_hz, lane.subframes, lane.n_mels)
    return slots.encode(_padded(pcm, int(grid.frames(lane)[-1]) * slots.frame_samples))
