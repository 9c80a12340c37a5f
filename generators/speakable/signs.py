"""Signs in words, and what is left of marks away; abbreviations that end no sentence.

    say_signs("Tom & Jerry -> 2 + two = 4 [sic]", spelling_of("en"))

A language without a word for a sign leaves it: espeak-ng reads many signs by name in its language.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from generators.speakable.spelling import Spelling

# between the edges of words or numbers
_L, _R = r"(?<=[\w)\]\"'’”²³°])", r"(?=[\w(\[\"'‘“√∞+-])"
_SIGNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"\s?&\s?", "and"),
        (rf"{_L}\s?(?:<[-=]{{1,2}}>|[-=]{{1,2}}>|[→⇒⟶➔➜↦])\s?{_R}", "to"),
        (rf"{_L}\s?(?:!=|≠|=/=)\s?{_R}", "not_equal"),
        (r"\s?(?:<=|≤|⩽)\s?(?=[\w-])", "at_most"),
        (r"\s?(?:>=|≥|⩾)\s?(?=[\w-])", "at_least"),
        (rf"{_L}\s?={{1,3}}\s?{_R}", "equals"),
        (r"\s?(?:±|\+/-)\s?", "plus_minus"),
        (r"\s?(?:≈|≃|~(?=\s?\d)|~(?=[a-z]))\s?", "about"),
        (rf"{_L}\s?\+\s?(?=[\w(\s]|$)|(?<!\S)\+(?=\w)|{_L}\+(?![\w+])", "plus"),
        (r"(?<=[\w)])\s−\s(?=[\w(])|−(?=\w)", "minus"),
        (rf"{_L}\s?[×✕]\s?{_R}|(?<=\w)\s\*\s(?=\w)|(?<=\d)\*(?=\d)", "times"),
        (rf"{_L}\s?÷\s?{_R}|\s?∕\s?|{_L}\s?/\s?(?=\()|(?<=[²³])/(?=\w)", "over"),
        (r"(?<=[\w)])\s<\s(?=[\w-])|(?<=\w)<(?=\d)|(?<!\S)<\s?(?=\d)", "less"),
        (r"(?<=[\w)])\s>\s(?=[\w-])|(?<=\w)>(?=\d)|(?<!\S)>\s?(?=\d)", "greater"),
        (r"(?<=\w)\s?@\s?(?=\w)|(?<=\s)@\s", "at"),
        (r"§{1,2}\s?", "section"),
        (r"(?<=\w)\s?²", "squared"),
        (r"(?<=\w)\s?³", "cubed"),
        (r"(?<=[\w)])\s?\^\s?(?=[\w(-])", "power"),
        (r"\s?√\s?", "root"),
        (r"\s?∞", "infinity"),
        (r"(?<=\w)\s?°", "degrees"),
        (r"(?<=\w)\s?%", "percent"),
    )
)
_NUMBER_SIGNS = tuple(
    (re.compile(pattern), key)
    for pattern, key in (
        (
            r"(?<!\w)(?:#|№)\s?(?=\d)|\b[Nn]o\.(?=\d)|\bNo\. (?=\d)|\bNr\.\s?(?=\d)|\bn[º°]\s?(?=\d)",
            "number",
        ),
        (r"(?<!\w)~\s?(?=[$€£]?\d)", "about"),
        (r"(?<=\d)\*(?=\d)", "times"),
        (r"(?<![\w<])<\s?(?=[$€£]?\d)", "less"),
        (r"(?<![\w>])>\s?(?=[$€£]?\d)", "greater"),
    )
)
_SQUARE = re.compile(r"\^([23])(?!\w|\.\d)")
_HINT = re.compile(r"[&<>=→⇒⟶➔➜↦!≠≤⩽≥⩾±≈≃~+−×✕*÷∕@#№§²³^√∞°%]")
_EMOTICON = re.compile(r"(?<!\S)(?:[:;=8][-']?[)(DPpOo3/|\\*]|<3|[:;]'\(|\^_?\^|[xX]D)(?!\w)")
_CITATION = re.compile(r"(?<=[\w.,!?])\[\d{1,3}\]")
_CALL = re.compile(r"(?<=\w)\(\)")
_DROPPED = re.compile(r"[\[\]{}<>|\\`^~*®©™_=†‡¶♪]+")
_RUN = re.compile(r"(?<!\w)[-#=*~_+]{3,}(?!\w)|(?<=\s)#(?=\s)")
_SLASH = re.compile(r"(?<=[^\W\d])/(?=[^\W\d])|(?<!\w)/(?=\w)|(?<=\w)/(?=\s|$)|(?<=\s)/(?=\s)")
_UNDER = re.compile(r"(?<=\w)_+(?=\w)")
_COLON = re.compile(r"(?<=[^\W\d]):(?=[^\W\d])")
_TAG_SIGN = re.compile(r"(?<![\w#@])[#@]++(?=[^\W\d])")
_EMPTY = re.compile(r"\(\s*[,;]?\s*\)|(?<=[(\s])[,;](?=\s)")
# a space before a closing sign, a second stop, a space after an opening bracket
_STRAY = re.compile(r"\s+(?=[,;:.!?](?:\s|$)|\))|(?<=\()\s+")
_STOPS = re.compile(r"(?<=[^.])\.\s?\.(?=\s|$)")
_GLUED = re.compile(r"((?<=[a-z]{2})[.?!]|(?<![\w.,]\d)(?<=\d)\.)(?=[A-Z](?:[a-z]|\s))")
_ESCAPE = re.compile(r"(?:\s*\\[nrt])+\s*$")
_SPACE = re.compile(r"\s+")
_ABBREVIATIONS = {
    "en": {
        r"e\.\s?g\.,?": "for example,", r"i\.\s?e\.,?": "that is,", r"vs\.?": "versus",
        r"401\s?(?:\(k\)|k\b)": "four oh one k", r"approx\.": "approximately",
        r"w/o": "without", r"w/": "with ", r"etc\.(?=\s[a-z(,]|[,;)])": "etcetera",
        r"etc(?!\.\w)(?=\.|\W|$)": "etcetera",
    },
    "de": {r"z\.\s?B\.": "zum Beispiel", r"d\.\s?h\.": "das heißt", r"bzw\.": "beziehungsweise",
           r"u\.\s?a\.": "unter anderem", r"ca\.": "circa", r"usw(?=\.)": "und so weiter"},
    "fr": {r"p\.\s?ex\.": "par exemple", r"c\.-à-d\.": "c'est-à-dire"},
    "es": {r"p\.\s?ej\.": "por ejemplo"},
    "it": {r"p\.\s?es\.": "per esempio"},
    "pt": {r"p\.\s?ex\.": "por exemplo"},
    "nl": {r"bijv\.": "bijvoorbeeld", r"d\.w\.z\.": "dat wil zeggen"},
}  # fmt: skip
_ABBREVIATION_PATTERNS = {
    base: [(re.compile(rf"(?<![\w.]){pattern}(?!\w)", 0), said) for pattern, said in table.items()]
    for base, table in _ABBREVIATIONS.items()
}


def say_abbreviations(text: str, spelling: Spelling) -> str:
    """ "e.g." in full: its dots end no sentence."""
    for pattern, said in _ABBREVIATION_PATTERNS.get(spelling.base, ()):
        text = pattern.sub(said, text)
    return text


def say_number_signs(text: str, spelling: Spelling) -> str:
    """The signs that mean something only before or between digits; before numbers are said."""
    for pattern, key in _NUMBER_SIGNS:
        if key in spelling.words:
            text = pattern.sub(_worded(spelling.words[key], spelling.wide), text)
    return _SQUARE.sub(lambda m: "²" if m[1] == "2" else "³", text)


def drop_unspoken(text: str) -> str:
    """`text` without emoticons, citation marks and rules of signs; before numbers are said."""
    text = _GLUED.sub(r"\1 ", _EMOTICON.sub(" ", _ESCAPE.sub(" ", text)))
    return _RUN.sub(" ", _CALL.sub("", _CITATION.sub("", text)))


def say_signs(text: str, spelling: Spelling) -> str:
    """`text` with its signs in words, where the language has them, and without stray marks."""
    if _HINT.search(text):
        for pattern, key in _SIGNS:
            word = spelling.words.get(key)
            if word:
                text = pattern.sub(_worded(str(word), spelling.wide), text)
    text = _SLASH.sub(" ", _TAG_SIGN.sub("", text))
    text = _SPACE.sub(" ", _DROPPED.sub(" ", _UNDER.sub(" ", text)))
    text = _STOPS.sub(".", _STRAY.sub("", _EMPTY.sub(" ", _COLON.sub(" ", text))))
    return _SPACE.sub(" ", text).strip()


def _worded(word: str, wide: bool) -> Callable[[re.Match[str]], str]:
    return lambda _: word if wide else f" {word} "
