"""What a token corpus promises beside its files: one line each, after those of every corpus.

    token_lines(books, source)      # `stretto validate OUT [--source DIR]`

Every sample is opened: its members, its counts in the index, and its ids, which the schema's grammar
must accept with the same lane, class and block, and which must decode. Where the source corpus is
reachable (`source`, or where it lay when the tokens were made), its keys must be those here, and
a keyed share is compiled again: every array must come out equal, and text and actions come back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.retokenize_finish import VOCABULARY_FILE, find_source, stored_schema
from pipeline.retokenize_pack import ARRAYS, counts, members_of, read_about, unpack_tokens
from pipeline.retokenize_plan import Source, open_source
from pipeline.stream import read_members
from pipeline.validate_corpus import Books, Fault
from pipeline.validate_line import Line, faults_of, reason, tar_bytes
from pipeline.validate_tokens import TokenCheck, grammar_of
from schemas.errors import StrettoError
from token_schema.decode import decode
from token_schema.encode import compile_sample
from token_schema.grammar import Grammar
from token_schema.tokens import Tokens

LINES = (
    ("language", "the schema, its vocabulary and codecs are those that made the ids", "files"),
    ("checksums", "every tar has the bytes of its commit", "tars"),
    ("slices", "every byte range is one sample, one member set", "samples"),
    ("rows", "the index counts what each sample holds", "samples"),
    ("grammar", "the grammar accepts all ids, with the stored lane, class and block", "samples"),
    ("decodes", "the ids decode to as many blocks as were encoded", "samples"),
    ("known", "known_s never falls, weights and times are finite", "samples"),
    ("source", "the shards and keys are those of the source corpus", "shards"),
    ("recompiled", "compiled again, every array is equal; text and actions come back", "samples"),
)
OF_A_LANGUAGE = ("slices", "rows", "grammar", "decodes", "known", "recompiled")


@dataclass(frozen=True)
class SeenTokens:
    """A sample as it lies in its shard."""

    row: Mapping[str, Any]
    about: Mapping[str, Any]
    tokens: Tokens


@dataclass
class _Checker:
    """The opened language and source of a token corpus; grammars by subset and rate."""

    check: TokenCheck
    source: Source | None
    grammars: dict[tuple[str, float | None], Grammar] = field(default_factory=dict)

    def rows(self, seen: SeenTokens) -> Iterator[str]:
        found = counts(self.check.schema, seen.tokens)
        found |= {n: seen.about.get(n) for n in ("key", "subset", "language", "duration_s")}
        for name, value in found.items():
            if seen.row[name] != value:
                yield f"the index says {name}={seen.row[name]!r}, the sample {value!r}"

    def grammar(self, seen: SeenTokens) -> Iterator[str]:
        subset, fps = seen.row["subset"], seen.about.get("fps")
        if (subset, fps) not in self.grammars:
            made = grammar_of(self.check.schema, self.check.codecs, subset, fps)
            self.grammars[subset, fps] = made
        parsed = self.grammars[subset, fps].read(seen.tokens.ids.tolist())
        for name in ("lane", "kind", "block"):
            stored, read = getattr(seen.tokens, name), np.asarray(getattr(parsed, name))
            if not np.array_equal(stored, read):
                at = int(np.argmax(stored != read)) if stored.shape == read.shape else 0
                yield f"position {at}: {name} is {stored[at]}, the ids say {read[at]}"

    def decodes(self, seen: SeenTokens) -> Iterator[str]:
        about, language = seen.about, self.check
        decoded = decode(
            language.schema,
            language.codecs,
            seen.tokens.ids,
            seen.row["subset"],
            about.get("step_count"),
            about.get("fps"),
        )
        if decoded.block_count != seen.tokens.report.blocks:
            yield f"{decoded.block_count} blocks, its report says {seen.tokens.report.blocks}"

    def known(self, seen: SeenTokens) -> Iterator[str]:
        known_s, loss = seen.tokens.known_s, seen.tokens.loss
        if not (np.isfinite(known_s).all() and np.isfinite(loss).all()):
            yield "known_s or loss holds numbers that are not finite"
        elif (known_s < 0).any() or (loss < 0).any():
            yield "known_s or loss falls below 0"
        elif (falls := np.flatnonzero(np.diff(known_s) < 0)).size:
            yield f"known_s falls at position {falls[0] + 1}"

    def recompiled(self, seen: SeenTokens) -> Iterator[str]:
        assert self.source is not None
        corpus = self.source.corpus
        timeline, media = corpus.read(corpus.find(seen.row["key"]))
        made = compile_sample(self.check.schema, self.check.codecs, timeline, media)
        yield from differing(seen.tokens, made)
        yield from self.check.round_trip(seen.tokens, timeline, media)


def differing(stored: Tokens, made: Tokens) -> Iterator[str]:
    """In what two compilations of a sample differ."""
    for name in ARRAYS:
        if not np.array_equal(getattr(stored, name), getattr(made, name)):
            yield f"{name} is another when it is compiled again"
    if stored.streams != made.streams or stored.report != made.report:
        yield "streams or report are others when it is compiled again"
    for lane in sorted(stored.values.keys() | made.values.keys()):
        a, b = stored.values.get(lane), made.values.get(lane)
        if a is None or b is None or not np.array_equal(a, b):
            yield f"values of lane {lane} are others when it is compiled again"


def token_lines(books: Books, source: str | None = None) -> list[Line]:
    """All lines, in a fixed order. Raises StrettoError for a `source` that is another corpus."""
    lines = {name: Line(name, promise, unit) for name, promise, unit in LINES}
    found = _open_source(books, source, lines)
    check = _language(books, lines["language"])
    if check is None:
        for name in OF_A_LANGUAGE:
            lines[name].not_run = "without its schema and codecs"
    checker = _Checker(check, found) if check else None
    for commit in books.commits.values():
        data = tar_bytes(books, commit, lines["checksums"])
        if data is not None and checker is not None:
            _shard(checker, books.rows[commit.name], data, lines)
    if found is not None:
        lines["source"].checked = len(found.shards)
        lines["source"].add(_source_faults(books, found))
    return list(lines.values())


def _shard(checker: _Checker, rows: pa.Table, data: bytes, lines: dict[str, Line]) -> None:
    """Take one tar apart by its commit record's rows."""
    for row in rows.sort_by("start_byte").to_pylist():
        lines["slices"].checked += 1
        try:
            seen = _open_sample(checker, row, data)
        except Exception as error:  # a damaged tar raises whatever its damage leads to
            lines["slices"].add([(f"{row['shard']}: {row['key']}", reason(error))])
            continue
        names = ["rows", "grammar", "decodes", "known"]
        if checker.source is not None and checker.check.draws(row["key"]):
            names.append("recompiled")
        for name in names:
            lines[name].checked += 1
            lines[name].add(faults_of(row["key"], getattr(checker, name), seen))


