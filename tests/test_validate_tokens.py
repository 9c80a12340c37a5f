"""`stretto validate`, its tokens line: what an encoder loses is found, what a cut took is not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from corpus_fixture import fit_codecs, real_corpus

from pipeline.store import open_store
from pipeline.validate import Line, validate
from pipeline.validate_texts import unmatched
from schemas.timeline import Timeline, Write
from token_schema.decode import DecodedText
from token_schema.layouts import block_text, lanes, placement
from token_schema.layouts.placement import Cells, Marks, PlacedText, QueuedText


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_corpus(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def coded(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus with codecs. Tests read it and change nothing."""
    folder = Path(shutil.copytree(corpus, tmp_path_factory.mktemp("coded") / "corpus"))
    fit_codecs(folder)
    return folder


def under(coded: Path, folder: Path, **change: dict[str, Any]) -> Path:
    """A copy of the corpus whose own schema is ellsa with these fields of lanes changed."""
    copy = Path(shutil.copytree(coded, folder / "corpus"))
    schema = {"extends": "ellsa", "name": "changed", "change": change}
    (folder / "changed.yaml").write_text(yaml.safe_dump(schema))
    about = json.loads((copy / "dataset.json").read_bytes())
    about["config"]["schema"] = str(folder / "changed.yaml")
    (copy / "dataset.json").write_text(json.dumps(about))
    return copy


def tokens_line(corpus: Path) -> Line:
    return {line.name: line for line in validate(open_store(str(corpus)))}["tokens"]


def test_tokens_are_checked_where_there_are_codecs(coded: Path) -> None:
    tokens = tokens_line(coded)
    assert tokens.state == "ok", tokens.first
    assert tokens.checked == 12


def test_a_broken_codec_is_a_finding(coded: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(coded, tmp_path / "corpus"))
    manifest = next((copy / "codecs/text").glob("*.json"))
    manifest.write_bytes(manifest.read_bytes()[:-20])
    line = tokens_line(copy)
    assert line.state == "FAIL" and "codecs: " in str(line), str(line)


def no_text(events: list[QueuedText], cells: Cells, marks: Marks) -> PlacedText:
    """Nobody ever writes."""
    placed = placement.place_text(events, cells, marks)
    return replace(placed, blocks=[[] for _ in placed.blocks], silent_events=0)


def no_text_and_says_so(events: list[QueuedText], cells: Cells, marks: Marks) -> PlacedText:
    return replace(no_text(events, cells, marks), silent_events=len(events))


def no_cut_text(events: list[QueuedText], cells: Cells, marks: Marks) -> PlacedText:
    """What a barge-in cuts is forgotten, not cut."""
    return placement.place_text([e for e in events if e.cut_s is None], cells, marks)


def text_twice(events: list[QueuedText], cells: Cells, marks: Marks) -> PlacedText:
    return placement.place_text([e for e in events for _ in range(2)], cells, marks)


def all_held(timeline: Timeline, rows: np.ndarray, chunks: np.ndarray) -> np.ndarray:
    """Every block but the first says `<hold>`, also while the robot moves."""
    held = np.ones(len(chunks), bool)
    held[0] = False
    return held


@pytest.mark.parametrize(
    ("mutant", "says"),
    [
        (no_text, "does not give back"),
        (no_text_and_says_so, "does not give back"),
        (no_cut_text, "texts do not come back, encoding says it left out 0"),
        (text_twice, "lane write"),
    ],
)
def test_an_encoder_that_loses_text_is_found(
    coded: Path, monkeypatch: pytest.MonkeyPatch, mutant: Any, says: str
) -> None:
    monkeypatch.setattr(block_text, "place_text", mutant)
    line = tokens_line(coded)
    assert line.state == "FAIL" and says in str(line), str(line)


def test_an_encoder_that_holds_the_robot_still_is_found(
    coded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding = under(coded, tmp_path, act={"idle": "<hold>"})
    assert tokens_line(holding).state == "ok"
    monkeypatch.setattr(lanes, "_held", all_held)
    line = tokens_line(holding)
    assert line.state == "FAIL" and "the codec promises" in str(line), str(line)


@pytest.mark.parametrize(
    "write",
    [
        {"end": "<end>", "cut": "<cut>"},
        {"end": "<end>"},
        {"end": "<end>", "cut": "<end>"},
        {"begin": "<begin>", "end": "<end>"},
        {"fixed": True, "wait": "<wait>", "end": "<end>", "cut": "<cut>"},
    ],
    ids=lambda write: " ".join(f"{k}={v}" for k, v in write.items()),
)
def test_a_cut_is_no_fault_however_a_text_ends(
    coded: Path, tmp_path: Path, write: dict[str, Any]
) -> None:
    """A barge-in is in the corpus; without a `cut` of its own a cut text ends like a whole one."""
    line = tokens_line(under(coded, tmp_path, write=write))
    assert line.state == "ok", str(line)


def text(decided_s: float, text: str, cut: bool = False) -> Write:
    cut_s = decided_s + 1 if cut else None
    return Write(
        id=text,
        text=text,
        decided_s=decided_s,
        start_s=decided_s,
        end_s=9,
        planned_end_s=9,
        cut_s=cut_s,
    )


def test_a_text_may_be_missing_only_where_a_cut_took_it() -> None:
    whole, gone, last = text(1, "yes"), text(2, "no way", cut=True), text(3, "no way")
    sources = [last, gone, whole]  # decided_s orders them

    def check(*found: tuple[str, str]) -> str:
        told = [DecodedText(words, 0, 0, ended) for words, ended in found]  # type: ignore[arg-type]
        return unmatched(sources, told, may_drop=False)

    assert check(("yes", "end"), ("no way", "end")) == ""  # `gone` was cut before its first token
    assert check(("yes", "end"), ("no", "cut"), ("no way", "end")) == ""
    assert "does not give back no way, but 'no'" in check(("yes", "end"), ("no", "end"))
    assert "does not give back yes, but 'no way'" in check(("no way", "end"))
    assert "does not give back no way, but nothing more" in check(("yes", "end"))
    assert "does not give back yes" in check(("ye", "cut"), ("no way", "end"))  # nothing cut it
    found = check(("yes", "end"), ("no", "cut"), ("no way", "end"), ("no way", "end"))
    assert "gives back 'no way', which nobody wrote" in found
    assert unmatched(sources, [DecodedText("yes", 0, 0, "end")], may_drop=True) == ""


def test_a_schema_that_is_elsewhere_is_said(coded: Path, tmp_path: Path) -> None:
    """dataset.json may name a file relative to the folder in which `generate` ran."""
    copy = Path(shutil.copytree(coded, tmp_path / "corpus"))
    about = json.loads((copy / "dataset.json").read_bytes())
    about["config"]["schema"] = "schemas/mine.yaml"
    (copy / "dataset.json").write_text(json.dumps(about))
    line = tokens_line(copy)
    assert line.state == "--"
    assert "not at schemas/mine.yaml, seen from" in str(line) and "`stretto generate` ran" in str(
        line
    )
