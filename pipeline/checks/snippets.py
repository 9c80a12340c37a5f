"""Each utterance's audio with the text it should say, for models that listen.

`snippets(sample)` cuts the words that were said to their end out of their track; a long utterance is
cut between words, so that no snippet is longer than an ASR model's window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.checks.voices import Utterance, Voice, voices
from schemas.sample import Sample
from schemas.timeline import TimedWord

MAX_S = 25.0  # Whisper hears 30 s
MARGIN_S = 0.1


@dataclass(frozen=True)
class Snippet:
    """A stretch of one utterance: int16 mono and what was said in it."""

    who: str
    event: str
    language: str
    text: str
    start_s: float
    end_s: float
    pcm: NDArray[np.int16]
    sample_rate_hz: int

    def wave(self, sample_rate_hz: int) -> NDArray[np.float32]:
        """float32 in [-1, 1) at another rate."""
        import soxr

        wave = self.pcm.astype(np.float32) / np.float32(32768)
        if sample_rate_hz != self.sample_rate_hz:
            wave = soxr.resample(wave, self.sample_rate_hz, sample_rate_hz)
        return wave.astype(np.float32)


def snippets(sample: Sample, max_s: float = MAX_S) -> Iterator[Snippet]:
    """The user's and the assistant's speech in the order of the events."""
    for voice in voices(sample):
        for event in voice.utterances:
            said = [w for w in event.words if not w.cut]
            cut = len(said) < len(event.words)
            for words in _chunks(said, max_s):
                yield _snippet(voice, event, words, 0.0 if cut else MARGIN_S)


def _chunks(words: list[TimedWord], max_s: float) -> Iterator[list[TimedWord]]:
    chunk: list[TimedWord] = []
    for word in words:
        if chunk and word.end_s - chunk[0].start_s > max_s:
            yield chunk
            chunk = []
        chunk.append(word)
    if chunk:
        yield chunk


def _snippet(voice: Voice, event: Utterance, words: list[TimedWord], after_s: float) -> Snippet:
    first, last = words[0], words[-1]
    start, end = voice.at(first.start_s - MARGIN_S), voice.at(last.end_s + after_s)
    return Snippet(
        who=voice.who,
        event=event.id,
        language=event.language,
        text=event.text[first.char_start : last.char_end],
        start_s=first.start_s,
        end_s=last.end_s,
        pcm=voice.pcm[start:end],
        sample_rate_hz=voice.sample_rate_hz,
    )
