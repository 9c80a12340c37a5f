"""The prompt of the parallel mode: rows of all streams before the first step, nothing delayed.

PersonaPlex (NVIDIA/personaplex @ 3428dfd lm.py L1010-1127) begins with a voice to speak with, a
gap, its role as text at one token a step, and a gap, while the user's streams hear a 440 Hz sine.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from token_schema.layouts.parallel_audio import book_ids, encode_frames
from token_schema.layouts.parallel_grid import Grid, Ids
from token_schema.layouts.shown import prompt_text
from token_schema.models import AudioLane, Prompt, TextLane
from token_schema.schema import TokenSchema
from token_schema.tokens import CLOSE, CONTENT, OPEN

SINE_HZ, SINE_AMPLITUDE = 440.0, 0.1


def prompt_rows(grid: Grid) -> tuple[Ids, NDArray[np.uint8]]:
    """Ids [R, streams] and their classes. Raises StrettoError where text has no stream to stand
    in, or a voice codec is missing."""
    schema, prompt = grid.schema, grid.schema.prompt
    width = len(schema.streams)
    if prompt is None:
        return np.zeros((0, width), np.int32), np.zeros((0, width), np.uint8)
    text = _text(grid, prompt)
    lengths = {"text": len(text), "gap": _frames(grid, prompt.gap_s)}
    lengths["voice"] = _frames(grid, prompt.voice_s)
    ids = np.empty((sum(lengths[r] for r in prompt.rows), width), np.int32)
    kind = np.full(ids.shape, CONTENT, np.uint8)
    _background(grid, prompt, ids)
    at = 0
    for region in prompt.rows:
        rows = slice(at, at := at + lengths[region])
        if region == "text":
            column = _text_stream(schema)
            ids[rows, column] = text
            kind[rows.start, column], kind[rows.stop - 1, column] = OPEN, CLOSE
        elif region == "voice":
            _voice(grid, prompt, ids[rows])
    return ids, kind


def prompt_lane(schema: TokenSchema) -> int | None:
    """The index of the text lane in which the prompt's text stands; None without such text.

    Raises StrettoError when the schema has no text lane for it.
    """
    if schema.prompt is None or "text" not in schema.prompt.rows:
        return None
    lanes = [i for i, lane in enumerate(schema.lanes) if isinstance(lane, TextLane)]
    if not lanes:
        raise StrettoError(
            "the prompt has text, and no lane is text",
            f"{schema.name}: prompt.rows",
            "leave `text` out of the rows",
        )
    return lanes[0]


def _text_stream(schema: TokenSchema) -> int:
    index = prompt_lane(schema)
    return next(s for s, stream in enumerate(schema.streams) if stream.lane == index)


def _text(grid: Grid, prompt: Prompt) -> Ids:
    """`open`, the text's ids, `close`."""
    codec, start = grid.codecs.get(prompt.codec), grid.codecs.vocabulary.range(prompt.codec).start
    text = np.asarray(codec.encode(prompt_text(grid.schema, grid.timeline)), np.int32) + start
    ends = [[grid.id(token)] for token in (prompt.open, prompt.close)]
    return np.concatenate([ends[0], text, ends[1]]).astype(np.int32)


def _frames(grid: Grid, seconds: float) -> int:
    return round(seconds / grid.schema.block_s)


def _background(grid: Grid, prompt: Prompt, ids: Ids) -> None:
    """What stands where the prompt says nothing: idle text, silence, what is heard, pads."""
    column = 0
    for lane in grid.schema.lanes:
        if isinstance(lane, AudioLane):
            part = ids[:, column : (column := column + lane.codebooks)]
            codec = grid.codecs.get(lane.codec)
            if lane.channel == "listen" and prompt.listen == "sine":
                part[:] = book_ids(grid, lane, _sine_codes(codec, len(ids)))
            elif lane.idle:
                part[:] = grid.id(lane.idle)
            else:
                part[:] = book_ids(grid, lane, codec.silence_codes(1))
            continue
        width = getattr(lane, "streams", 1)
        filler = lane.idle if isinstance(lane, TextLane) else getattr(lane, "pad", None)
        ids[:, column : column + width] = grid.id(filler)
        column += width


def _voice(grid: Grid, prompt: Prompt, ids: Ids) -> None:
    """The assistant's voice into the speak streams; what has no clip stays silent."""
    clips, column = grid.codecs.get(prompt.voice_codec), 0
    name = grid.timeline.context.assistant_voice
    for lane in grid.schema.lanes:
        if isinstance(lane, AudioLane) and lane.channel == "speak":
            codec = grid.codecs.get(lane.codec)
            if clips.sample_rate_hz != codec.sample_rate_hz:
                raise StrettoError(
                    f"voices have {clips.sample_rate_hz} Hz, codec {lane.codec!r}"
                    f" {codec.sample_rate_hz}",
                    f"codecs/{prompt.voice_codec}",
                    "run `stretto fit` on this corpus",
                )
            codes = _clip_codes(codec, clips, name, len(ids))
            if codes is not None:
                ids[:, column : column + lane.codebooks] = book_ids(grid, lane, codes)
        column += sum(s.lane == grid.schema.lanes.index(lane) for s in grid.schema.streams)


@lru_cache(maxsize=64)
def _clip_codes(codec: Any, clips: Any, name: str | None, n: int) -> NDArray[np.int32] | None:
    """Codes [n, codebooks] of a voice's clip: the same for every sample of that voice."""
    clip = clips.clip(name)
    return None if clip is None else encode_frames(codec, clip, n)


@lru_cache(maxsize=64)
def _sine_codes(codec: Any, n: int) -> NDArray[np.int32]:
    """Codes [n, codebooks] of the sine, from its first sample on."""
    samples = np.arange((n + 1) * codec.frame_samples + codec.sample_rate_hz)
    wave = np.sin(2 * np.pi * SINE_HZ / codec.sample_rate_hz * samples)
    return encode_frames(codec, np.round(wave * SINE_AMPLITUDE * 32767).astype(np.int16), n)
