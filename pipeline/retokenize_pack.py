"""Tokens as the members of a tar entry, their row of the index, and back again.

Members of a sample, the same for all samples of a schema: `json` (what the arrays are of, and the
Report), one NPY an array of `Tokens` (`ids`, `lane`, `kind`, `block`, `loss`, `known_s`), each
[n], or [steps, streams] in the parallel mode, and `values.LANE.npy` float32 [m, dim] for each lane
`as: slots` or `as: mel`.
`known_s` is kept in float64 (22 bytes a token with it, 14 without): it proves causality, and
a rounded time would not compare with `decided_s`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.pack import Packed, kind_of
from schemas.errors import StrettoError
from schemas.timeline import Timeline
from token_schema.codecs.base import npy_bytes
from token_schema.language import TokenSchema
from token_schema.tokens import CLOSE, IDLE, OPEN, Report, Tokens

ARRAYS = {
    "ids": np.int32,
    "lane": np.uint8,
    "kind": np.uint8,
    "block": np.int32,
    "loss": np.float32,
    "known_s": np.float64,
}
# one number a lane, in the order of the schema's lanes; the prompt is in none of them
PER_LANE = ("lane_tokens", "lane_idle_tokens", "lane_boundary_tokens", "lane_loss_tokens")
COUNTS = (
    "tokens",
    "steps",
    "blocks",
    "tail_blocks",
    "dropped_tokens",
    "prompt_tokens",
    "idle_tokens",
    "boundary_tokens",
    "loss_tokens",
)
TOKEN_INDEX = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("subset", pa.string(), nullable=False),
        pa.field("group", pa.string()),
        pa.field("language", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("start_byte", pa.int64(), nullable=False),
        pa.field("end_byte", pa.int64(), nullable=False),
        pa.field("duration_s", pa.float64()),
        *(pa.field(name, pa.int64()) for name in COUNTS),
        *(pa.field(name, pa.list_(pa.int64())) for name in PER_LANE),
    ]
)


def value_lanes(schema: TokenSchema) -> list[str]:
    """The lanes whose positions hold numbers beside their ids."""
    return [lane.name for lane in schema.lanes if lane.as_ in ("slots", "mel")]


def members_of(schema: TokenSchema) -> set[str]:
    """The members that every sample of a token corpus has."""
    names = {"json", *(f"{name}.npy" for name in ARRAYS)}
    return names | {f"values.{lane}.npy" for lane in value_lanes(schema)}


def pack_tokens(schema: TokenSchema, timeline: Timeline, tokens: Tokens) -> Packed:
    """The bytes depend on the tokens and the library versions alone."""
    shape = (-1, tokens.streams) if tokens.streams > 1 else (-1,)
    members = {"json": _about(timeline, tokens)}
    for name, dtype in ARRAYS.items():
        array = np.asarray(getattr(tokens, name), dtype)
        members[f"{name}.npy"] = npy_bytes(array.reshape(shape))
    for lane in value_lanes(schema):
        rows = tokens.values.get(lane, np.zeros((0, 0)))  # no camera: still one member set
        members[f"values.{lane}.npy"] = npy_bytes(np.asarray(rows, np.float32))
    return Packed(timeline.key, members, token_row(schema, timeline, tokens))


def unpack_tokens(members: Mapping[str, bytes], where: str) -> Tokens:
    """The Tokens of a sample's members, arrays flat again. StrettoError when they are not."""
    about = read_about(members, where)
    try:
        arrays: dict[str, Any] = {n: _array(members, n, t, where) for n, t in ARRAYS.items()}
        report, streams = Report(**about["report"]), int(about["streams"])
    except (KeyError, TypeError, ValueError) as error:
        raise StrettoError(f"member json lacks or has another field: {error}", where) from None
    if len({a.shape for a in arrays.values()}) != 1:
        raise StrettoError("its arrays differ in shape", where)
    wide = (len(arrays["ids"]), streams) if streams > 1 else (len(arrays["ids"]),)
    if arrays["ids"].shape != wide:
        found = list(arrays["ids"].shape)
        raise StrettoError(f"arrays of shape {found} for {streams} streams", where)
    names = [n[len("values.") : -len(".npy")] for n in members if n.startswith("values.")]
    values = {n: _array(members, f"values.{n}", np.float32, where) for n in sorted(names)}
    flat = {name: array.reshape(-1) for name, array in arrays.items()}
    return Tokens(**flat, report=report, streams=streams, values=_there(values))


