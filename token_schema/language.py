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
    """The schema's YAML as a plain mapping, with what it extends merged in."""
    data = _read(str(name_or_path), ())[0]
    if isinstance(data, dict) and "lanes" in data:
        data = {**data, "lanes": [dict(lane) for lane in data["lanes"]]}
    return data


# ---- reading and merging -----------------------------------------------------------------------


class Entry(dict[str, Any]):
    """A lane as it stands in a file, and where: `document.where((*path, channel, field))`."""

    document: Document
    path: tuple[str | int, ...]

    @classmethod
    def of(cls, data: Any, document: Document, path: tuple[str | int, ...]) -> Any:
        """The entry, checked to be one channel and its fields."""
        here = f"{document.where(path)}: {path[0]}[{path[1]}]"
        if not isinstance(data, dict) or len(data) != 1:
            raise StrettoError(
                "a lane is one channel and its fields", here, "write `- listen: {as: codes, ...}`"
            )
        channel, fields = next(iter(data.items()))
        if channel not in LANES:
            near = difflib.get_close_matches(str(channel), LANES, n=1)
            fix = f"did you mean `{near[0]}`?" if near else "channels: " + ", ".join(LANES)
            raise StrettoError(f"unknown channel `{channel}`", here, fix)
        if not isinstance(fields, dict):
            raise StrettoError(
                "a lane's fields are a mapping", f"{here} {channel}", "write `as:`, `open:` ..."
            )
        entry = cls(data)
        entry.document, entry.path = document, (*path, channel)
        return entry

    @property
    def channel(self) -> str:
        return next(iter(self))

    @property
    def name(self) -> str:
        return str(self[self.channel].get("name", self.channel))

    def changed(self, fields: dict[str, Any], document: Document) -> Entry:
        """With some fields changed; `None` takes one back."""
        merged = {**self[self.channel], **fields}
        entry = Entry({self.channel: {k: v for k, v in merged.items() if v is not None}})
        entry.document, entry.path = document, ("change", self.name)
        return entry


def _read(text: str, seen: tuple[str, ...]) -> tuple[Any, Document]:
    path = _path(text)
    try:
        if path.exists() and not path.is_file():
            raise StrettoError("this is no file", str(path))
        document = read_yaml(path.read_text(encoding="utf-8"), path.name)
    except OSError as error:
        raise StrettoError(f"schema cannot be read ({error.strerror})", str(path)) from None
    except ValueError as error:  # not UTF-8, or a NUL in the name
        raise StrettoError(f"not YAML: {error}", repr(str(path))) from None
    seen = (*seen, str(path.resolve()))
    return _extended(document.data, document, path.parent, seen), document


def _extended(data: Any, document: Document, folder: Path, seen: tuple[str, ...]) -> Any:
    """The data with what it extends merged in; a file's name is looked up beside it."""
    if not isinstance(data, dict):
        return data
    data = {**data, **{k: _entries(data[k], document, k) for k in ("lanes", "add") if k in data}}
    if "extends" not in data:
        if only := [k for k in ("change", "add") if k in data]:
            raise StrettoError(f"`{only[0]}` goes with `extends`", document.where((only[0],)))
        return data
    base, where = data["extends"], document.where(("extends",))
    if not isinstance(base, str):
        raise StrettoError("`extends` is a preset's name or a file", where)
    if base.endswith((".yaml", ".yml")):
        base = str(folder / base)
    try:
        if str(_path(base).resolve()) in seen:
            raise StrettoError("`extends` goes round in a circle", where)
        parent, _ = _read(base, seen)
    except ValueError:
        raise StrettoError("`extends` is a preset's name or a file", where) from None
    except StrettoError as error:
        if error.where in ("schema", base):  # it is not there: say who asks for it
            raise StrettoError(error.what, where, error.fix) from None
        raise
    if not isinstance(parent, dict):
        raise StrettoError(f"{base} is not a mapping", where)
    return _merged(parent, data, document)


def _entries(lanes: Any, document: Document, key: str) -> Any:
    if not isinstance(lanes, list):
        raise StrettoError(f"`{key}` is a list of lanes", document.where((key,)))
    return [Entry.of(x, document, (key, i)) for i, x in enumerate(lanes)]


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
        if isinstance(out.get("codecs"), dict):  # those of the lanes that are left out go too
            used = {lane[lane.channel].get("codec") for lane in out["lanes"]}
            own = data.get("codecs") or {}
            out["codecs"] = {k: v for k, v in out["codecs"].items() if k in used or k in own}
    if "add" in data:
        out["lanes"] = [*out.get("lanes", []), *data["add"]]
    return out


def _changed(lanes: list[Entry], change: Any, document: Document) -> list[Entry]:
    if not isinstance(change, dict):
        raise StrettoError(
            "`change` is a mapping from lanes to fields", document.where(("change",))
        )
    names = [lane.name for lane in lanes]
    for name, fields in change.items():
        where = document.where(("change", name))
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            fix = f"did you mean `{near[0]}`?" if near else "lanes: " + ", ".join(names)
            raise StrettoError(f"no lane named {name!r} to change", where, fix)
        if fields is not None and not isinstance(fields, dict):
            raise StrettoError("a lane's fields are a mapping", where)
    kept = [lane for lane in lanes if change.get(lane.name, lane) is not None]
    return [x.changed(change[x.name], document) if x.name in change else x for x in kept]


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
    entries: list[Entry] = data.get("lanes", [])
    if "lanes" in data:
        data = {**data, "lanes": [_lane(x, i) for i, x in enumerate(entries)]}
    try:
        schema = TokenSchema.model_validate(data)
    except ValidationError as error:
        path = sorted(error.errors(), key=lambda f: f["type"] != "extra_forbidden")[0]["loc"]
        raise config_error(TokenSchema, error, document.where(path)) from None
    check_schema(schema, document, [(e.document, e.path) for e in entries])
    return schema


def _lane(entry: Entry, index: int) -> LaneBase:
    channel, fields = entry.channel, entry[entry.channel]
    here = f"lanes[{index}] {entry.name}"
    if "channel" in fields:
        raise StrettoError(
            "unknown key `channel`",
            f"{entry.document.where(entry.path)}: {here}",
            "the lane's key is its channel",
        )
    model = LANES[channel]
    try:
        return model.model_validate({"name": channel, **fields, "channel": channel})
    except ValidationError as error:
        fault = sorted(error.errors(), key=lambda f: f["type"] != "extra_forbidden")[0]
        where = entry.document.where((*entry.path, *fault["loc"]))
        raise config_error(model, error, f"{where}: {here}") from None


def dump_yaml(data: dict[str, Any]) -> str:
    """A schema's mapping as YAML that a person can go on from, lanes one a line where short."""
    lanes = [dict(lane) for lane in data.get("lanes", [])]
    return yaml.safe_dump({**data, "lanes": lanes}, sort_keys=False, allow_unicode=True, width=100)
