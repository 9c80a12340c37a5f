"""A text as the labels of a CTC model's vocabulary, each with the word it belongs to.

Letters are looked up as they are, in the other case, then without accents ("é" as "e", "ß" as
"ss"). What the vocabulary lacks (another script, and every digit, since a number can be read in
more ways than one) becomes one wildcard a run, which fits any sound. Punctuation is left out but
for the apostrophe inside a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from generators.speech.tokens import Token

APOSTROPHES = "'\u2019\u02bc"
Speller = Callable[[str], str]  # a word -> the same word in other letters


@dataclass(frozen=True)
class Vocabulary:
    """Single characters to ids; `delimiter` stands between words where the model has one.

    `size` is the number of columns; the wildcard is the column after the last.
    """

    ids: Mapping[str, int]
    blank: int
    delimiter: int | None
    size: int

    @property
    def wildcard(self) -> int:
        """The id of the label that fits any sound."""
        return self.size

    def spell(self, char: str) -> list[int] | None:
        """The ids of one character; [] for what is silent, None for what the model can't write."""
        for form in (char, char.lower(), char.upper()):
            if form in self.ids:
                return [self.ids[form]]
        plain = [
            c
            for c in unicodedata.normalize("NFKD", char.casefold())
            if not unicodedata.combining(c)
        ]
        if unicodedata.category(char)[0] == "M":  # an accent, or a vowel sign that it hasn't
            return []
        if plain == [char]:
            return None
        parts = [self.spell(c) if c != char else None for c in plain]
        return None if not parts or None in parts else [i for part in parts for i in part or []]


@dataclass(frozen=True)
class Labels:
    """`ids` in order; `words[i]` is the index of the word that label i spells, -1 for none."""

    ids: tuple[int, ...]
    words: tuple[int, ...]


def vocabulary(
    ids: Mapping[str, int], size: int, pad: int | None, delimiter: str | None
) -> Vocabulary:
    """From a tokenizer's vocabulary. The blank is `<blank>`, else the pad token. ValueError without.

    Labels of several characters are no letters and are left out.
    """
    blank = ids.get("<blank>", pad)
    if blank is None:
        raise ValueError("its tokenizer has no blank: neither `<blank>` nor a pad token")
    letters = {
        unicodedata.normalize("NFC", char): index
        for char, index in ids.items()
        if len(unicodedata.normalize("NFC", char)) == 1
        and _letter(unicodedata.normalize("NFC", char))
    }
    if not letters:
        raise ValueError("its vocabulary has no single letters")
    return Vocabulary(letters, blank, ids.get(delimiter) if delimiter else None, size)


def spelled(
    text: str,
    words: Sequence[Token],
    known: Vocabulary,
    speller: Speller | None = None,
) -> Labels:
    """The labels of `words`; at least one each. `speller` writes a word in other letters first."""
    ids: list[int] = []
    owners: list[int] = []
    for index, word in enumerate(words):
        spaced = index > 0 and any(c.isspace() for c in text[words[index - 1].end : word.start])
        if spaced and known.delimiter is not None:
            ids.append(known.delimiter)
            owners.append(-1)
        chars = text[word.start : word.end]
        found = _word(speller(chars) if speller else chars, known)
        ids += found
        owners += [index] * len(found)
    return Labels(tuple(ids), tuple(owners))


def _word(text: str, known: Vocabulary) -> list[int]:
    """The ids of a word; a run of what is not known is one wildcard."""
    ids: list[int] = []
    for char in _sounding(unicodedata.normalize("NFC", text)):
        found = None if char.isdigit() else known.spell(char)
        if found is None:
            found = [] if ids and ids[-1] == known.wildcard else [known.wildcard]
        ids += found
    return ids or [known.wildcard]


def _sounding(text: str) -> list[str]:
    """Letters, marks, digits, and an apostrophe between letters, as a straight one."""
    inside = re.sub(rf"(?<!\w)[{APOSTROPHES}]|[{APOSTROPHES}](?!\w)", "", text)
    return [char for char in re.sub(f"[{APOSTROPHES}]", "'", inside) if _letter(char)]


def _letter(char: str) -> bool:
    return char == "'" or unicodedata.category(char)[0] in "LMN"


def romaniser() -> Speller:
    """uroman, for models that were trained on Latin letters alone. ImportError without it."""
    from uroman import Uroman

    uroman = Uroman()
    return lambda word: uroman.romanize_string(word.lower())
