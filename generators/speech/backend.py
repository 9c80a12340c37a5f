"""The interface of every speech engine: a batch of texts in, waveforms and word times out.

A backend is opened by name with `generators.speech.open_backend`. An engine that knows no word
times will go through a forced aligner; espeak-ng, the embedded default, knows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from generators.speech.voices import Voice
from schemas.errors import StrettoError
from schemas.timeline import WordTimes


@dataclass(frozen=True)
class SpeechRequest:
    """One utterance to speak. The audio is a pure function of these three fields."""

    text: str
    voice: Voice
    seed: int


@dataclass(frozen=True)
class SpokenWord:
    """A word of the request's text and when it sounds.

    `char_start` and `char_end` are a half-open span of code points in `SpeechRequest.text`, and
    `text` is that span. `start_sample` and `end_sample` are half-open too, at the speech's rate.
    """

    text: str
    char_start: int
    char_end: int
    start_sample: int
    end_sample: int


@dataclass(frozen=True, eq=False)
class Speech:
    """A spoken utterance: int16 mono PCM [n_samples] and its words in order, without overlap.

    `words` is empty where the engine knows no times: the align stage fills them in and says by
    `word_times` how.
    """

    pcm: np.ndarray
    sample_rate_hz: int
    words: tuple[SpokenWord, ...]
    word_times: WordTimes = "engine"

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.pcm) / self.sample_rate_hz


Spoken = Speech | StrettoError


class SpeechBackend(Protocol):
    """What the pipeline asks of a speech engine."""

    name: str

    def version(self) -> str:
        """The versions that shape the audio, for the fingerprint and the cache's keys."""
        ...

    def check(self) -> None:
        """Raise StrettoError when the engine can't run here."""
        ...

    def say(self, requests: Sequence[SpeechRequest]) -> list[Spoken]:
        """One answer per request, in order; a StrettoError stands where an utterance failed."""
        ...

    def close(self) -> None:
        """Free processes and memory. The backend opens again on its next use."""
        ...
