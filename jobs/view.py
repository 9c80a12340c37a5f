"""`stretto view DIR [KEY] --out FILE.html`: one page to look at and listen to, with no server.

With a KEY the page holds that sample, without one a few: the first of each subset, then of each
behaviour and of each language, as many as stay below 14 MB.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.page import build_page, json_block
from jobs.page.sample_data import sample_data
from jobs.page.token_data import token_data
from pipeline.corpus_files import dataset
from pipeline.media import MemberMedia
from pipeline.stream import Corpus, open_corpus, read_members, read_timeline
from schemas.errors import StrettoError
from token_schema.codec_set import CodecSet
from token_schema.language import TokenSchema, load_schema

MAX_SAMPLES = 8
MAX_BYTES = 14_000_000
NO_TOKENS = "run `stretto fit CONFIG DIR` to see tokens"


def run(dir: str, key: str | None, out: str) -> int:
    """Write the page and say where. Exit code 0; StrettoError for an unknown key or no corpus."""
    corpus = open_corpus(dir)
    rows = [find(corpus, key)] if key else pick(corpus.index.to_pylist())
    coder = Coder(corpus)
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
    path = Path(out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StrettoError(f"cannot write ({error.strerror})", out, "give another --out") from None
    print(f"{out}: {len(samples)} of {corpus.index.num_rows} samples, {len(page) / 1e6:.1f} MB")
    return 0


def find(corpus: Corpus, key: str) -> dict[str, Any]:
    """The index row of `key`."""
    keys = corpus.index.column("key").to_pylist()
    if key not in keys:
        near = [k for k in keys if key in k][:3] or keys[:3]
        raise StrettoError(f"no sample {key!r}", corpus.url, f"keys are like {', '.join(near)}")
    return corpus.row(keys.index(key))


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
    hours = sum(corpus.index.column("duration_s").to_pylist()) / 3600
    return f"{name}: {corpus.index.num_rows} samples, {hours:.2f} hours"


class Coder:
    """The corpus's own schema and codecs, or the reason why there are no tokens to show."""

    def __init__(self, corpus: Corpus) -> None:
        self.schema: TokenSchema | None = None
        self.codecs: CodecSet | None = None
        self.reason = NO_TOKENS
        if not list(corpus.store.list("codecs/")):
            return
        try:
            name = dataset(corpus.store).get("config", {}).get("schema", "ellsa")
            self.schema = load_schema(name)
            self.codecs = CodecSet.load(corpus.store, self.schema)
        except StrettoError as error:
            self.codecs, self.reason = None, f"no tokens: {error}"

    def tokens(self, timeline: Any, media: MemberMedia) -> tuple[dict[str, Any] | None, str]:
        """The page's token data, or None and why."""
        if self.schema is None or self.codecs is None:
            return None, self.reason
        try:
            return token_data(self.schema, self.codecs, timeline, media), ""
        except StrettoError as error:
            return None, f"no tokens: {error}"


def one(corpus: Corpus, row: dict[str, Any], coder: Coder) -> dict[str, Any]:
    """The page's data of one sample."""
    where = f"{row['shard']}: sample {row['key']}"
    start, end = row["start_byte"], row["end_byte"]
    members = read_members(
        corpus.store.read_range(row["shard"], start, end - start), row["key"], where
    )
    timeline = read_timeline(members, where)
    tokens, reason = coder.tokens(timeline, MemberMedia(members, where))
    return sample_data(row, timeline, members, tokens, reason)
