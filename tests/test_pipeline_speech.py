"""Speech in a run: kept by content, spoken once, in the task or in actors of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from s3_server import s3_server
from small_corpus import dialogue, files, generate, write_corpus
from test_speech_hosted import venv

from generators.speech import Speech, SpeechRequest, Spoken, Voice, open_backend
from generators.speech.artefacts import Artefacts, FolderArtefacts
from generators.speech.cache import CachedBackend, unpacked
from generators.speech.espeak import EspeakBackend
from pipeline import ray_speech
from pipeline.artefacts import ObjectArtefacts, artefacts
from pipeline.plan import _clear
from pipeline.ray_speech import actor_cpus, speech_pool
from pipeline.runner_ray import cluster
from pipeline.store import open_store
from schemas.config import Config
from schemas.config.speech import SpeechConfig
from schemas.errors import StrettoError

VOICE = Voice("v", "en-US", "f4")
REQUESTS = [SpeechRequest(f"Sentence number {n}.", VOICE, 1) for n in range(6)]


class Drifting(EspeakBackend):
    """An engine that is not pure: every answer has another pitch, as a GPU's last bits might."""

    def __init__(self, start: int) -> None:
        super().__init__(16000)
        self.pitch = start

    def say(self, requests: Sequence[SpeechRequest]) -> list[Spoken]:
        said = []
        for request in requests:
            self.pitch += 1
            voice = Voice("d", "en-US", "m3", pitch=self.pitch)
            said += super().say([SpeechRequest(request.text, voice, request.seed)])
        return said


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A bucket's URL."""
    boto3 = pytest.importorskip("boto3")
    with s3_server() as endpoint:
        keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
        client.create_bucket(Bucket="utterances")
        host = endpoint.removeprefix("http://")
        yield f"s3://k:s@utterances/kept?scheme=http&endpoint_override={host}&region=us-east-1"


