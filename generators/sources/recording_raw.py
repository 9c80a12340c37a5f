"""What the recording formats have in common: one recording as its manifest says, nothing checked.

A format module turns a manifest's line into a `RawRecording`; `recordings.py` finds the files,
checks them and makes the `Recording`. Times are seconds: of segments and words from the start of
the recording (`start_s` of the file), as the manifest gives them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from generators.sources.refusal import Refused, kind, short


@dataclass(frozen=True)
class RawFile:
    """An audio file; `channels` are the numbers its channels go by (None: 0, 1, ...)."""

    path: str
    channels: tuple[int, ...] | None = None


@dataclass(frozen=True)
class RawWord:
    """A word with its times."""

    text: str
    start_s: float
    end_s: float
    label: str | None = None


@dataclass(frozen=True)
class RawSegment:
    """Something said: `end_s` None is up to the end. `label` names the speaker, if anything does."""

    text: str | None = None
    start_s: float = 0.0
    end_s: float | None = None
    label: str | None = None
    channel: int | None = None
    words: tuple[RawWord, ...] | None = None


@dataclass(frozen=True)
class RawRecording:
    """One recording. `file_s` and `rate_hz` are what the manifest says of the whole file.

    `loose`: the segments are one a speaker, to be cut at its pauses.
    """

    audio: tuple[RawFile, ...]
    segments: tuple[RawSegment, ...]
    record_id: str | None = None
    assistant_audio: tuple[RawFile, ...] = ()
    start_s: float = 0.0
    duration_s: float | None = None
    file_s: float | None = None
    rate_hz: int | None = None
    group: str | None = None
    language: str | None = None
    loose: bool = False
    notes: tuple[str, ...] = ()


def number(value: Any, what: str) -> float:
    """A finite JSON number. Raises Refused for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{what} is {kind(value)}, not a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise Refused(f"{what} is not finite")
    return found


def mapping(value: Any, what: str) -> dict[str, Any]:
    """A JSON mapping. Raises Refused for anything else."""
    if not isinstance(value, dict):
        raise Refused(f"{what} is {kind(value)}, not a mapping")
    return value


def listing(value: Any, what: str) -> list[Any]:
    """A JSON list. Raises Refused for anything else."""
    if not isinstance(value, list):
        raise Refused(f"{what} is {kind(value)}, not a list")
    return value


def word_of(value: Any, names: tuple[str, ...], number_: int) -> RawWord | None:
    """A word as `{word, start, end}`, `[word, start, end]` or `[word, [start, end], speaker]`.

    None for one without text: aligners write silence so.
    """
    what = f"word {number_}"
    if isinstance(value, list):
        text, start_s, end_s, label = _from_list(value, what)
    else:
        text, start_s, end_s, label = _from_mapping(mapping(value, what), names, what)
    if not isinstance(text, str):
        raise Refused(f"{what} is {kind(text)}, not a text")
    if not text.strip():
        return None
    return RawWord(text.strip(), start_s, end_s, label)


def _from_list(value: list[Any], what: str) -> tuple[Any, float, float, str | None]:
    if len(value) >= 2 and isinstance(value[1], list):
        text, times, *rest = value
    elif len(value) >= 3:
        text, times, rest = value[0], value[1:3], []
    else:
        times, text, rest = [], None, []
    if len(times) != 2:
        raise Refused(f"{what} is {short(value)}, not [word, [start, end]] or [word, start, end]")
    label = str(rest[0]) if rest and isinstance(rest[0], str | int) else None
    return text, number(times[0], f"{what}: start"), number(times[1], f"{what}: end"), label


def _from_mapping(
    value: dict[str, Any], names: tuple[str, ...], what: str
) -> tuple[Any, float, float, str | None]:
    text = next((value[n] for n in names if n in value), None)
    start_s = number(first(value, "start", "start_s", "start_time"), f"{what}: start")
    if "duration" in value and "end" not in value:
        end_s = start_s + number(value["duration"], f"{what}: duration")
    else:
        end_s = number(first(value, "end", "end_s", "end_time"), f"{what}: end")
    label = value.get("speaker")
    return text, start_s, end_s, str(label) if isinstance(label, str | int) else None


def first(value: dict[str, Any], *names: str) -> Any:
    """The first of `names` that is there, else None."""
    return next((value[n] for n in names if n in value), None)
