"""The other numbers of a text: telephones, versions, ranges, fractions, ordinals, years, plain ones.

    say_numbers("Call 650-941-2900, see 1/2 of v3.11.7 in 1984", spelling_of("en"))

Dates, times and amounts were said before (times.py, amounts.py). Roman numerals stay. A language
without rules keeps its digits.
"""

from __future__ import annotations

import re
from functools import lru_cache

from generators.speakable.figures import BEFORE, FIGURE, read_figure
from generators.speakable.spelling import Spelling

_PHONE = re.compile(
    r"(?<![\w.,/-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{1,5}\)[ -]?)?\d{1,6}(?:[ .-]\d{1,6}){0,5}(?![\w/]|[.,-]\d)"
)
_VERSION = re.compile(r"(?<![\w.,/-])([vV]?)(\d{1,5}(?:\.\d{1,5}){2,4})(?![\w]|\.\d)")
_V = re.compile(r"(?<!\w)[vV](\d{1,5}(?:\.\d{1,5})?)(?![\w]|\.\d)")
_RANGE = re.compile(
    rf"{BEFORE}(?P<a>{FIGURE})(?:(?P<gap>\s)[-–—]\s|[-–—])(?P<b>{FIGURE})(?![\w]|[.,:/-]\d|-\w)"
)
_SIZE = re.compile(
    rf"{BEFORE}({FIGURE})\s?x\s?(?=\d)|{BEFORE}(\d{{1,6}})\s?[×✕]\s?(?=\d{{1,6}}(?![\d.,^]))"
)
_TIMES = re.compile(r"(?<![\w.,])(\d{1,6})[x×](?!\w)")
_FRACTION = re.compile(r"(?<![\w.,/-])(?:(\d{1,4})[ -])?(\d{1,4})[/⁄](\d{1,4})(?![\w/]|[.,]\d|-\d)")
_VULGAR = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8",
           "⅞": "7/8", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5", "⅙": "1/6", "⅚": "5/6"}  # fmt: skip
_VULGARS = re.compile(rf"(?<=\d)\s?([{''.join(_VULGAR)}])|([{''.join(_VULGAR)}])")
_DENOMINATORS = {2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 32, 64}
_ORDINALS = {
    "en": r"(?<![\w.,])(\d{1,9})(st|nd|rd|th)(?!\w)",
    "fr": r"(?<![\w.,])(\d{1,9})(er|re|ère|e|ème|nde?)(?!\w)",
    "es": r"(?<![\w.,])(\d{1,9})\.?([ºª])(?!\w)",
    "it": r"(?<![\w.,])(\d{1,9})([º°ª])(?!\w)",
    "pt": r"(?<![\w.,])(\d{1,9})\.?([ºª])(?!\w)",
    "nl": r"(?<![\w.,])(\d{1,9})(e|ste|de)(?!\w)",
}
_DECADE = re.compile(r"(?<![\w.,])['’]?(1[1-9]\d0|20\d0|[1-9]0|100|1,?000)['’]?s(?!\w)")
_POSTCODE = re.compile(r"(?:(?<=\w, )|(?<= [A-Z][A-Z] ))\d{5}(?![\w%]|[.,]\d)")
# "RTX 3070": a name, read in pairs
_MODEL = re.compile(r"(?<=[A-Z]{2}[ -])([1-9]\d{3})(?![\w%]|[.,]\d)")
_YEAR = re.compile(r"(?<![\w.,:/#-])(1[1-9]\d\d|20\d\d)(?![\w:/%]|[.,]\d|-\d)")
_YEAR_BEFORE = re.compile(
    r"(?:\b(?:in|since|from|of|by|year|until|till|after|before|to|and|circa|around|between|late|early|"
    r"spring|summer|autumn|fall|winter|im|seit|bis|von|ab|Jahre?|vor|nach)|[(,–-])\s?$", re.I)  # fmt: skip
