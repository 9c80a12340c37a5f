"""The schema language: one YAML file says how a Timeline becomes tokens. Read with `load_schema`.

`load_schema("ellsa")` reads a preset, `load_schema("my/schema.yaml")` a file. Everything is checked
here, before a codec or a corpus is opened: an unknown key is refused with the nearest known one, a
wrong value with its file, line and lane. `docs/schemas.md` explains each field.

A file may say `extends: PRESET` (or a file beside it): it then gives only what differs. Mappings
are merged, `change: {LANE: {field: value}}` changes lanes by name (`LANE: null` leaves one out),
`add: [...]` adds lanes behind them, and `lanes:` replaces them all.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from schemas.config import config_error
from schemas.errors import StrettoError
from token_schema.checks import check_schema
from token_schema.models import (
    LANES,
    ActLane,
    AudioLane,
    Lane,
    LaneBase,
    LookLane,
    PhaseLane,
    TextLane,
)
from token_schema.schema import TokenSchema, exact, fitting_blocks
from token_schema.yaml_file import Document, read_yaml

__all__ = [
    "ActLane",
    "AudioLane",
    "Lane",
    "LookLane",
    "PhaseLane",
    "TextLane",
    "TokenSchema",
    "exact",
    "fitting_blocks",
    "list_presets",
    "load_schema",
    "parse_schema",
    "schema_data",
]

PRESETS = Path(__file__).parent / "presets"


def list_presets() -> list[str]:
    """The names that `load_schema` knows without a path."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_schema(name_or_path: str | Path) -> TokenSchema:
    """The preset of that name, or the schema in that YAML file. Raises StrettoError."""
    return _parse(*_read(str(name_or_path), ()))


def parse_schema(data: Any, where: str) -> TokenSchema:
    """A parsed YAML document as a checked schema; `where` is the file in every error."""
    document = Document(data, where)
    return _parse(_extended(data, document, Path(), ()), document)


def schema_data(name_or_path: str | Path) -> dict[str, Any]:
    """The schema's YAML as a mapping, with what it extends merged in."""
    return _read(str(name_or_path), ())[0]


# ---- reading and merging -----------------------------------------------------------------------


def _read(text: str, seen: tuple[str, ...]) -> tuple[Any, Document]:
    path = _path(text)
    try:
        document = read_yaml(path.read_text(encoding="utf-8"), path.name)
    except OSError as error:
        raise StrettoError(f"schema cannot be read ({error.strerror})", str(path)) from None
    except UnicodeDecodeError as error:
        raise StrettoError(f"not YAML: {error}", str(path)) from None
    return _extended(document.data, document, path.parent, (*seen, str(path), text)), document


def _extended(data: Any, document: Document, folder: Path, seen: tuple[str, ...]) -> Any:
    """The data with what it extends merged in; a file's name is looked up beside it."""
    if not isinstance(data, dict):
        return data
    if "extends" not in data:
        if only := [k for k in ("change", "add") if k in data]:
            raise StrettoError(f"`{only[0]}` goes with `extends`", document.where((only[0],)))
        return data
    base, where = data["extends"], document.where(("extends",))
    if not isinstance(base, str):
        raise StrettoError("`extends` is a preset's name or a file", where)
    if base.endswith((".yaml", ".yml")):
        base = str(folder / base)
    if base in seen:
        raise StrettoError("`extends` goes round in a circle", where)
    parent, _ = _read(base, seen)
    if not isinstance(parent, dict):
        raise StrettoError(f"{base} is not a mapping", where)
    return _merged(parent, data, document)


def _path(text: str) -> Path:
    path = Path(text)
    if path.suffix in (".yaml", ".yml"):
        return path
    if text not in list_presets():
        near = difflib.get_close_matches(text, list_presets(), n=1)
        known = f"presets: {', '.join(list_presets())}; a file's name ends in .yaml"
        fix = f"did you mean `{near[0]}`? {known}" if near else known
        raise StrettoError(f"no schema preset {text!r}", "schema", fix)
    return PRESETS / f"{text}.yaml"


