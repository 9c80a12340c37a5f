"""The schema language: one YAML file says how a Timeline becomes tokens. Read with `load_schema`.

`load_schema("ellsa")` reads a preset, `load_schema("my/schema.yaml")` a file. Everything is checked
here, before a codec or a corpus is opened: an unknown key is refused with the nearest known one, a
wrong value with its file and lane, a rate that gives a fraction of a code a block with the block
lengths that fit. `docs/schemas.md` explains each field.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from schemas.config import config_error
from schemas.errors import StrettoError
from token_schema.models import (
    LANES,
    ActLane,
    AudioLane,
    Lane,
    LaneBase,
    LookLane,
    TextLane,
    TokenSchema,
    exact,
    fitting_blocks,
)

__all__ = [
    "ActLane",
    "AudioLane",
    "Lane",
    "LookLane",
    "TextLane",
    "TokenSchema",
    "exact",
    "fitting_blocks",
    "list_presets",
    "load_schema",
    "parse_schema",
]

PRESETS = Path(__file__).parent / "presets"


def list_presets() -> list[str]:
    """The names that `load_schema` knows without a path."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_schema(name_or_path: str | Path) -> TokenSchema:
    """The preset of that name, or the schema in that YAML file. Raises StrettoError."""
    text = str(name_or_path)
    path = Path(text)
    if path.suffix not in (".yaml", ".yml"):
        path = PRESETS / f"{text}.yaml"
        if text not in list_presets():
            near = difflib.get_close_matches(text, list_presets(), n=1)
            known = f"presets: {', '.join(list_presets())}; a file's name ends in .yaml"
            raise StrettoError(
                f"no schema preset {text!r}",
                "schema",
                f"did you mean `{near[0]}`? {known}" if near else known,
            )
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StrettoError(f"schema cannot be read ({error.strerror})", str(path)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StrettoError(f"not YAML: {error}", str(path)) from None
    return parse_schema(data, path.name)


def parse_schema(data: Any, where: str) -> TokenSchema:
    """A parsed YAML document as a checked schema; `where` is the file in every error."""
    if not isinstance(data, dict):
        raise StrettoError("the schema is not a mapping", where, "write `name:`, `mode:` ...")
    lanes = data.get("lanes")
    if isinstance(lanes, list):
        data = {**data, "lanes": _parse_lanes(lanes, where)}
    try:
        schema = TokenSchema.model_validate(data)
    except ValidationError as error:
        raise config_error(TokenSchema, error, where) from None
    _check(schema, where)
    return schema


def _parse_lanes(entries: list[Any], where: str) -> list[Any]:
    lanes: list[Any] = []
    for i, entry in enumerate(entries):
        here = f"{where}: lanes[{i}]"
        if not isinstance(entry, dict) or len(entry) != 1:
            raise StrettoError(
                "a lane is one channel and its fields", here, "write `- listen: {as: codes, ...}`"
            )
        channel, fields = next(iter(entry.items()))
        if channel not in LANES:
            near = difflib.get_close_matches(str(channel), LANES, n=1)
            fix = f"did you mean `{near[0]}`?" if near else "channels: " + ", ".join(LANES)
            raise StrettoError(f"unknown channel `{channel}`", here, fix)
        lanes.append(_parse_lane(channel, fields, f"{here} {channel}"))
    return lanes


def _parse_lane(channel: str, fields: Any, where: str) -> LaneBase:
    if not isinstance(fields, dict):
        raise StrettoError("a lane's fields are a mapping", where, "write `as:`, `open:` ...")
    if "channel" in fields:
        raise StrettoError("unknown key `channel`", where, "the lane's key is its channel")
    model = LANES[channel]
    try:
        return model.model_validate({"name": channel, **fields, "channel": channel})
    except ValidationError as error:
        raise config_error(model, error, where) from None


def _check(schema: TokenSchema, where: str) -> None:
    """What no single field shows: names, tokens, order and rates."""
    _check_names(schema, where)
    _check_order(schema, where)
    if not schema.block or abs(float(schema.block) / schema.clock.block_s - 1) > 1e-6:
        raise StrettoError(
            f"a block of {schema.clock.block_s:g} s is no simple fraction of a second",
            f"{where}: clock.block_s",
            "write a length such as 1.0, 0.8 or 0.48",
        )
    audio = [lane for lane in schema.lanes if isinstance(lane, AudioLane)]
    bad = [lane for lane in audio if (exact(lane.rate_hz) * schema.block).denominator != 1]
    if bad:
        fits = fitting_blocks([exact(lane.rate_hz) for lane in audio], schema.block)
        raise StrettoError(
            f"{bad[0].rate_hz:g} Hz gives {bad[0].rate_hz * schema.clock.block_s:g} frames in a"
            f" block of {schema.clock.block_s:g} s",
            f"{where}: lane {bad[0].name}: rate_hz",
            "block lengths that fit: " + ", ".join(f"{float(f):g}" for f in fits),
        )


def _check_names(schema: TokenSchema, where: str) -> None:
    names = [lane.name for lane in schema.lanes]
    if twice := [n for n in names if names.count(n) > 1]:
        raise StrettoError(
            f"two lanes are named {twice[0]!r}", f"{where}: lanes", "give each a `name`"
        )
    ends = [schema.prompt.open, schema.prompt.close]
    for lane in schema.lanes:
        ends += [lane.open, lane.close]
    for lane in schema.lanes:
        inside = lane.specials()[2:]
        bad = [t for t in inside if t in ends or inside.count(t) > 1]
        if bad:
            raise StrettoError(f"token {bad[0]} has two meanings", f"{where}: lane {lane.name}")
    if twice := [t for t in ends if ends.count(t) > 1]:
        raise StrettoError(
            f"boundary token {twice[0]} is used twice",
            where,
            "a boundary token tells its lane: give each its own",
        )


def _check_order(schema: TokenSchema, where: str) -> None:
    """Codes of a whole block are known at its end: only a lane after `listen` may emit them."""
    heard = False
    for lane in schema.lanes:
        heard = heard or lane.channel == "listen"
        if lane.channel in ("speak", "act") and not heard:
            raise StrettoError(
                "stands before `listen`: it would tell what happens in the block"
                " before the block is heard",
                f"{where}: lane {lane.name}",
                "move it behind `listen`",
            )
