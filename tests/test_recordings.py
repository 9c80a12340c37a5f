"""Recordings through the whole job: real ones, and two channels whose word times are known."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import soxr
import yaml
from recording_fixture import LENGTH_S, LINES, RATE_HZ, conversation, write_config, write_moshi
from small_corpus import REPO, environment, generate

from pipeline.media import MemberMedia
from pipeline.stream import open_corpus
from schemas.timeline import Hear, Say, Timeline

NAMES = ("a", "b", "c")
DATA = "data/asr_reference_en"


def stretto(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobs.main", *arguments]
    return subprocess.run(
        command, cwd=REPO, env=environment(), capture_output=True, text=True, timeout=120
    )


def samples(out: Path) -> list[tuple[Timeline, MemberMedia]]:
    corpus = open_corpus(str(out))
    return [corpus.read(row) for row in range(corpus.index.num_rows)]


def all_hold(out: Path) -> None:
    done = stretto("validate", str(out))
    assert done.returncode == 0 and "FAIL" not in done.stdout, done.stdout


# ---- two channels with known word times ----------------------------------------------------------


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of moshi's layout at the recordings' own rate."""
    folder = tmp_path_factory.mktemp("called")
    source = {"name": "calls", "path": str(write_moshi(folder, NAMES)), "format": "moshi"}
    config = write_config(folder, source, speech={"sample_rate_hz": RATE_HZ})
    done = generate(config, folder / "out", "--runner", "local")
    assert done.returncode == 0, done.stderr
    assert "quarantined  0" in done.stdout
    return folder / "out"


def test_the_promises_hold(called: Path) -> None:
    all_hold(called)
    index = pq.read_table(called / "index.parquet")
    assert index["kind"].to_pylist() == ["recording"] * 3
    assert index["behaviours"].to_pylist() == [["recorded"]] * 3


def test_tracks_are_the_channels_as_they_were_recorded(called: Path) -> None:
    """Breath and hum between the words too, on `speak` as well: nothing is cut out and mixed anew."""
    for timeline, media in samples(called):
        assert np.array_equal(media.listen(), conversation().pcm[:, 1])
        assert np.array_equal(media.speak(), conversation().pcm[:, 0])
        assert timeline.duration_s == LENGTH_S and not timeline.stems


def test_every_word_comes_back_at_its_time(called: Path) -> None:
    timeline, _ = samples(called)[0]
    for who, events in (("user", timeline.world), ("assistant", timeline.agent)):
        spoken: list[Any] = [e for e in events if isinstance(e, (Hear, Say))]
        found = [w for e in spoken for w in e.words]
        wanted = conversation().of(who)
        assert [w.text for w in found] == [text for text, _, _ in wanted]
        for word, (_, start_s, end_s) in zip(found, wanted, strict=True):
            assert abs(word.start_s - start_s) <= 1e-6 and abs(word.end_s - end_s) <= 1e-6
        assert {e.word_times for e in spoken} == {"given"}


def test_the_assistant_rests_on_the_last_word_it_had_heard(called: Path) -> None:
    """And on nothing later, though the user speaks over it: nobody planned a cut."""
    timeline, _ = samples(called)[0]
    heard = {e.id: e for e in timeline.world if isinstance(e, Hear)}
    rests = []
    for say in timeline.agent:
        assert isinstance(say, Say) and say.cut_s is None and say.decided_s == say.start_s
        [cited] = say.evidence
        assert cited.word is not None and cited.revealed_s <= say.decided_s
        later = [w.end_s for e in heard.values() for w in e.words if w.end_s > cited.revealed_s]
        assert all(end_s > say.decided_s for end_s in later)
        rests.append(heard[cited.event].words[cited.word].text)
    assert rests == ["today?", "mm-hmm", "go?"]
    assert [e.behaviour for e in heard.values()] == ["turn", "backchannel", "turn"]


