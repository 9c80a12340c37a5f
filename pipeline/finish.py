"""The last step: index.parquet, dataset.json and the cards, from the commit records alone.

Doing it again gives the same bytes: rows are sorted, the parquet file is one write, no clock.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from generators.scene.voices import voice_rights
from pipeline import check_report
from pipeline.card import write_cards
from pipeline.commit import Commit, read_commit
from pipeline.fingerprint import PLACES
from pipeline.index import INDEX
from pipeline.plan import SOURCE_QUARANTINE, Plan
from pipeline.store import Store
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.sample import Rejection
from schemas.timeline import TIMELINE_VERSION

DATASET_FORMAT = 1


def finish(store: Store, config: Config, plan: Plan) -> dict[str, Any]:
    """Write the corpus's own files once every shard is committed; gives dataset.json's content."""
    with ThreadPoolExecutor(16) as pool:  # an object store answers one read in 20 to 50 ms
        read = list(pool.map(lambda s: _rows(read_commit(store, s.commit)), plan.shards))
    commits = [commit for commit, _ in read]
    table = _index([rows for _, rows in read])
    store.write_bytes("index.parquet", _parquet(table))
    summary = _summary(store, config, plan, commits, table)
    text = json.dumps(summary, indent=1, ensure_ascii=False, sort_keys=True)
    store.write_bytes("dataset.json", text.encode() + b"\n")
    write_cards(store)
    return summary


def _rows(commit: Commit) -> tuple[Commit, pa.Table]:
    """A commit and its index rows: as columns, a million rows take 200 MB and not 2 GB."""
    table = pa.Table.from_pylist(list(commit.rows), schema=INDEX)
    return commit.model_copy(update={"rows": (), "keys": ()}), table


def _index(tables: list[pa.Table]) -> pa.Table:
    if not any(table.num_rows for table in tables):
        raise StrettoError(
            "every record was quarantined, so there is no corpus", fix="read quarantine/*.jsonl"
        )
    order = [(name, "ascending") for name in ("split", "subset", "shard", "start_byte")]
    # one chunk: the row groups of a parquet file follow the chunks that are written
    return pa.concat_tables(tables).sort_by(order).combine_chunks()


def _parquet(table: pa.Table) -> pa.Buffer:
    out = pa.BufferOutputStream()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def _summary(
    store: Store, config: Config, plan: Plan, commits: list[Commit], table: pa.Table
) -> dict[str, Any]:
    rejected = Counter(_source_stages(store))
    for commit in commits:
        rejected.update(commit.reasons)
    settings = config.model_dump(mode="json", by_alias=True)
    for name in PLACES:  # paths of this machine, and an environment may hold keys
        settings["speech"].pop(name)
    settings["checks"].pop("verdicts")
    return {
        "format": DATASET_FORMAT,
        "timeline_version": TIMELINE_VERSION,
        "name": config.name,
        "config": settings,
        "voices": voice_rights(config),
        "fingerprint": plan.fingerprint.model_dump(mode="json"),
        "shards": sum(c.shard is not None for c in commits),
        "samples": table.num_rows,
        "hours": round(math.fsum(table["duration_s"].to_pylist()) / 3600, 6),
        "splits": _places(table),
        "records": {
            "input": plan.planned + plan.quarantined,
            "planned": plan.planned,
            "committed": table.num_rows,
            "quarantined": plan.quarantined + sum(c.quarantined for c in commits),
            "unused": plan.unused,
        },
        "quarantined_by_stage": dict(sorted(rejected.items())),
        **check_report.summary(store, config),
        "unexpected": sum(c.unexpected for c in commits),
    }


def _places(table: pa.Table) -> dict[str, dict[str, Any]]:
    """Samples and hours of each subset of each split."""
    # one thread: the order of a sum decides its last digit
    sums = table.group_by(["split", "subset"], use_threads=False).aggregate(
        [("duration_s", "sum"), ("key", "count")]
    )
    found: dict[str, dict[str, Any]] = {}
    for row in sums.to_pylist():
        part = {"samples": row["key_count"], "hours": round(row["duration_s_sum"] / 3600, 6)}
        found.setdefault(row["split"], {})[row["subset"]] = part
    return found


def _source_stages(store: Store) -> list[str]:
    lines = store.read_bytes(SOURCE_QUARANTINE).splitlines()
    rejections = [Rejection.model_validate_json(line) for line in lines]
    return [r.stage for r in rejections if r.status == "quarantined"]
