"""Promises about a corpus's files: every record accounted for, every byte where it is said to be.

`Books` is what the plan, the commit records, the quarantine, the index and dataset.json say; the
functions yield one `(where, what)` a fault. The tars themselves are read by `pipeline.validate`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.commit import Commit, read_commit
from pipeline.corpus_files import dataset, index_table, json_lines
from pipeline.plan import PLAN, SOURCE_QUARANTINE, Plan, read_plan
from pipeline.store import Store
from schemas.base import KEY_PATTERN
from schemas.errors import StrettoError

Fault = tuple[str, str]


@dataclass
class Books:
    """`unreadable` holds the faults of files that could not be read at all."""

    store: Store
    plan: Plan
    commits: dict[str, Commit] = field(default_factory=dict)
    planned: dict[str, list[str]] = field(default_factory=dict)
    quarantined: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    index: list[dict[str, Any]] = field(default_factory=list)
    dataset: dict[str, Any] = field(default_factory=dict)
    unreadable: list[Fault] = field(default_factory=list)


def open_books(store: Store) -> Books:
    """Read everything but the tars. Raises StrettoError when there is no corpus to check."""
    plan = read_plan(store)
    if plan is None:
        raise StrettoError(
            "no plan there, so no corpus", f"{store.shown}/{PLAN}", "run `stretto generate` first"
        )
    books = Books(store, plan)
    for shard in plan.shards:
        books.planned[shard.name] = _attempt(books, lambda s=shard: _planned_keys(store, s), [])
        if store.exists(shard.commit):
            commit = _attempt(books, lambda s=shard: read_commit(store, s.commit), None)
            if commit is not None:
                books.commits[shard.name] = commit
        rows = lambda s=shard: list(json_lines(store, s.quarantine))  # noqa: E731
        books.quarantined[shard.name] = (
            _attempt(books, rows, []) if store.exists(shard.quarantine) else []
        )
    books.quarantined["source"] = _attempt(
        books, lambda: list(json_lines(store, SOURCE_QUARANTINE)), []
    )
    books.index = _attempt(books, lambda: index_table(store).to_pylist(), [])
    books.dataset = _attempt(books, lambda: dataset(store), {})
    return books


def _attempt(books: Books, read: Any, otherwise: Any) -> Any:
    try:
        return read()
    except StrettoError as error:
        fault = (error.where or "corpus", error.what)
        if fault not in books.unreadable:
            books.unreadable.append(fault)
        return otherwise


def _planned_keys(store: Store, shard: Any) -> list[str]:
    """The keys of a shard's plan file, which must be the bytes that were planned."""
    name = f"plan/{shard.name}.jsonl"
    if not store.exists(name):
        raise StrettoError("the plan file is missing", name)
    data = store.read_bytes(name)
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise StrettoError("these are not the bytes that were planned (sha256)", name)
    return [row["key"] for row in json_lines(store, name)]


# ---- checks --------------------------------------------------------------------------------------


def accounted(books: Books) -> Iterator[Fault]:
    """planned = committed + quarantined, each key once; what never was a sample has a reason."""
    yield from books.unreadable
    for shard in books.plan.shards:
        keys = books.planned[shard.name]
        if not keys:
            continue
        if len(keys) != shard.records:
            yield shard.name, f"{len(keys)} records in its plan file, {shard.records} planned"
        if shard.name in books.commits:
            yield from _shard_accounted(books, shard.name, keys)
    yield from _counts(books)
    every = [key for keys in books.planned.values() for key in keys]
    if twice := [key for key, n in Counter(every).items() if n > 1]:
        yield twice[0], "is planned twice"


def _shard_accounted(books: Books, name: str, keys: list[str]) -> Iterator[Fault]:
    made = Counter(books.commits[name].keys)
    refused = Counter(row.get("key") for row in books.quarantined[name])
    for key in keys:
        if made[key] + refused[key] == 0:
            yield key, f"is planned in {name}, but neither committed nor in quarantine"
        elif made[key] + refused[key] > 1:
            yield key, f"is in {name} {made[key]} times and in its quarantine {refused[key]} times"
    for stray in sorted(str(key) for key in (made | refused).keys() - set(keys)):
        yield stray, f"is in {name}, but was never planned there"


def _counts(books: Books) -> Iterator[Fault]:
    source = Counter(row["status"] for row in books.quarantined["source"])
    if source["quarantined"] != books.plan.quarantined or source["unused"] != books.plan.unused:
        yield (
            SOURCE_QUARANTINE,
            (
                f"{source['quarantined']} quarantined and {source['unused']} unused, "
                f"the plan counts {books.plan.quarantined} and {books.plan.unused}"
            ),
        )
    for name, rows in books.quarantined.items():
        for row in rows:
            if not row.get("reason") or not row.get("stage"):
                yield f"quarantine/{name}.jsonl", f"{row.get('record_id')} has no stage or reason"
    counted = books.dataset.get("records", {})
    made = sum(commit.samples for commit in books.commits.values())
    if counted and counted.get("committed") != made:
        yield "dataset.json", f"says {counted.get('committed')} committed, the commits say {made}"


def committed(books: Books) -> Iterator[Fault]:
    """Every planned shard has its commit record, of this plan; no tar and no record is stray."""
    for shard in books.plan.shards:
        commit = books.commits.get(shard.name)
        if commit is None:
            if not books.store.exists(shard.commit):
                yield shard.commit, "is missing: run `stretto generate` again, it makes the rest"
        elif commit.fingerprint != books.plan.fingerprint.digest:
            yield shard.commit, "was made under another config, input or version"
    tars = {c.shard for c in books.commits.values()}
    records = {shard.commit for shard in books.plan.shards}
    for name in books.store.list(""):
        if name.endswith(".tar") and name not in tars:
            yield name, "is a tar without a commit record"
        if name.startswith("commits/") and name not in records:
            yield name, "is a commit record of no planned shard"


def indexed(books: Books) -> Iterator[Fault]:
    """The index has exactly the rows of the commit records; keys are well formed and unique."""
    rows = {row["key"]: row for row in books.index}
    if len(rows) != len(books.index):
        yield "index.parquet", "a key stands there twice"
    made = {row["key"]: row for c in books.commits.values() for row in c.rows}
    for key in sorted(made.keys() - rows.keys()):
        yield key, "is committed, but not in the index"
    for key in sorted(rows.keys() - made.keys()):
        yield key, "is in the index, but in no commit record"
    for key in sorted(rows.keys() & made.keys()):
        if wrong := [n for n, value in made[key].items() if rows[key].get(n) != value]:
            yield key, f"the index says {wrong[0]}={rows[key].get(wrong[0])!r}, its commit another"
    for key in rows:
        if not re.fullmatch(KEY_PATTERN, key):
            yield repr(key), "is not a key: [a-z0-9-]+"


def split_by_group(books: Books) -> Iterator[Fault]:
    """A source group never stands in two splits."""
    splits: dict[str, set[str]] = {}
    for row in books.index:
        splits.setdefault(row["group"], set()).add(row["split"])
    for group, found in splits.items():
        if len(found) > 1:
            yield f"group {group}", f"stands in {' and '.join(sorted(found))}"
