"""`stretto fit`, `schema explain`, `check` and `diff` on a small real corpus; every sample there and
back."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from corpus_fixture import real_corpus

from jobs import fit, schema, schema_diff
from jobs.config_file import load_config
from pipeline.stream import Corpus, open_corpus
from schemas.errors import StrettoError
from schemas.timeline import Write
from token_schema import CodecSet, Grammar, compile_sample, decode, load_schema
from token_schema.layouts.lanes import steps_per_block
from token_schema.measure import announced

ELLSA = load_schema("ellsa")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Path:
    """The first records of the examples, with the codecs that `fit` gives."""
    out = real_corpus(tmp_path_factory.mktemp("schema"), 4)
    for name in ("ellsa", "lws", "moshi", "ellsa-speech"):
        assert fit.run(str(repo / "examples/quickstart.yaml"), str(out), None, name) == 0
    return out


def robot_key(corpus: Path) -> str:
    rows = open_corpus(str(corpus)).index.to_pylist()
    return next(r["key"] for r in rows if r["kind"] == "trajectory")


def folder_bytes(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_fit_keeps_every_codec_and_gives_the_same_bytes_again(
    corpus: Path, tmp_path: Path, repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit.run(str(repo / "examples/quickstart.yaml"), str(corpus), str(tmp_path)) == 0
    again = folder_bytes(tmp_path / "codecs")
    before = folder_bytes(corpus / "codecs")
    assert again == {name: before[name] for name in again}
    names = {path.split("/")[0] for path in again}
    assert {"text", "image"} < names
    assert any(n.startswith("action.") for n in names)
    printed = capsys.readouterr().out
    assert all(f"{n}: " in printed for n in names) and "fitted on" in printed


def test_fit_reads_the_train_split_alone(
    corpus: Path, tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()
    read = Corpus.read

    def watched(self: Corpus, row: int):  # type: ignore[no-untyped-def]
        seen.add(row)
        return read(self, row)

    monkeypatch.setattr(Corpus, "read", watched)
    config = load_config(str(repo / "examples/quickstart.yaml"))
    fit.run(config, str(corpus), str(tmp_path))
    train = set(open_corpus(str(corpus)).rows("train").tolist())
    assert seen == train and len(train) < open_corpus(str(corpus)).index.num_rows


def test_fit_says_what_is_wrong(tmp_path: Path, repo: Path) -> None:
    with pytest.raises(StrettoError, match="no finished corpus"):
        fit.run(str(repo / "examples/quickstart.yaml"), str(tmp_path))


def test_every_real_sample_goes_there_and_back(corpus: Path) -> None:
    opened = open_corpus(str(corpus))
    codecs = CodecSet.load(opened.store, ELLSA)
    assert codecs.hash == CodecSet.load(corpus, ELLSA).hash
    for row in range(opened.index.num_rows):
        timeline, media = opened.read(row)
        tokens = compile_sample(ELLSA, codecs, timeline, media)
        act = timeline.act
        steps = steps_per_block(ELLSA, act.fps, timeline.key) if act else None
        Grammar(ELLSA, codecs, timeline.subset if act else None, steps).check(tokens.ids)
        out = decode(
            ELLSA,
            codecs,
            tokens.ids,
            timeline.subset,
            act.step_count if act else None,
            act.fps if act else None,
        )
        whole = [e.text for e in timeline.agent if isinstance(e, Write) and e.cut_s is None]
        ended = [e.text for e in out.lane_texts["write"] if e.ended == "end"]
        assert set(whole) <= set(ended)
        if act:
            codec, rows = codecs.get(f"action.{timeline.subset}"), media.act()
            wanted = np.clip(rows, codec.low, codec.high)
            assert (np.abs(out.actions - wanted) <= codec.max_error(steps)).all()


@pytest.mark.parametrize("name", ["ellsa", "lws", "moshi", "llama-omni"])
def test_explain_shows_every_id_of_a_sample(
    name: str, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ids column (in steps: the lanes' columns), in order, is the sequence."""
    key = robot_key(corpus) if name == "ellsa" else None
    assert schema.explain(name, str(corpus), key) == 0
    shown = capsys.readouterr().out
    opened, loaded = open_corpus(str(corpus)), load_schema(name)
    timeline, media = opened.read(opened.find(key) if key else 0)
    tokens = compile_sample(loaded, CodecSet.load(corpus, loaded), timeline, media)
    assert timeline.key in shown and f"{len(tokens)} tokens in {tokens.report.blocks} " in shown
    rows = [line.split("│")[1:-1] for line in shown.splitlines() if line.startswith("│")]
    columns = range(3, 3 + len(loaded.lanes)) if loaded.mode == "parallel" else [3]
    printed: list[int] = []
    for row in _joined(rows, columns):
        printed += [int(re.match(r"\d+", w).group()) for c in columns for w in row[c].split()]  # type: ignore[union-attr]
    assert printed == tokens.ids.tolist()
    assert timeline.world[0].text.split()[0] in shown  # type: ignore[union-attr]
    first = tokens.known_s.reshape(-1, tokens.streams)[:, 0]  # in steps: of the first output
    assert (
        f"{first.max():.2f}" in shown if loaded.mode == "parallel" else f"{first.max():g}" in shown
    )


