"""How well what is said agrees with what is written: one number for each (write, say) pair, 0 to 1.

    consistency(write, say, "en")   # 1.0 for what the rules say
    consistency_of(timeline)        # one number for each Write that has a Say, in order

Both texts go through the rules' rewriter, so "12" and "twelve" are the same words; code and tables,
and the sentences that announce them, count on neither side. Then, over words (characters in scripts
without spaces), as multisets:

    score = F1(words) x (0.5 + 0.5 x R(numbers))

F1 is 2 x common / (words of write + words of say). R is the share of the words that numbers and
signs of `write` became ("twelve", "percent") that `say` has too: it is a factor of its own because
one wrong number among a hundred words is a contradiction, not one per cent of an error. Where both
sides have no word F1 is 1, where `write` has no number R is 1. What the rules say scores 1.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from generators.speakable import plain, speakable, verbal, without_announcements
from generators.speech.tokens import HAN, KANA
from schemas.timeline import Say, Timeline, Write

# Thai, Lao, Burmese and Khmer write no spaces either.
_NO_SPACES = f"{HAN}{KANA}\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_WORD = re.compile(rf"[{_NO_SPACES}]|[^\s{_NO_SPACES}]+")
_APOSTROPHE = re.compile("['’ʼ]")


def consistency(write: str, say: str, language: str = "en") -> float:
    """How well `say` agrees with `write`: 1 says all of it and nothing else, 0 has no word of it."""
    if say in (speakable(write, language), speakable(write, language, "user")):
        return 1.0
    shown = plain(write, language, announce=False)
    written = Counter(_words(verbal(shown, language)))
    spoken = plain(without_announcements(say, language), language, announce=False)
    said = Counter(_words(verbal(spoken, language)))
    numbers = written - Counter(word for word in _words(shown) if not _has_digit(word))
    return round(_f1(written, said) * (0.5 + 0.5 * _recall(numbers, said)), 6)


def consistency_of(timeline: Timeline) -> tuple[float, ...]:
    """The score of each Write that has a Say, in the order of the timeline."""
    return tuple(consistency(w.text, s.text, s.language) for w, s in written_and_said(timeline))


def written_and_said(timeline: Timeline) -> tuple[tuple[Write, Say], ...]:
    """Each Write with the Say that speaks it: the one that it is named after, else its turn's."""
    says = [e for e in timeline.agent if isinstance(e, Say) and e.takes_turn]
    named = {f"write-{say.id}": say for say in says}
    turns: dict[int | None, Say] = {say.turn_index: say for say in says}
    turns.pop(None, None)
    writes = [event for event in timeline.agent if isinstance(event, Write)]
    pairs = ((write, named.get(write.id) or turns.get(write.turn_index)) for write in writes)
    return tuple((write, say) for write, say in pairs if say is not None)


def _words(text: str) -> list[str]:
    """The words without case and punctuation; single characters where no spaces are written."""
    folded = _APOSTROPHE.sub("", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in folded)
    return _WORD.findall(kept)


def _has_digit(word: str) -> bool:
    return any(char.isdigit() for char in word)


def _recall(written: Counter[str], said: Counter[str]) -> float:
    return (written & said).total() / written.total() if written else 1.0


def _f1(written: Counter[str], said: Counter[str]) -> float:
    total = written.total() + said.total()
    return 2 * (written & said).total() / total if total else 1.0
