"""Promises about a corpus's files: every record accounted for, every byte where it is said to be.

`Books` is what the plan, the commit records, the quarantine, the index and dataset.json say; the
functions yield one `(where, what)` a fault. The tars themselves are read by `pipeline.validate`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.commit import Commit, read_commit
from pipeline.corpus_files import dataset, index_table, json_lines
from pipeline.index import INDEX, INDEX_SINCE_1_2
from pipeline.plan import PLAN, SOURCE_QUARANTINE, Plan, ShardPlan, read_plan
from pipeline.retokenize_pack import TOKEN_INDEX
from pipeline.retokenize_plan import is_tokens
from pipeline.store import Store
from schemas.base import KEY_PATTERN
from schemas.errors import StrettoError

Fault = tuple[str, str]
BATCH_ROWS = 8192
# what is kept of a quarantined record; `told`: it has a stage and a reason
REFUSED = pa.schema(
    [(n, pa.string()) for n in ("key", "record_id", "status")] + [("told", pa.bool_())]
)


@dataclass
class Books:
    """Rows stay columns: a million of them as dicts take 2 GB.

    By shard: `keys` and `rows` of its commit record, the `planned` keys, the `refused` records (see
    REFUSED). `unreadable` holds the faults of files that could not be read at all.
    """

    store: Store
    plan: Plan
    commits: dict[str, Commit] = field(default_factory=dict)
    keys: dict[str, pa.Array] = field(default_factory=dict)
    rows: dict[str, pa.Table] = field(default_factory=dict)
    planned: dict[str, pa.Array] = field(default_factory=dict)
    refused: dict[str, pa.Table] = field(default_factory=dict)
    index: pa.Table = field(default_factory=INDEX.empty_table)
    dataset: dict[str, Any] = field(default_factory=dict)
    unreadable: list[Fault] = field(default_factory=list)

    @property
    def is_tokens(self) -> bool:
        """Is this a token corpus? Then its index has other columns."""
        return is_tokens(self.plan)

    @property
    def columns(self) -> pa.Schema:
        """The columns of the index."""
        return TOKEN_INDEX if self.is_tokens else INDEX


def open_books(store: Store) -> Books:
    """Read everything but the tars. Raises StrettoError when there is no corpus to check."""
    plan = read_plan(store)
    if plan is None:
        raise StrettoError(
            "no plan there, so no corpus", f"{store.shown}/{PLAN}", "run `stretto generate` first"
        )
    books = Books(store, plan)
    books.index = books.columns.empty_table()
    for shard in plan.shards:
        none = pa.array([], pa.string())
        books.planned[shard.name] = _attempt(books, lambda s=shard: _planned_keys(store, s), none)
        if store.exists(shard.commit):
            _attempt(books, lambda s=shard: _add_commit(books, s), None)
        if store.exists(shard.quarantine):
            _add_refused(books, shard.name, shard.quarantine)
    _add_refused(books, "source", SOURCE_QUARANTINE)
    books.index = _attempt(books, lambda: _index(books), books.index)
    books.dataset = _attempt(books, lambda: dataset(store), {})
    return books


def _index(books: Books) -> pa.Table:
    """The index; columns that a corpus of Timelines 1.1 and before lacks are empty."""
    table = index_table(books.store)
    if not any(name in table.column_names for name in INDEX_SINCE_1_2) and not books.is_tokens:
        for name in INDEX_SINCE_1_2:
            none = pa.nulls(table.num_rows, INDEX.field(name).type)
            table = table.append_column(INDEX.field(name), none)
    if lacking := [name for name in books.columns.names if name not in table.column_names]:
        raise StrettoError(f"lacks column {lacking[0]!r}", "index.parquet")
    return table


def _add_commit(books: Books, shard: ShardPlan) -> None:
    commit = read_commit(books.store, shard.commit)
    try:
        rows = pa.Table.from_pylist(list(commit.rows), schema=books.columns)
        rows.validate(full=True)
        if any(rows[f.name].null_count for f in books.columns if not f.nullable):
            raise pa.ArrowInvalid("a row lacks its place")
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise StrettoError(f"not index rows: {error}", shard.commit) from None
    books.rows[shard.name] = rows
    books.keys[shard.name] = pa.array(commit.keys, pa.string())
    books.commits[shard.name] = commit.model_copy(update={"rows": (), "keys": ()})


def _add_refused(books: Books, shard: str, name: str) -> None:
    lines = lambda: [  # noqa: E731
        {"told": bool(row.get("reason") and row.get("stage"))}
        | {n: str(row.get(n)) for n in ("key", "record_id", "status")}
        for row in json_lines(books.store, name)
    ]
    books.refused[shard] = pa.Table.from_pylist(_attempt(books, lines, []), schema=REFUSED)


def _attempt(books: Books, read: Any, otherwise: Any) -> Any:
    try:
        return read()
    except StrettoError as error:
        fault = (error.where or "corpus", error.what)
        if fault not in books.unreadable:
            books.unreadable.append(fault)
        return otherwise


def _planned_keys(store: Store, shard: ShardPlan) -> pa.Array:
    """The keys of a shard's plan file, which must be the bytes that were planned."""
    name = f"plan/{shard.name}.jsonl"
    if not store.exists(name):
        raise StrettoError("the plan file is missing", name)
    data = store.read_bytes(name)
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise StrettoError("these are not the bytes that were planned (sha256)", name)
    return pa.array((row["key"] for row in json_lines(store, name)), pa.string())


# ---- checks --------------------------------------------------------------------------------------