def _open_sample(checker: _Checker, row: dict[str, Any], data: bytes) -> SeenTokens:
    where = f"sample {row['key']}"
    members = read_members(data[row["start_byte"] : row["end_byte"]], row["key"], where)
    if odd := sorted(members.keys() ^ members_of(checker.check.schema)):
        raise StrettoError(f"member {odd[0]} is there and should not be, or is not", where)
    return SeenTokens(row, read_about(members, where), unpack_tokens(members, where))


def _language(books: Books, line: Line) -> TokenCheck | None:
    """The schema and codecs, when they can be read; faults where they are not those pinned."""
    try:
        schema = stored_schema(books.store)
        check = TokenCheck.open(books.store, schema, books.index.num_rows)
        vocabulary = books.store.read_bytes(VOCABULARY_FILE)
    except StrettoError as error:
        line.add([("language", error.line())])
        return None
    line.checked = 2 + len(check.codecs.codecs)
    pinned = {i.name: i.sha256 for i in books.plan.fingerprint.inputs if i.source == "codecs"}
    if pinned != {name: codec.hash for name, codec in check.codecs.codecs.items()}:
        line.add([("codecs", "are not those that made the ids")])
    if books.dataset.get("language_hash") != check.codecs.hash:
        line.add([("schema.yaml", "schema and codecs are not those that dataset.json names")])
    if vocabulary != check.codecs.vocabulary.to_json().encode():
        line.add([(VOCABULARY_FILE, "is not the vocabulary of schema and codecs")])
    return check


def _open_source(books: Books, url: str | None, lines: dict[str, Line]) -> Source | None:
    """The source corpus; None, and two lines not run, when it is not where it was."""
    wanted = books.dataset.get("source", {})
    place = url or find_source(books.store)
    try:
        if place is None:
            raise StrettoError("nobody says where the source corpus lies", fix="give --source DIR")
        found = open_source(place, wanted.get("split"))
        if found.fingerprint != wanted.get("fingerprint"):
            name = wanted.get("name")
            raise StrettoError("this is not the corpus it was made of", place, f"that was {name}")
        return found
    except StrettoError as error:
        if url is not None:
            raise
        for name in ("source", "recompiled"):
            lines[name].not_run = f"{error.line()} (or give --source DIR)"
        return None


def _source_faults(books: Books, source: Source) -> Iterator[Fault]:
    """Shards and keys that are not those of the source, both ways."""
    there = {shard.plan()[0].name: shard for shard in source.shards}
    here = {shard.name: shard for shard in books.plan.shards}
    made_of = {i.name: i.sha256 for i in books.plan.fingerprint.inputs if i.source == "corpus"}
    for name in sorted(there.keys() | here.keys()):
        if name not in here:
            yield name, "is a shard of the source, but not here"
        elif name not in there:
            yield name, "is a shard here, but not of the source"
        elif there[name].plan()[0].sha256 != here[name].sha256:
            yield name, "other samples than in the source, or in another order"
        elif made_of.get(there[name].tar.name) != there[name].tar.sha256:
            yield name, "the source's tar is another one by now"
