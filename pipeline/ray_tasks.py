"""What runs inside Ray's workers. No `ray` here: these are plain functions.

A deadline is kept inside the worker (`pipeline.deadline`), so that it starts when the task starts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from generators.speech.cache import Counts
from pipeline.commit import Commit, make_commit
from pipeline.deadline import deadline
from pipeline.pack import Packed
from pipeline.plan import ShardPlan, shard_records
from pipeline.ray_speech import SpeechPool
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
    """What every task of a run needs to know. Relative input paths count from `folder`.

    `speech` is the pool of actors that speak, None where each task speaks for itself.
    """

    store_url: str
    config_json: str
    fingerprint: str
    folder: str
    speech: SpeechPool | None = None

    def config(self) -> Config:
        """The config again."""
        return Config.model_validate_json(self.config_json)

    def store(self) -> Store:
        """The store again, in this process."""
        return open_store(self.store_url)


# One set per worker process and run: the speech server lives as long as its worker.
_services: dict[tuple[str, ...], Services] = {}


def shard_task(
    job: Job, shard: ShardPlan, deadline_s: float, stages: Sequence[Stage] | None
) -> Commit:
    """Make a shard and commit it."""
    with deadline(deadline_s):
        store = job.store()
        (packed, rejections), counts = _make(job, shard_records(store, shard), stages)
        return _commit(job, store, shard, packed, rejections).told(counts)


def record_task(
    job: Job,
    record: InputRecord,
    deadline_s: float,
    stages: Sequence[Stage] | None,
) -> tuple[Counts, Part]:
    """Make one record by itself and commit nothing."""
    with deadline(deadline_s):
        part, counts = _make(job, [record], stages)
        return counts, part


def assemble_task(job: Job, shard: ShardPlan, *parts: Part) -> Commit:
    """Commit a shard from the outcomes of its records, in their order."""
    packed = [p for made, _ in parts for p in made]
    rejections = [r for _, refused in parts for r in refused]
    return _commit(job, job.store(), shard, packed, rejections)


def _enter(folder: str) -> None:
    """Relative input paths count from the driver's folder, on every node."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise MachineError(
            f"this node can't enter {folder} ({error.strerror})",
            fix="mount it on every node, or give absolute input paths and start from /",
        ) from None


def _make(
    job: Job, records: Sequence[InputRecord], stages: Sequence[Stage] | None
) -> tuple[Part, Counts]:
    _enter(job.folder)
    config, run = (
        job.config(),
        (job.config_json, job.store_url, job.speech.id if job.speech else ""),
    )
    if run not in _services:
        _services[run] = open_services(config, job.store(), job.speech)
    speech = _services[run].speech
    before = speech.counts
    part = make_shard(records, config, _services[run], stages)
    return part, speech.counts - before


def _commit(
    job: Job,
    store: Store,
    shard: ShardPlan,
    packed: Sequence[Packed],
    rejections: Sequence[Rejection],
) -> Commit:
    commit = make_commit(store, job.fingerprint, shard, packed, rejections)
    return commit.model_copy(update={"rows": ()})  # the driver needs only the counts
