"""`speech:` of a config: which engine speaks, where it runs, and where its utterances are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.base import Record
from schemas.config.cosyvoice import CosyVoiceConfig


class TransformersSpeech(Record):
    """A text-to-speech model of `transformers`, by hub name or folder.

    `batch` utterances of like length are spoken at once; with 1 an utterance depends on nothing
    but itself, to the last bit. A voice may name a `model` of its own (one a language, say).
    `vocoder` goes with models that make spectrograms (SpeechT5).
    """

    model: str
    revision: str | None = None
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?|mps)$")
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    batch: int = Field(default=16, gt=0)
    vocoder: str | None = None


class SpeechConfig(Record):
    """Who speaks. `sample_rate_hz` is the corpus's rate; a FLAC is 16-bit mono at this rate.

    `voices` is a YAML of the user's own voices, `assistant_voice` an id in it. `cache` is a folder
    or URL where utterances are kept. `python` is the interpreter of an environment that the engine
    needs for itself, `env` its variables; `streams` engines run at once, each on `gpus` GPUs and
    `cpus` CPUs. `deadline_s` ends a batch that hangs.
    """

    backend: str = "espeak"
    sample_rate_hz: Literal[8000, 16000, 22050, 24000, 44100, 48000] = 16000
    voices: str | None = None
    assistant_voice: str | None = None
    cache: str | None = None
    transformers: TransformersSpeech | None = None
    cosyvoice: CosyVoiceConfig = CosyVoiceConfig()
    python: str | None = None
    env: dict[str, str] = {}
    streams: int = Field(default=1, gt=0, le=64)
    gpus: float = Field(default=0.0, ge=0)
    cpus: float = Field(default=1.0, ge=0)
    deadline_s: float = Field(default=300.0, gt=0)
