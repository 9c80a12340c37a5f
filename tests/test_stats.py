"""Turn-taking by the stated definitions, the statistics, the data card and the Croissant file."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from corpus_fixture import dialogue, fit_codecs, real_corpus, robot
from hypothesis import given
from hypothesis import strategies as st

from jobs.stats import run
from jobs.stats_tables import tables
from pipeline.card import card, front_matter, hub_licence, write_cards
from pipeline.corpus_files import dataset
from pipeline.human import human
from pipeline.stats import corpus_stats, drawn, talk
from pipeline.store import open_store
from pipeline.tally import Tally
from pipeline.text_timing import chars_by_cut
from pipeline.turn_taking import backchannels, ipus, measure, overlap, pauses, transitions
from schemas.timeline import TimedWord

Spans = list[tuple[float, float]]


def timed(*spans: tuple[float, float]) -> list[TimedWord]:
    return [TimedWord(text="w", char_start=0, char_end=1, start_s=a, end_s=b) for a, b in spans]


# ---- turn-taking ---------------------------------------------------------------------------------


def test_words_merge_across_gaps_below_200_ms() -> None:
    # 0.3 - 0.1 is 0.19999999999999998 in floats: a gap of exactly 0.2 s must still split
    assert ipus(timed((0.0, 0.1), (0.3, 0.5), (0.699, 0.8))) == ((0.0, 0.1), (0.3, 0.8))
    assert ipus(timed((0.5, 0.6), (0.0, 0.9))) == ((0.0, 0.9),)


def test_floor_transfers_leave_out_what_lies_inside_the_other() -> None:
    user = ((0.0, 2.0), (5.0, 6.0))
    assistant = ((1.0, 1.5), (2.25, 5.5))
    found = transitions(user, assistant)
    assert [(t.to, t.fto_s) for t in found] == [("assistant", 0.25), ("user", -0.5)]


def test_pauses_need_nobody_else_between() -> None:
    own = ((0.0, 1.0), (1.5, 2.0), (4.0, 5.0), (6.0, 7.0))
    assert pauses(own, ((2.5, 3.0), (4.5, 5.5))) == (0.5,)
    assert pauses(own, ()) == (0.5, 2.0, 1.0)


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        (((3.0, 3.4),), ((0.0, 10.0),), (0.4,)),
        (((3.0, 4.0),), ((0.0, 10.0),), ()),  # 1 s is not shorter than 1 s
        (((3.0, 3.4), (4.4, 6.0)), ((0.0, 10.0),), ()),  # no more than 1 s of own silence
        (((3.0, 3.4),), ((3.2, 10.0),), ()),  # the other active in half of it only
        (((3.0, 3.4),), ((0.0, 3.1), (3.15, 3.3)), (0.4,)),
    ],
)
def test_backchannels(own: tuple, other: tuple, expected: tuple) -> None:
    assert backchannels(own, other) == expected


def test_a_whole_sample() -> None:
    found = measure(dialogue())
    assert [(t.to, t.fto_s) for t in found.transitions] == [
        ("assistant", 0.25),
        ("user", -0.55),
        ("assistant", 0.65),
    ]
    assert found.overlap_s == pytest.approx(0.25 + 0.55)
    spoken_s = 2.05 + 1.15 + 0.25 + 2.35 + 1.15
    assert found.silent_s == pytest.approx(10.0 - spoken_s + 0.8)


spans = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 30)), max_size=12).map(
    lambda pairs: ipus(timed(*((a / 10, (a + d) / 10) for a, d in pairs)))
)


@given(spans, spans)
def test_overlap_is_the_same_seen_from_both_sides(one: Spans, two: Spans) -> None:
    there = sum(overlap(unit, two) for unit in one)
    back = sum(overlap(unit, one) for unit in two)
    assert there == pytest.approx(back)
    brute = sum(1 for t in range(2300) if _in(t / 10 + 0.05, one) and _in(t / 10 + 0.05, two))
    assert there == pytest.approx(brute / 10)


def _in(time_s: float, units: Spans) -> bool:
    return any(a <= time_s < b for a, b in units)


# ---- sums ----------------------------------------------------------------------


def test_sums_over_two_samples() -> None:
    tally = Tally()
    tally.add(dialogue())
    tally.add(robot())
    found = tally.result()
    taking = found["turn_taking"]
    assert taking["assistant"]["fto"]["n"] == 2 and taking["user"]["fto"]["n"] == 1
    # 5.15 (cut) + 0.15 (fade) - 4.6 (the barge-in's start); cut 0.3 s after it was plain
    assert found["exchange"]["silent_after_interruption_starts"]["s"]["p50"] == 0.7
    assert found["exchange"]["yields_after_plain_to_hear"]["s"]["p50"] == 0.3
    assert found["actions"]["idle_frac"] == 0.25
    # speaks from 2.1 to 3.85 s, in words with gaps of 50 ms; acts from 2 to 8 s
    assert found["actions"]["speaking_while_acting_frac"] == pytest.approx(1.75 / 6, abs=1e-4)
    text = found["text"]
    assert text["said_chars"] < text["said_chars_planned"]
    assert text["written_chars"] < text["written_chars_planned"]


def test_a_text_that_is_cut_half_way_has_half_its_characters() -> None:
    write = next(e for e in dialogue().agent if e.id == "w003")
    half_s = (write.start_s + write.planned_end_s) / 2
    assert chars_by_cut(write.model_copy(update={"cut_s": half_s}), 100) in (49, 50)
    assert chars_by_cut(write.model_copy(update={"cut_s": 0.0}), 100) == 0
    assert chars_by_cut(write, 100) == 100


def test_a_large_corpus_is_drawn_from_by_key() -> None:
    keys = [f"k-{i}" for i in range(100)]
    index = pa.table({"key": keys})
    some = drawn(index, 10)["key"].to_pylist()
    assert len(some) == 10 and some == [key for key in keys if key in some]
    turned = drawn(pa.table({"key": keys[50:] + keys[:50]}), 10)["key"].to_pylist()
    assert turned != some and set(turned) == set(some)
    assert drawn(index, None) is index


# ---- a real corpus -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_corpus(tmp_path_factory.getbasetemp())


def test_statistics_agree_with_the_index(corpus: Path) -> None:
    found = corpus_stats(open_store(str(corpus)))
    rows = pq.read_table(corpus / "index.parquet").to_pylist()
    assert sum(p["samples"] for p in found["parts"]) == found["samples"] == len(rows)
    assert found["hours"] == pytest.approx(sum(r["duration_s"] for r in rows) / 3600, abs=1e-4)
    assert found["actions"]["steps"] == sum(r["step_count"] for r in rows)
    for part in found["parts"]:
        here = [r for r in rows if all(r[n] == part[n] for n in ("split", "subset", "language"))]
        assert part["samples"] == len(here) and part["turns"] == sum(r["turns"] for r in here)
        said_s = sum(r["assistant_speech_s"] for r in here)
        assert part["assistant_speech_hours"] == pytest.approx(said_s / 3600, abs=1e-4)
    for name, n in found["behaviours"].items():
        assert n == sum(name in r["behaviours"] for r in rows)
    assert human()["fto_s"]["p50"] == 0.131


def test_subsets_with_talk_have_their_own_turn_taking() -> None:
    subsets = {name: Tally() for name in ("recording", "dialogue", "arm")}
    subsets["arm"].add(robot())
    subsets["dialogue"].add(dialogue())
    for _ in range(2):
        subsets["recording"].add(dialogue())
    found = talk(subsets)
    assert list(found) == ["dialogue", "recording"]
    assert found["recording"]["turn_taking"]["user"]["fto"]["n"] == 2
    assert found["dialogue"]["turn_taking"]["user"]["fto"]["n"] == 1


def test_several_subsets_stand_beside_people_each(corpus: Path) -> None:
    stats = corpus_stats(open_store(str(corpus)))
    assert list(stats["subsets"]) == ["dialogue"]
    titles = [str(shown.title) for shown in tables(stats)]
    assert "Each subset beside people" not in titles
    stats["subsets"] |= {"recording": stats["subsets"]["dialogue"]}
    assert "Each subset beside people" in [str(shown.title) for shown in tables(stats)]


def test_json_is_json_and_the_same_each_time(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(corpus), True) == 0
    first = capsys.readouterr().out
    assert run(str(corpus), True) == 0
    assert first == capsys.readouterr().out
    assert json.loads(first)["name"] == "quickstart"


def test_tables_show_people_beside_the_corpus(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(corpus), False) == 0
    out = capsys.readouterr().out
    for text in ("quickstart: 12 samples", "transfer to the assistant", "of people", "0.1851"):
        assert text in out
    assert max(map(len, out.splitlines())) <= 110


# ---- cards ---------------------------------------------------------------------------------------


def test_a_token_corpus_shows_what_its_schema_costs(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from jobs.retokenize import run as retokenize

    source, out = tmp_path / "corpus", tmp_path / "tokens"
    shutil.copytree(corpus, source)
    fit_codecs(source)
    assert retokenize(str(source), "ellsa", str(out), 0, split="val", as_json=True) == 0
    rates = json.loads(capsys.readouterr().out)
    assert run(str(out), as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == rates
    assert run(str(out), as_json=False) == 0
    shown = capsys.readouterr().out
    assert f"ellsa: {rates['tokens']:,} tokens" in shown
    assert [line.split()[0] for line in shown.splitlines() if "." in line][-5:] == [
        lane["lane"] for lane in rates["lanes"]
    ]


def test_cards_are_the_same_each_time(corpus: Path) -> None:
    """`generate` has written them; writing them again changes no byte, so no clock is in them."""
    names = ("README.md", "croissant.json")
    before = [(corpus / name).read_bytes() for name in names]
    write_cards(open_store(str(corpus)))
    assert before == [(corpus / name).read_bytes() for name in names]


def test_the_cards_configs_name_every_tar_once(corpus: Path) -> None:
    _, front, body = (corpus / "README.md").read_text("utf-8").split("---\n", 2)
    head = yaml.safe_load(front)
    globs = [f["path"] for c in head["configs"] for f in c["data_files"]]
    tars = [str(p.relative_to(corpus)) for p in corpus.rglob("*.tar")]
    assert tars and all(sum(fnmatch(tar, glob) for glob in globs) == 1 for tar in tars)
    assert head["license"] == ["cc0-1.0", "mit"]
    assert "{{" not in body and "&id" not in front
    assert 'load_dataset(".", "dialogue", streaming=True)["train"]' in body
    assert 'WebDataset("train/dialogue-000000.tar"' in body


def test_corpus_text_is_no_markup_in_the_card(corpus: Path) -> None:
    store = open_store(str(corpus))
    stats = corpus_stats(store)
    evil = "a|b\n# head <script>alert(1)</script> [x](http://e)"
    stats["sources"] = [{"source": evil, "licence": evil, "samples": 1}]
    stats["rejected"] = [{"status": "quarantined", "stage": "s", "reason": evil, "records": 1}]
    shards = [("train", "dialogue", "train/dialogue-000000.tar")]
    text = card(stats, dataset(store), shards, {"dialogue": ["json"]})
    assert "<script>" not in text and "\n# head" not in text and "[x](" not in text
    assert r"a\|b" in text
    assert front_matter(stats, shards, {"dialogue": ["json"]})["license"] == "other"


def test_licences_of_the_hub() -> None:
    assert [hub_licence(x) for x in ("CC-BY-4.0", "MIT", "Custom", None)] == [
        "cc-by-4.0",
        "mit",
        "other",
        "unknown",
    ]


def test_croissant_is_valid_and_reads_the_tars(corpus: Path, tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    logging.getLogger("absl").setLevel(logging.ERROR)
    copy = shutil.copytree(corpus, tmp_path / "corpus")
    with contextlib.chdir(copy):
        data = mlcroissant.Dataset(jsonld="croissant.json")
        assert not data.metadata.ctx.issues.errors
        rows = list(data.records(record_set="train-dialogue"))
    index = pq.read_table(corpus / "index.parquet").to_pylist()
    wanted = {r["key"] for r in index if (r["split"], r["subset"]) == ("train", "dialogue")}
    assert {r["train-dialogue/key"].decode() for r in rows} == wanted
    timeline = json.loads(rows[0]["train-dialogue/timeline"])
    assert timeline["key"] == rows[0]["train-dialogue/key"].decode()
