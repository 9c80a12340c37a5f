"""`stretto generate` with a model as rewriter: refuse, quarantine, stop and resume, same bytes."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from chat_server import MODEL, ChatServer, asked, chat_server, say
from small_corpus import command, dialogue, environment, files, generate, write_corpus

from generators.speakable import speakable

pytestmark = pytest.mark.slow

RECORDS = [dialogue(number) for number in range(8)]
KEY = "sesame-Zq9x"
ENV = {"STRETTO_TEST_KEY": KEY, "no_proxy": "127.0.0.1"}


def other_each_time(number: int, body: dict[str, Any]) -> str:
    """What a model does that is not deterministic: the same words, another ending each time."""
    return say(
        f"{speakable(asked(body)).rstrip('.?')}, number {'one two three'.split()[number % 3]}."
    )


def corpus(folder: Path, server: ChatServer, records: list[Any] = RECORDS, **text: Any) -> Path:
    settings = {"rewriter": "openai", "url": server.url, "model": MODEL, "max_retries": 0}
    settings |= {"api_key_env": "STRETTO_TEST_KEY", "streams": 2, "min_consistency": 0.2}
    return write_corpus(folder, records, text=settings | text)


def index_free(out: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(out).items() if not name.startswith("artefacts/")}


def test_a_kill_in_the_middle_and_a_resume_give_the_bytes_of_the_kept_answers(
    tmp_path: Path,
) -> None:
    cache = tmp_path / "kept"
    with chat_server(other_each_time) as server:
        server.needs_key = KEY
        config = corpus(tmp_path / "in", server, cache=str(cache))
        out = tmp_path / "killed"
        process = subprocess.Popen(
            command(config, out), env=environment(**ENV), stdout=subprocess.DEVNULL
        )
        while len(list(cache.rglob("*.json"))) < 5:  # of 8 texts, in the second half of the run
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        made = generate(config, out, env=ENV)
        assert made.returncode == 0, made.stdout + made.stderr
        whole = generate(config, tmp_path / "whole", env=ENV)
        assert whole.returncode == 0, whole.stdout + whole.stderr
        assert index_free(out) == index_free(tmp_path / "whole")
        # without the kept answers the words differ: it is the cache that makes them the same
        cold = corpus(tmp_path / "in2", server, cache=str(tmp_path / "cold"))
        assert generate(cold, tmp_path / "other", env=ENV).returncode == 0
    assert not any(KEY.encode() in data for data in files(out).values())
    assert KEY not in made.stdout + made.stderr
    tars = [name for name in files(out) if name.endswith(".tar")]
    assert any(b"number" in files(out)[name] for name in tars)
    assert any(files(out)[n] != files(tmp_path / "other").get(n) for n in tars)


def test_a_bad_answer_is_quarantined_with_its_reason_and_the_others_go_on(tmp_path: Path) -> None:
    def answer(_: int, body: dict[str, Any]) -> str:
        text = asked(body)
        return say("Nothing of the kind.") if text.startswith("Only") else say(speakable(text))

    with chat_server(answer) as server:
        config = corpus(tmp_path / "in", server, RECORDS[:4], min_consistency=0.9)
        out = tmp_path / "out"
        made = generate(config, out, env=ENV)
        assert made.returncode == 0, made.stdout + made.stderr
    records = json.loads((out / "dataset.json").read_text())["records"]
    assert (records["committed"], records["quarantined"]) == (3, 1)
    lines = [json.loads(line) for p in (out / "quarantine").glob("*.jsonl") for line in p.open()]
    assert [(line["stage"], line["record_id"]) for line in lines] == [("rewrite", "d03")]
    assert "turn 2 (assistant)" in lines[0]["reason"] and "consistency" in lines[0]["reason"]
    assert (out / "artefacts/text").is_dir()  # kept beside the corpus where no cache is named


def test_no_server_refuses_the_run_and_a_lost_one_stops_it(tmp_path: Path) -> None:
    down = False

    def answer(_: int, body: dict[str, Any]) -> str | tuple[int, bytes]:
        return (503, b"down") if down else say(speakable(asked(body)))

    out = tmp_path / "out"
    with chat_server(answer) as server:
        config = corpus(tmp_path / "in", server)
        down = True
        stopped = generate(config, out, env=ENV)
        assert stopped.returncode == 2 and "HTTP 503: down" in stopped.stderr, stopped.stderr
        kept = [p.read_text() for p in (out / "quarantine").glob("*.jsonl")]
        assert not any(kept), "a fault of the server rejects nobody"
        down = False
        assert generate(config, out, env=ENV).returncode == 0
    refused = generate(config, tmp_path / "none", env=ENV)
    assert refused.returncode == 2 and "can't be reached" in refused.stderr
    assert not (tmp_path / "none").exists() or not list((tmp_path / "none").rglob("*.tar"))
    no_key = generate(config, tmp_path / "none", env={"no_proxy": "127.0.0.1"})
    assert no_key.returncode == 2 and "STRETTO_TEST_KEY holds no key" in no_key.stderr