def accounted(books: Books) -> Iterator[Fault]:
    """planned = committed + quarantined, each key once; what never was a sample has a reason."""
    yield from books.unreadable
    for shard in books.plan.shards:
        keys = books.planned[shard.name].to_pylist()
        if not keys:
            continue
        if len(keys) != shard.records:
            yield shard.name, f"{len(keys)} records in its plan file, {shard.records} planned"
        if shard.name in books.commits:
            yield from _shard_accounted(books, shard.name, keys)
    yield from _counts(books)
    for key in _twice(pa.chunked_array(books.planned.values(), pa.string())):
        yield key, "is planned twice"


def _twice(keys: pa.ChunkedArray) -> list[str]:
    counts = pa.table(keys.value_counts().flatten(), ["key", "n"])
    return counts.filter(pc.greater(counts["n"], 1))["key"].to_pylist()


def _shard_accounted(books: Books, name: str, keys: list[str]) -> Iterator[Fault]:
    made = Counter(books.keys[name].to_pylist())
    refused = Counter(books.refused[name]["key"].to_pylist() if name in books.refused else ())
    for key in keys:
        if made[key] + refused[key] == 0:
            yield key, f"is planned in {name}, but neither committed nor in quarantine"
        elif made[key] + refused[key] > 1:
            yield key, f"is in {name} {made[key]} times and in its quarantine {refused[key]} times"
    for stray in sorted((made | refused).keys() - set(keys)):
        yield stray, f"is in {name}, but was never planned there"


def _counts(books: Books) -> Iterator[Fault]:
    source = Counter(books.refused["source"]["status"].to_pylist())
    if source["quarantined"] != books.plan.quarantined or source["unused"] != books.plan.unused:
        yield (
            SOURCE_QUARANTINE,
            (
                f"{source['quarantined']} quarantined and {source['unused']} unused, "
                f"the plan counts {books.plan.quarantined} and {books.plan.unused}"
            ),
        )
    for name, rows in books.refused.items():
        for record in rows.filter(pc.invert(rows["told"]))["record_id"].to_pylist():
            yield f"quarantine/{name}.jsonl", f"{record} has no stage or reason"
    yield from _summary(books)


def _summary(books: Books) -> Iterator[Fault]:
    """dataset.json counts what the commit records and the index hold."""
    if not books.dataset:
        return
    made = sum(commit.samples for commit in books.commits.values())
    seconds = pc.sum(books.index["duration_s"]).as_py() if books.index.num_rows else 0.0
    # hours are rounded to a millionth
    hours = books.dataset.get("hours")
    if not isinstance(hours, int | float) or abs(hours - seconds / 3600) > 1e-6:
        yield "dataset.json", f"says hours {hours}, there are {seconds / 3600:.6f}"
    for name, says, found in (
        ("committed", books.dataset.get("records", {}).get("committed"), made),
        ("samples", books.dataset.get("samples"), books.index.num_rows),
        ("fingerprint", _digest(books.dataset), books.plan.fingerprint.digest),
    ):
        if says != found:
            yield "dataset.json", f"says {name} {says}, there it is {found}"


def _digest(about: dict[str, Any]) -> Any:
    return about.get("fingerprint", {}).get("digest")


def committed(books: Books) -> Iterator[Fault]:
    """Every planned shard has its commit record, of this plan; no tar and no record is stray."""
    for shard in books.plan.shards:
        commit = books.commits.get(shard.name)
        if commit is None:
            if not books.store.exists(shard.commit):
                yield shard.commit, "is missing: run the same command again, it makes the rest"
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
    index, keys = books.index, books.index["key"]
    if _twice(keys):
        yield "index.parquet", "a key stands there twice"
    made = pa.concat_tables([books.columns.empty_table(), *books.rows.values()])
    for key in _others(made["key"], keys):
        yield key, "is committed, but not in the index"
    for key in _others(keys, made["key"]):
        yield key, "is in the index, but in no commit record"
    both = made.filter(pc.is_in(made["key"], value_set=keys))
    places = pc.index_in(both["key"], value_set=keys)
    for at in range(0, both.num_rows, BATCH_ROWS):
        said = index.take(places.slice(at, BATCH_ROWS))
        yield from _differences(said, both.slice(at, BATCH_ROWS))
    for key in keys.filter(pc.invert(pc.match_substring_regex(keys, KEY_PATTERN))).to_pylist():
        yield repr(key), "is not a key: [a-z0-9-]+"


def _others(keys: pa.ChunkedArray, known: pa.ChunkedArray) -> list[str]:
    return keys.filter(pc.invert(pc.is_in(keys, value_set=known))).to_pylist()


def _differences(index: pa.Table, made: pa.Table) -> Iterator[Fault]:
    """Rows of the same keys in the same order, which should be equal."""
    if index.equals(made):
        return
    for says, true in zip(index.to_pylist(), made.to_pylist(), strict=True):
        if wrong := [n for n, value in true.items() if says.get(n) != value]:
            name = wrong[0]
            yield true["key"], f"the index says {name}={says.get(name)!r}, its commit another"


def split_by_group(books: Books) -> Iterator[Fault]:
    """A source group never stands in two splits."""
    groups = books.index.group_by("group").aggregate([("split", "distinct")])
    several = groups.filter(pc.greater(pc.list_value_length(groups["split_distinct"]), 1))
    for row in several.sort_by("group").to_pylist():
        yield f"group {row['group']}", f"stands in {' and '.join(sorted(row['split_distinct']))}"
