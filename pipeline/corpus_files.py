"""The files of a finished corpus, read for checking, counting and describing it.

Every function takes a `pipeline.store.Store`. Missing or unreadable files raise a StrettoError that
says which file and what to do.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.commit import Commit, read_commit
from pipeline.store import Store
from schemas.errors import StrettoError
from token_schema.language import TokenSchema, load_schema

INDEX_FILE = "index.parquet"
NEEDED = ("key", "split", "subset", "language", "kind", "shard", "start_byte", "end_byte")
NO_CORPUS = "give the folder that `stretto generate CONFIG --out DIR` has finished"


def dataset(store: Store) -> dict[str, Any]:
    """`dataset.json`: config, fingerprint, versions, counts."""
    return _json(store, "dataset.json")


def corpus_schema(about: Mapping[str, Any]) -> TokenSchema:
    """The schema that `dataset.json` names. A path there is relative to where `generate` ran."""
    name = about.get("config", {}).get("schema", "ellsa")
    try:
        return load_schema(name)
    except StrettoError as error:
        if not str(name).endswith((".yaml", ".yml")) or Path(name).is_file():
            raise
        raise StrettoError(
            f"the corpus's token schema is not at {name}, seen from {Path.cwd()}",
            "dataset.json: config.schema",
            "run this in the folder where `stretto generate` ran, or put the schema's file there",
        ) from error


def index_table(store: Store) -> pa.Table:
    """`index.parquet`: one row a sample, as columns (a million rows as dicts take 2 GB)."""
    if not store.exists(INDEX_FILE):
        raise StrettoError(
            f"no {INDEX_FILE} there, so no finished corpus",
            store.shown,
            "run `stretto generate` first, or again until it is done",
        )
    try:
        # not read_table: it leaves a thread behind, and a process that ends while that one touches
        # Python is aborted (1 of 15 runs of `stretto fit`)
        data = pa.BufferReader(store.read_bytes(INDEX_FILE))
        table = pq.ParquetFile(data, pre_buffer=False).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise StrettoError(
            f"{INDEX_FILE} is unreadable ({error})",
            store.shown,
            "run `stretto generate` again: it writes the index anew",
        ) from None
    if lacking := [name for name in NEEDED if name not in table.column_names]:
        raise StrettoError(f"{INDEX_FILE} lacks column {lacking[0]!r}", store.shown)
    return table


def rows(table: pa.Table, batch_rows: int = 4096) -> Iterator[dict[str, Any]]:
    """The rows of a table one by one, a few of them in memory."""
    for batch in table.to_batches(batch_rows):
        yield from batch.to_pylist()


def quarantine(store: Store) -> Iterator[dict[str, Any]]:
    """The rows of `quarantine/*.jsonl`, in the order of the file names."""
    for name in sorted(store.list("quarantine/")):
        yield from json_lines(store, name)


def commits(store: Store) -> list[Commit]:
    """The commit records in the order of their names, each with its first row only.

    An object store answers 16 at a time.
    """
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda name: _head(store, name), sorted(store.list("commits/"))))


def _head(store: Store, name: str) -> Commit:
    commit = read_commit(store, name)
    return commit.model_copy(update={"rows": commit.rows[:1], "keys": ()})


def json_lines(store: Store, name: str) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file."""
    for number, line in enumerate(_bytes(store, name).splitlines(), start=1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise StrettoError(f"not JSON: {error}", f"{name}:{number}") from None


def sample_json(store: Store, row: dict[str, Any]) -> bytes:
    """The Timeline of an index row, by small reads: members before it are stepped over."""
    at, name = row["start_byte"], f"{row['key']}.json"
    while at < row["end_byte"]:
        head = store.read_range(row["shard"], at, 512)
        try:
            info = tarfile.TarInfo.frombuf(head, "utf-8", "strict")
        except tarfile.TarError as error:
            raise StrettoError(
                f"no tar header at byte {at} ({error})", row["shard"], "run `stretto validate`"
            ) from None
        if info.name == name:
            return store.read_range(row["shard"], at + 512, info.size)
        at += 512 + -(-info.size // 512) * 512
    raise StrettoError(f"no member {name}", row["shard"], "run `stretto validate`")


def _bytes(store: Store, name: str) -> bytes:
    if not store.exists(name):
        raise StrettoError("this is not a finished corpus: the file is missing", name, NO_CORPUS)
    return store.read_bytes(name)


def _json(store: Store, name: str) -> dict[str, Any]:
    try:
        return json.loads(_bytes(store, name))
    except ValueError as error:
        raise StrettoError(f"not JSON: {error}", name, "run `stretto generate` again") from None
