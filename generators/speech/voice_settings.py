"""What a voice may set for each engine, and within which bounds.

`check_settings(engine, settings, where)` refuses an unknown setting with the nearest, and a value
of another kind or out of bounds. A file (`FILES`) is a recording of a person or made from one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from schemas.errors import StrettoError

FILES = ("prompt_wav", "speaker_embedding")


@dataclass(frozen=True)
class _Number:
    """A number within bounds; `whole` ones are integers. `[low, high]` is drawn per speaker."""

    low: float
    high: float
    whole: bool = False


_TEXT = "text"
_PERCENT = _Number(0, 99, whole=True)
SETTINGS: dict[str, dict[str, Any]] = {
    "espeak": {
        "variant": _TEXT,
        "rate_wpm": _Number(80, 450, whole=True),
        "pitch": _PERCENT,
        "pitch_range": _PERCENT,
    },
    "cosyvoice": {
        "mode": _TEXT,
        "prompt_wav": _TEXT,
        "prompt_text": _TEXT,
        "instruct_text": _TEXT,
        "spk_id": _TEXT,
        "speed": _Number(0.5, 2.0),
    },
    "transformers": {
        "model": _TEXT,
        "revision": _TEXT,
        "speaker_id": _Number(0, 1_000_000, whole=True),
        "speaking_rate": _Number(0.3, 3.0),
        "noise_scale": _Number(0, 2.0),
        "noise_scale_duration": _Number(0, 2.0),
        "speaker_embedding": _TEXT,
        "voice_preset": _TEXT,
    },
}


def check_settings(engine: str, settings: Mapping[str, Any], where: str) -> None:
    """StrettoError for the first setting that `engine` does not know or take."""
    known = SETTINGS[engine]
    for name, value in settings.items():
        if name not in known:
            near = get_close_matches(name, known, 1)
            fix = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
            raise StrettoError(f"unknown setting `{name}` of {engine}", where, fix)
        if known[name] is _TEXT:
            if not isinstance(value, str):
                raise StrettoError(f"`{name}` is {value!r}", where, "write a text")
        else:
            _check_number(name, value, known[name], where)


def _check_number(name: str, value: Any, kind: _Number, where: str) -> None:
    bounds = value if isinstance(value, tuple | list) else (value,)
    numbers = all(isinstance(x, int if kind.whole else int | float) for x in bounds)
    plain = numbers and not any(isinstance(x, bool) for x in bounds)
    inside = plain and all(kind.low <= x <= kind.high for x in bounds)
    if not inside or list(bounds) != sorted(bounds):
        what = "a whole number" if kind.whole else "a number"
        fix = f"write {what} from {kind.low:g} to {kind.high:g}, or [low, high]"
        raise StrettoError(f"`{name}` is {value!r}", where, fix)
