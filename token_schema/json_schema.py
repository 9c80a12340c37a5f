"""The JSON Schema of a schema file, so that editors complete and check it while one types.

    python -m token_schema.json_schema > token_schema/schema-1.json       # after a change of models.py

In a file: `# yaml-language-server: $schema=PATH/schema-1.json` as the first line (VS Code, Neovim,
JetBrains). It says what fields there are; `stretto schema check FILE` also says what fits together.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from token_schema.models import LANES, Clock, Prompt
from token_schema.schema import CodecSpec, View

PUBLISHED = Path(__file__).parent / "schema-1.json"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
# what `_lane` in language.py fills in from the lane's key
FROM_KEY = ("channel",)


def json_schema() -> dict[str, Any]:
    """The whole schema, draft 2020-12: a file of its own, or one that `extends` another."""
    every: set[type[BaseModel]] = {*LANES.values(), Clock, Prompt, CodecSpec, View}
    classes = sorted(every, key=lambda c: c.__name__)
    _, found = models_json_schema(
        [(c, "validation") for c in classes], by_alias=True, ref_template="#/$defs/{model}"
    )
    defs = {name: _described(d) for name, d in found["$defs"].items()}
    for name in {c.__name__ for c in LANES.values()}:
        defs[f"{name}Change"] = _partial(defs[name])
    defs["Loss"] = {"anyOf": [{"type": "number", "minimum": 0}, defs["Loss"]]}
    defs["Lanes"] = {"type": "array", "minItems": 1, "items": _lane_item()}
    defs["Change"] = {"additionalProperties": {"anyOf": [*_changes(), {"type": "null"}]}}
    return {
        "$schema": DRAFT,
        "title": "Stretto token schema",
        "type": "object",
        "properties": _fields(),
        "additionalProperties": False,
        "required": ["name"],
        "anyOf": [{"required": ["extends"]}, {"required": ["mode", "clock", "lanes"]}],
        "$defs": dict(sorted(defs.items())),
    }


def _fields() -> dict[str, Any]:
    return {
        "name": {"type": "string", "pattern": "^[a-z][a-z0-9_-]*$"},
        "extends": {
            "type": "string",
            "description": "A preset or a .yaml file beside this one; this file says what differs.",
        },
        "mode": {"enum": ["interleaved", "parallel"]},
        "clock": {"$ref": "#/$defs/Clock"},
        "prompt": {"anyOf": [{"$ref": "#/$defs/Prompt"}, {"type": "null"}]},
        "codecs": {"type": "object", "additionalProperties": {"$ref": "#/$defs/CodecSpec"}},
        "lanes": {"$ref": "#/$defs/Lanes"},
        "change": {
            "description": "With `extends`: fields of lanes by name; null leaves a lane out.",
            "type": "object",
            "$ref": "#/$defs/Change",
        },
        "add": {"description": "With `extends`: lanes behind its own.", "$ref": "#/$defs/Lanes"},
        "view": {"$ref": "#/$defs/View"},
    }


def _lane_item() -> dict[str, Any]:
    """One key, the channel, and the fields of its kind of lane."""
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": {c: {"$ref": f"#/$defs/{m.__name__}"} for c, m in LANES.items()},
    }


def _changes() -> list[dict[str, Any]]:
    names = sorted({m.__name__ for m in LANES.values()})
    return [{"$ref": f"#/$defs/{name}Change"} for name in names]


def _described(definition: dict[str, Any]) -> dict[str, Any]:
    """Without what comes from the lane's key; docstrings as one line of text."""
    out = {k: v for k, v in definition.items() if k != "title"}
    if "description" in out:
        out["description"] = " ".join(str(out["description"]).split())
    if "properties" in out:
        out["properties"] = {
            name: {k: v for k, v in p.items() if k != "title"} if isinstance(p, dict) else p
            for name, p in out["properties"].items()
            if name not in FROM_KEY
        }
    if "required" in out:
        out["required"] = [r for r in out["required"] if r not in (*FROM_KEY, "name")]
    return out


def _partial(definition: dict[str, Any]) -> dict[str, Any]:
    """The same fields, none required, and null to take one back."""
    fields = definition["properties"]
    nullable = {n: {"anyOf": [p, {"type": "null"}]} for n, p in fields.items()}
    return {"type": "object", "additionalProperties": False, "properties": nullable}


def text() -> str:
    """The published file's content."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")
