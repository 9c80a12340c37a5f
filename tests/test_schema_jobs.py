"""`stretto fit` and `stretto schema` on a small real corpus; every sample there and back."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from corpus_fixture import real_corpus

from jobs import fit, schema
from jobs.config_file import load_config
from pipeline.stream import Corpus, open_corpus
from schemas.errors import StrettoError
from schemas.timeline import Write
from token_schema import CodecSet, Grammar, compile_sample, decode, load_schema
from token_schema.lanes import steps_per_block

ELLSA = load_schema("ellsa")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Path:
    """The first records of the examples, with the codecs that `fit` gives."""
    out = real_corpus(tmp_path_factory.mktemp("schema"), 4)
    assert fit.run(str(repo / "examples/quickstart.yaml"), str(out)) == 0
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
    assert again == folder_bytes(corpus / "codecs")
    names = {path.split("/")[0] for path in again}
    assert {"text", "audio", "image"} < names
    assert any(n.startswith("action-") for n in names)
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
            codec, rows = codecs.get(f"action-{timeline.subset}"), media.act()
            wanted = np.clip(rows, codec.low, codec.high)
            assert (np.abs(out.actions - wanted) <= codec.max_error(steps)).all()


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert schema.list_() == 0
    assert "ellsa: interleaved, blocks of 1 s: listen, look, write" in capsys.readouterr().out
    assert schema.show("ellsa") == 0
    shown = capsys.readouterr().out
    for token in ELLSA.specials():
        if token not in ("<end>", "<cut>"):
            assert token in shown
    assert "3 to 10" in shown  # write: <bot>, 1 to 8 tokens, <eot>


def test_explain_shows_every_id_of_a_sample(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = robot_key(corpus)
    assert schema.explain("ellsa", str(corpus), key) == 0
    shown = capsys.readouterr().out
    opened = open_corpus(str(corpus))
    timeline, media = opened.read(opened.index.column("key").to_pylist().index(key))
    codecs = CodecSet.load(corpus, ELLSA)
    tokens = compile_sample(ELLSA, codecs, timeline, media)
    assert key in shown and f"{len(tokens)} tokens in {tokens.report.blocks} blocks" in shown
    # the ids column, in order, is the sequence
    cells = [line.split("│")[3] for line in shown.splitlines() if line.count("│") == 5]
    printed = [word.split("<")[0] for word in " ".join(cells).split()]
    assert [int(w) for w in printed] == tokens.ids.tolist()
    assert timeline.world[0].text.split()[0] in shown  # type: ignore[union-attr]


def test_explain_says_what_is_missing(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(StrettoError, match="no sample 'nobody'"):
        schema.explain("ellsa", str(corpus), "nobody")
    bare = tmp_path / "bare"
    shutil.copytree(corpus, bare, ignore=shutil.ignore_patterns("codecs"))
    with pytest.raises(StrettoError, match="needs the codec 'text'.*stretto fit"):
        schema.explain("ellsa", str(bare), None)
