"""The files of a finished corpus, read for checking, counting and describing it.

Every function takes a `pipeline.store.Store`. Missing or unreadable files raise a StrettoError that
says which file and what to do.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.commit import Commit, read_commit
from pipeline.store import Store
from schemas.errors import StrettoError

NO_CORPUS = "give the folder that `stretto generate CONFIG --out DIR` has finished"


def dataset(store: Store) -> dict[str, Any]:
    """`dataset.json`: config, fingerprint, versions, counts."""
    return _json(store, "dataset.json")


def index_table(store: Store) -> pa.Table:
    """`index.parquet`: one row a sample."""
    data = _bytes(store, "index.parquet")
    try:
        return pq.read_table(io.BytesIO(data), use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise StrettoError(
            f"not a parquet file: {error}", "index.parquet", "run `stretto generate` again"
        ) from None


def quarantine(store: Store) -> list[dict[str, Any]]:
    """The rows of `quarantine/*.jsonl`, in the order of the file names."""
    return [row for name in sorted(store.list("quarantine/")) for row in json_lines(store, name)]


def commits(store: Store) -> list[Commit]:
    """The commit records in the order of their names; an object store answers 16 at a time."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda name: read_commit(store, name), sorted(store.list("commits/"))))


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
