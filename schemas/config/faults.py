"""A failed validation as one line: what, where, and the nearest known key for an unknown one."""

from __future__ import annotations

import difflib
import types
import typing
from typing import Any

from pydantic import BaseModel, ValidationError

from schemas.errors import StrettoError

_KINDS = {
    "a list": ("tuple_type", "list_type", "set_type", "frozen_set_type"),
    "a mapping": ("dict_type", "mapping_type", "model_type", "model_attributes_type"),
    "a text": ("string_type",),
    "a whole number": ("int_type", "int_parsing", "int_from_float"),
    "a number": ("float_type", "float_parsing"),
    "true or false": ("bool_type", "bool_parsing"),
}
# pydantic's type of a fault -> what a value must be
WORDS = {kind: words for words, kinds in _KINDS.items() for kind in kinds}


def config_error(model: type[BaseModel], error: ValidationError, where: str) -> StrettoError:
    """The first fault of a validation as one line, with the nearest known key for an unknown one."""
    # an unknown key often causes further faults: it is the one to name
    faults = sorted(error.errors(), key=lambda f: f["type"] != "extra_forbidden")
    fault = faults[0]
    path = [str(p) for p in fault["loc"]]
    field = ".".join(path)
    if fault["type"] != "extra_forbidden" and not path:
        return StrettoError(fault["msg"].removeprefix("Value error, "), where)
    if fault["type"] == "missing" and isinstance(fault["loc"][-1], int):  # of a list's items
        beside = [f["loc"][-1] for f in faults if f["loc"][:-1] == fault["loc"][:-1]]
        n_items = 1 + max(index for index in beside if isinstance(index, int))
        what = f"it must have {n_items} items (got {_short(fault['input'])})"
        return StrettoError(what, f"{where}: {'.'.join(path[:-1])}")
    if fault["type"] == "missing":
        return StrettoError("it is missing", f"{where}: {field}")
    if fault["type"] != "extra_forbidden":
        return StrettoError(
            f"{_in_words(fault)} (got {_short(fault['input'])})", f"{where}: {field}"
        )
    known = known_keys(model, fault["loc"][:-1])
    near = difflib.get_close_matches(path[-1], known, n=1)
    fix = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
    return StrettoError(f"unknown key `{path[-1]}`", f"{where}: {field}", fix)


def _in_words(fault: Any) -> str:
    """What pydantic says, without the names of Python's types."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind in ("too_short", "too_long"):
        most = kind == "too_long"
        n_items = context["max_length" if most else "min_length"]
        few = f"{'at most' if most else 'at least'} {n_items} item{'s' * (n_items != 1)}"
        return f"it must have {few}"
    if kind in WORDS:
        return f"it must be {WORDS[kind]}"
    said = str(fault["msg"]).removeprefix("Value error, ")
    return said.replace("Input should be", "it must be", 1)


def known_keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys allowed at `path` below `model`, as a user would write them."""
    kind: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        fields = {f.alias or n: f.annotation for n, f in getattr(kind, "model_fields", {}).items()}
        kind = _inner_model(fields.get(part, kind))
    return [f.alias or n for n, f in getattr(kind, "model_fields", {}).items()]


def _inner_model(annotation: Any) -> Any:
    """The record class inside `X | None`, `tuple[X, ...]` and the like."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation
    inner = [_inner_model(a) for a in typing.get_args(annotation) if a is not type(None)]
    models = [i for i in inner if isinstance(i, type) and issubclass(i, BaseModel)]
    return models[0] if models else annotation


def _short(value: Any) -> str:
    """A value as YAML has it."""
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