def test_statistics_are_those_of_the_conversation(called: Path) -> None:
    done = stretto("stats", str(called), "--json")
    assert done.returncode == 0, done.stderr
    taking = json.loads(done.stdout)["turn_taking"]
    user, assistant = taking["user"]["fto"], taking["assistant"]["fto"]
    # it takes the floor twice, after 0.462 and 0.32 s; the user once, before "morning." is over
    ends = {text: end_s for _, text, _, end_s in conversation().words}
    assert user["n"] == 3
    assert (
        user["s"]["p50"] == pytest.approx(6.8 - ends["morning."], abs=0.001)
        and user["s"]["p50"] < 0
    )
    assert assistant["n"] == 6
    assert assistant["s"]["p5"] == pytest.approx(8.0 - ends["go?"], abs=0.001)
    assert assistant["s"]["p95"] == pytest.approx(2.5 - ends["today?"], abs=0.001)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of the recordings in a corpus of another rate, 16 kHz."""
    folder = tmp_path_factory.mktemp("narrow")
    source = {"name": "calls", "path": str(write_moshi(folder, ("a",))), "format": "moshi"}
    done = generate(write_config(folder, source), folder / "out", "--runner", "local")
    assert done.returncode == 0, done.stderr
    return folder / "out"


def test_pages_and_every_preset_take_recordings(narrow: Path, tmp_path: Path) -> None:
    from preset_codecs import preset_set

    from pipeline.validate_tokens import TokenCheck
    from token_schema.encode import compile_sample
    from token_schema.language import list_presets, load_schema

    [(timeline, media)] = samples(narrow)
    done = stretto("view", str(narrow), timeline.key, "--out", str(tmp_path / "page.html"))
    assert done.returncode == 0 and "lovely" in (tmp_path / "page.html").read_text()
    for name in list_presets():
        schema, codecs = load_schema(name), preset_set(name)
        tokens = compile_sample(schema, codecs, timeline, media)
        assert not list(TokenCheck(schema, codecs, 1.0).round_trip(tokens, timeline, media)), name


def test_another_rate_moves_no_word(narrow: Path) -> None:
    """Resampled to 16 kHz: words within a sample, and the sound where it was."""
    all_hold(narrow)
    [(timeline, media)] = samples(narrow)
    assert timeline.provenance.notes == ("resampled from 24000 Hz to 16000 Hz",)
    assert timeline.provenance.backends["speech"] == "recorded"
    says = [w for e in timeline.agent if isinstance(e, Say) for w in e.words]
    for word, (_, start_s, end_s) in zip(says, conversation().of("assistant"), strict=True):
        assert abs(word.start_s - start_s) <= 1 / 16000 and abs(word.end_s - end_s) <= 1 / 16000
    wanted = soxr.resample(conversation().pcm[:, 1].astype(np.float32), RATE_HZ, 16000)
    assert np.abs(media.listen() - wanted).max() <= 2


def test_segments_without_words_are_aligned(tmp_path: Path) -> None:
    """Segments with a margin of silence, as annotators leave it: words are found in the sound, the
    utterance lasts as long as they do, and the assistant rests on what had been said by then."""
    made = conversation()
    soundfile.write(tmp_path / "a.flac", made.pcm[:, ::-1], RATE_HZ)
    segments, at = [], 0
    for who, start_s, text in LINES:
        words = made.words[at : at + len(text.split())]
        at += len(words)
        times = {"start": start_s - 0.15, "end": words[-1][3] + 0.15}
        segments.append({"speaker": who, "text": text, **times})
    (tmp_path / "x.json").write_text(json.dumps({"audio": "a.flac", "segments": segments}))
    source = {"path": str(tmp_path / "x.json"), "format": "json"}
    done = generate(write_config(tmp_path, source), tmp_path / "out", "--runner", "local")
    assert done.returncode == 0, done.stderr
    all_hold(tmp_path / "out")
    [(timeline, _)] = samples(tmp_path / "out")
    spoken: list[Any] = [
        e for e in (*timeline.world, *timeline.agent) if isinstance(e, (Hear, Say))
    ]
    assert {e.word_times for e in spoken} == {"estimated"}
    for (_, start_s, text), event in zip(
        LINES, sorted(spoken, key=lambda e: e.start_s), strict=True
    ):
        assert event.text == text and abs(event.start_s - start_s) < 0.1  # not 0.15 before
        assert event.start_s == event.words[0].start_s and event.end_s == event.words[-1].end_s
    first, second = (e for e in timeline.agent if isinstance(e, Say))
    assert [e.evidence[0].event for e in (first, second)] == ["u000", "u003"]


@pytest.mark.slow
def test_ray_makes_the_same_bytes(called: Path, tmp_path: Path) -> None:
    by_ray = generate(called.parent / "corpus.yaml", tmp_path / "ray", "--runner", "ray")
    assert by_ray.returncode == 0, by_ray.stderr
    tars = sorted(p.relative_to(called) for p in called.rglob("*.tar"))
    assert len(tars) == 2
    for tar in tars:
        assert (tmp_path / "ray" / tar).read_bytes() == (called / tar).read_bytes()


def test_silence_where_something_is_said_is_quarantined(tmp_path: Path) -> None:
    """As when the channels are the other way round; the good recording beside it is made."""
    pcm = np.zeros((32000, 2), np.int16)
    pcm[:, 0] = np.random.default_rng(2).integers(-999, 999, 32000)
    soundfile.write(tmp_path / "a.wav", pcm, 16000)
    good = {"id": "good", "audio": "a.wav", "text": "all is well"}
    bad = {"id": "bad", "audio": "a.wav", "segments": [{"text": "x", "start": 0.2, "end": 0.9}]}
    bad["segments"][0] |= {"speaker": "agent"}  # type: ignore[index]
    lines = "\n".join(map(json.dumps, (good, bad)))
    (tmp_path / "x.jsonl").write_text(lines)
    config = write_config(tmp_path, {"path": str(tmp_path / "x.jsonl")})
    assert generate(config, tmp_path / "out").returncode == 0
    all_hold(tmp_path / "out")
    [refused] = [
        json.loads(line)
        for path in (tmp_path / "out/quarantine").glob("*-recording-*.jsonl")
        for line in path.open()
    ]
    assert refused["stage"] == "speak" and "the assistant is silent from 0.200" in refused["reason"]


def test_another_recording_under_an_old_name_is_another_corpus(tmp_path: Path) -> None:
    """The audio counts in the fingerprint, not only the manifest."""
    source = {"name": "calls", "path": str(write_moshi(tmp_path, ("a",))), "format": "moshi"}
    config = write_config(tmp_path, source)
    assert generate(config, tmp_path / "out").returncode == 0
    path = tmp_path / "data_stereo/a.wav"
    soundfile.write(path, conversation().pcm[::-1].copy(), RATE_HZ)
    again = generate(config, tmp_path / "out")
    assert again.returncode == 2 and "data_stereo/a.wav another content" in again.stderr


def test_a_recording_over_the_limit_is_quarantined(tmp_path: Path) -> None:
    source = {"name": "calls", "path": str(write_moshi(tmp_path, ("a",))), "format": "moshi"}
    done = generate(write_config(tmp_path, source, scene={"max_duration_s": 5}), tmp_path / "out")
    assert done.returncode == 2 and "lasts 12 s, more than 5 s" in done.stderr


def test_the_example_runs(tmp_path: Path) -> None:
    done = generate(REPO / "examples/recordings.yaml", tmp_path / "out", "--runner", "local")
    assert done.returncode == 0 and "samples      2" in done.stdout, done.stderr
    all_hold(tmp_path / "out")
    bakery = next(t for t, _ in samples(tmp_path / "out") if "bakery" in t.provenance.record_id)
    heard = [(e.behaviour, e.text) for e in bakery.world if isinstance(e, Hear)]
    assert heard == [
        ("turn", "Hi, do you still have rye bread?"),
        ("backchannel", "mm-hmm"),
        ("turn", "Great, could you keep one for me?"),
        ("turn", "Martin. Thank you!"),
    ]


# ---- real ones -----------------------------------------------------------------------------------

JFK = (
    "And so my fellow Americans, ask not what your country can do for you, "
    "ask what you can do for your country."
)


def test_real_recordings(shared_dir: Path, tmp_path: Path) -> None:
    """Lhotse cuts that name upstream paths, a text beside its FLAC, JSON by mapping, a stereo file
    of two identical channels: all become samples in which only the user speaks."""
    data = shared_dir / DATA
    texts = (
        line.split(" ", 1) for line in (data / "mini_librispeech_text.txt").open() if " " in line
    )
    libri = {key: text.strip() for key, text in texts}["lbi-2412-153948-0000"]
    mapped = [
        {"name": "libri", "file": "2412-153948-0000.flac", "said": libri},
        {"name": "jfk", "file": "jfk.flac", "said": JFK},
        {"name": "untold", "file": "libri-1088-134315-0000.wav", "said": ""},
    ]
    (tmp_path / "m.json").write_text(json.dumps(mapped))
    root = {"audio_root": str(data)}
    sources: list[dict[str, Any]] = [
        {
            "name": "lj",
            "path": str(data / "ljspeech_cuts.json"),
            "format": "lhotse",
            "audio_by": "name",
        }
        | root,
        {"name": "lab", "path": str(data / "61-*.flac"), "format": "sidecar"},
        {"name": "mapped", "path": str(tmp_path / "m.json"), "format": "json", "id": "name"}
        | {"audio": "file", "text": "said"}
        | root,
    ]
    config: dict[str, Any] = {"name": "real", "seed": 3, "checks": {"vad": False}}
    config |= {"sources": [{"recordings": s} for s in sources]}
    (tmp_path / "real.yaml").write_text(yaml.safe_dump(config))
    out = tmp_path / "out"
    done = generate(tmp_path / "real.yaml", out, "--runner", "local")
    assert done.returncode == 0, done.stderr
    all_hold(out)
    records = json.loads((out / "dataset.json").read_text())["records"]
    assert (records["input"], records["committed"], records["quarantined"]) == (6, 5, 1)
    assert "the transcript is empty" in (out / "quarantine/source.jsonl").read_text()
    found = {t.provenance.record_id.rpartition("/")[2]: (t, m) for t, m in samples(out)}
    ours = {name for name in found if not name.endswith(".flac") and "-" in name}
    assert len(ours) == 2  # the cuts' own ids
    for timeline, media in found.values():
        assert not timeline.agent and not media.speak().any()
        [hear] = timeline.world
        assert isinstance(hear, Hear) and hear.words and hear.word_times in ("estimated", "aligned")
    timeline, media = found["61-70968-0000.flac"]
    pcm, _ = soundfile.read(data / "61-70968-0000.flac", dtype="int16")
    assert np.array_equal(media.listen(), pcm)
    text = (data / "61-70968-0000.lab").read_text().strip()
    assert [w.text for w in timeline.world[0].words] == text.split()  # type: ignore[union-attr]
    jfk, _ = found["jfk"]
    assert jfk.world[0].text == JFK and jfk.duration_s == 11.0  # type: ignore[union-attr]
    assert stretto("stats", str(out), "--json").returncode == 0
