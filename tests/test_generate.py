"""The main job as a user runs it: resume, refusals, full disks, object stores, the same bytes."""

from __future__ import annotations

import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from s3_server import s3_server
from small_corpus import (
    REPO,
    barge_in,
    command,
    dialogue,
    environment,
    files,
    generate,
    objects,
    write_corpus,
)

from pipeline.store import open_store
from pipeline.stream import open_corpus

RECORDS = [*(dialogue(n) for n in range(7)), barge_in()]
SAMPLES = 9  # and one robot episode


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight short dialogues, a barge-in among them, and a robot episode, in shards of two."""
    return write_corpus(tmp_path_factory.mktemp("corpus"), RECORDS, robots=1)


@pytest.fixture(scope="module")
def clean(corpus: Path) -> dict[str, bytes]:
    """What an undisturbed local run makes of it."""
    done = generate(corpus, corpus.parent / "clean")
    assert done.returncode == 0, done.stderr
    assert f"samples      {SAMPLES}" in done.stdout and str(corpus.parent / "clean") in done.stdout
    return files(corpus.parent / "clean")


def test_a_corpus_has_all_its_files(clean: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "index.parquet").write_bytes(clean["index.parquet"])
    index = pq.read_table(tmp_path / "index.parquet").to_pylist()
    summary = json.loads(clean["dataset.json"])
    assert len(index) == len({row["key"] for row in index}) == SAMPLES == summary["samples"]
    assert {row["split"] for row in index} == {"train", "val"}
    for row in index:
        sample = clean[row["shard"]][row["start_byte"] : row["end_byte"]]
        first = "act.npy" if row["kind"] == "trajectory" else "json"
        assert sample[:100].rstrip(b"\0").decode() == f"{row['key']}.{first}"
        assert 1.0 < row["duration_s"] < 30 and row["turns"] >= 2
        assert 0 < row["user_speech_s"] < row["duration_s"]
    assert summary["records"] == {
        "input": SAMPLES,
        "planned": SAMPLES,
        "committed": SAMPLES,
        "quarantined": 0,
        "unused": 0,
    }


def test_the_small_corpus_has_what_can_go_wrong(corpus: Path, clean: dict[str, bytes]) -> None:
    """A cut reply, MP4, actions and states: without them equal bytes would say little."""
    opened = open_corpus(str(corpus.parent / "clean"))
    samples = [opened.read(int(row)) for row in opened.rows()]
    assert any(e.cut_s is not None for timeline, _ in samples for e in timeline.agent)
    robots = [(t, m) for t, m in samples if t.act is not None]
    assert len(robots) == 1
    timeline, media = robots[0]
    assert media.act() is not None and media.state() is not None
    assert media.frames(timeline.look[0].camera, [0]).any()


def test_a_second_run_changes_nothing(
    corpus: Path, clean: dict[str, bytes], tmp_path: Path
) -> None:
    out = corpus.parent / "clean"
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.tar")}
    assert generate(corpus, out).returncode == 0
    assert files(out) == clean
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*.tar")} == before


def test_ray_gives_the_same_bytes(corpus: Path, clean: dict[str, bytes], tmp_path: Path) -> None:
    done = generate(corpus, tmp_path / "ray", "--runner", "ray")
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "ray") == clean


@pytest.mark.slow
def test_five_kills_and_a_resume_give_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL at five random moments: once while planning, then between and inside shards."""
    records = [*(dialogue(n) for n in range(12)), barge_in("barge-a"), barge_in("barge-b")]
    config = write_corpus(tmp_path, records, robots=2, shards={"samples": 1})
    assert generate(config, tmp_path / "clean").returncode == 0
    out, draw = tmp_path / "killed", random.Random(20261120)
    _kill_after(config, out, "plan/*", draw.uniform(0, 0.05), "local")
    for runner in ("local", "local", "ray", "local"):
        _kill_after(config, out, "commits/*", draw.uniform(0, 0.2), runner)
    made = files(out)
    assert "dataset.json" not in made, "the kills came too late to test anything"
    done = generate(config, out)
    assert done.returncode == 0, done.stderr
    assert "resuming" in done.stderr
    assert files(out) == files(tmp_path / "clean")


