"""The local runner: shard by shard in this process. The Ray runner gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.commit import Commit, make_commit
from pipeline.plan import ShardPlan, shard_records
from pipeline.stages import Stage, make_shard, open_services
from pipeline.store import Store
from schemas.config import Config


def run_local(
    store: Store,
    config: Config,
    fingerprint: str,
    shards: Sequence[ShardPlan],
    stages: Sequence[Stage] | None = None,
) -> Iterator[Commit]:
    """Make each shard and yield its commit. StrettoError when the machine, not a record, fails."""
    services = open_services(config, store)
    try:
        for shard in shards:
            records, before = shard_records(store, shard), services.speech.counts
            packed, rejections = make_shard(records, config, services, stages)
            commit = make_commit(store, fingerprint, shard, packed, rejections)
            yield commit.told(services.speech.counts - before)
    finally:
        services.close()