@pytest.fixture(params=["folder", "s3"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Artefacts:
    if request.param == "folder":
        return FolderArtefacts(tmp_path / "kept")
    url = request.getfixturevalue("s3")
    return ObjectArtefacts(open_store(url), f"{tmp_path.name}/")


def test_the_first_stored_wins_and_all_read_that_one(kept: Artefacts) -> None:
    entries = [f"entry {n}".encode() * 500 for n in range(12)]
    with ThreadPoolExecutor(12) as pool:
        stored = list(pool.map(lambda data: kept.put_if_absent("ab/one.utt", data), entries))
    assert len(set(stored)) == 1 and stored[0] in entries
    assert kept.put_if_absent("ab/one.utt", b"late") == kept.get("ab/one.utt") == stored[0]
    kept.replace("ab/one.utt", b"mended")
    assert kept.get("ab/one.utt") == b"mended" and kept.get("ab/two.utt") is None


def test_two_workers_of_an_impure_engine_go_on_with_the_same_audio(kept: Artefacts) -> None:
    workers = [CachedBackend(Drifting(start), 16000, kept) for start in (20, 60)]
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda worker: worker.say(REQUESTS), workers)
    late = CachedBackend(Drifting(90), 16000, kept)
    three = late.say(REQUESTS)
    for worker in (*workers, late):
        worker.close()
    for first, second, third in zip(one, two, three, strict=True):
        assert isinstance(first, Speech) and isinstance(second, Speech)
        assert isinstance(third, Speech) and np.array_equal(first.pcm, third.pcm)
        assert np.array_equal(first.pcm, second.pcm) and first.words == second.words
    assert (late.counts.asked, late.counts.spoken) == (6, 0)


def test_a_broken_object_is_spoken_again(kept: Artefacts) -> None:
    espeak = EspeakBackend(16000)
    cache = CachedBackend(espeak, 16000, kept)
    [good] = cache.say(REQUESTS[:1])
    key = cache.key(REQUESTS[0])
    name = f"{key[:2]}/{key}.utt"
    whole = kept.get(name)
    assert whole and isinstance(good, Speech)
    kept.replace(name, whole[: len(whole) // 2])
    [again] = cache.say(REQUESTS[:1])
    espeak.close()
    assert isinstance(again, Speech) and np.array_equal(good.pcm, again.pcm)
    assert kept.get(name) == whole and cache.counts.spoken == 2


def config(**speech: Any) -> Config:
    data = {"name": "t", "sources": [{"dialogues": {"path": "x"}}], "speech": speech}
    return Config.from_mapping(data, "test")


def test_where_utterances_are_kept(tmp_path: Path) -> None:
    out = open_store(str(tmp_path / "out"))
    assert artefacts(config(), out) is None  # espeak is pure: nothing need be kept
    own = artefacts(config(cache=str(tmp_path / "c")), out)
    assert isinstance(own, FolderArtefacts) and own.folder == tmp_path / "c"
    model = {"backend": "transformers", "transformers": {"model": "m"}}
    inside = artefacts(config(**model), out)
    assert isinstance(inside, FolderArtefacts)
    assert inside.folder == tmp_path / "out" / "artefacts" / "speech"
    assert artefacts(config(**model), None) is None
    with pytest.raises(StrettoError, match="no store for ftp://"):
        artefacts(config(cache="ftp://x"), out)


def test_a_new_plan_keeps_what_was_spoken(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    for name in ("artefacts/speech/ab/x.utt", "plan/train-a-000000.jsonl"):
        store.write_bytes(name, b"x")
    _clear(store)
    assert store.list() == ["artefacts/speech/ab/x.utt"]
    store.write_bytes("thesis.txt", b"x")
    with pytest.raises(StrettoError, match="files of no plan of stretto's: thesis.txt"):
        _clear(store)


def spoken_line(done: subprocess.CompletedProcess[str]) -> tuple[int, int]:
    found = re.search(r"speech +([\d,]+) utterances, ([\d,]+) from the cache", done.stdout)
    assert done.returncode == 0 and found, done.stdout + done.stderr
    return int(found[1]), int(found[2])


def test_other_timings_and_acoustics_speak_nothing_again(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path, [dialogue(n) for n in range(4)])
    cache = f"speech.cache={tmp_path / 'cache'}"
    asked, kept = spoken_line(generate(corpus, tmp_path / "a", "--set", cache))
    assert asked > 6 and kept == 0
    settings = ("scene.reply_gap_s=[1.0, 2.0]", "scene.start_s=[2.0, 3.0]",
                "acoustics={noise: {rate: 1.0}}")  # fmt: skip
    other = [part for setting in settings for part in ("--set", setting)]
    assert spoken_line(generate(corpus, tmp_path / "b", "--set", cache, *other)) == (asked, asked)
    plain = files(tmp_path / "a")
    assert plain["index.parquet"] != files(tmp_path / "b")["index.parquet"]
    # what a cache gave is what a run without one speaks
    generate(corpus, tmp_path / "c")
    assert files(tmp_path / "c") == plain


def test_actors_leave_a_cpu_for_the_tasks() -> None:
    def cpus(total: float, **speech: Any) -> float:
        return actor_cpus(SpeechConfig.model_validate(speech), total, 1.0)

    assert cpus(16, streams=4) == 1.0 and cpus(16, streams=4, cpus=3.7) == 3.0
    assert cpus(2, streams=2) == 0.5 and cpus(2, streams=3) == 0.33
    assert cpus(1, streams=1) == 0.0 and cpus(2, streams=1, cpus=0.25) == 0.25


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return venv(tmp_path_factory.mktemp("environment"), True)


@pytest.mark.slow
def test_on_ray_the_same_bytes_from_actors_in_another_environment(
    tmp_path: Path, python: str
) -> None:
    """Two CPUs, two streams: the actors may not take both, or no task would run."""
    corpus = write_corpus(tmp_path, [dialogue(n) for n in range(5)])
    generate(corpus, tmp_path / "local")
    script = (
        "import sys\nfrom pipeline.runner_ray import cluster\nfrom jobs.main import main\n"
        "with cluster(cpus=2):\n    sys.exit(main(sys.argv[1:]))\n"
    )
    more = ["--runner", "ray", "--set", f"speech.python={python}", "--set", "speech.streams=2"]
    command = [sys.executable, "-c", script, "generate", str(corpus), "--out", str(tmp_path / "r")]
    from small_corpus import REPO, environment

    done = subprocess.run(
        command + more, cwd=REPO, env=environment(), capture_output=True, text=True, timeout=300
    )
    asked, kept = spoken_line(done)
    assert asked > 6 and kept == 0
    assert files(tmp_path / "r") == files(tmp_path / "local")


def test_an_environment_that_cannot_host_an_actor_is_refused_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = venv(tmp_path / "bare", False)
    sleepy = tmp_path / "sleepy"
    sleepy.write_text("#!/bin/sh\nsleep 1000\n")
    sleepy.chmod(0o755)
    with cluster(cpus=2):
        with pytest.raises(StrettoError, match="can't host a Ray actor.*No module named 'ray'"):
            with speech_pool(config(python=bare), 1.0, own=True):
                pass
        with monkeypatch.context() as soon:
            soon.setattr(ray_speech, "PREFLIGHT_S", 1.0)
            with pytest.raises(StrettoError, match="sleepy: it does not answer within 1 s"):
                with speech_pool(config(python=str(sleepy)), 1.0, own=True):
                    pass
        with pytest.raises(StrettoError, match="2 streams of 0.5 GPUs on 0 GPUs"):
            with speech_pool(config(gpus=0.5, streams=2), 1.0, own=True):
                pass
        with speech_pool(config(), 1.0, own=True) as none:
            assert none is None


def test_an_entry_is_no_pickle(tmp_path: Path) -> None:
    backend = open_backend("espeak", 16000, tmp_path)
    backend.say(REQUESTS[:1])
    backend.close()
    [entry] = tmp_path.rglob("*.utt")
    data = entry.read_bytes()
    assert data.startswith(b'{"hash"') and b"fLaC" in data and unpacked(data)
    assert unpacked(b"\x80\x04cos\nsystem\n") is None
