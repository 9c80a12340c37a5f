"""Speech: text in, waveforms and word times out, behind one interface (`backend.py`).

backend = open_backend("espeak", 16000)
voice = pick_voice("user", "en-US", seed=7, key="d-0001", speaker="user")
[speech] = backend.say([SpeechRequest("Hello, world!", voice, seed=1)])
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from generators.speech.backend import (
    Speech,
    SpeechBackend,
    SpeechRequest,
    Spoken,
    SpokenWord,
)
from generators.speech.voices import Voice, espeak_language, pick_voice
from schemas.errors import StrettoError

__all__ = [
    "Speech",
    "SpeechBackend",
    "SpeechRequest",
    "Spoken",
    "SpokenWord",
    "Voice",
    "espeak_language",
    "open_backend",
    "pick_voice",
]


def _espeak(sample_rate_hz: int) -> SpeechBackend:
    from generators.speech.espeak import EspeakBackend

    return EspeakBackend(sample_rate_hz)


BACKENDS: dict[str, Callable[[int], SpeechBackend]] = {"espeak": _espeak}


def open_backend(name: str, sample_rate_hz: int, cache: Path | None = None) -> SpeechBackend:
    """The backend `name`, answering at `sample_rate_hz`; utterances kept in the folder `cache`.

    Open it in the process that uses it. StrettoError for an unknown name.
    """
    if name not in BACKENDS:
        raise StrettoError(
            f"unknown speech backend {name!r}", "speech.backend", f"use {', '.join(BACKENDS)}"
        )
    from generators.speech.cache import CachedBackend

    return CachedBackend(BACKENDS[name](sample_rate_hz), sample_rate_hz, cache)
