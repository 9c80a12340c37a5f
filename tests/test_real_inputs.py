"""The main job on real inputs that none of us made: every record is accounted for, validate exits 0."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from pipeline.stream import open_corpus
from schemas.timeline import Timeline

pytestmark = pytest.mark.slow


def stretto(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    command = [sys.executable, "-m", "jobs.main", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900)


def test_coffee_orders_and_a_humanoid(shared_dir: Path, repo: Path, tmp_path: Path) -> None:
    data = shared_dir / "data"
    config = {
        "name": "real",
        "seed": 3,
        "sources": [
            {
                "dialogues": {
                    "name": "coffee",
                    "path": str(data / "taskmaster4_coffee/data_07.json"),
                    "format": "json",
                    "id": "conversation_id",
                    "turns": "utterances",
                    "role": "speaker",
                    "text": "text",
                    "licence": "CC-BY-4.0",
                }
            },
            {
                "trajectories": {
                    "name": "gr1",
                    "path": str(data / "gr1_lerobot_v20"),
                    "licence": "Apache-2.0",
                }
            },
        ],
    }
    (tmp_path / "real.yaml").write_text(yaml.safe_dump(config))
    out = tmp_path / "out"
    made = stretto(
        "generate", str(tmp_path / "real.yaml"), "--out", str(out), "--runner", "local", cwd=repo
    )
    assert made.returncode == 0, made.stdout + made.stderr
    records = json.loads((out / "dataset.json").read_text())["records"]
    # 210 dialogues and 5 episodes; the camera that info.json names and nobody recorded is listed
    assert records["input"] == records["committed"] + records["quarantined"] == 215
    assert records["unused"] == 1
    unused = [json.loads(line) for line in (out / "quarantine/source.jsonl").open()]
    assert [u["status"] for u in unused] == ["unused"]
    assert "egoview" in unused[0]["record_id"] and unused[0]["reason"]
    checked = stretto("validate", str(out), cwd=repo)
    assert checked.returncode == 0, checked.stdout
    assert "FAIL" not in checked.stdout
    measured = stretto("stats", str(out), "--json", cwd=repo)
    assert measured.returncode == 0 and json.loads(measured.stdout)


def test_answers_with_code_and_a_booking_service(
    shared_dir: Path, repo: Path, tmp_path: Path
) -> None:
    """Open Assistant trees (code and lists in the answers) and SGD, with every behaviour's default."""
    data = shared_dir / "data"
    sgd = {"name": "sgd", "path": str(data / "sgd/test_dialogues_011.json"), "format": "json"}
    mapping = {"id": "dialogue_id", "turns": "turns", "role": "speaker", "text": "utterance"}
    roles = {"roles": {"USER": "user", "SYSTEM": "assistant"}}
    trees = {
        "name": "oasst",
        "path": str(data / "oasst_en_100/en_100_tree.jsonl"),
        "format": "tree",
    }
    config = {
        "name": "real",
        "seed": 3,
        "sources": [
            {"dialogues": {**trees, "limit": 12}},
            {"dialogues": {**sgd, **mapping, **roles, "limit": 12}},
        ],
        "scene": {"pairs": 0.3, "max_duration_s": 900},
        "checks": {"vad": False},
    }
    (tmp_path / "real.yaml").write_text(yaml.safe_dump(config))
    out = tmp_path / "out"
    made = stretto("generate", str(tmp_path / "real.yaml"), "--out", str(out), cwd=repo)
    assert made.returncode == 0, made.stdout + made.stderr
    checked = stretto("validate", str(out), cwd=repo)
    assert checked.returncode == 0 and "FAIL" not in checked.stdout, checked.stdout
    found = json.loads(stretto("stats", str(out), "--json", cwd=repo).stdout)
    assert found["samples"] >= 24 and len(found["behaviours"]) >= 6
    says = [e for t in timelines(out) for e in t.agent if e.kind == "say"]
    assert not any("```" in e.text or "**" in e.text for e in says)
    assert any("code" in e.text for e in says), "code is announced"
    index = pq.ParquetFile(out / "index.parquet").read().to_pylist()
    pairs = [row for row in index if row["pair"]]
    assert pairs and {row["split"] for row in pairs if row["pair"] == pairs[0]["pair"]} == {
        pairs[0]["split"]
    }


def timelines(out: Path) -> list[Timeline]:
    """Every Timeline of a corpus."""
    corpus = open_corpus(str(out))
    return [corpus.read(n)[0] for n in range(corpus.index.num_rows)]
