"""Which field of a foreign record holds what: the config's names, else the usual ones.

`Fields.of(source)` gives the names; `find(record, name)` reads a dotted name (`meta.lang`,
`data.0.text`) and gives MISSING where it is not there. Nothing is evaluated: a name is only looked
up in mappings and lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from generators.sources.readers import CSV_ROWS
from generators.sources.refusal import Refused, kind, short
from generators.sources.text import clean
from schemas.config import DialogueSource

Names = tuple[str, ...]


class _Missing:
    """The answer of `find` where a record lacks a field; null is a value, this is not."""

    def __bool__(self) -> bool:
        return False


MISSING: Any = _Missing()

_TURNS = ("messages", "turns", "utterances", "conversations", "conversation", "dialogue", "dialog")
_ROLE = ("role", "speaker", "from")
_TEXT = ("content", "text", "utterance", "value")

# Our own format: its optional fields are read without being named in the config.
_MESSAGES = {
    "turns": ("messages",),
    "role": ("role",),
    "text": ("content",),
    "say": ("say",),
    "think": ("think",),
    "interrupts": ("interrupts",),
    "speaker": ("speaker",),
    "group": ("group",),
    "language": ("language",),
    "tags": ("tags",),
    "licence": ("license", "licence"),
}
_TREE = {"id": ("message_tree_id", "id"), "turns": ("prompt",), "language": ("prompt.lang",)}
_BY_FORMAT: dict[str, dict[str, Names]] = {
    "messages": _MESSAGES,
    "tree": _TREE,
    "csv": {"turns": (CSV_ROWS,)},
}


@dataclass(frozen=True)
class Fields:
    """Candidate names of each field, the first present one counts; () is "not looked for".

    `named` are the fields the config names itself: of those, `id`, `group`, `turns`, `role` and
    `text` must be in every record.
    """

    id: Names = ("id",)
    turns: Names = _TURNS
    role: Names = _ROLE
    text: Names = _TEXT
    say: Names = ()
    think: Names = ()
    interrupts: Names = ()
    speaker: Names = ()
    group: Names = ()
    system: Names = ()
    language: Names = ()
    tags: Names = ()
    licence: Names = ()
    named: frozenset[str] = frozenset()

    @staticmethod
    def of(source: DialogueSource) -> Fields:
        """The names that count for `source`."""
        given = {
            name: value
            for name in Fields.__dataclass_fields__
            if name not in ("language", "tags", "licence", "named")
            and (value := getattr(source, name)) is not None
        }
        if source.language_field is not None:
            given["language"] = source.language_field
        names = _BY_FORMAT.get(source.format, {}) | {n: (v,) for n, v in given.items()}
        return Fields(**names, named=frozenset(given))  # type: ignore[arg-type]


def find(record: Any, name: str) -> Any:
    """The value of a dotted name, or MISSING. A key that itself holds the dots is found too."""
    if isinstance(record, dict) and name in record:
        return record[name]
    head, dot, rest = name.partition(".")
    if isinstance(record, list) and head.isascii() and head.isdigit() and len(head) < 7:
        value = record[int(head)] if int(head) < len(record) else MISSING
    else:
        value = record.get(head, MISSING) if isinstance(record, dict) and dot else MISSING
    return find(value, rest) if dot and value is not MISSING else value


def first_of(record: Any, names: Names) -> Any:
    """The first of `names` that `record` has, or MISSING."""
    return next((v for n in names if (v := find(record, n)) is not MISSING), MISSING)


def required(record: Any, names: Names, what: str) -> Any:
    """Like `first_of`; raises Refused that lists the fields that are there."""
    value = first_of(record, names)
    if value is MISSING:
        here = ", ".join(str(k) for k in record) if isinstance(record, dict) else kind(record)
        wanted = " or ".join(f"`{n}`" for n in names)
        raise Refused(f"no field {wanted}; fields here: {short(here, 200)}", f"map `{what}`")
    return value


def as_text(value: Any, what: str) -> str:
    """A text or a whole number as clean text. Raises Refused for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise Refused(f"{what} is {kind(value)}, not a text", "map another field")
    return clean(value)[0]


def optional_text(record: Any, names: Names, what: str) -> str | None:
    """The text of an optional field; None where it is missing, null or blank."""
    value = first_of(record, names)
    if value is MISSING or value is None:
        return None
    text = as_text(value, what)
    return text if text.strip() else None
