"""Numbers in words, by language: CLDR's rules through `unicode-rbnf`, names through `babel`.

    spelling_of("en-US").cardinal(21)      # "twenty-one"
    spelling_of("xx").cardinal(21)         # "21": a language without rules keeps its digits

One `Spelling` per language tag, made once. Japanese keeps its digits: its number words are kanji,
which espeak-ng can't read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from babel import Locale, UnknownLocaleError
from babel.numbers import get_decimal_symbol, get_group_symbol
from unicode_rbnf import FormatPurpose, RbnfEngine
from unicode_rbnf.engine import NoRuleForNumberError

# What a tag's first part is called in CLDR's rules, where it is called otherwise there.
_RULES_OF = {"nb": "no", "cmn": "zh", "hak": "zh", "iw": "he", "in": "id", "tl": "fil"}
_NO_RULES = {"ja"}
# Where a year is read otherwise than a number, and CLDR's rule for it is in the nominative.
_YEARS = {"en", "de", "da", "sv", "nb", "no", "nn", "nl", "af"}
# No rule set for what is asked, or none for this number.
_NO_RULE = (ValueError, NoRuleForNumberError)
_INVISIBLE = re.compile("[\u00ad\u200b]")
MOST = 10**15


@dataclass(frozen=True)
class Spelling:
    """How one language says numbers. `base` is its first subtag, `words` its part of words.yaml.

    `point` is what stands between a whole and its first decimal; None where that is not so simple.
    """

    base: str
    engine: RbnfEngine | None
    locale: Locale | None
    words: Mapping[str, Any]
    decimal_sign: str
    group_sign: str
    point: str | None

    @property
    def wide(self) -> bool:
        """Whether words stand without spaces between them."""
        return self.base in ("zh", "yue")

    def cardinal(self, number: int) -> str:
        """How many."""
        return self._said(number, FormatPurpose.CARDINAL) or str(number)

    def counted(self, number: int, gender: str = "masculine") -> str:
        """How many of a thing that is named next ("ein Meter", not "eins Meter")."""
        if self.wide and number == 2:
            return "两" if self.base == "zh" else "兩"
        return self._said(number, FormatPurpose.CARDINAL, gender) or self.cardinal(number)

    def ordinal(self, number: int, gender: str = "masculine") -> str:
        """Which; the digits where the language has no rule."""
        said = self._said(number, FormatPurpose.ORDINAL, gender)
        return said or self._said(number, FormatPurpose.ORDINAL) or str(number)

    def year(self, number: int) -> str:
        """A year as it is read."""
        if self.base not in _YEARS:
            return self.cardinal(number)
        return self._said(number, FormatPurpose.YEAR) or str(number)

    def digits(self, digits: str) -> str:
        """One by one: "six five zero"."""
        space = "" if self.base in ("zh", "yue", "ko", "th") else " "
        return space.join(self.cardinal(int(digit)) for digit in digits)

    def decimal(self, whole: str, fraction: str) -> str | None:
        """ "3", "05" as "three point zero five"; None where the language's rule is not that simple."""
        if self.point is None:
            return None
        return f"{self.number(whole)}{self.point}{self.digits(fraction)}"

    def number(self, digits: str) -> str:
        """Digits as a cardinal; one by one when they begin with 0 or are too many to be counted."""
        if self.engine is None:
            return digits
        if len(digits) > 9 and len(digits.rstrip("0")) > 6 or digits[0] == "0" and len(digits) > 1:
            return self.digits(digits)
        return self.cardinal(int(digits)) if len(digits) < 16 else self.digits(digits)

    def _said(self, number: int, purpose: FormatPurpose, form: str = "") -> str:
        if self.engine is None or abs(number) > MOST:
            return ""
        return _spelled(self.engine.language, number, purpose, form)


@lru_cache(maxsize=256)
def spelling_of(language: str) -> Spelling:
    """The spelling of a language tag ("de-AT", "pt_BR"); never fails."""
    tag = language.replace("_", "-")
    base = tag.split("-")[0].lower()
    base = {"cmn": "zh", "hak": "zh"}.get(base, base)
    locale, engine = _locale(base, tag), _engine(base, tag)
    return Spelling(
        base,
        engine,
        locale,
        _words().get(base, {}),
        get_decimal_symbol(locale) if locale else ".",
        get_group_symbol(locale) if locale else ",",
        _point(engine),
    )


@lru_cache(maxsize=1)
def _words() -> dict[str, Any]:
    text = Path(__file__).with_name("words.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)  # type: ignore[no-any-return]


def _locale(base: str, tag: str) -> Locale | None:
    if base in _NO_RULES:
        return None
    for name in (tag, base):
        try:
            return Locale.parse(name, sep="-")
        except (UnknownLocaleError, ValueError, TypeError):
            continue
    return None


@lru_cache(maxsize=1)
def _supported() -> frozenset[str]:
    return frozenset(RbnfEngine.get_supported_languages())


@lru_cache(maxsize=64)
def _rules(name: str) -> RbnfEngine:
    return RbnfEngine.for_language(name)


def _engine(base: str, tag: str) -> RbnfEngine | None:
    if base in _NO_RULES:
        return None
    parts = tag.split("-")
    region = f"{base}_{parts[1].upper()}" if len(parts) > 1 else ""
    for name in (region, _RULES_OF.get(base, base)):
        if name in _supported():
            return _rules(name)
    return None


@lru_cache(maxsize=20_000)
def _spelled(language: str, number: int, purpose: FormatPurpose, form: str) -> str:
    """One number in words; `form` names a rule set other than the default, "" when it is absent."""
    try:
        answer = _rules(language).format_number(number, purpose=purpose)
    except _NO_RULE:  # no rule set for this purpose, or no rule for this number
        return ""
    text = answer.text
    if form:
        kind = "ordinal" if purpose == FormatPurpose.ORDINAL else "cardinal"
        text = answer.text_by_ruleset.get(f"spellout-{kind}-{form}", "")
    text = _INVISIBLE.sub("", text).replace("〇", "零")
    return "" if any(char.isdigit() for char in text) else text


def _point(engine: RbnfEngine | None) -> str | None:
    """What the language's rule puts between 7 and 5 in 7.5, with its spaces."""
    if engine is None:
        return None
    try:
        text, seven, five = (engine.format_number(n).text for n in ("7.5", "7", "5"))
    except _NO_RULE:
        return None
    if not (text.startswith(seven) and text.endswith(five)):
        return None
    return _INVISIBLE.sub("", text[len(seven) : len(text) - len(five)])
