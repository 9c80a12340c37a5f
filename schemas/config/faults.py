"""A failed validation as one line: what, where, and the nearest known key for an unknown one."""

from __future__ import annotations

import difflib
import types
import typing
from typing import Any

from pydantic import BaseModel, ValidationError

from schemas.errors import StrettoError


def config_error(model: type[BaseModel], error: ValidationError, where: str) -> StrettoError:
    """The first fault of a validation as one line, with the nearest known key for an unknown one."""
    # an unknown key often causes further faults: it is the one to name
    faults = sorted(error.errors(), key=lambda f: f["type"] != "extra_forbidden")
    fault = faults[0]
    path = [str(p) for p in fault["loc"]]
    field = ".".join(path)
    if fault["type"] != "extra_forbidden" and not path:
        return StrettoError(fault["msg"].removeprefix("Value error, "), where)
    if fault["type"] != "extra_forbidden":
        return StrettoError(
            f"{fault['msg'].removeprefix('Value error, ')} (got {_short(fault['input'])})",
            f"{where}: {field}",
        )
    known = known_keys(model, fault["loc"][:-1])
    near = difflib.get_close_matches(path[-1], known, n=1)
    fix = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
    return StrettoError(f"unknown key `{path[-1]}`", f"{where}: {field}", fix)


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
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
