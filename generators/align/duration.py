"""Word times without a model: an estimate from the length of the sound, and it says so.

Silence at both ends and pauses are found by energy; the words are shared out over the stretches
that sound, so that a pause falls between two words, after punctuation if it can; within a stretch a
word is as long as its letters, the last one longer. Integers decide every position.
docs/alignment.md has its error.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from generators.align.base import Aligned, Alignment, Unaligned, refusal, sounding, spoken_words
from generators.align.silence import voiced
from generators.speech.tokens import Token
from schemas.errors import StrettoError

# Counts up when the estimate changes.
REVISION = 1
# In letters: a digit is read as a word, a wide character (Chinese, kana, Hangul) is a syllable, the
# word before a pause is drawn out. Fitted on espeak-ng.
DIGIT_WEIGHT, LAST_WEIGHT, SYLLABLE_WEIGHT = 5, 3, 3
# A pause where nothing is punctuated is as unlikely as this many letters misplaced.
BARE_PAUSE_WEIGHT = 8


class DurationAligner:
    """The fallback: needs nothing, and is right to about a syllable."""

    name = "duration"

    def version(self) -> str:
        """Our own revision, and Python's tables of letters."""
        return f"stretto-duration {REVISION}, unicode {unicodedata.unidata_version}"

    def check(self) -> None:
        """It runs everywhere."""

    def close(self) -> None:
        """It holds nothing."""

    def align(self, items: Sequence[Unaligned]) -> list[Aligned]:
        """An estimate for each item; a StrettoError for silence and for a text without words."""
        return [_estimate(item) for item in items]


def _estimate(item: Unaligned) -> Aligned:
    words = sounding(item.text)
    if refused := refusal(item, words):
        return refused
    stretches = _at_most(voiced(item.pcm, item.sample_rate_hz), len(words))
    if not stretches:
        return StrettoError(
            "nothing sounds in this audio, so its words have no times", item.where, "speak it again"
        )
    weights = [_weight(item.text, word) for word in words]
    counts = _shares(weights, _closed(item.text, words), [end - start for start, end in stretches])
    spans: list[tuple[int, int]] = []
    for (start, end), count in zip(stretches, counts, strict=True):
        spans += _spread(weights[len(spans) : len(spans) + count], start, end)
    return Alignment(spoken_words(item, words, spans), "estimated")


def _weight(text: str, word: Token) -> int:
    """How long a word is, in letters and vowel signs."""
    chars = text[word.start : word.end]
    digits = sum(1 for char in chars if char.isdigit())
    letters = sum(
        SYLLABLE_WEIGHT if unicodedata.east_asian_width(char) == "W" else 1
        for char in chars
        if unicodedata.category(char)[0] in "LM"
    )
    return max(1, letters + DIGIT_WEIGHT * digits)


def _closed(text: str, words: Sequence[Token]) -> list[bool]:
    """For each word but the last: is there punctuation between its letters and the next word's?"""
    found = []
    for word, after in zip(words, words[1:], strict=False):
        between = text[word.start : after.start].rstrip()
        head = text[after.start : after.end]
        found.append(bool(between) and not between[-1].isalnum() and not _mark(between[-1])
                     or not head[:1].isalnum() and not _mark(head[:1]))  # fmt: skip
    return found


def _mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "M"


def _at_most(stretches: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """No more stretches than words: the shortest pauses are no pauses, the first of equal ones."""
    while len(stretches) > most:
        gaps = [b[0] - a[1] for a, b in zip(stretches, stretches[1:], strict=False)]
        at = gaps.index(min(gaps))
        joined = (stretches[at][0], stretches[at + 1][1])
        stretches = [*stretches[:at], joined, *stretches[at + 2 :]]
    return stretches


def _shares(weights: Sequence[int], closed: Sequence[bool], lengths: Sequence[int]) -> list[int]:
    """How many words each stretch holds, at least one.

    Exact dynamic programming: the sum over stretches of |its weight at its words' pace - at the
    whole utterance's|, plus a price for each pause after a word that no punctuation closes.
    """
    count, total, sound = len(weights), sum(weights), sum(lengths)
    before = np.concatenate(([0], np.cumsum(weights))).astype(np.int64)
    bare = np.array([0 if c else BARE_PAUSE_WEIGHT * sound for c in (*closed, True)], np.int64)
    far = np.int64(1) << 60
    best = np.full(count + 1, far)
    best[0] = 0
    froms: list[np.ndarray] = []
    for index, length in enumerate(lengths):
        # cost[first, end]: stretch `index` holds words [first, end)
        cost = np.abs((before[None, :] - before[:, None]) * sound - length * total)
        if index < len(lengths) - 1:
            cost[:, 1:] += bare[None, :]
        cost = np.where(np.arange(count + 1)[None, :] > np.arange(count + 1)[:, None], cost, far)
        sums = np.minimum(best[:, None] + cost, far)
        froms.append(sums.argmin(axis=0))
        best = sums.min(axis=0)
    ends, at = [count], count
    for choice in reversed(froms):
        at = int(choice[at])
        ends.append(at)
    ends.reverse()
    return [b - a for a, b in zip(ends, ends[1:], strict=False)]


def _spread(weights: Sequence[int], start: int, end: int) -> list[tuple[int, int]]:
    """[start, end) shared out in proportion to the weights, without gaps; the last has more."""
    sums = [0, *np.cumsum([*weights[:-1], weights[-1] + LAST_WEIGHT]).tolist()]
    cuts = [start + (end - start) * s // sums[-1] for s in sums]
    return list(zip(cuts, cuts[1:], strict=False))
