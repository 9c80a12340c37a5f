"""How a source says no to one record: `Refused` inside, a `Rejection` outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from generators.sources.text import clean
from schemas import Rejection


class Refused(Exception):
    """This record cannot be used: the reason, and what the user may do about it."""

    def __init__(self, reason: str, fix: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.fix = reason, fix


@dataclass(frozen=True)
class Fault:
    """An input that is not even a record (a broken line, an empty file), with where it stands."""

    where: str
    record_id: str
    reason: str
    fix: str | None = None


def rejection(source: str, fault: Fault, key: str | None = None, unused: bool = False) -> Rejection:
    """The Rejection of stage `source`; its texts are one line each, whatever the input holds."""
    return Rejection(
        status="unused" if unused else "quarantined",
        source=one_line(source),
        record_id=one_line(fault.record_id),
        key=key,
        where=one_line(fault.where),
        stage="source",
        reason=one_line(fault.reason),
        fix=one_line(fault.fix) if fault.fix else None,
    )


def one_line(text: str) -> str:
    """`text` without line breaks, control characters and lone surrogates."""
    return " ".join(clean(text)[0].split())


def short(value: Any, length: int = 60) -> str:
    """`value` as a reason may quote it: at most `length` characters."""
    # a huge value is cut before repr so that a message costs nothing
    text = repr(value[: length + 1] if isinstance(value, str) else value)
    return text if len(text) <= length else text[: length - 3] + "..."


def seconds(value: float) -> str:
    """A time as a reason may quote it: to the millisecond, or short where it is absurd."""
    return f"{value:.3f}" if abs(value) < 1e9 else f"{value:g}"


def kind(value: Any) -> str:
    """What a JSON value is, in plain words."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "a mapping" if isinstance(value, dict) else type(value).__name__)
