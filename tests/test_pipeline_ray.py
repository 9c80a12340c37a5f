"""The Ray runner on two CPUs: killers are found and quarantined, the others keep their bytes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from small_corpus import dialogue, files, write_corpus

from jobs.config_file import load_config
from pipeline.commit import Commit
from pipeline.finish import finish
from pipeline.plan import Plan
from pipeline.ray_tasks import Limits
from pipeline.run import open_plan, prepare
from pipeline.runner_local import run_local
from pipeline.runner_ray import cluster, run_ray
from pipeline.stages import STAGES, Stage, Work, each
from pipeline.store import Store, open_store
from schemas.config import Config
from schemas.errors import StrettoError

DEADLINE_S = 6.0


@pytest.fixture(scope="module")
def ray2() -> Iterator[None]:
    """Ray with two CPUs, once for this module."""
    with cluster(cpus=2):
        from ray import cloudpickle

        # workers cannot import this test: its stages travel by value
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        yield


def kill_its_worker(work: Work, config: Config) -> Work:
    """A record that does to its process what broken native code does."""
    name = work.record.record_id
    if "kill" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "segfault" in name:
        ctypes.string_at(0)
    if "exit" in name:
        os._exit(3)
    if "sleep" in name:
        time.sleep(3600)
    if "bug" in name:
        raise ValueError("two\nlines")
    return work


def refuse_it(work: Work, config: Config) -> Work:
    """The same records, refused politely: what the others' bytes are compared with."""
    bad = ("kill", "segfault", "exit", "sleep", "bug")
    if work.record.record_id.startswith(bad):
        raise StrettoError("no")
    return work


def with_first(step: object) -> tuple[Stage, ...]:
    return (each("faulty", step), *STAGES)  # type: ignore[arg-type]


def plan_of(config_path: Path, out: Path) -> tuple[Store, Config, Plan]:
    config, store = load_config(str(config_path)), open_store(str(out))
    return store, config, open_plan(config, prepare(config, None), None, store)


def make(config_path: Path, out: Path, ray: bool, stages: tuple[Stage, ...]) -> list[Commit]:
    store, config, plan = plan_of(config_path, out)
    digest, shards = plan.fingerprint.digest, plan.shards
    if ray:
        limits = replace(Limits(), shard_s=DEADLINE_S, record_s=DEADLINE_S)
        commits = list(run_ray(store, config, digest, shards, limits, stages))
    else:
        commits = list(run_local(store, config, digest, shards, stages))
    finish(store, config, plan)
    return sorted(commits, key=lambda c: c.name)


@pytest.mark.slow
def test_killers_are_quarantined_and_the_rest_keep_their_bytes(ray2: None, tmp_path: Path) -> None:
    names = ["a", "kill", "b", "sleep", "bug", "c", "d"]
    records = [dialogue(n, name) for n, name in enumerate(names)]
    config = write_corpus(tmp_path, records, shards={"samples": 5, "val_share": 0.0})

    commits = make(config, tmp_path / "ray", True, with_first(kill_its_worker))
    make(config, tmp_path / "local", False, with_first(refuse_it))

    reasons = {
        s: sum(c.reasons.get(s, 0) for c in commits) for s in ("crash", "deadline", "faulty")
    }
    assert reasons == {"crash": 1, "deadline": 1, "faulty": 1}
    assert sum(c.samples for c in commits) == 4 and sum(c.unexpected for c in commits) == 1
    by_ray, by_local = files(tmp_path / "ray"), files(tmp_path / "local")
    tars = [n for n in by_local if n.endswith((".tar", ".parquet"))]
    assert len(tars) == 3 and all(by_ray[n] == by_local[n] for n in tars)
    lines = b"".join(by_ray[n] for n in by_ray if n.startswith("quarantine/")).decode()
    assert "longer than 6 s" in lines and "unexpected ValueError in stage faulty" in lines


def test_a_shard_of_killers_has_a_commit_and_no_tar(ray2: None, tmp_path: Path) -> None:
    records = [dialogue(0, "segfault-a"), dialogue(1, "exit-b"), dialogue(2, "good")]
    config = write_corpus(tmp_path, records, shards={"samples": 2, "val_share": 0.0})
    first, second = make(config, tmp_path / "out", True, with_first(kill_its_worker))
    assert (first.samples, first.quarantined, first.shard) == (0, 2, None)
    assert (second.samples, second.quarantined) == (1, 0)
    assert not (tmp_path / "out" / "train" / "dialogue-000000.tar").exists()


def test_a_fault_of_the_machine_stops_the_run(ray2: None, tmp_path: Path) -> None:
    """Nothing is quarantined because the output folder broke."""
    config = write_corpus(tmp_path, [dialogue(n) for n in range(4)])
    store, settings, plan = plan_of(config, tmp_path / "out")
    (tmp_path / "out" / "commits").write_text("a file in the way")
    with pytest.raises(StrettoError, match="not a directory|file exists"):
        list(run_ray(store, settings, plan.fingerprint.digest, plan.shards))


def test_an_address_where_no_cluster_is_gives_one_line() -> None:
    import subprocess

    from small_corpus import REPO

    script = (
        "from pipeline.runner_ray import cluster\n"
        "from schemas.errors import StrettoError\n"
        "try:\n"
        "    with cluster('ray://127.0.0.1:1'): pass\n"
        "except StrettoError as error: print('ONE LINE', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True)
    assert "ONE LINE --address ray://127.0.0.1:1: nothing answers there" in done.stdout, (
        done.stderr[-500:]
    )
