"""`speech:`, `align:` and `text:` of a config: who speaks, who times the words, who rewrites."""

from __future__ import annotations

from typing import Literal

from schemas.base import Record


class SpeechConfig(Record):
    """Who speaks. `sample_rate_hz` is the corpus's rate; a FLAC is 16-bit mono at this rate."""

    backend: str = "espeak"
    sample_rate_hz: Literal[8000, 16000, 22050, 24000, 44100, 48000] = 16000
    cache: str | None = None
