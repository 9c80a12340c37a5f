"""Speech: text in, waveforms and word times out, behind one interface (`backend.py`).

backend = open_speech(config.speech)          # or open_backend("espeak", 16000)
voice = pick_voice("user", "en-US", seed=7, key="d-0001", speaker="user")
[speech] = backend.say([SpeechRequest("Hello, world!", voice, seed=1)])
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from generators.speech.backend import (
    Speech,
    SpeechBackend,
    SpeechRequest,
    Spoken,
    SpokenWord,
)
from generators.speech.engines import engine
from generators.speech.voices import Voice, espeak_language, pick_voice
from schemas.config.speech import SpeechConfig

if TYPE_CHECKING:
    from generators.speech.artefacts import Artefacts
    from generators.speech.cache import CachedBackend

__all__ = [
    "Speech",
    "SpeechBackend",
    "SpeechRequest",
    "Spoken",
    "SpokenWord",
    "Voice",
    "espeak_language",
    "is_hosted",
    "open_backend",
    "open_speech",
    "pick_voice",
]


def is_hosted(speech: SpeechConfig) -> bool:
    """Whether the engine runs in processes of its own."""
    return bool(speech.python or speech.env or speech.streams > 1 or speech.gpus)


def open_speech(
    speech: SpeechConfig,
    kept: Artefacts | Path | None = None,
    backend: SpeechBackend | None = None,
) -> CachedBackend:
    """The engine that the config names, with what is `kept`; `backend` is one opened elsewhere.

    Open it in the process that uses it. StrettoError for an unknown name.
    """
    from generators.speech.cache import CachedBackend
    from generators.speech.hosted import HostedBackend

    if backend is None:
        kind = engine(speech.backend)
        backend = HostedBackend(speech) if is_hosted(speech) else kind.open(speech)
    return CachedBackend(backend, speech.sample_rate_hz, kept)


def open_backend(name: str, sample_rate_hz: Any, cache: Path | None = None) -> CachedBackend:
    """The backend `name` by itself, its utterances kept in the folder `cache`."""
    return open_speech(SpeechConfig(backend=name, sample_rate_hz=sample_rate_hz), cache)
