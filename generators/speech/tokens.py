"""What espeak-ng is given to read, and the words of a text that must get a time.

`readable` blanks what must not reach the engine, one character for one, so that every position in
what was spoken is the same position in the request's text. `tokens` splits a text into words by
white space, and by character where a script has no spaces (Chinese).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from schemas.errors import StrettoError

# 2,000 characters are about 130 s of English. Longer turns are split into sentences before.
MAX_CHARACTERS = 2000

HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30ff\u31f0-\u31ff\uff66-\uff9f"
HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3"
# Control-A changes speed and pitch and NUL cuts the text; surrogates can't be sent as UTF-8; an
# emoji would be read aloud by its name (facts: docs/speech.md).
EMOJI = (
    "\ufe0e\ufe0f\u20e3\u231a\u231b\u23e9-\u23fa\u2600-\u27bf\u2b00-\u2bff"
    "\U0001f000-\U0001faff\U000e0000-\U000e007f"
)
CONTROLS = "\u0000-\u001f\u007f-\u009f\ud800-\udfff"
_BLANKED = re.compile(f"[{CONTROLS}{EMOJI}]")
_TOKEN = re.compile(rf"[^\w\s]*[{HAN}][^\w\s]*|[^\w\s]*[{KANA}]+[^\w\s]*|(?:(?![{HAN}{KANA}])\S)+")
# Scripts that espeak-ng reads as "Chinese letter" and the like in every other language.
_ONLY_IN = (
    (re.compile(f"[{HAN}]"), ("cmn", "yue", "hak")),
    (re.compile(f"[{KANA}]"), ("ja",)),
    (re.compile(f"[{HANGUL}]"), ("ko",)),
)


@dataclass(frozen=True)
class Token:
    """A word's half-open span in the text.

    `must_sound`: it holds a letter or a digit. `may_sound`: or a sign that is read aloud ("+"). A
    dash or "!!!" does neither. `weight`: its letters, digits and marks, at least 1.
    """

    start: int
    end: int
    must_sound: bool
    may_sound: bool
    weight: int


def readable(text: str) -> str:
    """`text` with unspeakable characters blanked; the same length."""
    return _BLANKED.sub(" ", text)


def tokens(text: str) -> list[Token]:
    """The words of `text` in order: spans of non-space, single characters for Chinese."""
    found = []
    for match in _TOKEN.finditer(text):
        letters = sum(1 for char in match[0] if unicodedata.category(char)[0] in "LNM")
        must = any(char.isalnum() for char in match[0])
        may = must or any(_is_sign(char) for char in match[0])
        found.append(Token(match.start(), match.end(), must, may, max(1, letters)))
    return found


def _is_sign(char: str) -> bool:
    """A symbol that espeak-ng reads by name: +, =, €, %, & ..."""
    return char in "%&#@*/" or unicodedata.category(char)[0] == "S"


def check_text(text: str, language: str) -> None:
    """StrettoError when espeak-ng can't speak `text` (already `readable`) in `language`."""
    if len(text) > MAX_CHARACTERS:
        raise StrettoError(
            f"an utterance of {len(text)} characters, over the {MAX_CHARACTERS} spoken at once",
            fix="split the turn into shorter sentences",
        )
    for script, languages in _ONLY_IN:
        found = script.search(text)
        if found and language.split("-")[0] not in languages:
            if language == "ja" and "cmn" in languages:  # kanji: no Chinese is meant
                raise StrettoError(
                    f"espeak-ng can't read {found[0]!r} in Japanese: it reads kana only",
                    fix="write it in kana, or use another engine (`speech.backend`)",
                )
            raise StrettoError(
                f"espeak-ng can't read {found[0]!r} in language {language!r}",
                fix=f"set the turn's language to {' or '.join(languages)}, or leave it out",
            )
