"""Scripts in which one sign is a syllable or a word, told by Unicode range."""

from __future__ import annotations

import re

# Han, kana and Hangul syllables: about one sign a syllable
_SYLLABIC = re.compile(
    "[\u3005\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af]"
)
# languages written without spaces between words: their errors are counted by character
_UNSPACED = {"cmn", "hak", "ja", "jpn", "km", "lo", "my", "th", "tha", "wuu", "yue", "zh"}


def syllabic(text: str) -> bool:
    """Whether most of the letters are such signs."""
    letters = sum(c.isalnum() for c in text)
    return 2 * len(_SYLLABIC.findall(text)) > letters


def unspaced(language: str) -> bool:
    """Whether words of this language (`zh`, `ja-JP`) are not told apart by spaces."""
    return language.lower().split("-")[0] in _UNSPACED
