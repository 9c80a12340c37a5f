"""The last step: what a token corpus needs to be read without its source, and its summary.

Written beside the tars: `schema.yaml` (normalised), `vocabulary.json`, `codecs/` (those that made
the ids), `index.parquet`, `dataset.json`, and README.md. Doing it again gives the same bytes.
`source.json` says where the source lies as seen from here, for `stretto validate`: the one file that
depends on a place.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pipeline.commit import Commit, read_commit
from pipeline.plan import Plan
from pipeline.retokenize_card import token_card
from pipeline.retokenize_pack import TOKEN_INDEX
from pipeline.retokenize_plan import KIND, TOKENS_FORMAT, Source
from pipeline.retokenize_rates import rates
from pipeline.store import Store
from pipeline.store_local import LocalStore
from schemas.errors import StrettoError
from token_schema.codec_set import FOLDER, CodecSet
from token_schema.codecs.base import MANIFEST
from token_schema.language import TokenSchema, parse_schema

SCHEMA_FILE = "schema.yaml"
VOCABULARY_FILE = "vocabulary.json"
SOURCE_FILE = "source.json"


def finish_tokens(
    store: Store, source: Source, schema: TokenSchema, codecs: CodecSet, plan: Plan
) -> dict[str, Any]:
    """Write everything but the shards; gives dataset.json's content."""
    with ThreadPoolExecutor(16) as pool:  # an object store answers one read in 20 to 50 ms
        read = list(pool.map(lambda s: _rows(read_commit(store, s.commit)), plan.shards))
    table = _index([rows for _, rows in read])
    _put_language(store, schema, codecs)
    place = {"at": _source_place(source.corpus.store, store)}
    store.write_bytes(SOURCE_FILE, json.dumps(place).encode() + b"\n")
    out = pa.BufferOutputStream()
    pq.write_table(table, out, compression="zstd")
    store.write_bytes("index.parquet", out.getvalue())
    summary = _summary(source, schema, codecs, plan, [c for c, _ in read], table)
    text = json.dumps(summary, indent=1, ensure_ascii=False, sort_keys=True)
    store.write_bytes("dataset.json", text.encode() + b"\n")
    store.write_bytes("README.md", token_card(summary, schema, table).encode())
    return summary


def stored_schema(store: Store) -> TokenSchema:
    """The schema of a token corpus. Raises StrettoError."""
    where = f"{store.shown}/{SCHEMA_FILE}"
    try:
        return parse_schema(yaml.safe_load(store.read_bytes(SCHEMA_FILE)), where)
    except (yaml.YAMLError, UnicodeDecodeError):
        raise StrettoError("not YAML", where, "run `stretto retokenize` again") from None


def find_source(store: Store) -> str | None:
    """Where the source of a token corpus lay when it was made, or None when nobody knows."""
    try:
        at = json.loads(store.read_bytes(SOURCE_FILE))["at"]
    except (StrettoError, ValueError, KeyError, TypeError):
        return None
    if not at or "://" in at:
        return at or None
    return os.path.normpath(store.root / at) if isinstance(store, LocalStore) else None


def _source_place(source: Store, store: Store) -> str:
    """Relative where both are folders, so that they can move together; no credentials."""
    if not isinstance(source, LocalStore):
        return source.shown
    return os.path.relpath(source.root, store.root) if isinstance(store, LocalStore) else ""


def schema_text(schema: TokenSchema) -> str:
    """The schema as a YAML file of its own: what it extends merged in, defaults left out."""
    data = schema.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    data["lanes"] = [_lane(lane) for lane in data["lanes"]]
    if parse_schema(data, SCHEMA_FILE).hash != schema.hash:
        fix = "report this: it is a fault of stretto"
        raise StrettoError("the schema does not come back from its file", schema.name, fix)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _lane(fields: dict[str, Any]) -> dict[str, Any]:
    channel = fields["channel"]
    same = {"channel": channel, "name": channel}
    return {channel: {k: v for k, v in fields.items() if same.get(k) != v}}


def _put_language(store: Store, schema: TokenSchema, codecs: CodecSet) -> None:
    store.write_bytes(SCHEMA_FILE, schema_text(schema).encode())
    store.write_bytes(VOCABULARY_FILE, codecs.vocabulary.to_json().encode())
    for name, codec in sorted(codecs.codecs.items()):
        files = codec.to_files()
        for file in sorted(files, key=lambda f: (f == MANIFEST, f)):
            store.write_bytes(f"{FOLDER}/{name}/{file}", files[file])


def _rows(commit: Commit) -> tuple[Commit, pa.Table]:
    table = pa.Table.from_pylist(list(commit.rows), schema=TOKEN_INDEX)
    return commit.model_copy(update={"rows": (), "keys": ()}), table


def _index(tables: Sequence[pa.Table]) -> pa.Table:
    if not any(table.num_rows for table in tables):
        raise StrettoError(
            "every sample was quarantined, so there are no tokens", fix="read quarantine/*.jsonl"
        )
    order = [(name, "ascending") for name in ("split", "subset", "shard", "start_byte")]
    # one chunk: the row groups of a parquet file follow the chunks that are written
    return pa.concat_tables(tables).sort_by(order).combine_chunks()


def _summary(
    source: Source,
    schema: TokenSchema,
    codecs: CodecSet,
    plan: Plan,
    commits: Sequence[Commit],
    table: pa.Table,
) -> dict[str, Any]:
    reasons: Counter[str] = Counter()
    for commit in commits:
        reasons.update(commit.reasons)
    return {
        "format": TOKENS_FORMAT,
        "kind": KIND,
        "name": f"{source.name}-{schema.name}",
        "schema": {
            "name": schema.name,
            "mode": schema.mode,
            "hash": schema.hash,
            "lanes": [lane.name for lane in schema.lanes],
            "channels": [lane.channel for lane in schema.lanes],
            "vocabulary": codecs.vocabulary.size,
        },
        "codecs": {name: codec.hash for name, codec in sorted(codecs.codecs.items())},
        "language_hash": codecs.hash,
        "source": {"name": source.name, "fingerprint": source.fingerprint, "split": source.split},
        "fingerprint": plan.fingerprint.model_dump(mode="json"),
        "shards": sum(c.shard is not None for c in commits),
        "samples": table.num_rows,
        "hours": round(math.fsum(table["duration_s"].to_pylist()) / 3600, 6),
        "records": {
            "planned": plan.planned,
            "committed": table.num_rows,
            "quarantined": sum(c.quarantined for c in commits),
        },
        "quarantined_by_stage": dict(sorted(reasons.items())),
        "unexpected": sum(c.unexpected for c in commits),
        "rates": rates(table, [lane.name for lane in schema.lanes]),
    }
