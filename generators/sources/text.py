"""Text from outside, made safe to store: no control characters, no half of a surrogate pair."""

from __future__ import annotations

import re

# C0 and C1 controls and DEL; newline and tab carry layout (code, tables) and stay.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")  # JSON may spell one half alone: not encodable
_LINE_BREAKS = re.compile("\r\n?|[\u2028\u2029]")


def clean(text: str) -> tuple[str, int]:
    """(text, number of control characters removed). Emoji and every other script stay.

    Line breaks become newlines, a lone surrogate becomes U+FFFD (and counts as one removed).
    """
    text, controls = _CONTROLS.subn("", _LINE_BREAKS.sub("\n", text))
    text, halves = _SURROGATES.subn("\ufffd", text)
    return text, controls + halves
