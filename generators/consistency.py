"""How well what is said agrees with what is written: one number for each (write, say) pair, 0 to 1.

    consistency(write, say, "en")   # 1.0 for what the rules say
    consistency_of(timeline)        # one number for each Write that has a Say, in order

Both texts go through the rules' rewriter, so "12" and "twelve" are the same words; code and tables,
and the sentences that announce them, count on neither side. Then, over words (characters in scripts
without spaces), as multisets:

    score = F1(words) x (0.5 + 0.5 x F1(numbers))

F1 is 2 x common / (words of write + words of say). Numbers have a factor of their own because one
wrong number among a hundred words is a contradiction, not one per cent of an error. A side that has
no word of a kind where the other has none either scores 1 for it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from generators.speakable import CODE, TABLE, speakable
from generators.speech.tokens import HAN, KANA
from schemas.timeline import Say, Timeline, Write

# Thai, Lao, Burmese and Khmer write no spaces either.
_NO_SPACES = f"{HAN}{KANA}\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_WORD = re.compile(rf"[{_NO_SPACES}]|[^\s{_NO_SPACES}]+")
_APOSTROPHE = re.compile("['’ʼ]")


def consistency(write: str, say: str, language: str = "en") -> float:
    """How well `say` agrees with `write`: 1 says all of it and nothing else, 0 has no word of it."""
    written, said = _said(write, language), _said(say, language)
    words = _f1(Counter(_words(written)), Counter(_words(said)))
    numbers = _f1(Counter(_numbers(written)), Counter(_numbers(said)))
    return round(words * (0.5 + 0.5 * numbers), 6)


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


@lru_cache(maxsize=256)
def _said(text: str, language: str) -> str:
    """The speakable form without the sentences that announce code and tables."""
    said = speakable(text, language)
    base = language.replace("_", "-").split("-")[0].lower()
    for phrase in (CODE.get(base), TABLE.get(base)):
        said = said.replace(phrase, " ") if phrase else said
    return said


def _words(text: str) -> list[str]:
    """The words without case and punctuation; single characters where no spaces are written."""
    folded = _APOSTROPHE.sub("", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in folded)
    return _WORD.findall(kept)


def _numbers(text: str) -> list[str]:
    return [word for word in _words(text) if any(char.isdigit() for char in word)]


def _f1(written: Counter[str], said: Counter[str]) -> float:
    total = written.total() + said.total()
    return 2 * (written & said).total() / total if total else 1.0
