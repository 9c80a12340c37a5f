"""Tokens sample by sample: compiled while streaming a corpus, or read from a token corpus.

    for key, tokens in stream_tokens("out/demo", "my.yaml", split="train"): ...
    for key, tokens in read_tokens("out/demo-mine", split="train"): ...

Both give the same arrays in the same order: an edited schema needs no step at all, a token corpus
only saves the time of compiling. For random access: `open_tokens(url).read(row)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.corpus_files import dataset
from pipeline.retokenize_finish import stored_schema
from pipeline.retokenize_pack import unpack_tokens
from pipeline.retokenize_plan import KIND
from pipeline.store import open_store
from pipeline.stream import Corpus, open_corpus, read_members
from schemas.errors import StrettoError
from token_schema.codec_set import CodecSet
from token_schema.encode import compile_sample
from token_schema.language import TokenSchema, load_schema
from token_schema.tokens import Tokens


def stream_tokens(
    url: str,
    schema: TokenSchema | str,
    split: str | None = None,
    subset: str | None = None,
    codecs: str | None = None,
) -> Iterator[tuple[str, Tokens]]:
    """(key, Tokens) of each sample, compiled as it comes, in the order of the index.

    `schema` is a preset's name, a file or a TokenSchema; `codecs` a folder whose codecs/ is used in
    place of the corpus's. Raises StrettoError for a sample that cannot be compiled.
    """
    corpus = open_corpus(url)
    loaded = schema if isinstance(schema, TokenSchema) else load_schema(schema)
    codec_set = CodecSet.load(open_store(codecs) if codecs else corpus.store, loaded)
    for row in corpus.rows(split, subset):
        timeline, media = corpus.read(int(row))
        yield timeline.key, compile_sample(loaded, codec_set, timeline, media)


@dataclass(frozen=True)
class TokenCorpus:
    """An opened token corpus: `corpus.index` has one row a sample, `about` is its dataset.json."""

    corpus: Corpus
    about: dict[str, Any]
    schema: TokenSchema

    def codecs(self) -> CodecSet:
        """The codecs that made the ids: they decode them and give the vocabulary."""
        return CodecSet.load(self.corpus.store, self.schema)

    def read(self, row: int) -> Tokens:
        """The tokens of an index row."""
        at, store = self.corpus.row(row), self.corpus.store
        where = f"{self.corpus.url}/{at['shard']}: sample {at['key']}"
        length = at["end_byte"] - at["start_byte"]
        data = store.read_range(at["shard"], at["start_byte"], length)
        return unpack_tokens(read_members(data, at["key"], where), where)


def open_tokens(url: str) -> TokenCorpus:
    """Open what `stretto retokenize` made. Raises StrettoError when it is something else."""
    corpus = open_corpus(url)
    about = dataset(corpus.store)
    if about.get("kind") != KIND:
        raise StrettoError(
            "this corpus holds no tokens", corpus.url, "run `stretto retokenize`, or stream it"
        )
    return TokenCorpus(corpus, about, stored_schema(corpus.store))


def read_tokens(
    url: str, split: str | None = None, subset: str | None = None
) -> Iterator[tuple[str, Tokens]]:
    """(key, Tokens) of each sample of a token corpus, in the order of its index."""
    opened = open_tokens(url)
    for row in opened.corpus.rows(split, subset):
        yield opened.corpus.row(int(row))["key"], opened.read(int(row))
