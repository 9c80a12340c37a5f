"""The engines by name: how each is opened, split into batches, and whether it is pure.

`ENGINES["espeak"].open(speech)` gives a `SpeechBackend`; `speech` is the config's section. An
engine's module is imported here without its model library, which only its first use brings in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from generators.speech.backend import SpeechBackend, SpeechRequest
from generators.speech.batches import Batches, by_length, one_by_one
from generators.speech.voice_book import book_voices
from schemas.config.speech import SpeechConfig
from schemas.errors import StrettoError


@dataclass(frozen=True)
class Engine:
    """`pure`: an utterance's audio is a function of its request alone, on every machine.

    `batches` says which requests are spoken together, by index: a fixed rule, so that the same
    requests make the same batches on any number of streams. `gpu`: it can use one.
    """

    open: Callable[[SpeechConfig], SpeechBackend]
    pure: bool
    batches: Callable[[SpeechConfig, Sequence[SpeechRequest]], Batches]
    gpu: bool = True


def _espeak(speech: SpeechConfig) -> SpeechBackend:
    from generators.speech.espeak import EspeakBackend

    return EspeakBackend(speech.sample_rate_hz)


def _cosyvoice(speech: SpeechConfig) -> SpeechBackend:
    from generators.speech.cosyvoice import CosyVoiceBackend

    voices = book_voices(speech.voices, "cosyvoice") if speech.voices else []
    return CosyVoiceBackend(speech.sample_rate_hz, speech.cosyvoice, voices)


def _transformers(speech: SpeechConfig) -> SpeechBackend:
    from generators.speech.hf_tts import TransformersBackend

    return TransformersBackend(speech)


ENGINES: dict[str, Engine] = {
    "espeak": Engine(_espeak, True, one_by_one, gpu=False),
    "cosyvoice": Engine(_cosyvoice, False, one_by_one),
    "transformers": Engine(_transformers, False, by_length),
}


def engine(name: str) -> Engine:
    """The engine `name`; StrettoError for an unknown one."""
    if name not in ENGINES:
        fix = f"use {', '.join(ENGINES)}"
        raise StrettoError(f"unknown speech backend {name!r}", "speech.backend", fix)
    return ENGINES[name]