def _kill_after(config: Path, out: Path, wait_for: str, delay_s: float, runner: str) -> None:
    """Start a run, wait until one more file of that pattern is there and a moment, then SIGKILL."""
    before = len(list(out.glob(wait_for)))
    process = subprocess.Popen(
        command(config, out, "--runner", runner),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(list(out.glob(wait_for))) <= before:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_folder_of_another_config_is_refused(
    corpus: Path, clean: dict[str, bytes], tmp_path: Path
) -> None:
    out = corpus.parent / "clean"
    done = generate(corpus, out, "--set", "scene.barge_in.rate=0.5", "--set", "seed=4")
    assert done.returncode == 2
    assert "config key scene.barge_in.rate was 0.04, is 0.5" in done.stderr
    assert "config key seed was 3, is 4" in done.stderr
    assert "another --out" in done.stderr and done.stderr.count("\n") == 1
    limited = generate(corpus, out, "--limit", "3")
    assert limited.returncode == 2 and "--limit was None, is 3" in limited.stderr
    assert files(out) == clean


def test_changed_input_is_refused_and_named(tmp_path: Path) -> None:
    config = write_corpus(tmp_path, RECORDS[:3])
    assert generate(config, tmp_path / "out").returncode == 0
    write_corpus(tmp_path, RECORDS[:4])
    done = generate(config, tmp_path / "out")
    assert done.returncode == 2 and "dialogues.jsonl another content" in done.stderr


def test_another_schema_needs_no_new_corpus(tmp_path: Path) -> None:
    config = write_corpus(tmp_path, RECORDS[:3])
    assert generate(config, tmp_path / "out").returncode == 0
    tars = {n: d for n, d in files(tmp_path / "out").items() if n.endswith(".tar")}
    preset = (REPO / "token_schema" / "presets" / "ellsa.yaml").read_text("utf-8")
    mine = tmp_path / "mine.yaml"
    mine.write_text(preset.replace("name: ellsa", "name: mine"), "utf-8")
    done = generate(config, tmp_path / "out", "--set", f"schema={mine}")
    assert done.returncode == 0, done.stderr
    made = files(tmp_path / "out")
    assert {n: d for n, d in made.items() if n.endswith(".tar")} == tars
    assert json.loads(made["dataset.json"])["config"]["schema"] == str(mine)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB: the plan fits, the shards do not."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if mount is None or subprocess.run([mount, *options], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs root: a full disk is not tested here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_the_next_run_resumes(
    corpus: Path, clean: dict[str, bytes], small_disk: Path
) -> None:
    done = generate(corpus, small_disk / "out")
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert (
        "no space left on device" in last and "resumes" in last and "Traceback" not in done.stderr
    )
    assert len(files(small_disk / "out")) < len(clean)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert generate(corpus, small_disk / "out").returncode == 0
    assert files(small_disk / "out") == clean


def test_a_file_size_limit_is_one_line(corpus: Path, tmp_path: Path) -> None:
    """The same, where no file system can be mounted."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    done = subprocess.run(
        command(corpus, tmp_path / "out"),
        capture_output=True,
        text=True,
        env=environment(),
        preexec_fn=limit,
    )
    assert done.returncode == 2 and "file too large" in done.stderr.splitlines()[-1]
    assert not [n for n in files(tmp_path / "out") if n.startswith(("commits/", "train/"))]


def test_ray_fills_an_object_store_with_the_same_bytes(
    corpus: Path, clean: dict[str, bytes]
) -> None:
    import boto3

    with s3_server() as endpoint, pytest.MonkeyPatch.context() as patch:
        keys = {"AWS_ACCESS_KEY_ID": "test-id", "AWS_SECRET_ACCESS_KEY": "test-secret"}
        env = keys | {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1"}
        for name, value in env.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="corpora")
        done = generate(corpus, "s3://corpora/small", "--runner", "ray", env=env)
        assert done.returncode == 0, done.stderr
        assert objects(open_store("s3://corpora/small")) == clean


def test_bad_records_are_quarantined_and_the_good_ones_made(tmp_path: Path) -> None:
    bad = dialogue(1, "one-sided")
    bad["messages"] = bad["messages"][:1]
    config = write_corpus(tmp_path, [dialogue(0), "{broken", bad, dialogue(2), dialogue(0)])
    done = generate(config, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "samples      2" in done.stdout and "quarantined  3" in done.stdout
    made = files(tmp_path / "out")
    records = json.loads(made["dataset.json"])["records"]
    assert records["input"] == records["committed"] + records["quarantined"] == 5
    lines = b"".join(d for n, d in made.items() if n.startswith("quarantine/")).decode()
    assert "dialogues.jsonl:2" in lines and "one-sided" in lines


def test_no_usable_record_is_refused_before_work(tmp_path: Path) -> None:
    config = write_corpus(tmp_path, [])
    done = generate(config, tmp_path / "out")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_dry_run_counts_and_writes_nothing(corpus: Path, tmp_path: Path) -> None:
    done = generate(corpus, tmp_path / "out", "--dry-run", "--limit", "5")
    assert done.returncode == 0
    assert "planned      6 records" in done.stdout  # five dialogues and the robot episode
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nseed: [1\n", "corpus.yaml:3: broken YAML"),
        ("name: x\nname: y\n", "corpus.yaml:2: broken YAML: key 'name' stands twice"),
        ("name: x\nsources: []\nshard: {}\n", "did you mean `shards`?"),
        ("!!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
    ],
)
def test_a_bad_config_is_one_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "corpus.yaml"
    path.write_text(text)
    done = generate(path, tmp_path / "out")
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys, jobs.main\n"
        "try: jobs.main.main(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'ray', 'torch', 'pyarrow', 'av', 'webdataset', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 0, done.stderr
    assert "generate" in done.stdout
