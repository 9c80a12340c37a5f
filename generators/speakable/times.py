"""Dates and times of day in words.

    say_times("at 3.30pm on 2023-12-25", spelling_of("en"))
    # "at three thirty PM on December twenty-fifth, twenty twenty-three"

Months come from CLDR, and so does whether 12/3 is in December or in March. What is no date of the
calendar stays as it is.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

from babel import Locale
from babel.dates import format_date, get_month_names

from generators.speakable.spelling import Spelling

_HOUR = r"(?P<h{n}>[01]?\d|2[0-4])"
_HALF = r"\s?(?P<half{n}>[ap](?P<inner{n}>\.?)\s?)m(?P<dot{n}>\b\.?)(?!\w)"
_CLOCK = re.compile(
    rf"(?<![\w.:,/]){_HOUR}[:.](?P<m>[0-5]\d){_HALF}|".replace("{n}", "")
    + rf"(?<![\w.:,/-]){_HOUR}:(?P<m2>[0-5]\d)(?!\w|[:.]\d)(?:\s(?:Uhr|uur)\b)?|".replace(
        "{n}", "2"
    )
    + rf"(?<![\w.:,/])(?P<h3>1[0-2]|0?[1-9]){_HALF}".replace("{n}", "3"),
    re.I,
)
# "1-2pm", "9:30 - 11am": the first of two times that share their half of the day
_SPAN = re.compile(
    r"(?<![\w.:,/-])(\d{1,2}(?::[0-5]\d)?)\s?[-–]\s?(?=\d{1,2}(?::[0-5]\d)?\s?([ap])\.?m\b)", re.I
)
_H = re.compile(r"(?<![\w.:,/-])([01]?\d|2[0-4])\s?h\s?([0-5]\d)(?!\w)")
_CLOCKS = re.compile(r"(?<![\w.:,/-])(\d{1,2}:[0-5]\d)\s?[-–—]\s?(?=\d{1,2}:[0-5]\d(?!\w))")
_ISO = re.compile(r"(?<![\w-])(\d{4})-(\d{2})-(\d{2})(?:T(?=\d))?(?![\d-])")
_SLASHED = re.compile(r"(?<![\w./-])(\d{1,2})([/.])(\d{1,2})\2(\d{4}|\d{2})(?![\w/]|[.,-]\d)")


def say_times(text: str, spelling: Spelling) -> str:
    """`text` with its dates and times of day in words (dates may keep digits for the later passes)."""
    if spelling.locale is None or spelling.engine is None:
        return text
    text = _ISO.sub(lambda m: _dated(m, spelling, m[1], m[2], m[3]), text)
    text = _SLASHED.sub(lambda m: _slashed(m, spelling), text)
    if spelling.base == "en":
        text = _english_days(text, spelling)
    text = _SPAN.sub(lambda m: f"{m[1]} {m[2]}m {spelling.words.get('to', '-')} ", text)
    if "to" in spelling.words:
        text = _CLOCKS.sub(lambda m: f"{m[1]} {spelling.words['to']} ", text)
    if spelling.base == "fr":
        text = _H.sub(lambda m: _spoken_time(int(m[1]), int(m[2]), spelling), text)
    return _CLOCK.sub(lambda m: _clock(m, spelling), text)


def _clock(match: re.Match[str], spelling: Spelling) -> str:
    hour = int(match["h"] or match["h2"] or match["h3"])
    minute = int(match["m"] or match["m2"] or 0)
    half = match["half"] or match["half3"]
    if not half:
        return _spoken_time(hour, minute, spelling)
    said = _joined(spelling.cardinal(hour), minute, spelling)
    # "at 5 p.m. Then": the last dot may also end the sentence; that of "5 pm." does
    own = not (match["inner"] or match["inner3"])
    dot = "." if (match["dot"] or match["dot3"]) and (own or _ends_here(match)) else ""
    return f"{said} {half[0].upper()}M{dot}"


def _spoken_time(hour: int, minute: int, spelling: Spelling) -> str:
    words = spelling.words
    feminine = spelling.base in ("fr", "es", "it", "pt")  # une heure, la una
    said = spelling.counted(hour, "feminine" if feminine else "masculine")
    if not minute and spelling.base == "en":
        return f"{said} o'clock" if 1 <= hour <= 12 else f"{said} hundred"
    if not minute:
        return str(words.get("time_full", "{h}")).format(h=said)
    if "time" not in words:
        return _joined(said, minute, spelling)
    form = words["time_one"] if hour == 1 and "time_one" in words else words["time"]
    return str(form).format(h=said, m=spelling.cardinal(minute))


def _joined(said: str, minute: int, spelling: Spelling) -> str:
    """ "nine", "nine oh five", "nine thirty"."""
    if not minute:
        return said
    zero = ("oh" if spelling.base == "en" else spelling.cardinal(0)) + " " if minute < 10 else ""
    return f"{said} {zero}{spelling.cardinal(minute)}"


def _ends_here(match: re.Match[str]) -> bool:
    after = match.string[match.end() : match.end() + 3].lstrip("\"'”’)")
    return not after.strip() or after[0].isspace() and after.strip()[:1].isupper()


def _slashed(match: re.Match[str], spelling: Spelling) -> str:
    first, sign, second, year = match.groups()
    if sign == "." and (spelling.decimal_sign == "." or len(year) == 2 and int(second) > 12):
        return match[0]
    assert spelling.locale
    month_first = sign == "/" and _month_first(spelling.locale)
    if int(first) > 12 or int(second) > 12:
        month_first = int(second) > 12
    month, day = (first, second) if month_first else (second, first)
    full = year if len(year) == 4 else str(2000 + int(year) if int(year) < 50 else 1900 + int(year))
    return _dated(match, spelling, full, month, day)


def _dated(match: re.Match[str], spelling: Spelling, year: str, month: str, day: str) -> str:
    """A date as it is read out; digits may stay for the later passes (German ordinals, years)."""
    try:
        when = date(int(year), int(month), int(day))
    except ValueError:
        return match[0]
    if spelling.base == "en":
        said = spelling.ordinal(when.day)
        return f"{_months(spelling)[when.month - 1]} {said}, {spelling.year(when.year)}"
    return format_date(when, "long", spelling.locale)


def _english_days(text: str, spelling: Spelling) -> str:
    """ "March 8", "Mar. 8th" and "8 March" with the day as an ordinal."""
    names = "|".join(f"{n}|{n[:3]}\\.?" for n in _months(spelling)) + r"|Sept\.?"
    follow = re.compile(
        rf"\b({names})\s(\d{{1,2}})(?:st|nd|rd|th)?(?![\w:]|[./,-]\d|%)(?:,?\s(\d{{4}})(?!\w|[.,]\d))?"
    )
    before = re.compile(
        rf"(?<![\w.,:/$€£-])(\d{{1,2}})(?:st|nd|rd|th)?\s({names})(?!\w)(?:,?\s(\d{{4}})(?!\w|[.,]\d))?"
    )

    def after_month(match: re.Match[str]) -> str:
        day = int(match[2])
        if not 1 <= day <= 31:
            return match[0]
        year = f", {spelling.year(int(match[3]))}" if match[3] else ""
        return f"{_month(match[1], spelling)} {spelling.ordinal(day)}{year}"

    def before_month(match: re.Match[str]) -> str:
        day = int(match[1])
        if not 1 <= day <= 31 or match[2] == "May" and not match[3]:
            return match[0]
        year = f" {spelling.year(int(match[3]))}" if match[3] else ""
        return f"{spelling.ordinal(day)} of {_month(match[2], spelling)}{year}"

    return before.sub(before_month, follow.sub(after_month, text))


def _month(name: str, spelling: Spelling) -> str:
    return next(full for full in _months(spelling) if full[:3] == name[:3])


@lru_cache(maxsize=64)
def _names(locale: str) -> tuple[str, ...]:
    names = get_month_names("wide", "format", locale)
    return tuple(names[month] for month in range(1, 13))


def _months(spelling: Spelling) -> tuple[str, ...]:
    return _names(str(spelling.locale))


@lru_cache(maxsize=64)
def _month_first(locale: Locale) -> bool:
    pattern = locale.date_formats["short"].pattern
    return pattern.find("M") < pattern.find("d")