def _merged(parent: dict[str, Any], data: dict[str, Any], document: Document) -> dict[str, Any]:
    """The parent with what the child says instead."""
    out = dict(parent)
    for key, value in data.items():
        if key in ("extends", "change", "add"):
            continue
        both = isinstance(out.get(key), dict) and isinstance(value, dict)
        out[key] = {**out[key], **value} if both else value
    if "change" in data:
        out["lanes"] = _changed(out.get("lanes", []), data["change"], document)
        out["view"] = _without(out.get("view", {}), data["change"])
    if "add" in data:
        if not isinstance(data["add"], list):
            raise StrettoError("`add` is a list of lanes", document.where(("add",)))
        out["lanes"] = [*out.get("lanes", []), *data["add"]]
    return out


def _changed(lanes: list[Any], change: Any, document: Document) -> list[Any]:
    if not isinstance(change, dict):
        raise StrettoError(
            "`change` is a mapping from lanes to fields", document.where(("change",))
        )
    names = [fields.get("name", channel) for lane in lanes for channel, fields in lane.items()]
    for name, fields in change.items():
        where = document.where(("change", name))
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            fix = f"did you mean `{near[0]}`?" if near else "lanes: " + ", ".join(names)
            raise StrettoError(f"no lane named {name!r} to change", where, fix)
        if fields is not None and not isinstance(fields, dict):
            raise StrettoError("a lane's fields are a mapping", where)
    out = []
    for lane in lanes:
        channel, fields = next(iter(lane.items()))
        name = fields.get("name", channel)
        if name not in change:
            out.append(lane)
        elif change[name] is not None:
            merged = {**fields, **change[name]}
            out.append({channel: {k: v for k, v in merged.items() if v is not None}})
    return out


def _without(view: Any, change: dict[str, Any]) -> Any:
    """The view without the lanes that a change leaves out."""
    history = view.get("history_blocks") if isinstance(view, dict) else None
    if not isinstance(history, dict):
        return view
    gone = {name for name, fields in change.items() if fields is None}
    return {**view, "history_blocks": {k: v for k, v in history.items() if k not in gone}}


# ---- checking ----------------------------------------------------------------------------------


def _parse(data: Any, document: Document) -> TokenSchema:
    if not isinstance(data, dict):
        raise StrettoError(
            "the schema is not a mapping", document.name, "write `name:`, `mode:` ..."
        )
    if isinstance(lanes := data.get("lanes"), list):
        data = {**data, "lanes": [_lane(x, i, document) for i, x in enumerate(lanes)]}
    try:
        schema = TokenSchema.model_validate(data)
    except ValidationError as error:
        path = sorted(error.errors(), key=lambda f: f["type"] != "extra_forbidden")[0]["loc"]
        raise config_error(TokenSchema, error, document.where(path)) from None
    check_schema(schema, document)
    return schema


def _lane(entry: Any, index: int, document: Document) -> LaneBase:
    here = f"{document.where(('lanes', index))}: lanes[{index}]"
    if not isinstance(entry, dict) or len(entry) != 1:
        raise StrettoError(
            "a lane is one channel and its fields", here, "write `- listen: {as: codes, ...}`"
        )
    channel, fields = next(iter(entry.items()))
    if channel not in LANES:
        near = difflib.get_close_matches(str(channel), LANES, n=1)
        fix = f"did you mean `{near[0]}`?" if near else "channels: " + ", ".join(LANES)
        raise StrettoError(f"unknown channel `{channel}`", here, fix)
    if not isinstance(fields, dict):
        raise StrettoError(
            "a lane's fields are a mapping", f"{here} {channel}", "write `as:`, `open:` ..."
        )
    if "channel" in fields:
        raise StrettoError(
            "unknown key `channel`", f"{here} {channel}", "the lane's key is its channel"
        )
    return _lane_model(channel, fields, index, document)


def _lane_model(channel: str, fields: dict[str, Any], index: int, document: Document) -> LaneBase:
    model = LANES[channel]
    try:
        return model.model_validate({"name": channel, **fields, "channel": channel})
    except ValidationError as error:
        fault = sorted(error.errors(), key=lambda f: f["type"] != "extra_forbidden")[0]
        name = fields.get("name", channel)
        # a changed lane's fields stand under `change` in the file at hand
        paths = [("change", name, *fault["loc"]), ("lanes", index, channel, *fault["loc"])]
        at = next((p for p in paths if p[:2] in document.lines), paths[1])
        where = f"{document.where(at)}: lanes[{index}] {name}"
        raise config_error(model, error, where) from None


def dump_yaml(data: dict[str, Any]) -> str:
    """A schema's mapping as YAML that a person can go on from, lanes one a line where short."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
