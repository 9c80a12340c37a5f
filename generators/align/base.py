"""The interface of every aligner: a batch of utterances in, words with their times out.

[aligned] = open_aligner(config.align).align([Unaligned("Hello, world!", "en", pcm, 16000)])
aligned.words        # as an engine that knows its times would give them: generators.speech.tokens
aligned.word_times   # "aligned", or "estimated" where no model heard it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from generators.speech.backend import SpokenWord
from generators.speech.tokens import Token, readable, tokens
from schemas.errors import StrettoError
from schemas.timeline import WordTimes


@dataclass(frozen=True, eq=False)
class Unaligned:
    """An utterance without word times: what was said, in which language, int16 mono PCM [n]."""

    text: str
    language: str
    pcm: np.ndarray
    sample_rate_hz: int

    @property
    def where(self) -> str:
        """The language and the head of the text, for messages."""
        return f"alignment {self.language} {self.text[:40]!r}"


@dataclass(frozen=True)
class Alignment:
    """The words of an utterance in order, without overlap, inside its sound.

    `scores` has 0 to 1 for each word: how well the sound fits its letters; empty where nothing
    measured it.
    """

    words: tuple[SpokenWord, ...]
    word_times: WordTimes
    scores: tuple[float, ...] = ()


Aligned = Alignment | StrettoError


class Aligner(Protocol):
    """What the pipeline asks of an aligner."""

    name: str

    def version(self) -> str:
        """All that shapes the times, for the fingerprint and the cache's keys."""
        ...

    def check(self) -> None:
        """Raise StrettoError when it can't run here."""
        ...

    def align(self, items: Sequence[Unaligned]) -> list[Aligned]:
        """One answer per item, in order; each depends on its own item alone."""
        ...

    def close(self) -> None:
        """Free memory. It opens again on its next use."""
        ...


def sounding(text: str) -> list[Token]:
    """The words of `text` that get a time: those with a letter or digit; signs if that is all."""
    found = tokens(readable(text))
    words = [token for token in found if token.must_sound]
    return words or [token for token in found if token.may_sound]


def refusal(item: Unaligned, words: Sequence[Token]) -> StrettoError | None:
    """What no aligner can do: a text without words, or fewer samples than words."""
    if not words:
        return StrettoError("no word to align", item.where, "leave it out or give it words")
    if len(item.pcm) < len(words):
        return StrettoError(
            f"{len(item.pcm)} samples of sound for {len(words)} words", item.where, "speak it again"
        )
    return None


def spoken_words(
    item: Unaligned, words: Sequence[Token], spans: Sequence[tuple[int, int]]
) -> tuple[SpokenWord, ...]:
    """Words at [start, end) samples, pushed inside the sound, each a sample long at least."""
    found, at, count = [], 0, len(item.pcm)
    for index, (token, (start, end)) in enumerate(zip(words, spans, strict=True)):
        last = count - (len(words) - index - 1)  # each word that follows needs a sample
        start = min(max(start, at), last - 1)
        end = min(max(end, start + 1), last)
        text = item.text[token.start : token.end]
        found.append(SpokenWord(text, token.start, token.end, start, end))
        at = end
    return tuple(found)