# Languages that write ordinal numbers with a dot: the engine knows the case, we do not.
_ORDINAL_DOT = set("de da nb no nn fi cs sk hu et hr sl sr is pl lv tr".split())
_CHINESE_YEAR = re.compile(r"(?<!\d)(\d{4})(?=年)")
_CHINESE_TWO = re.compile(r"(?<![\d.])2(?=[个只位杯张本件次种人家台辆瓶倍年天岁点斤块])")
_PLAIN = re.compile(FIGURE + r"|\d+")
_BARE_POINT = re.compile(r"(?<![\w.,:/])\.(?=\d)")
_FEET = re.compile(r"(?<![\w.,])(\d)['′’]\s?(\d{1,2})(?:[\"″”]|''|’’)")
_HYPHEN = re.compile(r"(?<=[^\W\d_])-(?=\d)")
_MINUS = re.compile(r"(?<![\w)\]])[-−](?=\d)")


def say_numbers(text: str, spelling: Spelling) -> str:
    """`text` with every number that the language has words for in words."""
    text = _VULGARS.sub(lambda m: f" {_VULGAR[m[1]]}" if m[1] else _VULGAR[m[2]], text)
    if spelling.engine is None:
        return text
    text = _BARE_POINT.sub("0.", text)
    if "foot" in spelling.words:
        text = _FEET.sub(lambda m: f"{m[1]} {spelling.words['foot']} {m[2]}", text)
    text = _PHONE.sub(lambda m: _phone(m, spelling), text)
    text = _VERSION.sub(lambda m: _version(m[2], bool(m[1]), spelling), text)
    text = _V.sub(lambda m: _version(m[1], True, spelling), text)
    text = _FRACTION.sub(lambda m: _fraction(m, spelling), text)
    text = _SIZE.sub(lambda m: f"{m[1] or m[2]} {spelling.words.get('by', '×')} ", text)
    text = _TIMES.sub(lambda m: f"{m[1]} {spelling.words.get('times', '×')}", text)
    text = _ordinals(text, spelling)
    text = _RANGE.sub(lambda m: _range(m, spelling), text)
    text = _years(text, spelling)
    text = _MINUS.sub(f"{spelling.words['minus']} " if "minus" in spelling.words else "-", text)
    return _PLAIN.sub(lambda m: _number(m, spelling), _HYPHEN.sub(" ", text))


def _phone(match: re.Match[str], spelling: Spelling) -> str:
    """Digit by digit, with a comma between the groups, when it looks like something to dial."""
    groups = re.findall(r"\d+", match[0])
    count = sum(map(len, groups))
    signs = (
        match[0].startswith("+")
        or "(" in match[0]
        or groups[0].startswith("0")
        and len(groups[0]) > 1
    )
    dashed = (
        match[0].count("-") >= 2
        or "-" in match[0]
        and [len(g) for g in groups] in ([3, 4], [2, 4], [4, 3])
    )
    card = len(groups) >= 3 and all(len(group) == 4 for group in groups)
    if not 7 <= count <= 24 or len(groups) < 2 or not (signs or dashed or card):
        return match[0]
    plus = f"{spelling.words.get('plus', '+')} " if match[0].startswith("+") else ""
    return plus + ("，" if spelling.wide else ", ").join(spelling.digits(group) for group in groups)


def _version(number: str, marked: bool, spelling: Spelling) -> str:
    point = spelling.point if spelling.point and spelling.point.strip() else " "
    said = point.join(spelling.cardinal(int(part)) for part in number.split("."))
    word = spelling.words.get("version", "v") if marked else ""
    return f"{word} {said}".strip()


def _fraction(match: re.Match[str], spelling: Spelling) -> str:
    whole, top, bottom = match[1], match[2], match[3]
    said = _part(int(top), int(bottom), spelling)
    if not said:
        return match[0]
    if not whole:
        return said
    if spelling.base == "en":
        said = said.replace("one ", "a ", 1) if int(top) == 1 else said
    return f"{spelling.number(whole)} {spelling.words.get('and', '')} {said}"


