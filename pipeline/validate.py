"""Proves the promises on a finished corpus: `validate(store) -> list[Line]`, one line a promise.

    for line in validate(open_store("out/demo")):
        print(line)        # ok / FAIL / --, the name, what was checked, the first offenders

A token corpus has its own lines: `pipeline.validate_token_corpus`, which this calls.

Every shard is read once and whole, and every member of every sample is opened. Memory holds one
shard, the index and the rows of the commit records (as columns: 1 KB a sample).
A corpus that is not there raises StrettoError; a broken one gives FAIL lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from pipeline import validate_corpus, validate_media, validate_timeline
from pipeline.commit import Commit
from pipeline.corpus_files import corpus_schema
from pipeline.store import Store
from pipeline.stream import read_members, read_timeline
from pipeline.validate_corpus import Books, Fault, open_books
from pipeline.validate_line import Line, faults_of, reason, tar_bytes
from pipeline.validate_timeline import Seen
from pipeline.validate_token_corpus import token_lines
from pipeline.validate_tokens import TokenCheck
from schemas.errors import StrettoError

CorpusCheck = Callable[[Books], Iterator[Fault]]
SampleCheck = Callable[[Seen], Iterator[str]]

CORPUS_CHECKS: tuple[tuple[str, str, CorpusCheck], ...] = (
    ("accounted", "planned = committed + quarantined, each record once", validate_corpus.accounted),
    ("committed", "every shard has its commit record, no file is stray", validate_corpus.committed),
    ("index", "the index is what the commit records say, keys are unique", validate_corpus.indexed),
    ("splits", "no source group stands in two splits", validate_corpus.split_by_group),
)
SAMPLE_CHECKS: tuple[tuple[str, str, SampleCheck], ...] = (
    ("members", "every member opens and has the size its Timeline says", validate_media.members),
    ("rows", "the index says of each sample what its Timeline says", validate_media.row),
    ("tracks", "every track covers its sample", validate_media.tracks),
    ("events", "ids are unique, all lies inside, one label a second", validate_timeline.events),
    ("causal", "cited revealed_s <= decided_s <= start_s, looked up", validate_timeline.causal),
    ("channels", "no channel overlaps itself", validate_timeline.channels),
    ("words", "words rise and lie inside their pieces", validate_timeline.words),
    ("cuts", "after a cut nothing begins or sounds on", validate_timeline.cuts),
    ("silence", "speak sounds where something is said, and only there", validate_media.silence),
    ("stems", "kept stems sum to listen where no effect is told of", validate_media.stems),
)


def validate(store: Store, source: str | None = None) -> list[Line]:
    """All lines, in a fixed order. `source`: where the corpus of a token corpus lies now."""
    books = open_books(store)
    lines = corpus_lines(books)
    if books.is_tokens:
        return [*lines.values(), *token_lines(books, source)]
    if source is not None:
        raise StrettoError("only a token corpus has a source", store.shown, "leave --source out")
    lines["checksums"] = Line("checksums", "every tar has the bytes of its commit", "tars")
    lines["slices"] = Line("slices", "every byte range is one sample, one member set", "samples")
    for name, promise, _ in SAMPLE_CHECKS:
        lines[name] = Line(name, promise, "samples")
    lines["tokens"], tokens = _tokens_line(books)
    for name, commit in books.commits.items():
        _check_shard(books, commit, books.rows[name], lines, tokens)
    return list(lines.values())


def corpus_lines(books: Books) -> dict[str, Line]:
    """The promises about files, by name: those of a corpus and of a token corpus."""
    lines = {
        name: Line(name, promise, "samples", checked=books.index.num_rows)
        for name, promise, _ in CORPUS_CHECKS
    }
    lines["accounted"] = Line("accounted", CORPUS_CHECKS[0][1], "records", books.plan.planned)
    lines["committed"] = Line("committed", CORPUS_CHECKS[1][1], "shards", len(books.plan.shards))
    for name, _, check in CORPUS_CHECKS:
        lines[name].add(check(books))
    return lines


def _tokens_line(books: Books) -> tuple[Line, TokenCheck | None]:
    line = Line("tokens", "tokens keep the grammar and decode to all that was there", "samples")
    if not list(books.store.list("codecs/")):
        line.not_run = "no codecs yet, run `stretto fit CONFIG DIR`"
        return line, None
    try:
        schema = corpus_schema(books.dataset)
    except StrettoError as error:
        line.not_run = error.line()
        return line, None
    try:
        return line, TokenCheck.open(books.store, schema, books.index.num_rows)
    except StrettoError as error:
        line.add([("codecs", error.line())])
        return line, None


def _check_shard(
    books: Books,
    commit: Commit,
    rows: pa.Table,
    lines: dict[str, Line],
    tokens: TokenCheck | None,
) -> None:
    """Read one tar, compare its checksum, then take it apart by the index."""
    data = tar_bytes(books, commit, lines["checksums"])
    if data is None:
        return
    fade_s = books.dataset.get("config", {}).get("scene", {}).get("fade_s", 0.0)
    sets: dict[str, set[str]] = {}
    for row in rows.sort_by("start_byte").to_pylist():
        seen = _open_sample(row, data, fade_s, lines["slices"])
        if seen is not None:
            _one_member_set(seen, sets, lines["slices"])
            _check_sample(seen, lines, tokens)


def _open_sample(row: dict, data: bytes, fade_s: float, line: Line) -> Seen | None:
    """The sample at a row's byte range; a line when it is not there."""
    where = f"{row['shard']}: {row['key']}"
    line.checked += 1
    try:
        members = read_members(data[row["start_byte"] : row["end_byte"]], row["key"], where)
        timeline = read_timeline(members, where)
    except Exception as error:  # a damaged tar raises whatever its damage leads to
        line.add([(where, reason(error))])
        return None
    if timeline.key != row["key"]:
        line.add([(where, f"holds the Timeline of {timeline.key}")])
        return None
    return Seen(row, timeline, members, fade_s)


def _one_member_set(seen: Seen, sets: dict[str, set[str]], line: Line) -> None:
    """Column-inferring readers look at the first samples and refuse those that differ."""
    names = set(seen.members)
    first = sets.setdefault(seen.timeline.subset, names)
    if odd := sorted(first ^ names):
        line.add([(seen.timeline.key, f"member {odd[0]} is in some samples of the subset only")])


def _check_sample(seen: Seen, lines: dict[str, Line], tokens: TokenCheck | None) -> None:
    for name, _, check in SAMPLE_CHECKS:
        lines[name].checked += 1
        lines[name].add(faults_of(seen.timeline.key, check, seen))
    if tokens is not None and tokens.draws(seen.timeline.key):
        lines["tokens"].checked += 1
        lines["tokens"].add(faults_of(seen.timeline.key, tokens.faults, seen))
