"""Engines in processes of their own: another interpreter, crashes, hangs, and the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from tiny_voices import save_vits

from generators.speech import (
    Speech,
    SpeechRequest,
    Spoken,
    Voice,
    is_hosted,
    open_backend,
    open_speech,
    worker_process,
)
from generators.speech.hosted import HostedBackend
from schemas.config.speech import SpeechConfig
from schemas.errors import MachineError, StrettoError

TEXTS = ("One fish.", "Two fish, red fish.", "Blue fish?", "This one has a little star.", "...")
REQUESTS = [SpeechRequest(text, Voice("v", "en-US", "f4"), 3) for text in TEXTS]


def venv(folder: Path, packages: bool) -> str:
    """A bare environment's interpreter; with `packages` it finds this one's by a .pth file."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    if packages:
        [site] = folder.glob("lib/python*/site-packages")
        (site / "ours.pth").write_text(str(Path(np.__file__).parent.parent))
    return str(folder / "bin" / "python")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return venv(tmp_path_factory.mktemp("environment"), True)


@pytest.fixture
def hosted(python: str) -> Iterator[HostedBackend]:
    backend = HostedBackend(SpeechConfig(python=python, deadline_s=4.0))
    yield backend
    backend.close()


def same(left: list[Spoken], right: list[Spoken]) -> bool:
    for one, two in zip(left, right, strict=True):
        if isinstance(one, Speech) and isinstance(two, Speech):
            if not np.array_equal(one.pcm, two.pcm) or one.words != two.words:
                return False
        elif str(one) != str(two):
            return False
    return True


def pid(backend: HostedBackend, stream: int = 0) -> int:
    process = backend._workers[stream]._process
    assert process
    return process.pid


def test_another_interpreter_gives_the_same_answers(hosted: HostedBackend, python: str) -> None:
    here = open_backend("espeak", 16000)
    wanted = here.say(REQUESTS)
    assert isinstance(wanted[4], StrettoError)
    assert same(hosted.say(REQUESTS), wanted) and hosted.version() == here.version()
    two = HostedBackend(SpeechConfig(python=python, streams=2))
    assert same(two.say(REQUESTS), wanted) and pid(two, 0) != pid(two, 1)
    two.close()
    here.close()


def test_what_makes_an_engine_hosted() -> None:
    assert not is_hosted(SpeechConfig())
    for change in ({"python": "p"}, {"streams": 2}, {"gpus": 0.5}, {"env": {"A": "b"}}):
        assert is_hosted(SpeechConfig.model_validate(change))


def test_prints_of_libraries_disturb_nobody(python: str, tmp_path: Path) -> None:
    """Standard output belongs to whoever prints; it starts before the first line of ours."""
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os\nprint('hello from a library')\nos.write(1, b'raw bytes')\n"
    )
    speech = SpeechConfig(python=python, env={"PYTHONPATH": str(tmp_path)})
    backend = HostedBackend(speech)
    assert isinstance(backend.say(REQUESTS[:1])[0], Speech)
    assert "hello from a library" in backend._workers[0]._told
    backend.close()


def test_the_other_environment_does_not_see_our_packages(tmp_path: Path) -> None:
    """Stretto lies beside other packages; the engine may take only Stretto from there."""
    bare = venv(tmp_path / "bare", False)
    with pytest.raises(StrettoError, match="No module named 'pydantic'|No module named 'numpy'"):
        HostedBackend(SpeechConfig(python=bare)).check()


def test_a_missing_interpreter_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StrettoError, match="can't be run: no such file.*give the path of bin/py"):
        HostedBackend(SpeechConfig(python=str(tmp_path / "none"))).check()
    (tmp_path / "text").write_text("no program")
    with pytest.raises(StrettoError, match="can't be run: permission denied"):
        HostedBackend(SpeechConfig(python=str(tmp_path / "text"))).check()


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_never_answers_is_refused_soon_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "START_S", 2.0)
    (tmp_path / "sleepy").write_text(f"#!/bin/sh\nsleep 1000 &\necho $! > {tmp_path}/pid\nwait\n")
    (tmp_path / "sleepy").chmod(0o755)
    with pytest.raises(StrettoError, match="does not start: .* does not answer within 2 s"):
        HostedBackend(SpeechConfig(python=str(tmp_path / "sleepy"))).check()
    left = int((tmp_path / "pid").read_text())
    time.sleep(0.2)  # it is init's to bury
    assert not alive(left)


def test_no_more_streams_than_there_is_work(python: str) -> None:
    backend = HostedBackend(SpeechConfig(python=python, streams=64))
    backend.check()
    backend.say(REQUESTS[:2])
    assert [w._process is not None for w in backend._workers] == [True, True] + [False] * 62
    backend.close()
    with pytest.raises(ValidationError, match="less than or equal to 64"):
        SpeechConfig(streams=65)


