"""The README of a token corpus: how to read it, what it costs. No clock, no path, no host name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

import data_cards
from pipeline.card import SPLITS, shards_of
from pipeline.retokenize_pack import ARRAYS, members_of, value_lanes
from token_schema.language import TokenSchema

TEMPLATE = Path(data_cards.__file__).with_name("tokens.md")


def token_card(about: dict[str, Any], schema: TokenSchema, index: pa.Table) -> str:
    """README.md: front matter that the Hub's readers take their columns from, then the card."""
    shards, rates = shards_of(index), about["rates"]
    front = yaml.safe_dump(_front(about, schema, shards), sort_keys=False, allow_unicode=True)
    streams = len(schema.streams) if schema.mode == "parallel" else 1
    parts = {
        "name": about["name"],
        "samples": f"{about['samples']:,}",
        "hours": f"{about['hours']:.2f}",
        "tokens": f"{rates['tokens']:,}",
        "source": about["source"]["name"],
        "schema": schema.name,
        "lanes": "\n".join(_lane(lane) for lane in rates["lanes"]),
        "totals": _totals(rates),
        "example_shard": shards[0][2],
        "shape": f"[steps, {streams}], a row a step" if streams > 1 else "[tokens]",
        "last_id": str(about["schema"]["vocabulary"] - 1),
        "values": "".join(_values(lane) for lane in value_lanes(schema)),
        "quarantined": str(about["records"]["quarantined"]),
        "source_fingerprint": about["source"]["fingerprint"],
        "fingerprint": about["fingerprint"]["digest"],
    }
    body = re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m[1]], TEMPLATE.read_text("utf-8"))
    return f"---\n{front}---\n\n{body}"


def _front(
    about: dict[str, Any], schema: TokenSchema, shards: list[tuple[str, str, str]]
) -> dict[str, Any]:
    places = sorted({(subset, split) for split, subset, _ in shards})
    subsets = sorted({subset for subset, _ in places})
    return {
        "pretty_name": about["name"],
        "tags": ["full-duplex", "tokens", "webdataset", "stretto"],
        "configs": [
            {
                "config_name": subset,
                "data_files": [
                    {"split": split, "path": f"{split}/{subset}-*.tar"}
                    for split in SPLITS
                    if (subset, split) in places
                ],
            }
            for subset in subsets
        ],
        "dataset_info": [
            {"config_name": subset, "features": _features(schema)} for subset in subsets
        ],
    }


def _features(schema: TokenSchema) -> list[dict[str, Any]]:
    columns: list[dict[str, Any]] = []
    for name in sorted(members_of(schema)):
        stem = name.removesuffix(".npy")
        if name == "json":
            columns.append({"name": name, "dtype": "json"})
        elif stem in ARRAYS:
            item: Any = ARRAYS[stem].__name__
            wide = schema.mode == "parallel"
            columns.append({"name": name, "list": {"list": item} if wide else item})
        else:
            columns.append({"name": name, "list": {"list": "float32"}})
    return columns + [{"name": name, "dtype": "string"} for name in ("__key__", "__url__")]


def _lane(lane: dict[str, Any]) -> str:
    shares = " | ".join(_share(lane[f"{name}_share"]) for name in ("idle", "boundary", "loss"))
    return f"| {lane['lane']} | {lane['tokens']:,} | {lane['tokens_per_s']:,} | {shares} |"


def _totals(rates: dict[str, Any]) -> str:
    text = (
        f"{rates['tokens_per_s']:,} tokens a second in all: {_share(rates['boundary_share'])} open or"
        f" close something, {_share(rates['loss_share'])} bear a loss."
    )
    if rates["dropped_tokens"]:
        text += f" {rates['dropped_tokens']:,} text tokens were cut (a barge-in, or `tail: drop`)."
    return text


def _values(lane: str) -> str:
    what = "float32 [m, dimensions]: row k belongs to the k-th content token of this lane"
    return f"| `KEY.values.{lane}.npy` | {what} |\n"


def _share(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
