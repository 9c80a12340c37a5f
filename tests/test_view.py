"""The page of `stretto view`: self-contained, safe with hostile text, with every id on it."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from corpus_fixture import dialogue, fit_codecs, real_corpus, robot
from page_visit import HOSTILE, Elements, data_of, hostile, page_of
from view_schemas import SCHEMAS, schema_file

from jobs.page import build_page, json_block
from jobs.page.sample_data import jpeg, peaks
from jobs.view import MAX_SAMPLES, candidates, pick, run
from pipeline.stream import open_corpus
from schemas.errors import StrettoError
from schemas.timeline import Say
from token_schema.codec_set import CodecSet
from token_schema.encode import compile_sample
from token_schema.language import load_schema
from token_schema.tokens import Tokens

# ---- without a browser ---------------------------------------------------------------------------


def test_hostile_text_stays_data() -> None:
    page = page_of(hostile())
    found = Elements(page)
    assert len(found.scripts) == 2
    assert [tag for tag, _ in found.tags].count("img") == 1  # the frame's own
    sample = json.loads(found.scripts[0])["samples"][0]
    assert sample["context"]["task"] == HOSTILE
    assert sample["labels"][0]["note"] == HOSTILE


def test_nothing_is_loaded_from_anywhere() -> None:
    page = page_of(dialogue(), robot())
    for tag, attributes in Elements(page).tags:
        assert not {"src", "href", "action", "onclick"} & attributes.keys(), tag
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy and "default-src 'none'" in policy[1]
    assert "unsafe-inline" not in policy[1] and "http" not in policy[1]
    assert "innerHTML" not in page and "insertAdjacentHTML" not in page


def test_a_json_block_cannot_end_its_element() -> None:
    value = {"a": "</script><!--", "b": "\u2028&amp;"}
    text = json_block(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value
    with pytest.raises(ValueError):
        json_block(float("nan"))


def test_a_placeholder_in_the_data_is_not_filled() -> None:
    assert "{{script}}" in build_page("{{script}}", "", [])


def test_peaks_are_the_extremes_of_each_5_ms() -> None:
    pcm = np.zeros(16000, np.int16)
    pcm[8000], pcm[8010] = -20000, 10000
    found = peaks(pcm, 16000)
    values = np.frombuffer(base64.b64decode(found["base64"]), np.int8).reshape(-1, 2)
    assert values.shape == (200, 2)
    assert values[100].tolist() == [-127, 64]
    assert not values[:100].any() and not values[101:].any()


def test_pictures_are_small_jpegs_of_the_frame() -> None:
    from av import open as av_open

    frame = np.zeros((480, 641, 3), np.uint8)
    frame[:, 320:] = 255
    with av_open(io.BytesIO(jpeg(frame))) as container:
        small = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert small.shape == (240, 320, 3)
    assert small[:, :150].max() < 30 and small[:, 170:].min() > 220


def test_the_first_samples_show_each_kind() -> None:
    rows = [
        {"key": f"k{i}", "subset": "dialogue", "language": "en", "behaviours": []}
        for i in range(20)
    ]
    rows[12]["behaviours"] = ["barge_in"]
    rows[15]["language"] = "de"
    rows[18]["subset"] = "arm"
    picked = [r["key"] for r in pick(rows)]
    assert picked[:4] == ["k0", "k18", "k12", "k15"]
    assert len(picked) == len(set(picked)) == MAX_SAMPLES


def test_many_languages_leave_room_for_each_subset() -> None:
    rows = [
        {"key": f"k{i}", "subset": "dialogue", "language": f"l{i}", "behaviours": []}
        for i in range(20)
    ]
    robot_row = {
        "key": "r",
        "subset": "arm",
        "language": "en",
        "behaviours": ["speak_while_acting"],
    }
    assert "r" in [r["key"] for r in pick([*rows, robot_row])]


def test_candidates_are_few_and_enough() -> None:
    """`pick` takes the same rows from the candidates as from the whole index."""
    made = [
        {
            "key": f"k{i}",
            "subset": "arm" if i % 97 == 50 else "dialogue",
            "language": "en" if i % 31 else "de",
            "behaviours": ["barge_in", "yield"] if i % 53 == 52 else [],
        }
        for i in range(500)
    ]
    few = candidates(pa.Table.from_pylist(made))
    assert len(few) < 25 and all(made[c["row"]]["key"] == c["key"] for c in few)
    assert [c["key"] for c in pick(few)] == [c["key"] for c in pick(made)]


# ---- a real corpus -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view") / "corpus"
    shutil.copytree(real_corpus(tmp_path_factory.getbasetemp()), folder)
    fit_codecs(folder)
    return folder


def test_the_page_of_a_corpus(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert run(str(corpus), None, str(out)) == 0
    assert out.stat().st_size < 15_000_000
    samples = data_of(out)
    assert 2 <= len(samples) <= MAX_SAMPLES
    assert len({s["subset"] for s in samples}) == 2
    with_frames = next(s for s in samples if s["look"])
    assert len(with_frames["look"][0]["frames"]) == int(np.ceil(with_frames["duration_s"]))


def page_and_tokens(
    corpus: Path, folder: Path, schema: str, row: int
) -> tuple[dict[str, Any], Tokens]:
    """The token data on the page of a sample, and the tokens as the compiler makes them."""
    opened = open_corpus(str(corpus))
    out = folder / "page.html"
    assert run(str(corpus), opened.row(row)["key"], str(out), schema) == 0
    (sample,) = data_of(out)
    loaded = load_schema(schema)
    timeline, media = opened.read(row)
    codecs = CodecSet.load(opened.store, loaded)
    return sample["tokens"], compile_sample(loaded, codecs, timeline, media)


def shown_ids(page: dict[str, Any]) -> list[int]:
    """The ids on the page, in the order in which they are read."""
    if page["timing"] == "frames":
        return page["ids"]
    return [i for unit in page["units"] for run in unit["runs"] for i in run["ids"]]


def shown_marks(page: dict[str, Any]) -> str:
    if page["timing"] == "frames":
        return page["marks"]
    return "".join(run["marks"] for unit in page["units"] for run in unit["runs"])


@pytest.mark.parametrize("timing", [*SCHEMAS, "ellsa"])
def test_tokens_on_the_page_are_those_of_the_compiler(
    corpus: Path, tmp_path: Path, timing: str
) -> None:
    schema = timing if timing == "ellsa" else schema_file(tmp_path, timing)
    for row in (0, 11):  # a dialogue, a robot
        page, tokens = page_and_tokens(corpus, tmp_path, schema, row)
        assert shown_ids(page) == tokens.ids.tolist()
        digits = tokens.kind + 4 * (tokens.loss > 0)
        assert shown_marks(page) == "".join(map(str, digits.tolist()))
        for unit in page["units"]:
            assert unit["end_s"] > unit["start_s"] >= 0
        named = page["specials"].keys() | page["pieces"].keys()
        assert not page["specials"].keys() & page["pieces"].keys()
        assert {str(i) for i in shown_ids(page)} >= named


def test_blocks_hold_their_own_tokens_and_follow_the_clock(corpus: Path, tmp_path: Path) -> None:
    page, tokens = page_and_tokens(corpus, tmp_path, schema_file(tmp_path, "blocks"), 0)
    head, *blocks = page["units"]
    assert head["index"] == -1 and len(blocks) == tokens.report.blocks
    assert [b["start_s"] for b in blocks] == [float(i) for i in range(len(blocks))]
    for block in blocks:
        first, last = block["runs"][0], block["runs"][-1]
        assert (
            page["rows"][first["row"]]["channel"] == "clock" == page["rows"][last["row"]]["channel"]
        )
        names = [page["specials"][str(run["ids"][0])] for run in (first, last)]
        assert names == ["<unit>", "</unit>"]


def test_steps_stand_in_the_second_in_which_they_begin(corpus: Path, tmp_path: Path) -> None:
    page, tokens = page_and_tokens(corpus, tmp_path, schema_file(tmp_path, "frames"), 0)
    head, *seconds = page["units"]
    assert page["head_steps"] == head["stop"] > 0 == head["first"]
    assert [u["stop"] - u["first"] for u in seconds[:-1]] == [10] * (len(seconds) - 1)
    assert [u["first"] for u in seconds] == [head["stop"], *(u["stop"] for u in seconds[:-1])]
    assert seconds[-1]["stop"] * tokens.streams == len(tokens)
    labels = [page["rows"][stream["row"]]["label"] for stream in page["streams"]]
    assert labels == ["say"] + ["speak"] * 4 + ["listen"] * 4


def test_turns_lie_where_they_are_known(corpus: Path, tmp_path: Path) -> None:
    """An answer begins at its decision and ends with its speech, or where the world cut it."""
    schema, opened, cuts = schema_file(tmp_path, "turns"), open_corpus(str(corpus)), 0
    for row in range(opened.index.num_rows):
        page, tokens = page_and_tokens(corpus, tmp_path, schema, row)
        timeline, _ = opened.read(row)
        says = [e for e in timeline.agent if isinstance(e, Say)]
        for unit in page["units"]:
            at = np.flatnonzero(tokens.block == unit["index"])
            if unit["line"] == 1:
                assert unit["end_s"] >= tokens.known_s[at].max() >= unit["start_s"]
                continue
            assert unit["start_s"] == tokens.known_s[at[0]]
            assert unit["end_s"] in {e.end_s for e in says}
            cut_s = [e.cut_s for e in says if e.end_s == unit["end_s"] and e.cut_s is not None]
            assert ("cut at" in unit["title"]) == bool(cut_s)
            cuts += bool(cut_s)
    assert cuts


def test_no_tokens_are_said(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A schema that lies elsewhere: the page is made, and the reason stands on it and in the log."""
    copy = Path(shutil.copytree(corpus, tmp_path / "corpus"))
    about = json.loads((copy / "dataset.json").read_bytes())
    about["config"]["schema"] = "mine.yaml"
    (copy / "dataset.json").write_text(json.dumps(about))
    assert run(str(copy), open_corpus(str(copy)).row(0)["key"], str(tmp_path / "page.html")) == 0
    (sample,) = data_of(tmp_path / "page.html")
    assert sample["tokens"] is None and "not at mine.yaml" in sample["no_tokens"]
    assert "not at mine.yaml" in capsys.readouterr().out


def test_an_unknown_key_names_known_ones(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(StrettoError, match="no sample 'nope'.*keys are like dialogues-0-"):
        run(str(corpus), "nope", str(tmp_path / "page.html"))


def test_a_schema_that_is_asked_for_must_have_its_codecs(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(StrettoError, match="audio-12hz5.*stretto fit"):
        run(str(corpus), None, str(tmp_path / "page.html"), "moshi")
    assert not (tmp_path / "page.html").exists()


def test_a_token_corpus_says_what_to_look_at(corpus: Path, tmp_path: Path) -> None:
    from jobs.retokenize import run as retokenize

    out, page = tmp_path / "tokens", str(tmp_path / "page.html")
    assert retokenize(str(corpus), schema_file(tmp_path, "turns"), str(out), 0, split="val") == 0
    with pytest.raises(StrettoError) as refused:
        run(str(out), None, page)
    told = re.search(r"stretto view (\S+) --schema (\S+)", refused.value.line())
    assert told and run(told[1], None, page, told[2]) == 0
    assert data_of(Path(page))[0]["tokens"]["schema"] == "turns"
