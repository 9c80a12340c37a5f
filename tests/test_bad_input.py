"""Bad input from the command line: one clear line each, no traceback, every good record written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PAIR = [{"role": "user", "content": "Hello there."}, {"role": "assistant", "content": "Hi."}]


def stretto(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    repo = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-m", "jobs.main", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(repo), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}, PAIR[1]]


def bad_corpus(folder: Path) -> None:
    records: list[tuple[str, object]] = [
        ("good-1", PAIR),
        ("role", [{"role": "alien", "content": "Hello."}, PAIR[1]]),
        ("one-side", PAIR[:1]),
        ("empty-text", user("")),
        ("odd-characters", user("Hello \x01\x07 there \U0001f642 friend.")),
        ("good-1", user("The same id again.")),
    ]
    lines = [json.dumps({"id": i, "messages": m}) for i, m in records]
    lines.append('{"id": "broken", "messages": [')
    lines.append(json.dumps({"id": "long", "messages": user("word " * 20_000)}))
    lines += [json.dumps({"id": f"good-{n}", "messages": PAIR}) for n in range(2, 6)]
    (folder / "bad.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "empty.jsonl").write_text("")
    (folder / "c.yaml").write_text(
        "name: bad\nsources:\n- dialogues: {path: bad.jsonl}\n- dialogues: {path: empty.jsonl}\n"
        "checks: {vad: false}\n"
    )


def test_every_bad_record_has_its_line_and_the_good_ones_are_written(tmp_path: Path) -> None:
    bad_corpus(tmp_path)
    done = stretto(tmp_path, "generate", "c.yaml", "--out", "out", "--runner", "local")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    lines = [x for x in done.stderr.splitlines() if x.startswith("quarantined: ")]
    expected = {
        "bad.jsonl:2: record role:": "unknown role 'alien'",
        "bad.jsonl:3: record one-side:": "only one side",
        "bad.jsonl:4: record empty-text:": "text is empty",
        "bad.jsonl:6: record good-1:": "came before",
        "bad.jsonl:7: record line 7:": "broken JSON",
        "bad.jsonl:8: record long:": "100,000 characters",
        "empty.jsonl: record file:": "empty",
    }
    assert len(lines) == len(expected), done.stderr
    for start, reason in expected.items():
        [line] = [x for x in lines if x.startswith(f"quarantined: {start}")]
        assert reason in line
    written = json.loads((tmp_path / "out/dataset.json").read_text())["records"]
    assert (written["committed"], written["quarantined"]) == (6, 7)
    assert stretto(tmp_path, "validate", "out").returncode == 0

    # another config for the same folder is refused, and so is a verb that needs codecs
    other = stretto(tmp_path, "generate", "c.yaml", "--out", "out", "--set", "seed=1")
    assert other.returncode == 2 and "another --out" in one_line(other)
    tokens = stretto(tmp_path, "schema", "explain", "ellsa", "out")
    assert tokens.returncode == 2 and "stretto fit" in one_line(tokens)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("name: x\nsauces: []\n", "did you mean `sources`?"),
        ("name: x\nsources: [\n", "broken YAML"),
        ("name: x\nsources: []\n", "sources"),
        ("name: x\nsources:\n- dialogues: {path: nothere.jsonl}\n", "no file here"),
        ("name: x\nsources:\n- dialogues: {path: empty.jsonl}\n", "no usable|usable record"),
        ("name: x\nsources:\n- trajectories: {path: .}\n", "info.json"),
        (
            "name: x\nspeech: {backend: nope}\nsources:\n- dialogues: {path: bad.jsonl}\n",
            "unknown speech backend",
        ),
    ],
)
def test_a_run_that_cannot_work_is_refused_before_it_starts(
    tmp_path: Path, config: str, says: str
) -> None:
    bad_corpus(tmp_path)
    (tmp_path / "c.yaml").write_text(config)
    done = stretto(tmp_path, "generate", "c.yaml", "--out", "out", "--runner", "local")
    assert done.returncode == 2
    assert any(part in one_line(done) for part in says.split("|")), done.stderr
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*.tar"))


def test_a_dead_cluster_is_said_at_once(tmp_path: Path) -> None:
    bad_corpus(tmp_path)
    address = ("--runner", "ray", "--address", "127.0.0.1:1")
    done = stretto(tmp_path, "generate", "c.yaml", "--out", "out", *address)
    assert done.returncode == 2 and "nothing answers" in one_line(done)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("schema=nope", "presets: bayling, ellsa"),
        ("speech.sample_rate_hz=22050", "speech.sample_rate_hz: 22050 Hz does not divide"),
        (
            "speech.sample_rate_hz=22050",
            "use one of 8000, 16000, 24000, 44100, 48000 Hz, or choose",
        ),
        ("speech.gpus=1", "speech.gpus: espeak can't use a GPU; leave it out"),
        ("scene.barge_in=5", "scene.barge_in: it must be a mapping (got 5)"),
        ("scene.reaction_s=[0.1]", "scene.reaction_s: it must have 2 items (got [0.1])"),
        ("scene.fade_s=[0.1]", "scene.fade_s: it must be a number (got [0.1])"),
        (
            "speech.cache=c.yaml",
            "speech.cache: c.yaml: this is a file, not a folder; give `speech.cache`",
        ),
        (
            "speech.cache=/proc/x",
            "speech.cache: /proc/x: a cache has a folder that can't be made: no such",
        ),
        ("scene.patience_s=[0, 0]", "at least 0.1 s"),
        ("shards.val_share=1.0", "nothing for train"),
    ],
)
def test_settings_that_cannot_work(tmp_path: Path, setting: str, says: str) -> None:
    bad_corpus(tmp_path)
    done = stretto(tmp_path, "generate", "c.yaml", "--out", "out", "--set", setting)
    assert done.returncode == 2 and says in one_line(done)
