"""What index.parquet says of a sample, how old corpora are read, and the benchmark of timing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from corpus_fixture import FADE_S, dialogue, real_corpus, robot
from hand_made import heard, rests_on, said, timeline

from benchmarks.turn_taking import main as benchmark
from pipeline.corpus_files import index_table, sample_json
from pipeline.index import INDEX, INDEX_SINCE_1_2
from pipeline.pack import index_row
from pipeline.stats import corpus_stats
from pipeline.store import open_store
from pipeline.turn_taking import measure
from pipeline.validate_corpus import open_books
from pipeline.validate_media import row
from pipeline.validate_timeline import Seen
from schemas.timeline import Timeline


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_corpus(tmp_path_factory.getbasetemp())


def test_a_row_says_what_trainers_filter_by() -> None:
    barge = heard("u1", [(6.5, 7.0), (7.1, 8.0)], behaviour="barge_in")
    cut = {"cut_s": 7.3, "cut_by": rests_on(barge, 0)}
    found = timeline(
        heard("u0", [(0.0, 2.0)]),
        said("o0", [(2.2, 2.4)], behaviour="opener"),
        said("a0", [(3.0, 7.45)], (), **cut),
        heard("m0", [(4.0, 4.4)], behaviour="backchannel"),
        heard("g0", [(5.0, 9.0)], speaker="bystander", behaviour="background"),
        barge,
        said("a1", [(8.5, 9.0)], (rests_on(barge, 1),)),
        pair="twins",
        duration_s=10.0,
    )
    said_of = index_row(found)
    assert said_of["pair"] == "twins" and said_of["interruptions"] == 1
    assert said_of["backchannels"] == 1 and said_of["transitions"] == 3
    # 0.4 s of the murmur and 6.5 to 7.45 of the barge-in
    assert said_of["overlap_s"] == pytest.approx(0.4 + 0.95)
    assert said_of["silent_s"] == pytest.approx(0.2 + 0.6 + 0.5 + 1.0)
    # two turns of each side; the opener, the murmur and the bystander take none
    assert said_of["turns"] == 4


def test_the_row_of_a_sample_is_what_the_statistics_measure(corpus: Path) -> None:
    store = open_store(str(corpus))
    index = index_table(store)
    assert index.schema.names == INDEX.names
    for found in index.to_pylist():
        sample = Timeline.model_validate_json(sample_json(store, found))
        taking = measure(sample)
        assert found["transitions"] == len(taking.transitions)
        assert found["silent_s"] == pytest.approx(taking.silent_s, abs=1e-6)
        assert found["overlap_s"] <= found["duration_s"] and found["pair"] is None


def test_a_row_that_says_otherwise_is_found() -> None:
    for sample in (dialogue(), robot()):
        true = index_row(sample) | {"subset": sample.subset}
        assert list(row(Seen(true, sample, {}, FADE_S))) == []
        for name, wrong in (("overlap_s", 99.0), ("interruptions", None), ("pair", "other")):
            faults = list(row(Seen(true | {name: wrong}, sample, {}, FADE_S)))
            assert len(faults) == 1 and name in faults[0]


def test_rows_of_older_timelines_need_no_statistics() -> None:
    old = dialogue().model_copy(update={"version": "1.1"})
    true = {k: v for k, v in index_row(old).items() if k not in INDEX_SINCE_1_2}
    assert list(row(Seen(true | {"subset": old.subset}, old, {}, FADE_S))) == []
    assert len(list(row(Seen(true | {"subset": old.subset, "turns": 0}, old, {}, FADE_S)))) == 1


def test_an_older_index_is_read_and_counted(corpus: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(corpus, tmp_path / "old")
    kept = [name for name in INDEX.names if name not in INDEX_SINCE_1_2]
    pq.write_table(pq.read_table(copy / "index.parquet").select(kept), copy / "index.parquet")
    store = open_store(str(copy))
    assert corpus_stats(store) == corpus_stats(open_store(str(corpus)))
    books = open_books(store)
    assert not books.unreadable and books.index.schema.names == INDEX.names
    # an index that lost one of them is no older one
    pq.write_table(books.index.drop_columns(["pair"]), copy / "index.parquet")
    assert "lacks column 'pair'" in open_books(store).unreadable[0][1]


# ---- the benchmark -------------------------------------------------------------------------------


def test_the_benchmark_measures_a_corpus_and_makes_the_same(
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    benchmark(["--corpus", str(corpus), "--json"])
    there = json.loads(capsys.readouterr().out)["all"]
    assert there == corpus_stats(open_store(str(corpus)))
    cache = ["--cache", str(tmp_path / "cache")]
    monkeypatch.setattr("benchmarks.turn_taking.SHARED", tmp_path)
    benchmark(["--limit", "6", "--json", *cache])
    shown = capsys.readouterr()
    made = json.loads(shown.out)["all"]
    assert shown.err.count("absent, so not measured") == 3
    # the same six dialogues under another source name: other draws, as many samples
    assert sum(s["samples"] for s in made["sources"]) == 6
    spoken = len(list((tmp_path / "cache").rglob("*.*")))
    assert spoken > 20
    code = benchmark(["--limit", "6", *cache])
    assert len(list((tmp_path / "cache").rglob("*.*"))) == spoken
    out = capsys.readouterr().out
    assert code == (1 if "FALLS SHORT" in out else 0)
    assert "user takes the floor" in out and "distance ms" in out
