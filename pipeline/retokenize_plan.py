"""The plan of a token corpus: the shards and keys of its source, and what its bytes rest on.

    source = open_source("out/demo", split=None)
    print_ = fingerprint_tokens(source, schema, codecs)
    plan = make_token_plan(source, print_, store)

It is a `pipeline.plan.Plan`, so that commit records, quarantine and `stretto validate` work as they
do for a corpus: plan/NAME.jsonl lists the samples of a shard in the order of the source's tar.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pipeline.corpus_files import commits, dataset
from pipeline.fingerprint import Fingerprint, InputFile, flat, shaping_versions
from pipeline.plan import PLAN, SOURCE_QUARANTINE, Plan, ShardPlan
from pipeline.store import Store
from pipeline.stream import Corpus, open_corpus
from schemas.draws import digest
from schemas.errors import StrettoError
from token_schema.codec_set import CodecSet, type_of
from token_schema.codecs.base import REAL_TYPES
from token_schema.language import TokenSchema

# Counts up when stretto itself changes the bytes of the same tokens.
TOKENS_FORMAT = 1
KIND = "tokens"  # dataset.json of a token corpus says `kind: tokens`
# What decodes the media, makes the codes and writes the shards. Speech and resampling do not.
SHAPING = (
    "av",
    "libsndfile",
    "machine",
    "numpy",
    "pyarrow",
    "pydantic",
    "scipy",
    "soundfile",
    "soxr",
    "unicode",
    "webdataset",
)
SHARD = re.compile(r"(train|val|test)/([a-z0-9-]+)-(\d{6,})\.tar")
COLUMNS = ("key", "shard", "start_byte", "end_byte")


def is_tokens(plan: Plan) -> bool:
    """Is this the plan of a token corpus?"""
    return "stretto-tokens" in plan.fingerprint.versions


@dataclass(frozen=True)
class SourceShard:
    """A committed tar of the source and its samples, in the order in which they lie there."""

    tar: InputFile
    samples: tuple[dict[str, Any], ...]

    def plan(self) -> tuple[ShardPlan, bytes]:
        """Its place in the token corpus, the same as its own, and its plan file."""
        match = SHARD.fullmatch(self.tar.name)
        if match is None:
            raise StrettoError("not a shard's name", self.tar.name, "run `stretto validate`")
        lines = "".join(json.dumps(sample) + "\n" for sample in self.samples).encode()
        shard = ShardPlan(
            split=match[1],
            subset=match[2],
            index=int(match[3]),
            records=len(self.samples),
            sha256=hashlib.sha256(lines).hexdigest(),
        )
        return shard, lines


@dataclass(frozen=True)
class Source:
    """A finished corpus to be compiled: `about` is its dataset.json, `split` None for all."""

    corpus: Corpus
    about: dict[str, Any]
    split: str | None
    shards: tuple[SourceShard, ...]

    @property
    def name(self) -> str:
        """The corpus's name."""
        return str(self.about.get("name", ""))

    @property
    def fingerprint(self) -> str:
        """The digest of what made it."""
        return str(self.about.get("fingerprint", {}).get("digest", ""))


def open_source(url: str, split: str | None = None) -> Source:
    """Open a finished corpus and read its commit records. StrettoError when it is none."""
    corpus = open_corpus(url)
    about = dataset(corpus.store)
    if about.get("kind") == KIND:
        name = about.get("source", {}).get("name")
        raise StrettoError(
            "this is a token corpus, its ids cannot be compiled again",
            corpus.url,
            f"give the corpus that it was made of ({name})",
        )
    shards = tuple(_shards(corpus, split))
    if not shards:
        known = sorted(set(corpus.index.column("split").unique().to_pylist()))
        raise StrettoError(f"no sample in split {split!r}", corpus.url, f"splits: {known}")
    return Source(corpus, about, split, shards)


def _shards(corpus: Corpus, split: str | None) -> Iterator[SourceShard]:
    tars = {c.shard: c for c in commits(corpus.store) if c.shard}
    rows = corpus.index.take(corpus.rows(split)).select(COLUMNS)
    rows = rows.sort_by([("shard", "ascending"), ("start_byte", "ascending")])
    counts = rows.group_by("shard", use_threads=False).aggregate([("key", "count")])
    at = 0
    for name, count in zip(*(counts[c].to_pylist() for c in ("shard", "key_count")), strict=True):
        if name not in tars:
            fix = "run `stretto generate` again, it makes the rest"
            raise StrettoError("this shard has no commit record", f"{corpus.url}/{name}", fix)
        commit = tars[name]
        tar = InputFile(source="corpus", name=name, size=commit.size, sha256=commit.sha256 or "")
        yield SourceShard(tar, tuple(rows.slice(at, count).to_pylist()))
        at += count


def fingerprint_tokens(source: Source, schema: TokenSchema, codecs: CodecSet) -> Fingerprint:
    """What the bytes of the token corpus rest on; no path stands in it."""
    says = schema.model_dump(mode="json", by_alias=True, exclude={"view"})
    config = flat({"schema": says}) | {"--split": source.split}
    config |= {"source.name": source.name, "source.fingerprint": source.fingerprint}
    versions = {n: v for n, v in shaping_versions().items() if n in SHAPING}
    versions |= {"stretto-tokens": str(TOKENS_FORMAT), "tokenizers": _version("tokenizers")}
    if any(type_of(codec) in REAL_TYPES for codec in codecs.codecs.values()):
        versions |= {name: _version(name) for name in ("torch", "transformers", "onnxruntime")}
    inputs = [*(s.tar for s in source.shards), *_codec_inputs(codecs)]
    whole = digest(config, versions, [i.model_dump(mode="json") for i in inputs], size=32)
    return Fingerprint(digest=whole, config=config, versions=versions, inputs=tuple(inputs))


def _codec_inputs(codecs: CodecSet) -> Iterator[InputFile]:
    for name, codec in sorted(codecs.codecs.items()):
        size = sum(map(len, codec.to_files().values()))
        yield InputFile(source="codecs", name=name, size=size, sha256=codec.hash)


def make_token_plan(source: Source, print_: Fingerprint, store: Store) -> Plan:
    """Write the plan of a folder that has none; plan.json last, it makes the plan exist."""
    _clear(store)
    shards = []
    for made, lines in (shard.plan() for shard in source.shards):
        store.write_bytes(f"plan/{made.name}.jsonl", lines)
        shards.append(made)
    # a source's rejections are its own: here every sample of it is planned
    store.write_bytes(SOURCE_QUARANTINE, b"")
    plan = Plan(
        fingerprint=print_,
        shards=tuple(sorted(shards, key=lambda s: (s.split, s.subset, s.index))),
        planned=sum(s.records for s in shards),
        quarantined=0,
        unused=0,
    )
    store.write_bytes(PLAN, plan.to_json().encode() + b"\n")
    return plan


def _clear(store: Store) -> None:
    """Remove what a run that was killed while planning left; nothing else may be there."""
    names = store.list()
    foreign = [n for n in names if not n.startswith(("plan/", "quarantine/"))]
    if foreign:
        raise StrettoError(
            f"the folder holds other files: {foreign[0]}", store.shown, "use an empty --out"
        )
    for name in names:
        store.delete(name)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