def read_about(members: Mapping[str, bytes], where: str) -> dict[str, Any]:
    """The `json` member: key, subset, language, duration_s, streams, report ..."""
    try:
        about = json.loads(members["json"])
        if isinstance(about, dict):
            return about
    except (KeyError, ValueError):
        pass
    raise StrettoError("the sample has no `.json` member that can be read", where)


def _there(values: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Without the lanes that this sample does not have."""
    return {name: rows for name, rows in values.items() if rows.shape != (0, 0)}


def _array(members: Mapping[str, bytes], name: str, dtype: Any, where: str) -> NDArray[Any]:
    try:
        array = np.load(io.BytesIO(members[f"{name}.npy"]), allow_pickle=False)
    except KeyError:
        raise StrettoError(f"no member {name}.npy", where) from None
    except (ValueError, EOFError, OSError) as error:
        raise StrettoError(f"member {name}.npy is not an array: {error}", where) from None
    if array.dtype != np.dtype(dtype):
        raise StrettoError(f"member {name}.npy is {array.dtype}, not {np.dtype(dtype)}", where)
    return array


def _about(timeline: Timeline, tokens: Tokens) -> bytes:
    about = {
        "key": timeline.key,
        "subset": timeline.subset,
        "language": timeline.language,
        "duration_s": timeline.duration_s,
        "tokens": len(tokens.ids),
        "streams": tokens.streams,
        "steps": len(tokens.ids) // tokens.streams,
        "step_count": timeline.act.step_count if timeline.act else None,
        "fps": timeline.act.fps if timeline.act else None,
        "report": asdict(tokens.report),
    }
    return json.dumps(about, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def token_row(schema: TokenSchema, timeline: Timeline, tokens: Tokens) -> dict[str, Any]:
    """What `index.parquet` says of a sample, but its place."""
    return {
        "key": timeline.key,
        "group": timeline.group,
        "language": timeline.language,
        "kind": kind_of(timeline),
        "duration_s": timeline.duration_s,
        **counts(schema, tokens),
    }


def counts(schema: TokenSchema, tokens: Tokens) -> dict[str, Any]:
    """The columns COUNTS and PER_LANE. Boundaries and idle tokens count outside of the prompt."""
    inside = np.asarray(tokens.block) >= 0
    idle = inside & (tokens.kind == IDLE)
    boundary = inside & ((tokens.kind == OPEN) | (tokens.kind == CLOSE))
    loss = tokens.loss > 0
    n_lanes, n = len(schema.lanes), len(tokens.ids)

    def by_lane(mask: NDArray[np.bool_]) -> list[int]:
        return np.bincount(tokens.lane[mask], minlength=256)[:n_lanes].tolist()

    return {
        "tokens": n,
        "steps": n // tokens.streams,
        "blocks": tokens.report.blocks,
        "tail_blocks": tokens.report.tail_blocks,
        "dropped_tokens": tokens.report.dropped_text_tokens,
        "prompt_tokens": n - int(inside.sum()),
        "idle_tokens": int(idle.sum()),
        "boundary_tokens": int(boundary.sum()),
        "loss_tokens": int(loss.sum()),
        "lane_tokens": by_lane(inside),
        "lane_idle_tokens": by_lane(idle),
        "lane_boundary_tokens": by_lane(boundary),
        "lane_loss_tokens": by_lane(inside & loss),
    }
