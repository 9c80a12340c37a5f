"""The commit record: a shard exists when its record does. Written last, no clock in it.

    make_commit(store, digest, shard, packed, rejections)
        -> quarantine/{name}.jsonl and checks/{name}.jsonl where there is something to say,
           {split}/{subset}-{index}.tar, then commits/{name}.json

A shard whose records were all rejected has a commit record and no tar.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from generators.speech.cache import Counts
from pipeline.pack import Packed
from pipeline.plan import ShardPlan
from pipeline.shard import write_tar
from pipeline.stages import UNEXPECTED
from pipeline.store import Store
from schemas.base import Record
from schemas.errors import StrettoError
from schemas.sample import Rejection


class Commit(Record):
    """`sha256` and `size` are of the tar (None and 0 without one); `rows` go to the index.

    `utterances` and `spoken` are of this making of the shard: a run tells them, no store keeps them.
    """

    name: str
    fingerprint: str
    shard: str | None = None
    sha256: str | None = None
    size: int = 0
    samples: int
    quarantined: int
    unexpected: int = 0
    reasons: dict[str, int] = {}
    keys: tuple[str, ...] = ()
    rows: tuple[dict[str, Any], ...] = ()
    utterances: int | None = None
    spoken: int | None = None

    def told(self, counts: Counts) -> Commit:
        """The commit with what was asked of the speech engine while it was made."""
        return self.model_copy(update={"utterances": counts.asked, "spoken": counts.spoken})


def make_commit(
    store: Store,
    fingerprint: str,
    shard: ShardPlan,
    packed: Sequence[Packed],
    rejections: Sequence[Rejection],
) -> Commit:
    """Write the shard's tar and quarantine, then its record. Doing it twice changes nothing."""
    if len(packed) + len(rejections) != shard.records:
        raise StrettoError(
            f"{len(packed)} samples and {len(rejections)} rejections of {shard.records} records",
            shard.name,
            "report this: it is a fault of stretto",
        )
    _write_lines(store, shard.quarantine, [r.to_json() for r in rejections])
    reports = [row for p in packed for row in p.reports]
    reports += [row for r in rejections for row in r.reports]
    _write_lines(store, shard.checks, [json.dumps(r, ensure_ascii=False) for r in reports])
    commit = Commit(
        name=shard.name,
        fingerprint=fingerprint,
        samples=len(packed),
        quarantined=len(rejections),
        unexpected=sum(r.reason.startswith(UNEXPECTED) for r in rejections),
        reasons=_by_stage(rejections),
        keys=tuple(p.key for p in packed),
    )
    if packed:
        tar = write_tar(shard, packed)
        store.write_bytes(shard.tar, tar.data)
        place = {"shard": shard.tar, "sha256": hashlib.sha256(tar.data).hexdigest()}
        commit = commit.model_copy(update={**place, "size": len(tar.data), "rows": tuple(tar.rows)})
    store.write_bytes(shard.commit, commit.to_json().encode() + b"\n")
    return commit


def read_commit(store: Store, name: str) -> Commit:
    """The commit record called `name` (`commits/train-dialogue-000000.json`)."""
    try:
        return Commit.model_validate_json(store.read_bytes(name))
    except ValueError:
        raise StrettoError(
            "not a commit record", f"{store.shown}/{name}", "delete it and run again"
        ) from None


def _write_lines(store: Store, name: str, lines: Sequence[str]) -> None:
    if lines:
        store.write_bytes(name, "".join(line + "\n" for line in lines).encode())
    elif store.exists(name):
        store.delete(name)  # of an attempt that was killed before its commit


def _by_stage(rejections: Sequence[Rejection]) -> dict[str, int]:
    stages = [r.stage for r in rejections]
    return {stage: stages.count(stage) for stage in sorted(set(stages))}
