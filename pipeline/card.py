"""The data card and the Croissant file of a finished corpus, from what lies in its folder.

`write_cards(store)` writes README.md (with the YAML front matter that the Hub reads: one config a
subset, its files by split and its features) and croissant.json. No clock, no host name: the same
corpus gives the same cards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

import data_cards
from pipeline import card_statistics, card_text
from pipeline.corpus_files import dataset, index_table, sample_json
from pipeline.croissant import croissant
from pipeline.stats import corpus_stats
from pipeline.store import Store
from pipeline.validate_media import expected_members
from schemas.timeline import Timeline

TEMPLATE = Path(data_cards.__file__).with_name("corpus.md")
# Timelines read for the statistics; a larger corpus is drawn from by key
AT_MOST = 4000
SPLITS = ("train", "val", "test")
# the Hub's identifiers; others become `other`
HUB_LICENCES = {
    name.lower()
    for name in (
        "MIT Apache-2.0 CC0-1.0 CC-BY-4.0 CC-BY-SA-4.0 CC-BY-NC-4.0 CC-BY-NC-SA-4.0 CC-BY-3.0 "
        "BSD-3-Clause ODC-By ODbL"
    ).split()
}
SIZES = (
    (1e3, "n<1K"),
    (1e4, "1K<n<10K"),
    (1e5, "10K<n<100K"),
    (1e6, "100K<n<1M"),
    (1e7, "1M<n<10M"),
    (float("inf"), "n>10M"),
)


def write_cards(store: Store) -> None:
    """Write README.md and croissant.json beside the shards. Doing it again changes nothing."""
    stats = corpus_stats(store, AT_MOST)
    about = dataset(store)
    index = index_table(store)
    members = {}
    for subset in sorted(index["subset"].unique().to_pylist()):
        first = index.slice(pc.index(index["subset"], subset).as_py(), 1).to_pylist()[0]
        members[subset] = _members(sample_json(store, first))
    text = card(stats, about, shards_of(index), members)
    store.write_bytes("README.md", text.encode())
    store.write_bytes("croissant.json", croissant(store, stats, about).encode())


def shards_of(index: pa.Table) -> list[tuple[str, str, str]]:
    """(split, subset, tar) of every shard; train, val, test."""
    place = ["split", "subset", "shard"]
    found = index.group_by(place).aggregate([]).select(place).to_pylist()
    return sorted(
        ((row["split"], row["subset"], row["shard"]) for row in found),
        key=lambda shard: (SPLITS.index(shard[0]), shard[1:]),
    )


def _members(timeline: bytes) -> list[str]:
    return sorted(expected_members(Timeline.model_validate_json(timeline)))


def card(
    stats: dict[str, Any],
    about: dict[str, Any],
    shards: Sequence[tuple[str, str, str]],
    members: Mapping[str, Sequence[str]],
) -> str:
    """README.md. `shards`: (split, subset, tar), see `shards_of`; `members` by subset."""
    front = _yaml(front_matter(stats, shards, members))
    split, subset, shard = shards[0]
    config = {k: v for k, v in about.get("config", {}).items() if k != "sources"}
    robot = any(part["steps"] for part in stats["parts"])
    parts = {
        "name": stats["name"],
        "samples": f"{stats['samples']:,}",
        "hours": f"{stats['hours']:.2f}",
        "parts": card_text.parts(stats),
        "languages": card_text.languages(stats),
        "example_shard": shard,
        "example_subset": subset,
        "example_split": split,
        "sample_rate": str(config.get("speech", {}).get("sample_rate_hz", "")),
        "robot_members": card_text.more_members(robot, members),
        "how": card_text.how(about),
        "fingerprint": str(about.get("fingerprint", {}).get("digest", "")),
        "config": _yaml(config),
        "versions": card_text.versions(about),
        "behaviours": card_text.behaviours(stats),
        "measured": card_text.measured(stats),
        "human_source": stats["human"]["source"],
        "statistics": card_statistics.statistics(stats),
        "honest": card_statistics.honest(stats),
        "truth": card_text.truth(stats),
        "sources": card_text.sources(stats),
        "voices": card_text.voices(about),
        "rejected": card_text.rejected(stats),
        "limits": card_text.limits(about, robot),
    }
    body = re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m[1]], TEMPLATE.read_text("utf-8"))
    return f"---\n{front}---\n\n{body}"


def front_matter(
    stats: dict[str, Any],
    shards: Sequence[tuple[str, str, str]],
    members: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """The YAML head for the Hub: licences, languages, size, one config a subset, its features.

    The features are stated because readers infer them from the first samples, and a field of the
    Timeline that only later samples have would be dropped without a word.
    """
    licences = sorted({hub_licence(s["licence"]) for s in stats["sources"]})
    places = sorted({(subset, split) for split, subset, _ in shards})
    subsets = sorted({subset for subset, _ in places})
    return {
        "pretty_name": stats["name"],
        "license": licences if len(licences) > 1 else licences[0],
        "language": sorted({part["language"].split("-")[0] for part in stats["parts"]}),
        "size_categories": [next(name for most, name in SIZES if stats["samples"] < most)],
        "task_categories": ["audio-to-audio", "robotics"]
        if any(part["steps"] for part in stats["parts"])
        else ["audio-to-audio"],
        "annotations_creators": ["machine-generated"],
        "tags": ["full-duplex", "spoken-dialogue", "webdataset", "stretto", "croissant"],
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
            {"config_name": subset, "features": features(members[subset])} for subset in subsets
        ],
    }


def features(members: Sequence[str]) -> list[dict[str, Any]]:
    """The columns of `datasets`' WebDataset reader, by member."""
    rows = {"list": {"list": "float32"}}
    kinds: dict[str, dict[str, Any]] = {
        "json": {"dtype": "json"},
        "flac": {"dtype": "audio"},
        "mp4": {"dtype": "video"},
        "npy": rows,
    }
    columns = [{"name": name, **kinds[name.rpartition(".")[2]]} for name in members]
    return columns + [{"name": name, "dtype": "string"} for name in ("__key__", "__url__")]


class _Plain(yaml.SafeDumper):
    """Without anchors and aliases: a person reads this."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(data: Any) -> str:
    return yaml.dump(data, Dumper=_Plain, sort_keys=False, allow_unicode=True)


def hub_licence(licence: str | None) -> str:
    """`CC0-1.0` as `cc0-1.0`; what the Hub has no name for is `other`, none at all `unknown`."""
    if not licence:
        return "unknown"
    return licence.lower() if licence.lower() in HUB_LICENCES else "other"
