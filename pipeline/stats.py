"""Statistics of a finished corpus: what is in it, and how people would have taken the same turns.

`corpus_stats(store) -> dict` reads index, quarantine and every Timeline once; memory does not grow
with the hours, because distributions are counts of whole milliseconds. The result is plain JSON
data in a fixed order, without a clock, so the same corpus gives the same text.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from pipeline.corpus_files import dataset, index_table, quarantine, sample_json
from pipeline.store import Store
from pipeline.tally import Tally, hours
from schemas.draws import digest
from schemas.timeline import Timeline

READERS = 8


def corpus_stats(store: Store, at_most: int | None = None) -> dict[str, Any]:
    """All statistics of the corpus at `store`. Raises StrettoError when there is no corpus.

    Of a larger corpus only `at_most` Timelines are read, drawn by the hash of their keys.
    """
    index = index_table(store)
    rejected = quarantine(store)
    tally = Tally()
    rows = drawn(index.to_pylist(), at_most)
    for timeline in timelines(store, rows):
        tally.add(timeline)
    return {
        "name": dataset(store).get("name", ""),
        "samples": index.num_rows,
        "samples_read": len(rows),
        "hours": hours(index["duration_s"].to_pylist()),
        "parts": parts(index),
        **tally.result(),
        "human": human(),
        "rejected": rejections(rejected),
        "vad": dataset(store).get("vad"),
    }


@cache
def human() -> dict[str, Any]:
    """The numbers of people's telephone conversations, with their source."""
    return yaml.safe_load(Path(__file__).with_name("human_turn_taking.yaml").read_text("utf-8"))


def drawn(rows: list[dict[str, Any]], at_most: int | None) -> list[dict[str, Any]]:
    """The rows themselves, or the `at_most` of them whose keys hash lowest, in their order."""
    if at_most is None or len(rows) <= at_most:
        return rows
    keys = set(sorted((r["key"] for r in rows), key=digest)[:at_most])
    return [row for row in rows if row["key"] in keys]


def timelines(store: Store, rows: Sequence[dict[str, Any]]) -> Iterator[Timeline]:
    """Every Timeline in the order of the rows; an object store answers READERS at a time."""
    with ThreadPoolExecutor(READERS) as pool:
        for first in range(0, len(rows), 64 * READERS):
            batch = rows[first : first + 64 * READERS]
            for data in pool.map(lambda row: sample_json(store, row), batch):
                yield Timeline.model_validate_json(data)


def parts(index: pa.Table) -> list[dict[str, Any]]:
    """Samples, hours, speech hours and turns of each (split, subset, language)."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in index.to_pylist():
        found.setdefault((row["split"], row["subset"], row["language"]), []).append(row)
    order = {"train": 0, "val": 1, "test": 2}
    return [
        {
            "split": split,
            "subset": subset,
            "language": language,
            "samples": len(rows),
            "hours": hours(r["duration_s"] for r in rows),
            "user_speech_hours": hours(r["user_speech_s"] for r in rows),
            "assistant_speech_hours": hours(r["assistant_speech_s"] for r in rows),
            "turns": sum(r["turns"] for r in rows),
            "steps": sum(r["step_count"] for r in rows),
        }
        for (split, subset, language), rows in sorted(
            found.items(), key=lambda item: (order.get(item[0][0], 3), item[0])
        )
    ]


def rejections(rejected: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many records each stage refused for each reason, the most frequent first."""
    counts = Counter((r["status"], r["stage"], r["reason"]) for r in rejected)
    return [
        {"status": status, "stage": stage, "reason": reason, "records": n}
        for (status, stage, reason), n in sorted(counts.items(), key=lambda c: (-c[1], c[0]))
    ]


def to_json(stats: dict[str, Any]) -> str:
    """The statistics as indented JSON: equal corpora give equal text."""
    return json.dumps(stats, ensure_ascii=False, indent=2)
