"""`stretto fit --schema`: one folder of codecs for several schemas, nothing refitted unseen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from corpus_fixture import real_corpus
from tokenizers import Tokenizer

from jobs import fit
from jobs.fit_kinds import texts_of
from pipeline.stream import open_corpus
from schemas.config import Config
from schemas.errors import StrettoError
from token_schema.codec_set import CodecSet
from token_schema.language import load_schema

CONFIG = "examples/quickstart.yaml"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_corpus(tmp_path_factory.mktemp("fit"), 4)


@pytest.fixture(scope="module")
def config(repo: Path) -> Config:
    data = yaml.safe_load((repo / CONFIG).read_text())
    data["codecs"] = {**data["codecs"], "audio_entries": 16, "text_vocab": 400}
    return Config.from_mapping(data, "quickstart.yaml")


def write_schema(folder: Path, name: str, *lanes: dict, **more: object) -> str:
    """An interleaved schema file with a 1-s clock."""
    data = {"name": name, "mode": "interleaved", "clock": {"block_s": 1.0}, "lanes": list(lanes)}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**data, **more}))
    return str(path)


def listen(**fields: object) -> dict:
    return {"listen": {"as": "codes", "rate_hz": 10, "open": "<l>", "close": "</l>", **fields}}


ACT = {"act": {"as": "codes", "open": "<a>", "close": "</a>"}}


def folder_bytes(folder: Path) -> dict[str, bytes]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_schemas_share_codecs_and_nothing_is_refitted(
    corpus: Path, config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, one = str(tmp_path / "out"), write_schema(tmp_path, "one", listen())
    assert fit.run(config, str(corpus), out, one) == 0
    first = folder_bytes(tmp_path / "out")
    assert set(first) == {f"codecs/audio/{n}" for n in ("codec.json", "codebooks.npy", "fit.json")}
    # more codebooks than the lane asked for: another schema finds enough of them
    two = write_schema(tmp_path, "two", listen(codebooks=8, codec="audio"), ACT)
    capsys.readouterr()
    assert fit.run(config, str(corpus), out, two) == 0
    assert "audio: kept as it is" in capsys.readouterr().out
    both = folder_bytes(tmp_path / "out")
    assert {k: v for k, v in both.items() if k in first} == first and len(both) > len(first)
    assert CodecSet.load(tmp_path / "out", load_schema(two)).get("audio").codebooks == 8
    # deleted, it is fitted anew: the same bytes
    shutil.rmtree(tmp_path / "out/codecs/audio")
    assert fit.run(config, str(corpus), out, one) == 0
    assert folder_bytes(tmp_path / "out") == both


def test_other_settings_are_refused_before_anything_is_fitted(
    corpus: Path, config: Config, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    fit.run(config, str(corpus), out, write_schema(tmp_path, "ten", listen(), ACT))
    before = folder_bytes(tmp_path / "out")
    text = {"write": {"as": "text", "budget": 4, "end": "<e>", "idle": "<i>", "open": "<w>"}}
    text["write"]["close"] = "</w>"
    cases = {
        "rate_hz is 10.0, wanted 20.0": (listen(rate_hz=20), text),
        "codebooks is 8, wanted 9": (listen(codebooks=9), text),
        "horizon is 10, wanted 20": (listen(codec="other"), text, ACT),
    }
    for what, lanes in cases.items():
        clock = {"block_s": 2.0 if "horizon" in what else 1.0}
        schema = write_schema(tmp_path, "bad", *lanes, clock=clock)
        with pytest.raises(StrettoError, match=f"{what}.*delete the folder.*another name"):
            fit.run(config, str(corpus), out, schema)
        assert folder_bytes(tmp_path / "out") == before
    again = Config.model_validate(
        {**config.model_dump(by_alias=True), "codecs": {"audio_entries": 32}}
    )
    with pytest.raises(StrettoError, match="entries is 16, wanted 32"):
        fit.run(again, str(corpus), out, write_schema(tmp_path, "x", listen()))


def test_a_codec_that_was_put_there_is_kept_and_a_broken_note_refused(
    corpus: Path, config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, schema = str(tmp_path / "out"), write_schema(tmp_path, "one", listen())
    fit.run(config, str(corpus), out, schema)
    note = tmp_path / "out/codecs/audio/fit.json"
    whole = note.read_text()
    note.unlink()
    capsys.readouterr()
    assert fit.run(config, str(corpus), out, schema) == 0
    assert "audio: kept, its settings are not known" in capsys.readouterr().out
    for broken in ("{", "[]"):
        note.write_text(broken)
        with pytest.raises(StrettoError, match="fit.json is not a codec's"):
            fit.run(config, str(corpus), out, schema)
    note.write_text(whole)
    assert fit.run(config, str(corpus), out, schema) == 0


def test_text_is_fitted_on_every_view_whatever_the_schema_takes(
    corpus: Path, config: Config, tmp_path: Path
) -> None:
    opened = open_corpus(str(corpus))
    samples = [opened.read(int(row))[0] for row in opened.rows("train")]
    texts = [text for timeline in samples for text in texts_of(timeline)]
    for kind in ("hear", "write", "say"):
        events = [e for t in samples for e in (*t.world, *t.agent) if e.kind == kind]
        assert events and {e.text for e in events} <= set(texts)
    assert any(t.context.task in texts for t in samples if t.context.task)
    hashes = set()
    for channel in ("write", "think"):
        lane = {"as": "text", "budget": 4, "end": "<e>", "idle": "<i>", "open": "<w>"}
        lane["close"] = "</w>"
        schema = write_schema(tmp_path, channel, {channel: lane})
        fit.run(config, str(corpus), str(tmp_path / channel), schema)
        hashes.add(CodecSet.load(tmp_path / channel, load_schema(schema)).get("text").hash)
    assert len(hashes) == 1


def test_types_and_options_come_from_the_schema(
    corpus: Path, config: Config, tmp_path: Path
) -> None:
    def codecs(**more: object) -> dict:
        return {"codecs": {"action": {"type": "uniform", **more}}}

    schema = write_schema(tmp_path, "u", listen(), ACT, **codecs(options={"bins": 64}))
    fit.run(config, str(corpus), str(tmp_path / "u"), schema)
    loaded = load_schema(schema)
    held = CodecSet.load(tmp_path / "u", loaded)
    assert held.vocabulary.range("action").entries == 64
    timeline, media = next(
        (t, m) for t, m in map(open_corpus(str(corpus)).read, range(9)) if t.act is not None
    )
    rows, codec = media.act(), held.get(f"action.{timeline.subset}")
    assert rows is not None and codec.fixed == rows.shape[1]
    for wrong, what in (
        (codecs(options={"bin": 64}), "unknown option 'bin'.*known: bins"),
        (codecs(options={"bins": "many"}), "'many' is no int"),
        (codecs(path="x"), "no path"),
        ({"codecs": {"action": {"type": "rvq"}}}, "type 'rvq' is no codec for action"),
    ):
        bad = write_schema(tmp_path, "bad", listen(), ACT, **wrong)
        with pytest.raises(StrettoError, match=what):
            fit.run(config, str(corpus), str(tmp_path / "bad"), bad)
    rates = write_schema(
        tmp_path, "rates", listen(), {"speak": {**listen(rate_hz=20)["listen"], "open": "<s>"}}
    )
    rates_data = yaml.safe_load(Path(rates).read_text())
    rates_data["lanes"][1]["speak"]["close"] = "</s>"
    Path(rates).write_text(yaml.safe_dump(rates_data))
    with pytest.raises(StrettoError, match="one codec cannot have 10 and 20 Hz"):
        fit.run(config, str(corpus), str(tmp_path / "bad"), rates)


def test_sizes_that_fit_no_actions_name_the_keys_that_set_them(
    corpus: Path, config: Config, tmp_path: Path
) -> None:
    sizes = config.codecs.model_copy(update={"action_vocab": 64})
    small = config.model_copy(update={"codecs": sizes})
    keys = (
        "codecs.action_vocab, codecs.action_scale: vocab_size 64 is below .*lower `codecs.action_s"
    )
    with pytest.raises(StrettoError, match=keys):
        fit.run(small, str(corpus), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()  # before any other codec is fitted


def test_a_parallel_schema_gets_voices_and_needs_uniform_actions(
    corpus: Path, config: Config, tmp_path: Path
) -> None:
    fit.run(config, str(corpus), str(tmp_path / "out"), "personaplex")
    schema = load_schema("personaplex")
    assert schema.prompt is not None
    voices = CodecSet.load(tmp_path / "out", schema).get("voice")
    opened = open_corpus(str(corpus))
    for row in opened.rows("train"):
        timeline, media = opened.read(int(row))
        clip = voices.clip(timeline.context.assistant_voice)
        assert clip is not None and clip.any()
        assert len(clip) == round(schema.prompt.voice_s * timeline.speak.sample_rate_hz)
    # the first thing the first voice says is how its clip begins
    timeline, media = opened.read(int(opened.rows("train")[0]))
    said = next(e for e in timeline.agent if e.kind == "say")
    begin = round(said.start_s * timeline.speak.sample_rate_hz)
    assert np.array_equal(voices.clip(said.voice)[:4000], media.speak()[begin : begin + 4000])
    data: dict = {
        "name": "p",
        "mode": "parallel",
        "clock": {"frame_s": 0.1},
        "lanes": [{"act": {"as": "codes", "streams": 4, "pad": "<p>"}}, listen()],
    }
    data["lanes"][1]["listen"] = {"as": "codes", "rate_hz": 10}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(StrettoError, match="fast has no fixed number.*type: uniform"):
        fit.run(config, str(corpus), str(tmp_path / "p"), str(tmp_path / "p.yaml"))


def test_a_real_codec_is_pinned_to_its_files(corpus: Path, config: Config, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    fit.run(config, str(corpus), str(tmp_path / "own"), "bayling")
    own = tmp_path / "own/codecs/text/tokenizer.json"
    (model / "tokenizer.json").write_text(Tokenizer.from_file(str(own)).to_str())
    lane = {"as": "text", "budget": 4, "end": "<e>", "idle": "<i>", "open": "<w>", "close": "</w>"}
    declared = {"codecs": {"text": {"type": "hf_text", "path": str(model)}}}
    schema = write_schema(tmp_path, "real", {"write": lane}, **declared)
    fit.run(config, str(corpus), str(tmp_path / "out"), schema)
    note = json.loads((tmp_path / "out/codecs/text/fit.json").read_text())
    assert note["type"] == "hf_text" and note["path"] == str(model)
    loaded = load_schema(schema)
    held, fitted = (
        CodecSet.load(tmp_path / where, loaded_)
        for where, loaded_ in (("out", loaded), ("own", load_schema("bayling")))
    )
    texts = ["open the drawer, please", "é 🍎\n"]
    assert held.get("text").encode_batch(texts) == fitted.get("text").encode_batch(texts)
    held.open()
    (model / "tokenizer.json").write_text("{}")
    with pytest.raises(StrettoError, match="weights changed"):
        CodecSet.load(tmp_path / "out", loaded).open()
    with pytest.raises(StrettoError, match="is of type 'bpe'.*says 'hf_text'"):
        CodecSet.load(tmp_path / "own", loaded)
    with pytest.raises(StrettoError, match="other settings: .*type is bpe, wanted hf_text"):
        fit.run(config, str(corpus), str(tmp_path / "own"), schema)
