"""The data card and the Croissant file of a finished corpus, from what lies in its folder.

`write_cards(store)` writes README.md (with the YAML front matter that the Hub reads: one config a
subset, its files by split and its features) and croissant.json. No clock, no host name: the same
corpus gives the same cards.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

import data_cards
from pipeline.corpus_files import dataset, index_table, sample_json
from pipeline.croissant import croissant
from pipeline.stats import corpus_stats
from pipeline.store import Store
from pipeline.validate_media import expected_members
from schemas.timeline import Timeline

TEMPLATE = Path(data_cards.__file__).with_name("corpus.md")
# Timelines read for the statistics; a larger corpus is drawn from by key
AT_MOST = 4000
REASONS = 12
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
    rows = index_table(store).to_pylist()
    shards = {(row["split"], row["subset"], row["shard"]): None for row in rows}
    first = {row["subset"]: row for row in reversed(rows)}
    members = {s: _members(sample_json(store, row)) for s, row in sorted(first.items())}
    store.write_bytes("README.md", card(stats, about, list(shards), members).encode())
    store.write_bytes("croissant.json", croissant(store, stats, about).encode())


def _members(timeline: bytes) -> list[str]:
    return sorted(expected_members(Timeline.model_validate_json(timeline)))


def card(
    stats: dict[str, Any],
    about: dict[str, Any],
    shards: Sequence[tuple[str, str, str]],
    members: Mapping[str, Sequence[str]],
) -> str:
    """README.md. `shards`: (split, subset, tar) in the order of the index; `members` by subset."""
    head = front_matter(stats, shards, members)
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
    _, subset, shard = shards[0]
    config = {k: v for k, v in about.get("config", {}).items() if k != "sources"}
    robot = any(part["steps"] for part in stats["parts"])
    parts = {
        "name": stats["name"],
        "samples": f"{stats['samples']:,}",
        "hours": f"{stats['hours']:.2f}",
        "parts": _parts(stats),
        "example_shard": shard,
        "example_subset": subset,
        "sample_rate": str(config.get("speech", {}).get("sample_rate_hz", "")),
        "robot_members": ROBOT_MEMBERS if robot else "",
        "how": _how(about),
        "fingerprint": str(about.get("fingerprint", {}).get("digest", "")),
        "config": yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
        "behaviours": _behaviours(stats),
        "measured": _measured(stats),
        "human_source": stats["human"]["source"],
        "statistics": _statistics(stats),
        "sources": _sources(stats),
        "rejected": _rejected(stats),
        "limits": _limits(about, robot),
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
                    for split in ("train", "val", "test")
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


def hub_licence(licence: str | None) -> str:
    """`CC0-1.0` as `cc0-1.0`; what the Hub has no name for is `other`, none at all `unknown`."""
    if not licence:
        return "unknown"
    return licence.lower() if licence.lower() in HUB_LICENCES else "other"


ROBOT_MEMBERS = """\
| `KEY.look.CAMERA.mp4` | every frame of a camera, each a key frame |
| `KEY.act.npy` | float32 [steps, dimensions]: what the robot is told, a row a step |
| `KEY.state.npy` | float32 [steps, dimensions]: what it feels |
"""


def _parts(stats: dict[str, Any]) -> str:
    return _table(
        ("split", "subset", "language", "samples", "hours", "turns", "action steps"),
        [
            (
                p["split"],
                p["subset"],
                p["language"],
                f"{p['samples']:,}",
                f"{p['hours']:.3f}",
                f"{p['turns']:,}",
                f"{p['steps']:,}",
            )
            for p in stats["parts"]
        ],
    )


def _how(about: dict[str, Any]) -> str:
    config = about.get("config", {})
    versions = about.get("fingerprint", {}).get("versions", {})
    speech = config.get("speech", {}).get("backend", "?")
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return (
        f"Each record was planned as a scene (turns, gaps, pauses, barge-ins, backchannels), "
        f"spoken by `{speech}`, placed on one clock, labelled by the "
        f"`{config.get('annotator', {}).get('backend', '?')}` annotator and checked. "
        f"Versions: {_md(listed)}."
    )


def _behaviours(stats: dict[str, Any]) -> str:
    rows = [(name.replace("_", " "), f"{n:,}") for name, n in stats["behaviours"].items()]
    return _table(("behaviour", "samples"), rows) if rows else "Plain turns only."


def _measured(stats: dict[str, Any]) -> str:
    if stats["samples_read"] == stats["samples"]:
        return ""
    return f"Measured on {stats['samples_read']:,} of the samples, drawn by key. "


def _statistics(stats: dict[str, Any]) -> str:
    taking, human = stats["turn_taking"], stats["human"]
    rows = []
    for name, found, people in (
        ("floor transfer to the user, s", taking["user"]["fto"], human["fto_s"]),
        ("floor transfer to the assistant, s", taking["assistant"]["fto"], human["fto_s"]),
        ("pause of the user, s", taking["user"]["pause"], human["pause_s"]),
        ("pause of the assistant, s", taking["assistant"]["pause"], human["pause_s"]),
        ("silent after an interruption starts, s", taking["silent_after_interruption_starts"], {}),
    ):
        rows.append((name, _quantiles(found["s"]), _quantiles(people)))
    for name, value, people in (
        ("both speak, share of time", taking["overlap_frac"], human["overlap_frac"]),
        ("none speaks, share of time", taking["silent_frac"], human["silent_frac"]),
        ("floor transfers a minute", taking["transitions_per_min"], human["transitions_per_min"]),
        (
            "backchannels a minute of the assistant",
            taking["assistant"]["backchannels_per_min"],
            human["backchannels_per_min"],
        ),
        ("words a minute of speech, user", stats["words_per_min"]["user"], None),
        ("words a minute of speech, assistant", stats["words_per_min"]["assistant"], None),
        ("action steps that idle, share", stats["actions"]["idle_frac"], None),
    ):
        rows.append((name, _value(value), _value(people)))
    return _table(("p10 / p50 / p90, or a share", "this corpus", "people"), rows)


def _quantiles(found: dict[str, float] | None) -> str:
    return " / ".join(f"{found[p]:.2f}" for p in ("p10", "p50", "p90")) if found else "-"


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _sources(stats: dict[str, Any]) -> str:
    rows = [
        (s["source"], s["licence"] or "not stated", f"{s['samples']:,}") for s in stats["sources"]
    ]
    return _table(("source", "licence", "samples"), rows)


def _rejected(stats: dict[str, Any]) -> str:
    found = stats["rejected"]
    if not found:
        return "Every input record is a sample."
    rows = [(r["status"], r["stage"], r["reason"], f"{r['records']:,}") for r in found[:REASONS]]
    more = f"\n\nand {len(found) - REASONS} more reasons" if len(found) > REASONS else ""
    head = "Input records that are not samples (all in `quarantine/`):\n\n"
    return head + _table(("status", "stage", "reason", "records"), rows) + more


def _limits(about: dict[str, Any], robot: bool) -> str:
    lines = []
    if about.get("config", {}).get("speech", {}).get("backend") == "espeak":
        lines.append(
            "Speech is made by espeak-ng, a formant synthesizer: words and times are exact, the "
            "voices are not natural. Use it to prove a pipeline, not to ship a voice."
        )
    lines.append("Dialogues come from text: hesitations and laughter that no one wrote are absent.")
    lines.append("Labels follow rules on what had been revealed; no person has checked them.")
    lines.append("`listen` is clean speech: no room, no noise, no line.")
    if robot:
        lines.append("The robot idles while it is told its task; it never speaks of failure.")
    return "\n".join(f"- {line}" for line in lines)


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *([_md(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _md(text: str) -> str:
    """Corpus text in a Markdown table: no markup of its own, one line."""
    safe = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", safe)
