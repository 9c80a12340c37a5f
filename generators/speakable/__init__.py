"""The speakable form of a written text: what `say` is when `write` holds markdown, numbers and signs.

    speakable("# Total\\n- **$3.50** for 5 km", "en")
    # "Total. three dollars and fifty cents for five kilometers."

Pure and deterministic: the answer rests on the text, the language, and the versions of the libraries
named in `pipeline/fingerprint.py`. `markdown.plain` makes sentences of the page, `verbal` makes words
of its numbers and signs. See docs/text.md.
"""

from __future__ import annotations

from generators.speakable.amounts import say_amounts
from generators.speakable.announce import without_announcements
from generators.speakable.figures import without_group_spaces
from generators.speakable.markdown import plain
from generators.speakable.numbers import say_numbers
from generators.speakable.signs import drop_unspoken, say_abbreviations, say_number_signs, say_signs
from generators.speakable.spelling import spelling_of
from generators.speakable.times import say_times
from generators.speakable.web import say_addresses

__all__ = ["plain", "speakable", "verbal", "without_announcements"]


def speakable(text: str, language: str = "en", role: str = "assistant") -> str:
    """The words to say for a written `text`; "" when nothing of it can be spoken.

    `language` is a tag. `role` chooses who announces code and tables: the assistant has written
    them for the user, a user shows them.
    """
    said = verbal(plain(text, language, role), language)
    return said if any(char.isalnum() for char in said) else ""


def verbal(text: str, language: str = "en") -> str:
    """One line of text with numbers, units, addresses and signs in words."""
    spelling = spelling_of(language)
    text = say_addresses(drop_unspoken(say_abbreviations(text, spelling)), spelling)
    if any(char.isnumeric() for char in text):
        text = without_group_spaces(say_number_signs(text, spelling), spelling)
        text = say_amounts(say_times(text, spelling), spelling)
        text = say_numbers(text, spelling)
    return say_signs(text, spelling)
