"""Errors between what should have been said and what was understood; counted by `jiwer`.

English is written alike by Whisper's normaliser ("twenty-one" is "21"); of other languages case and
signs are dropped. Words are counted, characters where a language has no spaces between words.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipeline.checks.scripts import unspaced


@dataclass(frozen=True)
class Errors:
    """Substitutions, deletions and insertions, and how many words (or characters) were due."""

    wrong: int
    due: int

    @property
    def rate(self) -> float | None:
        """Word or character error rate; None where nothing was due."""
        return round(self.wrong / self.due, 4) if self.due else None

    def __add__(self, other: Errors) -> Errors:
        return Errors(self.wrong + other.wrong, self.due + other.due)


def errors(due: str, heard: str, language: str) -> Errors:
    """Count the errors of `heard`. A text without a word (only signs) has nothing due."""
    import jiwer

    wanted, got = normalised(due, language), normalised(heard, language)
    if unspaced(language):
        wanted, got = wanted.replace(" ", ""), got.replace(" ", "")
    if not wanted:
        return Errors(0, 0)
    count: Any = jiwer.process_characters if unspaced(language) else jiwer.process_words
    found = count(wanted, got)
    wrong = found.substitutions + found.deletions + found.insertions
    return Errors(wrong, found.hits + found.substitutions + found.deletions)


def normalised(text: str, language: str) -> str:
    """The text as it is compared."""
    if language.lower().split("-")[0] == "en":
        # it leaves a full stop for the sake of numbers
        return " ".join(w for w in _english()(text).split() if any(c.isalnum() for c in w))
    # vowel signs (category M) are letters in Hindi: Whisper's own normaliser drops them
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = (c if unicodedata.category(c)[0] in "LMN" else " " for c in folded)
    return " ".join("".join(kept).split())


@cache
def _english() -> Any:
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    return EnglishTextNormalizer({})
