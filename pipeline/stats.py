"""Statistics of a finished corpus: what is in it, and how people would have taken the same turns.

`corpus_stats(store) -> dict` reads index, quarantine and every Timeline once; memory does not grow
with the hours, because distributions are counts of whole milliseconds. The result is plain JSON
data in a fixed order, without a clock, so the same corpus gives the same text.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.corpus_files import dataset, index_table, quarantine, rows, sample_json
from pipeline.human import human
from pipeline.store import Store
from pipeline.sums import hours
from pipeline.tally import Tally
from schemas.draws import digest
from schemas.timeline import Timeline

READERS = 8
PART = ("split", "subset", "language")


def corpus_stats(store: Store, at_most: int | None = None) -> dict[str, Any]:
    """All statistics of the corpus at `store`. Raises StrettoError when there is no corpus.

    Of a larger corpus only `at_most` Timelines are read, drawn by the hash of their keys.
    """
    index, about = index_table(store), dataset(store)
    tally, subsets = Tally(), dict[str, Tally]()
    taken = drawn(index, at_most)
    for timeline in timelines(store, taken):
        subsets.setdefault(timeline.subset, Tally()).add(timeline)
    for part in subsets.values():
        tally.merge(part)
    found = parts(index)
    return {
        "name": about.get("name", ""),
        "samples": index.num_rows,
        "samples_read": taken.num_rows,
        "hours": hours([pc.sum(index["duration_s"]).as_py() or 0.0]),
        "longest_s": pc.max(index["duration_s"]).as_py(),
        "parts": found,
        **tally.result(),
        "subsets": talk(subsets),
        "human": human(),
        "rejected": rejections(quarantine(store)),
        "vad": about.get("vad"),
        "checks": about.get("checks"),
    }


def talk(subsets: dict[str, Tally]) -> dict[str, Any]:
    """Turn-taking of each subset that has any: recordings are people, and no merit of ours."""
    results = {name: subsets[name].result() for name in sorted(subsets)}
    kept = ("turn_taking", "distance", "exchange")
    return {
        name: {part: result[part] for part in kept}
        for name, result in results.items()
        if result["turn_taking"]["dialogue_hours"]
    }


def drawn(index: pa.Table, at_most: int | None) -> pa.Table:
    """The index itself, or the `at_most` rows whose keys hash lowest, in their order."""
    if at_most is None or index.num_rows <= at_most:
        return index
    keys = (row["key"] for row in rows(index.select(["key"])))
    lowest = heapq.nsmallest(at_most, keys, key=digest)
    return index.filter(pc.is_in(index["key"], value_set=pa.array(lowest, pa.string())))


def timelines(store: Store, index: pa.Table) -> Iterator[Timeline]:
    """Every Timeline in the order of the rows; an object store answers READERS at a time."""
    with ThreadPoolExecutor(READERS) as pool:
        for batch in index.to_batches(64 * READERS):
            for data in pool.map(lambda row: sample_json(store, row), batch.to_pylist()):
                yield Timeline.model_validate_json(data)


def parts(index: pa.Table) -> list[dict[str, Any]]:
    """Samples, hours, speech hours and turns of each (split, subset, language)."""
    sums = ("duration_s", "user_speech_s", "assistant_speech_s", "turns", "step_count")
    # one thread: the order of a sum decides its last digit
    grouped = index.group_by(list(PART), use_threads=False)
    found = grouped.aggregate([("key", "count"), *((name, "sum") for name in sums)]).to_pylist()
    order = {"train": 0, "val": 1, "test": 2}
    return [
        {
            **{name: row[name] for name in PART},
            "samples": row["key_count"],
            "hours": hours([row["duration_s_sum"]]),
            "user_speech_hours": hours([row["user_speech_s_sum"]]),
            "assistant_speech_hours": hours([row["assistant_speech_s_sum"]]),
            "turns": row["turns_sum"],
            "steps": row["step_count_sum"],
        }
        for row in sorted(
            found, key=lambda r: (order.get(r["split"], 3), *(r[name] for name in PART))
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