def _joined(rows: list[list[str]], columns: Sequence[int]) -> list[list[str]]:
    """Folded lines put together again: a step's row begins with its number. A text piece is shown
    in quotes behind its id, and may hold spaces: it is taken out."""
    out: list[list[str]] = []
    for row in rows:
        cells = [re.sub(r"(\d)(?:'[^']*'|\"[^\"]*\")", r"\1", c) for c in row]
        if len(columns) == 1 or cells[0].strip():
            out.append(cells)
        else:
            out[-1] = [f"{a} {b}" for a, b in zip(out[-1], cells, strict=True)]
    return out


def test_explain_says_what_is_missing(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(StrettoError, match="no sample 'nobody'"):
        schema.explain("ellsa", str(corpus), "nobody")
    bare = tmp_path / "bare"
    shutil.copytree(corpus, bare, ignore=shutil.ignore_patterns("codecs"))
    with pytest.raises(StrettoError, match="needs the codec 'text'.*stretto fit"):
        schema.explain("ellsa", str(bare), None)


def test_check_tries_a_schema_on_a_corpus(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ellsa", "lws", "moshi", "moss-speech"):
        assert schema.check(name, str(corpus)) == 0
        assert "samples: " in (said := capsys.readouterr().out) and said.endswith("works\n")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        "extends: ellsa\nname: wrong\nclock: {block_s: 0.25}\nchange: {listen: {rate_hz: 20}}\n"
    )
    assert schema.check(str(wrong), str(corpus)) == 1
    assert "block lengths that fit" in capsys.readouterr().out


def test_diff_on_a_corpus_has_its_means_inside_what_is_announced(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert schema_diff.run("ellsa", "lws", str(corpus)) == 1
    shown = capsys.readouterr().out
    assert "means of" in shown and "loss-bearing" in shown
    opened = open_corpus(str(corpus))
    for name in ("ellsa", "lws", "moshi", "bayling", "ellsa-speech"):
        loaded = load_schema(name)
        codecs = CodecSet.load(opened.store, loaded)
        counted, refused = schema_diff.count_corpus(opened, loaded, codecs)
        assert not refused and counted.samples == opened.index.num_rows
        for rate in announced(loaded, codecs):
            if rate.name in counted.rates():
                content, boundary, bearing = counted.rates()[rate.name]
                assert rate.content.holds(content), (name, rate)
                assert rate.boundary.holds(boundary), (name, rate)
                if name == "moshi" and rate.name == "speak":  # the pads of its first step bear none
                    bearing += 7 * counted.samples / counted.seconds
                assert rate.bearing.holds(bearing), (name, rate, bearing)
