"""Disfluencies of the user: fillers, false starts and self-corrections in what is spoken.

    spoken = disfluent("A table for three, please.", "en", timing, "u000")
    spoken.text, spoken.tags      # "A table for four, no, three, please.", ("self_correction",)

What is heard then is the disfluent text. Each sentence draws under its own id, so that another
sentence after it changes nothing. Languages without phrases, and scripts without spaces between
words, have none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from generators.scene.pools import choose, phrases
from generators.scene.timing import Timing
from generators.text_split import sentences
from schemas.draws import rng

_WORD = re.compile(r"\S+")
# a small whole number that is no part of a price, a time or a longer number
_NUMBER = re.compile(r"(?<![\w.,:/$€£%-])(?:[2-9]|[1-5]\d)(?![\w:/%-]|[.,]\d)")
MIN_WORDS = 5


@dataclass(frozen=True)
class Disfluent:
    """The spoken text and the tags of what was done to it."""

    text: str
    tags: tuple[str, ...] = ()


def disfluent(text: str, language: str, timing: Timing, event_id: str) -> Disfluent:
    """`text` as this user says it, sentence by sentence."""
    parts: list[str] = []
    tags: set[str] = set()
    at = 0
    for number, span in enumerate(sentences(text, language)):
        said, done = _sentence(span.of(text), language, timing, f"{event_id}:s{number}")
        parts += [text[at : span.start], said]
        at = span.end
        tags.update(done)
    return Disfluent("".join([*parts, text[at:]]), tuple(sorted(tags)))


def _sentence(text: str, language: str, timing: Timing, sentence_id: str) -> tuple[str, list[str]]:
    """One sentence and what was done to it: at most one of each kind, from the end to the start."""
    scene, done = timing.config.scene, []
    if timing.chance(sentence_id, "self_correction", scene.self_correction.rate):
        corrected = _self_corrected(text, language, timing, sentence_id)
        if corrected != text:
            text, done = corrected, ["self_correction"]
    long_enough = len(text.split()) >= MIN_WORDS
    if long_enough and timing.chance(sentence_id, "filler", scene.filler.rate):
        filled = _filled(text, language, timing, sentence_id)
        if filled != text:
            text, done = filled, [*done, "filler"]
    if long_enough and timing.chance(sentence_id, "false_start", scene.false_start.rate):
        text, done = _false_start(text, language, timing, sentence_id), [*done, "false_start"]
    return text, done


def _self_corrected(text: str, language: str, timing: Timing, sentence_id: str) -> str:
    """The first number or day, with another one and a correction before it."""
    sorry = choose(timing, sentence_id, "correction", language)
    found = _first_correctable(text, language)
    if sorry is None or found is None:
        return text
    start, right, options = found
    others = [o for o in options if o.lower() != right.lower()]
    wrong = others[int(_draw(timing, sentence_id, "wrong").integers(len(others)))]
    if right[:1].isupper():
        wrong = wrong[:1].upper() + wrong[1:]
    return f"{text[:start]}{wrong}, {sorry} {text[start:]}"


def _first_correctable(text: str, language: str) -> tuple[int, str, list[str]] | None:
    """(place, the word, what it may be mixed up with) of the first digit, number word or day."""
    number = _NUMBER.search(text)
    if number:
        value = int(number[0])
        near = [str(n) for n in (value - 2, value - 1, value + 1, value + 2) if n > 1]
        return number.start(), number[0], near
    for kind in ("days", "numbers"):
        names = phrases(kind, language)
        if names and (word := re.search(rf"\b(?:{'|'.join(names)})\b", text, re.I)):
            return word.start(), word[0], list(names)
    return None


def _filled(text: str, language: str, timing: Timing, sentence_id: str) -> str:
    """A hesitation sound before one of the words, not before the first or the last."""
    filler = choose(timing, sentence_id, "filler", language)
    if filler is None:
        return text
    words = list(_WORD.finditer(text))
    place = words[1 + int(_draw(timing, sentence_id, "filler_at").integers(len(words) - 2))]
    before = text[: place.start()].rstrip()
    comma = "," if before[-1:].isalnum() else ""
    return f"{before}{comma} {filler} {text[place.start() :]}"


def _false_start(text: str, language: str, timing: Timing, sentence_id: str) -> str:
    """The first one to three words, broken off, then the whole sentence."""
    count = 1 + int(_draw(timing, sentence_id, "false_start_words").integers(3))
    begun = " ".join(text.split()[:count]).rstrip(",;:.!?")
    return f"{begun}, {text[:1].lower() if _is_plain(text, language) else text[:1]}{text[1:]}"


def _is_plain(text: str, language: str) -> bool:
    """May the first letter be small in mid-sentence? Only of words that are no names."""
    return text.split()[0].lower() in phrases("starts", language)


def _draw(timing: Timing, event_id: str, name: str):  # type: ignore[no-untyped-def]
    return rng(timing.config.seed, timing.key, event_id, name)
