"""The plan: every input record in a shard's list, in quarantine, or unused. Made once, kept.

    plan/{split}-{subset}-{index:06d}.jsonl   the records of one shard, in input order
    quarantine/source.jsonl                   what the sources refused or left unused
    plan/plan.json                            written last: it makes the plan exist

The sources are read once. Records wait in a temporary file while groups are counted, because the
split of a small corpus needs all its groups; memory holds keys and groups, never records.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter

from pipeline.fingerprint import Fingerprint
from pipeline.splits import assign_splits, group_id
from pipeline.store import Store
from schemas.base import Record
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.records import Dialogue, InputRecord, Trajectory
from schemas.sample import Rejection

PLAN = "plan/plan.json"
SOURCE_QUARANTINE = "quarantine/source.jsonl"
ARTEFACTS = "artefacts/"
RECORD: TypeAdapter[InputRecord] = TypeAdapter(InputRecord)


class ShardPlan(Record):
    """One shard: its place and its records. `sha256` is of the plan file."""

    split: str
    subset: str
    index: int
    records: int
    sha256: str

    @property
    def name(self) -> str:
        """`train-dialogue-000000`: the stem of its plan, commit and quarantine files."""
        return f"{self.split}-{self.subset}-{self.index:06d}"

    @property
    def tar(self) -> str:
        """Where the tar lies."""
        return f"{self.split}/{self.subset}-{self.index:06d}.tar"

    @property
    def commit(self) -> str:
        """Where the commit record lies."""
        return f"commits/{self.name}.json"

    @property
    def quarantine(self) -> str:
        """Where its rejections lie, if it has any."""
        return f"quarantine/{self.name}.jsonl"

    @property
    def checks(self) -> str:
        """Where the reports of measuring checks lie, if any sample was drawn for one."""
        return f"checks/{self.name}.jsonl"


class Plan(Record):
    """What `plan.json` holds. input = planned + quarantined; `unused` was never a record."""

    fingerprint: Fingerprint
    shards: tuple[ShardPlan, ...]
    planned: int
    quarantined: int
    unused: int


@dataclass
class _Gathered:
    """What one pass over the sources finds: counts, groups by subset, keys."""

    groups: dict[str, dict[str, None]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=lambda: {"quarantined": 0, "unused": 0})
    planned: int = 0


def read_plan(store: Store) -> Plan | None:
    """The plan of a corpus, or None when it has none yet."""
    if not store.exists(PLAN):
        return None
    try:
        return Plan.model_validate_json(store.read_bytes(PLAN))
    except ValueError:
        raise StrettoError(
            "not a plan of this version", f"{store.shown}/{PLAN}", "use another --out"
        ) from None


def make_plan(config: Config, print_: Fingerprint, limit: int | None, store: Store | None) -> Plan:
    """Read all sources and write the plan; with no store (a dry run) only count.

    Raises StrettoError when not one record can be used.
    """
    try:
        return _make_plan(config, print_, limit, store)
    except OSError as error:  # of the temporary files: sources and stores tell their own
        what = (error.strerror or str(error)).lower()
        raise StrettoError(what, tempfile.gettempdir(), "free space there or set TMPDIR") from error


def _make_plan(config: Config, print_: Fingerprint, limit: int | None, store: Store | None) -> Plan:
    with tempfile.TemporaryDirectory(prefix="stretto-plan-") as folder:
        rejections, spool = Path(folder) / "source.jsonl", Path(folder) / "records.jsonl"
        gathered = _gather(config, limit, spool, rejections)
        if not gathered.planned:
            raise _nothing(config, rejections)
        if store is not None:
            _clear(store)
            store.put_file(SOURCE_QUARANTINE, rejections)
        split = assign_splits(config.seed, gathered.groups, config.shards)
        with open(spool, "rb") as lines:
            shards = tuple(_write_shards(lines, split, config.shards.samples, store))
    plan = Plan(
        fingerprint=print_,
        shards=tuple(sorted(shards, key=lambda s: (s.split, s.subset, s.index))),
        planned=gathered.planned,
        quarantined=gathered.status["quarantined"],
        unused=gathered.status["unused"],
    )
    if store is not None:
        store.write_bytes(PLAN, plan.to_json().encode() + b"\n")
    return plan


def shard_records(store: Store, shard: ShardPlan) -> list[InputRecord]:
    """The records of a shard, checked against the plan's checksum."""
    name = f"plan/{shard.name}.jsonl"
    data = store.read_bytes(name)
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise StrettoError(
            "not the file that was planned", f"{store.shown}/{name}", "use another --out"
        )
    return [RECORD.validate_json(line) for line in data.splitlines()]


