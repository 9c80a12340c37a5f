"""A small input for tests of the main job: short dialogues, a config, and ways to run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.store import Store

REPO = Path(__file__).resolve().parent.parent
QUESTIONS = ("Where is the key?", "Is it late?", "Can you help me?", "What is that noise?")
ANSWERS = ("It is on the table.", "Not yet.", "Of course, with what?", "Only the wind.")


def dialogue(number: int, record_id: str | None = None) -> dict[str, Any]:
    """Two turns of a few words each: about three seconds of sample."""
    return {
        "id": record_id or f"d{number:02}",
        "messages": [
            {"role": "user", "content": QUESTIONS[number % 4]},
            {"role": "assistant", "content": ANSWERS[number % 4]},
        ],
    }


def barge_in(record_id: str = "barge") -> dict[str, Any]:
    """The user breaks into a long reply, which is cut: about ten seconds of sample."""
    said = (
        "Take the stairs down, then go left past the old library and cross the square to the bank."
    )
    turns = [("user", "How do I get there?"), ("assistant", said), ("user", "Wait, no stairs!")]
    messages = [{"role": role, "content": text} for role, text in turns]
    messages[2]["interrupts"] = True  # type: ignore[assignment]
    return {"id": record_id, "messages": [*messages, {"role": "assistant", "content": "Sorry."}]}


def robot_source(folder: Path, episodes: int) -> dict[str, Any]:
    """A LeRobot folder of two-second episodes (one camera, actions, states), and its source."""
    from test_source_lerobot import Made, write_v2

    write_v2(folder, [Made(row_count=20) for _ in range(episodes)])
    return {"trajectories": {"path": str(folder)}}


def write_corpus(folder: Path, records: Sequence[Any], robots: int = 0, **settings: Any) -> Path:
    """`dialogues.jsonl` and `corpus.yaml` in `folder`; the config's path. A str is a raw line.

    `robots` episodes come behind the dialogues.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
    (folder / "dialogues.jsonl").write_text("".join(line + "\n" for line in lines))
    config: dict[str, Any] = {
        "name": "small",
        "seed": 3,
        "sources": [{"dialogues": {"path": str(folder / "dialogues.jsonl")}}],
        "shards": {"samples": 2},
    }
    config["sources"] += [robot_source(folder / "robots", robots)] if robots else []
    path = folder / "corpus.yaml"
    path.write_text(json.dumps(config | settings))  # JSON is YAML
    return path


def command(config: Path, out: Path | str, *more: str) -> list[str]:
    return [sys.executable, "-m", "jobs.main", "generate", str(config), "--out", str(out), *more]


def environment(**more: str) -> dict[str, str]:
    paths = [str(REPO), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | more


def generate(
    config: Path, out: Path | str, *more: str, env: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    """Run `stretto generate` as a user does, in a process of its own."""
    return subprocess.run(
        command(config, out, *more),
        capture_output=True,
        text=True,
        cwd=REPO,
        env=environment(**env),
        timeout=120,
    )


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a corpus but what is still being written beside it."""
    names = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return {n.as_posix(): (folder / n).read_bytes() for n in names if n.parts[0] != ".tmp"}


def objects(store: Store) -> dict[str, bytes]:
    """Every object of a corpus in any store."""
    return {name: store.read_bytes(name) for name in store.list()}