def test_a_killed_worker_is_started_again(hosted: HostedBackend) -> None:
    wanted = hosted.say(REQUESTS)
    first = pid(hosted)
    os.kill(first, signal.SIGKILL)
    assert same(hosted.say(REQUESTS), wanted) and pid(hosted) != first


def test_a_worker_that_hangs_is_ended_and_asked_again(hosted: HostedBackend) -> None:
    wanted = hosted.say(REQUESTS[:1])
    first, began_s = pid(hosted), time.monotonic()
    os.kill(first, signal.SIGSTOP)
    assert same(hosted.say(REQUESTS[:1]), wanted)
    assert 3.5 < time.monotonic() - began_s < 60 and pid(hosted) != first


def test_an_environment_that_breaks_stops_the_run_and_blames_no_text(tmp_path: Path) -> None:
    python = venv(tmp_path / "env", True)
    backend = HostedBackend(SpeechConfig(python=python))
    backend.check()
    os.kill(pid(backend), signal.SIGKILL)
    [pth] = (tmp_path / "env").glob("lib/python*/site-packages/ours.pth")
    pth.unlink()
    with pytest.raises(MachineError, match="the speech worker does not start"):
        backend.say(REQUESTS)
    backend.close()


def wrapped(python: str, folder: Path) -> str:
    """A script that runs `python` as a child, as an environment's launcher may."""
    # a shell gives what runs in its background no input, unless it is told
    run = f'exec 3<&0\n{python} "$@" <&3 &\necho $! > {folder}/pid\nexec 3<&-\nwait\n'
    (folder / "wrapper").write_text(f"#!/bin/sh\n{run}")
    (folder / "wrapper").chmod(0o755)
    return str(folder / "wrapper")


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "pass", "b.close()"])
def test_a_worker_ends_with_its_parent_behind_a_wrapper_too(
    python: str, tmp_path: Path, end: str
) -> None:
    script = (
        "import os, signal\nfrom generators.speech.hosted import HostedBackend\n"
        "from schemas.config.speech import SpeechConfig\n"
        f"b = HostedBackend(SpeechConfig(python={wrapped(python, tmp_path)!r}))\nb.check()\n"
        f"print(b._workers[0]._process.pid, flush=True)\n{end}\n"
    )
    repo = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", script], cwd=repo, capture_output=True, text=True)
    ours = int(done.stdout), int((tmp_path / "pid").read_text())
    assert ours[0] != ours[1]
    for _ in range(100):
        if not any(map(alive, ours)):
            return
        time.sleep(0.1)
    pytest.fail("the worker outlives its parent")


@pytest.fixture(scope="module")
def vits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    return save_vits(tmp_path_factory.mktemp("vits"))


def transformers(vits: Path, **settings: Any) -> SpeechConfig:
    data = {"backend": "transformers", "transformers": {"model": str(vits), "batch": 2}}
    return SpeechConfig.model_validate(data | settings)


def vits_request(text: str, **settings: Any) -> SpeechRequest:
    return SpeechRequest(
        text, Voice("v", "en", engine="transformers", settings=tuple(settings.items())), 1
    )


@pytest.mark.slow
def test_streams_do_not_change_what_is_said(vits: Path, python: str) -> None:
    wanted = [
        vits_request(t) for t in ("hello", "how are you today", "yes", "never say never", "a b")
    ]
    here = open_speech(transformers(vits))
    for streams in (1, 3):
        hosted = open_speech(transformers(vits, python=python, streams=streams))
        assert same(hosted.say(wanted), here.say(wanted))
        assert hosted.version() == here.version()
        hosted.close()


@pytest.mark.slow
def test_an_utterance_that_kills_its_worker_is_an_error_of_its_own(
    vits: Path, python: str, tmp_path: Path
) -> None:
    """Weights that can't be loaded end the worker whenever that voice is asked for."""
    broken = save_vits(tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"no weights")
    hosted = open_speech(transformers(vits, python=python))
    good = vits_request("hello"), vits_request("how are you")
    first, bad, last = hosted.say([good[0], vits_request("hello", model=str(broken)), good[1]])
    assert isinstance(first, Speech) and isinstance(last, Speech)
    assert "the speech worker died" in str(bad) and "hello" in str(bad)
    assert "header" in str(bad).lower() or "safetensor" in str(bad).lower()
    hosted.close()


def test_a_missing_model_is_refused_by_the_check_in_its_environment(python: str) -> None:
    with pytest.raises(StrettoError, match="there is no such folder"):
        open_speech(transformers(Path("/nowhere"), python=python)).check()
    elsewhere = transformers(Path("/nowhere"), transformers={"model": "/nowhere", "device": "cuda"})
    with pytest.raises(StrettoError, match="there is no such folder"):
        HostedBackend(elsewhere, check=False).version()
