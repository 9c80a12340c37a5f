"""The Ray runner: one shard is one task, on this machine or on a running cluster.

    with cluster(address) as ray:
        for commit in run_ray(store, config, digest, shards): ...

Ray core, `max_retries=0`, a bounded number of tasks in flight. A shard whose task dies (crash,
kill, deadline) is made again record by record, each in a task of its own under a deadline; the
killers are quarantined and the shard is assembled from the others, so their bytes are those of the
local runner. An engine with a GPU is a pool of actors that the shard's task calls (`ray_speech`).
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from generators.speech.cache import Counts
from pipeline import ray_tasks
from pipeline.commit import Commit
from pipeline.plan import ShardPlan, shard_records
from pipeline.ray_speech import SpeechPool
from pipeline.ray_tasks import Job, Limits
from pipeline.stages import Stage, rejection
from pipeline.store import Store
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.records import InputRecord

# A death is blamed on a record only when it happens again; a dead node is never its fault.
DEATHS = 2
NODE_TRIES = 5


@contextmanager
def cluster(address: str | None = None, cpus: int | None = None) -> Iterator[None]:
    """Ray on this machine, ended afterwards, or a connection to the cluster at `address`."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        fix = "pip install 'stretto[ray]', or use `--runner local`"
        raise StrettoError("ray is not installed here", "--runner ray", fix) from None

    if ray.is_initialized():  # the caller's own: not ours to end
        yield
        return
    _connect(ray, address, cpus)
    try:
        yield
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str | None, cpus: int | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address is None:
        # workers of our own instance import stretto from where this process did
        root = str(Path(__file__).resolve().parent.parent)
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)
        ray.init("local", num_cpus=cpus, include_dashboard=False, **quiet)
        return
    _require_listener(address)
    try:
        ray.init(address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise StrettoError(
            f"cannot join the Ray cluster: {error}",
            f"--address {address}",
            "check that it runs and that RAY_AUTH_MODE and RAY_AUTH_TOKEN are those of its head",
        ) from None


def _require_listener(address: str) -> None:
    """Ray itself tries a dead address for minutes: knock first."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # "auto" and the like: Ray knows where to look
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise StrettoError(
            f"nothing answers there ({error.strerror or error})",
            f"--address {address}",
            "start a head with `ray start --head`, or leave --address out",
        ) from None


@dataclass
class _Task:
    """A task in flight or waiting: a whole shard, one record of it, or its assembly."""

    kind: str
    shard: ShardPlan
    record_index: int = 0
    tries: int = 1
    submitted_s: float = 0.0
    data: Any = None


@dataclass
class _Split:
    """A shard being made record by record: a ref to the outcome of each record, in order."""

    records: list[InputRecord]
    parts: dict[int, Any] = field(default_factory=dict)
    counts: Counts = Counts()


def run_ray(
    store: Store,
    config: Config,
    fingerprint: str,
    shards: Sequence[ShardPlan],
    limits: Limits = Limits(),
    stages: Sequence[Stage] | None = None,
    speech: SpeechPool | None = None,
) -> Iterator[Commit]:
    """Make each shard and yield its commit (without rows) as it comes, in no fixed order.

    Needs `cluster`. `stages` replaces the stages, for a faulty one in a test. `speech` is the pool
    of `speech_pool`.
    """
    job = Job(store.url, config.model_dump_json(by_alias=True), fingerprint, os.getcwd(), speech)
    runner = _Runner(store, job, limits, stages)
    runner.waiting.extend(_Task("shard", shard) for shard in shards)
    try:
        yield from runner.commits()
    finally:
        runner.cancel()


class _Runner:
    """The driver's loop: submit up to a bound, wait for one, act on how it ended."""

    def __init__(
        self, store: Store, job: Job, limits: Limits, stages: Sequence[Stage] | None
    ) -> None:
        import ray

        self.store, self.job, self.limits = store, job, limits
        # Any: Ray's own types do not follow a function through `remote`
        self.ray: Any = ray
        self.stages: Any = ray.put(tuple(stages)) if stages else None
        self.waiting: deque[_Task] = deque()
        self.flying: dict[Any, _Task] = {}
        self.splits: dict[str, _Split] = {}
        options = {"num_cpus": limits.cpus, "max_retries": 0}
        self.make_shard = self.ray.remote(**options)(ray_tasks.shard_task)
        # two returns, so that the driver learns how it ended without fetching the bytes
        self.make_record = self.ray.remote(num_returns=2, **options)(ray_tasks.record_task)
        self.assemble = self.ray.remote(**options)(ray_tasks.assemble_task)

    def commits(self) -> Iterator[Commit]:
        """Drive all waiting tasks to their end."""
        while self.waiting or self.flying:
            for _ in range(min(len(self.waiting), self._bound() - len(self.flying))):
                self._submit(self.waiting.popleft())
            ready, _ = self.ray.wait(list(self.flying), num_returns=1)
            commit = self._ended(ready[0], self.flying.pop(ready[0]))
            if commit is not None:
                yield commit

    def cancel(self) -> None:
        """End what still runs, when the run is broken off."""
        for ref in self.flying:
            self.ray.cancel(ref, force=True)
        self.flying.clear()

    def _bound(self) -> int:
        """Twice the CPUs of the cluster as it is now: no CPU waits, and autoscalers see demand."""
        cpus = self.ray.cluster_resources().get("CPU", 1.0)
        return max(2, int(2 * cpus / max(self.limits.cpus, 0.01)))

    def _submit(self, task: _Task) -> None:
        task.submitted_s = time.monotonic()
        if task.kind == "shard":
            limit_s = self.limits.of_shard(task.shard.records)
            ref = self.make_shard.remote(self.job, task.shard, limit_s, self.stages)
        elif task.kind == "record":
            record = self.splits[task.shard.name].records[task.record_index]
            ref, task.data = self.make_record.remote(
                self.job, record, self.limits.record_s, self.stages
            )
        else:
            split = self.splits[task.shard.name]
            parts = [split.parts[i] for i in range(len(split.records))]
            ref = self.assemble.remote(self.job, task.shard, *parts)
        self.flying[ref] = task

    def _ended(self, ref: Any, task: _Task) -> Commit | None:
        """Act on a finished task; a Commit when it committed its shard."""
        errors = self.ray.exceptions
        try:
            answer = self.ray.get(ref)
        except errors.RayTaskError as error:
            raise _told(error) from None
        except (errors.NodeDiedError, errors.ObjectLostError) as error:
            self._again(task, NODE_TRIES, f"its node died: {error}")
            return None
        except errors.RayError:  # the worker crashed, was killed or ran out of memory or time
            self._died(task)
            return None
        if task.kind == "record":
            self.splits[task.shard.name].counts += answer
            self._record_done(task, task.data)
            return None
        split = self.splits.pop(task.shard.name, None)
        return answer.told(split.counts) if split else answer

    def _died(self, task: _Task) -> None:
        took_s = time.monotonic() - task.submitted_s
        late = task.kind == "record" and took_s >= self.limits.record_s
        if task.kind == "shard":
            self._split(task.shard)
        elif task.kind == "assemble":
            self._again(task, NODE_TRIES, "its worker died")
        elif task.tries < DEATHS:
            self._again(task, DEATHS, "its worker died")
        else:
            self._blame(task, "deadline" if late else "crash")

    def _split(self, shard: ShardPlan) -> None:
        """Make the shard again, record by record, before anything else."""
        records = shard_records(self.store, shard)
        self.splits[shard.name] = _Split(records)
        tasks = [_Task("record", shard, index) for index in range(len(records))]
        self.waiting.extendleft(reversed(tasks))

    def _again(self, task: _Task, most: int, why: str) -> None:
        if task.tries >= most:
            raise StrettoError(
                f"a task failed {task.tries} times: {why}",
                task.shard.name,
                "run it again: it resumes",
            )
        task.tries += 1
        self.waiting.appendleft(task)

    def _blame(self, task: _Task, stage: str) -> None:
        """Quarantine the record that kills its worker."""
        what = "it makes its worker process crash, alone and twice"
        if stage == "deadline":
            what = f"it takes longer than {self.limits.record_s:g} s, alone and twice"
        record = self.splits[task.shard.name].records[task.record_index]
        error = StrettoError(what, fix="look at the record; the others of its shard are made")
        self._record_done(task, self.ray.put(([], [rejection(record, stage, error)])))

    def _record_done(self, task: _Task, part: Any) -> None:
        split = self.splits[task.shard.name]
        split.parts[task.record_index] = part
        if len(split.parts) == len(split.records):
            self.waiting.appendleft(_Task("assemble", task.shard))


def _told(error: Any) -> Exception:
    """What a task raised: a StrettoError as it is, a missing install as one."""
    cause = error.cause
    if isinstance(cause, StrettoError):
        return cause
    if isinstance(cause, ImportError) or "ModuleNotFoundError" in str(error):
        return StrettoError(
            f"a worker cannot import what it needs: {cause}",
            fix="install stretto, the same version, on every node of the cluster",
        )
    return cause if isinstance(cause, Exception) else error
