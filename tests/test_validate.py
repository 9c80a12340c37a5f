"""`stretto validate` on a whole corpus: a sound one passes, each damaged file has a clear line."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from corpus_fixture import real_corpus

from jobs.validate import run
from pipeline.store import open_store
from pipeline.validate import validate
from schemas.errors import StrettoError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_corpus(tmp_path_factory.getbasetemp())


@pytest.fixture
def copy(corpus: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(corpus, tmp_path / "corpus"))


def test_a_sound_corpus_passes(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(str(corpus))
    out = capsys.readouterr().out
    assert code == 0, out
    assert "FAIL" not in out
    lines = {line.name: line for line in validate(open_store(str(corpus)))}
    assert lines["tokens"].state == "--"
    assert all(line.checked for name, line in lines.items() if name != "tokens")


def broken(corpus: Path) -> dict[str, str]:
    """The text of each line that fails."""
    return {line.name: str(line) for line in validate(open_store(str(corpus))) if line.faults}


def tar_of(corpus: Path, kind: str = "dialogue") -> Path:
    return sorted((corpus / "train").glob(f"{kind}-*.tar"))[0]


def test_a_flipped_byte(copy: Path) -> None:
    tar = tar_of(copy)
    data = bytearray(tar.read_bytes())
    data[len(data) // 2] ^= 1
    tar.write_bytes(data)
    assert "train/dialogue-000000.tar: sha256 is" in broken(copy)["checksums"]
    assert run(str(copy)) == 1


def test_a_truncated_tar(copy: Path) -> None:
    tar = tar_of(copy)
    tar.write_bytes(tar.read_bytes()[:-200_000])
    found = broken(copy)
    assert "bytes, committed" in found["checksums"]
    assert "dialogue-000000.tar: dialogues-0-" in found["slices"]


def test_a_missing_tar(copy: Path) -> None:
    tar_of(copy).unlink()
    assert "is missing, its commit record is there" in broken(copy)["checksums"]


def test_a_missing_commit_record(copy: Path) -> None:
    (copy / "commits/train-dialogue-000000.json").unlink()
    found = broken(copy)
    assert "commits/train-dialogue-000000.json: is missing" in found["committed"]
    assert "train/dialogue-000000.tar: is a tar without a commit record" in found["committed"]
    assert "in no commit record" in found["index"]


def test_a_record_that_is_lost_and_one_that_is_there_twice(copy: Path) -> None:
    path = copy / "commits/train-dialogue-000000.json"
    commit = json.loads(path.read_bytes())
    lost = commit["keys"].pop()
    commit["keys"].append(commit["keys"][0])
    path.write_text(json.dumps(commit))
    line = broken(copy)["accounted"]
    assert f"{lost}: is planned in train-dialogue-000000, but neither" in line
    assert "is in train-dialogue-000000 2 times" in line


def test_another_plan(copy: Path) -> None:
    plan = copy / "plan/train-dialogue-000000.jsonl"
    plan.write_bytes(plan.read_bytes() + b"\n")
    assert "not the bytes that were planned" in broken(copy)["accounted"]


def test_another_fingerprint(copy: Path) -> None:
    path = copy / "commits/train-dialogue-000000.json"
    commit = json.loads(path.read_bytes())
    path.write_text(json.dumps(commit | {"fingerprint": "0" * 64}))
    assert "another config, input or version" in broken(copy)["committed"]


def test_a_stray_tar(copy: Path) -> None:
    shutil.copy(tar_of(copy), copy / "train/dialogue-000099.tar")
    assert "train/dialogue-000099.tar: is a tar without" in broken(copy)["committed"]


def test_an_index_that_lies(copy: Path) -> None:
    path = copy / "index.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0]["start_byte"] += 512
    rows[1]["group"] = rows[-1]["group"]
    pq.write_table(pq.read_table(path).from_pylist(rows), path)
    found = broken(copy)
    assert f"{rows[0]['key']}: the index says start_byte=512" in found["index"]
    assert "stands in train and val" in found["splits"]


def test_an_edit_that_mends_the_checksums(copy: Path) -> None:
    """Checksums alone would not find this: the Timeline itself is at fault."""
    tar = tar_of(copy)
    data = tar.read_bytes()
    at = data.index(b'"decided_s":', data.index(b'"agent":['))
    end = data.index(b",", at)
    number = data[at + 12 : end]
    data = data[: at + 12] + b"0.0".ljust(len(number)) + data[end:]
    tar.write_bytes(data)
    path = copy / "commits/train-dialogue-000000.json"
    commit = json.loads(path.read_bytes())
    path.write_text(json.dumps(commit | {"sha256": hashlib.sha256(data).hexdigest()}))
    found = broken(copy)
    assert "is decided at 0.0 s and rests on" in found["causal"]
    assert "checksums" not in found


def test_a_summary_that_miscounts(copy: Path) -> None:
    about = json.loads((copy / "dataset.json").read_bytes())
    wrong = {"hours": about["hours"] + 0.1, "samples": about["samples"] + 1}
    (copy / "dataset.json").write_text(json.dumps(about | wrong))
    line = broken(copy)["accounted"]
    assert "dataset.json: says hours" in line and "says samples 13, there it is 12" in line


def test_rows_that_do_not_fit_the_index_are_a_finding(copy: Path) -> None:
    path = copy / "commits/train-dialogue-000000.json"
    commit = json.loads(path.read_bytes())
    commit["rows"][0]["start_byte"] = "zero"
    path.write_text(json.dumps(commit))
    assert "train-dialogue-000000.json: not index rows" in broken(copy)["accounted"]


def test_files_that_are_no_json_are_findings(copy: Path) -> None:
    (copy / "commits/train-dialogue-000000.json").write_text("{")
    (copy / "dataset.json").write_text("[")
    line = broken(copy)["accounted"]
    assert "not a commit record" in line
    assert "dataset.json" in line


def test_no_corpus_is_bad_usage(tmp_path: Path) -> None:
    with pytest.raises(StrettoError, match="no corpus"):
        run(str(tmp_path))
