"""`stretto view DIR [KEY] --out FILE.html`: one page to look at and listen to, with no server.

With a KEY the page holds that sample, without one a few: the first of each subset, then of each
behaviour and of each language, as many as stay below 14 MB. Its tokens are those of the corpus's
own schema, or of `--schema S`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.page import build_page, json_block
from jobs.page.sample_data import sample_data
from jobs.page.token_data import token_data
from pipeline.corpus_files import corpus_schema, dataset
from pipeline.media import MemberMedia
from pipeline.retokenize_finish import SCHEMA_FILE, find_source
from pipeline.retokenize_plan import KIND
from pipeline.stream import Corpus, open_corpus
from schemas.errors import StrettoError
from schemas.timeline import Timeline
from token_schema.codec_set import CodecSet
from token_schema.language import TokenSchema, load_schema

MAX_SAMPLES = 8
MAX_BYTES = 14_000_000
NO_TOKENS = "no tokens: run `stretto fit CONFIG DIR` to see them"


def run(dir: str, key: str | None, out: str, schema: str | None = None) -> int:
    """Write the page and say where. Exit code 0.

    Raises StrettoError for an unknown key, no corpus, or a `schema` (a preset's name or a file) for
    which the corpus has no codecs. Without `schema` the page then says why it shows no tokens.
    """
    if "://" in out:
        raise StrettoError("the page is written to this machine", out, "give a local path")
    corpus = open_corpus(dir)
    refuse_tokens(corpus)
    rows = [corpus.find(key)] if key else [c["row"] for c in pick(candidates(corpus.index))]
    coder = Coder(corpus, schema)
    samples: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        sample = one(corpus, row, coder)
        size += len(json_block(sample))
        if samples and size > MAX_BYTES:
            break
        samples.append(sample)
    name = dataset(corpus.store).get("name", dir)
    page = build_page(f"{name}: stretto view", summary(name, corpus), samples)
    _write(page, Path(out))
    if coder.reason:
        print(coder.reason)
    print(f"{out}: {len(samples)} of {corpus.index.num_rows} samples, {len(page) / 1e6:.1f} MB")
    return 0


def _write(page: str, path: Path) -> None:
    """Beside, then renamed: a truncated page would look whole."""
    beside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(page, encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        what = f"cannot write ({error.strerror})"
        raise StrettoError(what, str(path), "give another --out") from None


def candidates(index: pa.Table) -> list[dict[str, Any]]:
    """The rows that `pick` may take: the first ones, and the first of each mix of traits.

    Each has `row`, its number. A million rows as dicts would take 2 GB.
    """
    joined = pc.binary_join(index["behaviours"], ",")
    traits = pa.table(
        {
            "subset": index["subset"],
            "language": index["language"],
            "behaviours": joined,
            "row": pa.array(np.arange(index.num_rows)),
        }
    )
    mixes = traits.group_by(["subset", "language", "behaviours"]).aggregate([("row", "min")])
    numbers = {*mixes["row_min"].to_pylist(), *range(min(2 * MAX_SAMPLES, index.num_rows))}
    taken = index.take(sorted(numbers)).to_pylist()
    return [row | {"row": n} for n, row in zip(sorted(numbers), taken, strict=True)]


def pick(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most MAX_SAMPLES rows: one of each subset, then of each behaviour and language."""
    seen: set[str] = set()
    chosen: dict[str, dict[str, Any]] = {}
    for traits_of in (
        lambda row: {f"subset {row['subset']}"},
        lambda row: set(row["behaviours"]),
        lambda row: {f"language {row['language']}"},
        lambda row: {f"key {row['key']}"},
    ):
        for row in rows:
            if len(chosen) == MAX_SAMPLES:
                return list(chosen.values())
            if not traits_of(row) <= seen:
                chosen[row["key"]] = row
            seen |= traits_of(row) if row["key"] in chosen else set()
        for row in chosen.values():
            seen |= {f"language {row['language']}", *row["behaviours"]}
    return list(chosen.values())


def summary(name: str, corpus: Corpus) -> str:
    """The line under the page's title."""
    hours = (pc.sum(corpus.index["duration_s"]).as_py() or 0.0) / 3600
    return f"{name}: {corpus.index.num_rows} samples, {hours:.2f} hours"


def refuse_tokens(corpus: Corpus) -> None:
    """A token corpus has no sound to play: StrettoError with what to look at instead."""
    if dataset(corpus.store).get("kind") != KIND:
        return
    source, schema = find_source(corpus.store) or "DIR", f"{corpus.store.shown}/{SCHEMA_FILE}"
    raise StrettoError(
        "a token corpus holds no sound to show",
        corpus.store.shown,
        f"look at what it was made of: stretto view {source} --schema {schema} --out FILE.html",
    )


class Coder:
    """The schema with the corpus's codecs, or the reason why there are no tokens to show.

    A schema that was asked for must work: `StrettoError` when it does not.
    """

    def __init__(self, corpus: Corpus, schema: str | None = None) -> None:
        self.schema: TokenSchema | None = None
        self.codecs: CodecSet | None = None
        self.reason, self.asked = NO_TOKENS, schema is not None
        if schema is not None:
            self.schema = load_schema(schema)
            self.codecs = CodecSet.load(corpus.store, self.schema)
            self.reason = ""
            return
        if not list(corpus.store.list("codecs/")):
            return
        try:
            self.schema = corpus_schema(dataset(corpus.store))
            self.codecs = CodecSet.load(corpus.store, self.schema)
            self.reason = ""
        except StrettoError as error:
            self.codecs, self.reason = None, f"no tokens: {error}"

    def tokens(self, timeline: Timeline, media: MemberMedia) -> tuple[dict[str, Any] | None, str]:
        """The page's token data, or None and why."""
        if self.schema is None or self.codecs is None:
            return None, self.reason
        try:
            return token_data(self.schema, self.codecs, timeline, media), ""
        except StrettoError as error:
            if self.asked:
                raise
            self.reason = f"no tokens: {error}"
            return None, self.reason


def one(corpus: Corpus, row: int, coder: Coder) -> dict[str, Any]:
    """The page's data of one sample."""
    timeline, media = corpus.read(row)
    tokens, reason = coder.tokens(timeline, media)
    return sample_data(corpus.row(row), timeline, media, tokens, reason)
