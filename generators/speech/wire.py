"""What crosses to an engine in another process: plain values and int16 arrays, never pickles.

`plain_request` and `request_from` carry a request; `plain_answer` and `answer_from` its speech or
its error. `frame` and `arrays_of` are the form on a pipe: 4-byte little-endian length, JSON,
then the raw PCM of every answer, `pcm_bytes` each.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from typing import Any

import numpy as np

from generators.speech.backend import Speech, SpeechRequest, Spoken, SpokenWord
from generators.speech.voices import Voice
from schemas.errors import StrettoError

Plain = dict[str, Any]
LENGTH = struct.Struct("<I")


def plain_request(request: SpeechRequest) -> Plain:
    """A request as JSON values."""
    return {"text": request.text, "seed": request.seed, "voice": asdict(request.voice)}


def request_from(plain: Plain) -> SpeechRequest:
    """The request again."""
    voice = dict(plain["voice"])
    voice["settings"] = tuple((name, value) for name, value in voice["settings"])
    return SpeechRequest(plain["text"], Voice(**voice), plain["seed"])


def plain_answer(spoken: Spoken) -> tuple[Plain, np.ndarray]:
    """(head, int16 PCM) of an answer; an error has no PCM."""
    if isinstance(spoken, StrettoError):
        return {"error": [spoken.what, spoken.where, spoken.fix]}, np.zeros(0, np.int16)
    words = [[word.char_start, word.char_end, word.start_sample, word.end_sample, word.text]
             for word in spoken.words]  # fmt: skip
    head = {"sample_rate_hz": spoken.sample_rate_hz, "words": words, "by": spoken.word_times}
    return head, np.ascontiguousarray(spoken.pcm, dtype=np.int16)


def answer_from(head: Plain, pcm: np.ndarray) -> Spoken:
    """The speech, or the error, again."""
    if "error" in head:
        return StrettoError(*head["error"])
    words = tuple(SpokenWord(word[4], *word[:4]) for word in head["words"])
    return Speech(pcm, head["sample_rate_hz"], words, head["by"])


def frame(head: Plain, arrays: list[np.ndarray] | None = None) -> bytes:
    """A frame as bytes."""
    raw = [array.astype("<i2", copy=False).tobytes() for array in arrays or []]
    text = json.dumps({**head, "pcm_bytes": [len(part) for part in raw]}, ensure_ascii=True)
    body = text.encode("ascii")
    return LENGTH.pack(len(body)) + body + b"".join(raw)


def arrays_of(raw: bytes, sizes: list[int]) -> list[np.ndarray]:
    """The int16 arrays behind a frame's head."""
    found, at = [], 0
    for size in sizes:
        found.append(np.frombuffer(raw[at : at + size], dtype="<i2").astype(np.int16))
        at += size
    return found
