"""Money, units and per cent in words: the names come from CLDR through `babel`.

say_amounts("$3.50 for 5 km at 20%", spelling_of("en"))
# "three dollars and fifty cents for five kilometers at twenty percent"
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from babel import Locale
from babel.core import UnknownLocaleError
from babel.numbers import format_decimal, get_currency_name
from babel.units import UnknownUnitError, format_unit

from generators.speakable.figures import BEFORE, FIGURE, Figure, read_figure
from generators.speakable.spelling import Spelling

# written: CLDR's name. Signs that are words too ("in", "a", "K") are left out.
UNITS = {
    "km/h": "kilometer-per-hour", "kph": "kilometer-per-hour", "kmh": "kilometer-per-hour",
    "mph": "mile-per-hour", "m/s": "meter-per-second", "km": "kilometer", "cm": "centimeter",
    "mm": "millimeter", "nm": "nanometer", "µm": "micrometer", "m": "meter", "kg": "kilogram",
    "mg": "milligram", "g": "gram", "µg": "microgram", "t": "metric-ton", "l": "liter", "L": "liter",
    "ml": "milliliter", "mL": "milliliter", "cl": "centiliter", "dl": "deciliter", "°C": "celsius",
    "°F": "fahrenheit", "ºC": "celsius", "ºF": "fahrenheit", "℃": "celsius", "℉": "fahrenheit",
    "kB": "kilobyte", "KB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte",
    "kb": "kilobit", "Mb": "megabit", "Gb": "gigabit", "Hz": "hertz", "kHz": "kilohertz",
    "MHz": "megahertz", "GHz": "gigahertz", "W": "watt", "kW": "kilowatt", "MW": "megawatt",
    "kWh": "kilowatt-hour", "V": "volt", "mA": "milliampere", "kcal": "kilocalorie", "cal": "calorie",
    "kJ": "kilojoule", "Pa": "pascal", "hPa": "hectopascal", "kPa": "kilopascal", "min": "minute",
    "ms": "millisecond", "h": "hour", "sec": "second", "km²": "square-kilometer", "km2": "square-kilometer",
    "m²": "square-meter", "m2": "square-meter", "cm²": "square-centimeter", "m³": "cubic-meter",
    "m3": "cubic-meter", "cm³": "cubic-centimeter", "ha": "hectare", "°": "degree", "%": "percent",
    "％": "percent", "px": "pixel",
}  # fmt: skip
ENGLISH_UNITS = {
    "lb": "pound", "lbs": "pound", "oz": "ounce", "mi": "mile", "ft": "foot", "yd": "yard", "hr": "hour",
    "hrs": "hour", "mins": "minute", "secs": "second", "tsp": "teaspoon", "tbsp": "tablespoon",
    "mpg": "mile-per-gallon", "sq ft": "square-foot", "kgs": "kilogram", "gal": "gallon",
    "psi": "pound-force-per-square-inch",
}  # fmt: skip
CYRILLIC_UNITS = {
    "км/ч": "kilometer-per-hour", "км": "kilometer", "м": "meter", "см": "centimeter", "мм": "millimeter",
    "кг": "kilogram", "г": "gram", "л": "liter", "мл": "milliliter", "ч": "hour", "мин": "minute",
    "ГБ": "gigabyte", "МБ": "megabyte",
}  # fmt: skip
# Things whose number is feminine where languages have genders ("une heure", "eine Minute").
_FEMININE = {
    "hour": {"de", "fr", "es", "it", "pt"},
    "minute": {"de", "fr"},
    "metric-ton": {"de", "fr", "es", "it", "pt"},
}
CURRENCIES = {
    "US$": "USD", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB",
    "₺": "TRY", "₫": "VND", "฿": "THB", "₪": "ILS", "₴": "UAH", "₱": "PHP", "zł": "PLN",
}  # fmt: skip
_CODES = "USD|EUR|GBP|JPY|CHF|CNY|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|BRL|MXN|KRW|RUB"
_SIGN = "|".join(re.escape(sign) for sign in CURRENCIES)
_SCALE = (
    r"(?P<scale>\s?(?:k|K|M|m|bn|B|b)(?!\w)|\s(?:thousand|million|billion|trillion|Millionen?|Milliarden?|"
    r"millions?|milliards?|millones|millón|milioni|milione|miliardi|milhões|milhão|bilhões|miljoen|miljard)\b)?"
)
_TWO = rf"(?P<low>{FIGURE})(?:(?:\s[-–—]\s|[-–—])(?:{_SIGN})?(?P<high>{FIGURE}))?"
_PREFIXED = re.compile(
    rf"(?<![\w.,])(?P<sign>{_SIGN}|(?:{_CODES})\s)\s?{_TWO}{_SCALE}(?!\d|[.,]\d)"
)
_SUFFIXED = re.compile(rf"{BEFORE}{_TWO}{_SCALE}\s?(?P<sign>{_SIGN}|{_CODES})(?!\w)")
_ARTICLE = re.compile(r"\b(?:an?|this|each|every)\s$", re.I)
_NOUN = re.compile(
    r"\s(?!(?:of|is|are|at|and|or|to|in|per|for|from|on|with|long|wide|high|deep|tall|away|a|the|by)\b)[^\W\d_]"
)
_LETTERS = {
    "k": ("thousand", 10**3), "m": ("million", 10**6), "b": ("billion", 10**9), "bn": ("billion", 10**9)
}  # fmt: skip
# What CLDR's money is called when two decimals of it are cents.
_CENTED = {"USD", "EUR", "CAD", "AUD", "NZD"}


def say_amounts(text: str, spelling: Spelling) -> str:
    """`text` with its amounts in words; what CLDR has no name for in the language stays."""
    if spelling.locale is None or spelling.engine is None:
        return text
    text = _PREFIXED.sub(lambda m: _money(m, spelling), text)
    text = _SUFFIXED.sub(lambda m: _money(m, spelling), text)
    text = _parts(spelling.base).sub(lambda m: _part(m, spelling), text)
    return _units(spelling.base).sub(lambda m: _measure(m, spelling), text)


# ---- money ---------------------------------------------------------------------------------------


def _money(match: re.Match[str], spelling: Spelling) -> str:
    sign = match["sign"].strip()
    code = CURRENCIES.get(sign, sign)
    low, high = _pair(match, spelling)
    if low is None:
        return match[0]
    scale = (match["scale"] or "").strip()
    last = high or low
    if scale or high:
        said = _range(low, high, spelling)
        name = _currency(code, Decimal(2), spelling)
        return f"{said}{_scaled(scale, spelling)} {name}" if said and name else match[0]
    if len(last.fraction) == 2 and spelling.base not in ("zh", "yue", "ko"):
        return _with_cents(last, code, spelling) or match[0]
    said = last.said(spelling, "masculine")
    name = _currency(code, last.value, spelling)
    return f"{said}{_gap(spelling)}{name}" if said and name else match[0]


def _with_cents(amount: Figure, code: str, spelling: Spelling) -> str | None:
    """ "three dollars and fifty cents"; "drei Euro fünfzig" where the language says it so."""
    name = _currency(code, Decimal(amount.whole), spelling)
    whole, cents = Figure(amount.whole).said(spelling, "masculine"), int(amount.fraction)
    if not name or not whole:
        return None
    if not cents:
        return f"{whole} {name}"
    form = str(spelling.words.get("money_cents", "{whole} {cents}"))
    if spelling.base == "en" and code not in _CENTED:
        form = "{whole} {cents}"
    elif cents == 1:
        form = str(spelling.words.get("money_cent", form))
    if amount.whole.strip("0") == "" and spelling.base == "en" and code in _CENTED:
        return f"{spelling.cardinal(cents)} cent{'' if cents == 1 else 's'}"
    return form.format(whole=f"{whole} {name}", cents=spelling.cardinal(cents))


def _scaled(scale: str, spelling: Spelling) -> str:
    """ "k" as " thousand"; a word stays itself."""
    if scale.lower() not in _LETTERS:
        return f" {scale}" if scale else ""
    word, number = _LETTERS[scale.lower()]
    if spelling.base == "en":
        return f" {word}"
    return _gap(spelling) + spelling.cardinal(number).removeprefix(spelling.cardinal(1) + " ")


def _currency(code: str, count: Decimal, spelling: Spelling) -> str:
    if code == "USD" and "dollar" in spelling.words:
        return str(spelling.words["dollar" if count == 1 else "dollars"])
    try:
        name = get_currency_name(code, float(count), spelling.locale)
    except (UnknownLocaleError, LookupError):
        return ""
    # "British pounds" are pounds to whoever writes a sign
    return name.split(" ")[-1] if spelling.base == "en" and code in CURRENCIES.values() else name


# ---- units ---------------------------------------------------------------------------------------


def _unit_names(base: str) -> dict[str, str]:
    """What may be written in a language, by what CLDR calls it."""
    more = (
        ENGLISH_UNITS
        if base == "en"
        else CYRILLIC_UNITS
        if base in ("ru", "uk", "be", "bg")
        else {}
    )
    return UNITS | more


def _unit_pattern(base: str) -> str:
    return "|".join(re.escape(name) for name in sorted(_unit_names(base), key=len, reverse=True))


@lru_cache(maxsize=64)
def _parts(base: str) -> re.Pattern[str]:
    """A fraction with a unit; the fraction itself is said later."""
    vulgar = "[½⅓⅔¼¾⅛⅜⅝⅞]"
    fraction = (
        rf"(?<![\w.,/])(?:(?:(\d{{1,4}}) )?(?:\d{{1,3}}/\d{{1,3}}|{vulgar})|\d{{1,4}} ?{vulgar})"
    )
    return re.compile(rf"(?P<fraction>{fraction})\s?(?P<unit>{_unit_pattern(base)})(?![\w²³/])")


def _part(match: re.Match[str], spelling: Spelling) -> str:
    unit = _unit_names(spelling.base)[match["unit"]]
    many = (
        " " in match["fraction"] or len(match["fraction"]) == 2 and match["fraction"][0].isdigit()
    )
    name = _unit_name(str(spelling.locale), unit, Decimal(2 if many else 1))
    return name.replace("{}", match["fraction"]) if "{}" in name else match[0]


@lru_cache(maxsize=64)
def _units(base: str) -> re.Pattern[str]:
    unit = _unit_pattern(base)
    return re.compile(
        rf"{BEFORE}(?P<minus>[-−](?=\d))?{_TWO}(?P<space>\s?|-)(?P<unit>{unit})(?![\w²³/])(?:\.(?=\s[a-z(]))?"
    )


def _measure(match: re.Match[str], spelling: Spelling) -> str:
    written = match["unit"]
    unit = _unit_names(spelling.base)[written]
    low, high = _pair(match, spelling)
    if low is None or match["space"] == "-" and spelling.base != "en":
        return match[0]
    feminine = spelling.base in _FEMININE.get(unit, ())
    said = _range(low, high, spelling, "feminine" if feminine else "masculine")
    # "a 5-km run" and "a 5 km run" are a five kilometer run
    count = (
        Decimal(1)
        if match["space"] == "-" or _attributive(match, spelling)
        else (high or low).value
    )
    name = _unit_name(str(spelling.locale), unit, count)
    if unit == "percent" and not name:
        name = str(spelling.words.get("percent_of", ""))
    if not said or "{}" not in name:
        return match[0]
    minus = f"{spelling.words.get('minus', '-')} " if match["minus"] else ""
    return f"{minus}{name.replace('{}', said)}"


def _attributive(match: re.Match[str], spelling: Spelling) -> bool:
    """Whether an English amount describes the noun after it: "an 8 oz cup"."""
    if spelling.base != "en" or match["unit"] in ("%", "°"):
        return False
    before = match.string[max(0, match.start() - 6) : match.start()]
    return bool(_ARTICLE.search(before) and _NOUN.match(match.string, match.end()))


@lru_cache(maxsize=4096)
def _unit_name(locale: str, unit: str, count: Decimal) -> str:
    """ "{} kilometers": the unit's name for this many, with a place for the number."""
    number = format_decimal(count, locale=Locale.parse(locale))
    for length in (
        "long",
        "short",
    ):  # Chinese has one name for both, which babel has as the short one
        try:
            text = format_unit(count, unit, length, locale=Locale.parse(locale))
        except (UnknownUnitError, LookupError):
            return ""
        name = text.replace(number, "{}", 1)
        if locale.startswith("en") or name not in (f"{{}} {unit}", "{}%"):
            return name
    return ""


# ---- both ----------------------------------------------------------------------------------------


def _pair(match: re.Match[str], spelling: Spelling) -> tuple[Figure | None, Figure | None]:
    low = read_figure(match["low"], spelling)
    high = read_figure(match["high"], spelling) if match["high"] else None
    return (None, None) if match["high"] and high is None else (low, high)


def _range(
    low: Figure, high: Figure | None, spelling: Spelling, gender: str = "masculine"
) -> str | None:
    if high is None:
        return low.said(spelling, gender)
    first, second = low.said(spelling), high.said(spelling, gender)
    to = spelling.words.get("to")
    return (
        f"{first}{_gap(spelling)}{to}{_gap(spelling)}{second}" if first and second and to else None
    )


def _gap(spelling: Spelling) -> str:
    return "" if spelling.wide else " "
