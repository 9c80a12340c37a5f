"""Codes of decoded lanes: ids back to the codec's own codes, delays taken back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from token_schema.codec_set import CodecSet
from token_schema.grammar.frames import shifts_of
from token_schema.models import AudioLane, Lane, LookLane
from token_schema.schema import TokenSchema

Codes = NDArray[np.int32]


def block_codes(lane: Lane, codecs: CodecSet, ids: NDArray[np.int32]) -> Codes | None:
    """The codec's own codes of one block (or turn), -1 where an id is -1; None where it has none."""
    if not (ids >= 0).any():
        return None
    if isinstance(lane, LookLane):
        return (ids - codecs.vocabulary.range(lane.codec).start).reshape(lane.frames, -1)
    assert isinstance(lane, AudioLane)
    return _own(lane, codecs, ids.reshape(-1, lane.codebooks))


def _own(lane: AudioLane, codecs: CodecSet, ids: NDArray[np.int32]) -> Codes:
    """Codes [n, codebooks] of global ids."""
    r = codecs.vocabulary.range(lane.codec)
    books = r.entries * np.arange(lane.codebooks, dtype=np.int32)
    return np.where(ids < 0, -1, ids - r.start - books).astype(np.int32)


def block_frames(
    schema: TokenSchema, lane: AudioLane, codecs: CodecSet, blocks: list[Codes | None]
) -> Codes:
    """Frame by frame [frames, codebooks], frame 0 first: the lane's delay is taken back."""
    edges = [schema.frame_at(lane, b) for b in range(len(blocks) + 1)]
    out = np.full((edges[-1], lane.codebooks), -1, np.int32)
    for first, codes in zip(edges, blocks, strict=False):
        if codes is not None:
            out[first : first + len(codes)] = codes
    return out[codecs.shift_frames(lane) :]


def step_frames(lane: AudioLane, codecs: CodecSet, rows: NDArray[np.int32]) -> Codes:
    """The same of the rows [T, codebooks] of the parallel mode; what the end cuts off is -1."""
    shifts, codes = shifts_of(lane, codecs), _own(lane, codecs, rows)
    out = np.full((max(0, len(rows) - min(shifts)), lane.codebooks), -1, np.int32)
    for q, shift in enumerate(shifts):
        late = codes[shift:, q]
        out[: len(late), q] = late
    return out


def image_codes(lane: LookLane, codecs: CodecSet, rows: NDArray[np.int32]) -> Codes:
    """Codes [images, tokens] of the rows [T, streams]; what the end cuts off is -1. None shown: []."""
    if not (rows >= 0).any():
        return np.zeros((0, 0), np.int32)
    images = -(-(len(rows) - lane.delay) // lane.every)
    out = np.full((images * lane.every, lane.streams), -1, np.int32)
    out[: len(rows) - lane.delay] = rows[lane.delay :]
    start, tokens = codecs.vocabulary.range(lane.codec).start, codecs.get(lane.codec).tokens
    out = out.reshape(images, -1)[:, :tokens]
    return np.where(out < 0, -1, out - start).astype(np.int32)