def _part(top: int, bottom: int, spelling: Spelling) -> str:
    """ "three quarters"; "" where it is not said so."""
    common = spelling.words.get("fractions", {}).get(f"{top}/{bottom}")
    if common:
        return str(common)
    if spelling.base == "zh" and 0 < top < bottom:
        return f"{spelling.cardinal(bottom)}分之{spelling.cardinal(top)}"
    if spelling.base != "en":
        return ""
    first, second = spelling.cardinal(top), spelling.cardinal(bottom)
    if 0 < top < bottom and bottom in _DENOMINATORS:
        name = {2: "half", 4: "quarter"}.get(bottom, spelling.ordinal(bottom))
        return f"{first} {name if top == 1 else {'half': 'halves'}.get(name, name + 's')}"
    if 0 < top <= bottom and bottom in (10, 100):
        return f"{first} out of {second}"
    return (
        f"{first} over {second}"
        if top < bottom and (top, bottom) != (9, 11)
        else f"{first} {second}"
    )


def _range(match: re.Match[str], spelling: Spelling) -> str:
    low, high = read_figure(match["a"], spelling), read_figure(match["b"], spelling)
    if not low or not high:
        return match[0]
    key = "minus" if match["gap"] and low.value >= high.value else "to"
    if key not in spelling.words:
        return match[0]
    a, b = match["a"], match["b"]
    if len(a) == 4 and len(b) == 2 and a[2:] < b:  # 1914-18
        b = a[:2] + b
    parts = (_year_or_number(a, spelling), spelling.words[key], _year_or_number(b, spelling))
    return ("" if spelling.wide else " ").join(parts)


def _year_or_number(text: str, spelling: Spelling) -> str:
    return spelling.year(int(text)) if re.fullmatch(r"1[1-9]\d\d|20\d\d", text) else text


@lru_cache(maxsize=64)
def _ordinal_pattern(base: str) -> re.Pattern[str] | None:
    return re.compile(_ORDINALS[base]) if base in _ORDINALS else None


def _ordinals(text: str, spelling: Spelling) -> str:
    pattern = _ordinal_pattern(spelling.base)
    if pattern is None:
        return text

    def said(match: re.Match[str]) -> str:
        feminine = match[2] in ("ª", "re", "ère", "nde")
        return spelling.ordinal(int(match[1]), "feminine" if feminine else "masculine")

    return pattern.sub(said, text)


def _years(text: str, spelling: Spelling) -> str:
    if spelling.base == "zh":
        text = _CHINESE_YEAR.sub(lambda m: spelling.digits(m[1]), text)
        return _CHINESE_TWO.sub("两", text)
    if spelling.base == "en":
        text = _DECADE.sub(lambda m: _decade(m[1].replace(",", ""), spelling), text)
        text = _POSTCODE.sub(lambda m: spelling.digits(m[0]), text)
        text = _MODEL.sub(lambda m: spelling.year(int(m[1])), text)
    return _YEAR.sub(lambda m: _year(m, spelling), text)


def _decade(digits: str, spelling: Spelling) -> str:
    """ "nineties", "nineteen nineties", "hundreds"."""
    said = {"100": "hundred", "1000": "thousand"}.get(digits) or spelling.year(int(digits))
    return f"{said[:-1]}ies" if said.endswith("y") else f"{said}s"


def _year(match: re.Match[str], spelling: Spelling) -> str:
    """A year between 1900 and 2099 anywhere, an older one after a word that says so."""
    number = int(match[1])
    before = match.string[max(0, match.start() - 12) : match.start()]
    if 1900 <= number < 2100 or _YEAR_BEFORE.search(before):
        return spelling.year(number)
    return match[1]


def _number(match: re.Match[str], spelling: Spelling) -> str:
    """A plain number, with a space to the letters beside it."""
    text, end = match[0], match.end()
    after = match.string[end : end + 2]
    if (
        after[:1] == "."
        and len(text) <= 2
        and spelling.base in _ORDINAL_DOT
        and after[1:].isspace()
    ):
        return text
    figure = read_figure(text, spelling)
    if figure:
        # "1 Apfel": one of something that is named next
        one = text == "1" and after[:1] == " " and after[1:].isalpha()
        said = figure.said(spelling, "masculine" if one else "") or text
    else:  # "3,5" in English is two numbers
        said = re.sub(r"(\d+)([.,]?)", lambda m: f"{spelling.number(m[1])}{m[2]} ", text).strip()
    if spelling.wide:
        return said
    before = match.string[match.start() - 1 : match.start()]
    return f"{' ' if before.isalpha() else ''}{said}{' ' if after[:1].isalpha() else ''}"
