"""How a number is written: the pattern that finds one in a text, and what it stands for.

    read_figure("1,234.5", spelling_of("en"))   # Figure("1234", "5")
    read_figure("1.234,5", spelling_of("de"))   # the same
    read_figure("3,5", spelling_of("en"))       # None: two numbers

A language's own signs come first; a number written in the other way is read where it can mean only
one thing. Every pattern is bounded, so that a page of digits takes linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from generators.speakable.spelling import Spelling

_SPACES = " \u00a0\u202f\u2009"
# A figure, to be put between the guards below. It takes no space: see `_SPACED`.
FIGURE = r"\d{1,3}(?:[,.'’\u00a0\u202f]\d{3}){1,6}(?!\d)(?:[.,]\d{1,12})?|\d{1,24}(?:[.,]\d{1,12})?"
# Neither inside a word, nor a part of a longer number.
BEFORE = r"(?<![\w.,])(?<![\d][-/:])"
AFTER = r"(?![\w]|[.,:/]\d)"
_SPACED = re.compile(r"(?<![\w.,])\d{1,3}(?: \d{3}){1,6}(?![\d])(?! \d)")
_SEPARATORS = re.compile(r"[,.'’\u00a0\u202f]")


@dataclass(frozen=True)
class Figure:
    """A number as digits: the whole part, and the digits after the decimal sign."""

    whole: str
    fraction: str = ""

    @property
    def value(self) -> Decimal:
        """What it counts; `fraction` 50 is a half, as 5 is."""
        return Decimal(f"{self.whole}.{self.fraction}" if self.fraction else self.whole)

    def said(self, spelling: Spelling, gender: str = "") -> str | None:
        """In words, as the number of a thing when `gender` is given; None when it can't be said."""
        if self.fraction:
            return spelling.decimal(self.whole, self.fraction)
        if gender and len(self.whole) < 10 and self.whole == str(int(self.whole)):
            return spelling.counted(int(self.whole), gender)
        return spelling.number(self.whole)


def read_figure(text: str, spelling: Spelling) -> Figure | None:
    """What `text`, which matched FIGURE, stands for; None when it is no single number."""
    digits = _SEPARATORS.split(text)
    signs = _SEPARATORS.findall(text)
    if not signs:
        return Figure(text)
    if len(set(signs)) > 1:  # the last sign is the decimal one
        return Figure("".join(digits[:-1]), digits[-1]) if signs[-1] in ",." else None
    grouped = all(len(part) == 3 for part in digits[1:]) and len(digits[0]) <= 3
    sign, group = signs[0], spelling.group_sign
    if grouped and (sign == group or sign not in ",." or len(signs) > 1):
        return Figure("".join(digits))
    if len(signs) == 1 and (sign == spelling.decimal_sign or sign == "."):
        return Figure(*digits)
    return None


def without_group_spaces(text: str, spelling: Spelling) -> str:
    """ "1 000 000" as "1000000" in languages that group by a space."""
    if spelling.group_sign not in _SPACES:
        return text
    return _SPACED.sub(lambda m: m[0].replace(" ", ""), text)
