"""What runs inside Ray's workers. No `ray` here: these are plain functions.

A deadline is kept inside the worker by a timer thread in C (`faulthandler`), so that it starts when
the task starts, and ends the process even while a C call holds the interpreter.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.commit import Commit, make_commit
from pipeline.pack import Packed
from pipeline.plan import ShardPlan, shard_records
from pipeline.stages import Services, Stage, make_shard, open_services
from pipeline.store import Store, open_store
from schemas.config import Config
from schemas.errors import MachineError
from schemas.records import InputRecord
from schemas.sample import Rejection

Part = tuple[list[Packed], list[Rejection]]


@dataclass(frozen=True)
class Limits:
    """Deadlines in seconds, and the CPUs of a task.

    A dialogue takes about 0.1 s of one core and a long episode a few: deadlines only end hangs.
    """

    shard_s: float = 600.0
    record_s: float = 180.0
    cpus: float = 1.0

    def of_shard(self, records: int) -> float:
        """`shard_s`, or a tenth of the records' own deadlines where that is more."""
        return max(self.shard_s, records * self.record_s / 10)


@dataclass(frozen=True)
class Job:
    """What every task of a run needs to know. Relative input paths count from `folder`."""

    store_url: str
    config_json: str
    fingerprint: str
    folder: str

    def config(self) -> Config:
        """The config again."""
        return Config.model_validate_json(self.config_json)

    def store(self) -> Store:
        """The store again, in this process."""
        return open_store(self.store_url)


# One set per worker process and config: the speech server lives as long as its worker.
_services: dict[str, Services] = {}


def shard_task(
    job: Job, shard: ShardPlan, deadline_s: float, stages: Sequence[Stage] | None
) -> Commit:
    """Make a shard and commit it."""
    with deadline(deadline_s):
        store = job.store()
        packed, rejections = _make(job, shard_records(store, shard), stages)
        return _commit(job, store, shard, packed, rejections)


def record_task(
    job: Job,
    record: InputRecord,
    deadline_s: float,
    stages: Sequence[Stage] | None,
) -> tuple[bool, Part]:
    """Make one record by itself and commit nothing."""
    with deadline(deadline_s):
        return True, _make(job, [record], stages)


def assemble_task(job: Job, shard: ShardPlan, *parts: Part) -> Commit:
    """Commit a shard from the outcomes of its records, in their order."""
    packed = [p for made, _ in parts for p in made]
    rejections = [r for _, refused in parts for r in refused]
    return _commit(job, job.store(), shard, packed, rejections)


@contextmanager
def deadline(limit_s: float) -> Iterator[None]:
    """End this process when the block takes longer."""
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(limit_s, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def _enter(folder: str) -> None:
    """Relative input paths count from the driver's folder, on every node."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise MachineError(
            f"this node can't enter {folder} ({error.strerror})",
            fix="mount it on every node, or give absolute input paths and start from /",
        ) from None


def _make(job: Job, records: Sequence[InputRecord], stages: Sequence[Stage] | None) -> Part:
    _enter(job.folder)
    config = job.config()
    if job.config_json not in _services:
        _services[job.config_json] = open_services(config)
    return make_shard(records, config, _services[job.config_json], stages)


def _commit(
    job: Job,
    store: Store,
    shard: ShardPlan,
    packed: Sequence[Packed],
    rejections: Sequence[Rejection],
) -> Commit:
    commit = make_commit(store, job.fingerprint, shard, packed, rejections)
    return commit.model_copy(update={"rows": ()})  # the driver needs only the counts
