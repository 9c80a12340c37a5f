"""When the assistant gives way: decided from the user's words as they are heard, word by word.

    at = yield_at(utterance, heard_words, reaction)      # HeardWord(char_end, start, end) in samples

It stops where, `reaction` after the end of one of the user's words, what has been heard is an
interruption: it is more than a backchannel and either still going on, or over and not trailing off
("but..." is a beginning that was given up). Speech shorter than PLAIN_AFTER_S may be a cough. Only
words that have ended and sound up to that moment count, so a barge-in, a failed one and "mm-hmm" are
told apart by the same rule that a listener has (promise 3), never by what they were planned to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from generators.scene.pools import sounds_like_listening
from generators.text_split import with_mark

# speech shorter than this may be a cough: the first word that ends later settles it
PLAIN_AFTER_S = 0.2
_TRAILS_OFF = ("-", "–", "—", ",", "...", "…", "，", "、")


@dataclass(frozen=True)
class HeardWord:
    """A word of the user's: where it ends in the text, and its samples [start, end)."""

    char_end: int
    start: int
    end: int


@dataclass(frozen=True)
class Yield:
    """The assistant stops at sample `at`, because of word `word`."""

    at: int
    word: int


def plain_word(words: Sequence[HeardWord], plain_after: int) -> int:
    """The index of the first word that ends `plain_after` samples or more after the start, else the
    last one."""
    earliest = words[0].start + plain_after
    return next((i for i, w in enumerate(words) if w.end >= earliest), len(words) - 1)


def yield_at(
    text: str, language: str, words: Sequence[HeardWord], reaction: int, plain_after: int
) -> Yield | None:
    """When and because of which word the assistant stops; None where it has no reason to."""
    for index, word in enumerate(words):
        # a shorter sound may be a cough until then
        at = max(word.end, words[0].start + plain_after) + reaction
        if _interrupts(text, language, words, at):
            return Yield(at, index)
    return None


def _interrupts(text: str, language: str, words: Sequence[HeardWord], at: int) -> bool:
    """Is what is heard by sample `at` an interruption?"""
    heard = [w for w in words if w.end <= at]
    said = with_mark(text, heard[-1].char_end)
    if sounds_like_listening(said, language):
        return False
    going_on = any(w.start < at < w.end for w in words[len(heard) :])
    return going_on or not said.rstrip("\"'”’)]").endswith(_TRAILS_OFF)