def subset_of(record: InputRecord) -> str:
    """The subset a record's sample belongs to: one fixed set of members."""
    return record.subset if isinstance(record, Trajectory) else record.kind


def _gather(config: Config, limit: int | None, spool: Path, rejections: Path) -> _Gathered:
    found = _Gathered()
    with open(spool, "wb") as records, open(rejections, "wb") as refused:
        for item in _read_all(config, limit):
            checked = item if isinstance(item, Rejection) else _unique(item, found.keys)
            line = checked.to_json().encode() + b"\n"
            if isinstance(checked, Rejection):
                found.status[checked.status] += 1
                refused.write(line)
                continue
            group = group_id(checked.source, checked.group)
            found.groups.setdefault(subset_of(checked), {})[group] = None
            found.planned += 1
            records.write(line)
    return found


def _read_all(config: Config, limit: int | None) -> Iterator[InputRecord | Rejection]:
    """Every source in turn; `limit` counts good records, as a source's own `limit` does."""
    from generators.scene.twins import with_twin
    from generators.sources import read_source, source_name

    for index, entry in enumerate(config.sources):
        taken = 0
        for item in read_source(entry, source_name(entry, index)):
            taken += not isinstance(item, Rejection)
            yield from with_twin(item, config) if isinstance(item, Dialogue) else [item]
            if taken == limit:
                break


def _unique(record: InputRecord, keys: dict[str, str]) -> InputRecord | Rejection:
    """The record itself, or a Rejection when its key was taken by an earlier one."""
    if record.key not in keys:
        keys[record.key] = record.source
        return record
    return Rejection(
        source=record.source,
        record_id=record.record_id,
        key=record.key,
        where=record.where,
        stage="plan",
        reason=f"key {record.key} is taken by a record of source {keys[record.key]}",
        fix="give the sources different names, or the records different ids",
    )


def _clear(store: Store) -> None:
    """Remove what a run that was killed while planning left; never a committed corpus.

    Utterances stay: they are kept by content, and another plan may speak the same.
    """
    names = [name for name in store.list() if not name.startswith(ARTEFACTS)]
    foreign = [n for n in names if not n.startswith(("plan/", "quarantine/"))]
    if foreign:  # a README.md of somebody's would be replaced
        more = f" and {len(foreign) - 1} more" if foreign[1:] else ""
        raise StrettoError(
            f"the folder holds files of no plan of stretto's: {foreign[0]}{more}",
            store.shown,
            "use an empty or another --out",
        )
    for name in names:
        store.delete(name)


def _write_shards(
    lines: IO[bytes], split: dict[str, str], samples: int, store: Store | None
) -> Iterator[ShardPlan]:
    """Fill the open shard of each split and subset; write it when full."""
    open_shards: dict[tuple[str, str], list[bytes]] = {}
    indices: dict[tuple[str, str], int] = {}
    for line in lines:
        record = RECORD.validate_json(line)
        place = split[group_id(record.source, record.group)], subset_of(record)
        waiting = open_shards.setdefault(place, [])
        waiting.append(line)
        if len(waiting) == samples:
            yield _write_shard(place, indices, open_shards.pop(place), store)
    for place in sorted(open_shards):
        yield _write_shard(place, indices, open_shards[place], store)


def _write_shard(
    place: tuple[str, str],
    indices: dict[tuple[str, str], int],
    lines: list[bytes],
    store: Store | None,
) -> ShardPlan:
    index = indices.get(place, 0)
    indices[place] = index + 1
    data = b"".join(lines)
    shard = ShardPlan(
        split=place[0],
        subset=place[1],
        index=index,
        records=len(lines),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    if store is not None:
        store.write_bytes(f"plan/{shard.name}.jsonl", data)
    return shard


def _nothing(config: Config, rejections: Path) -> StrettoError:
    with open(rejections, "rb") as lines:
        first = lines.readline()
    reason = f": {Rejection.model_validate_json(first).line()}" if first else ""
    return StrettoError(
        f"no source yields a usable record{reason}", config.name, "mend the sources and run again"
    )
