"""The main job without its console: check, plan, make what is missing, finish.

In this order: `prepare`, then inside `store.lock()` `open_plan`, `make_missing` and
`pipeline.finish.finish`. `jobs/generate.py` does just that.
"""

from __future__ import annotations

from collections.abc import Iterator

from generators import acoustics
from generators.speech import is_hosted
from generators.speech.hosted import HostedBackend
from pipeline import check
from pipeline.commit import Commit
from pipeline.fingerprint import Fingerprint, fingerprint, require_same
from pipeline.plan import Plan, ShardPlan, make_plan, read_plan
from pipeline.ray_tasks import Limits
from pipeline.stages import open_services
from pipeline.store import Store
from schemas.config import Config
from schemas.errors import StrettoError

RUNNERS = ("local", "ray")


def prepare(config: Config, limit: int | None, runner: str = "local") -> Fingerprint:
    """Refuse what can't run before any work is done; the fingerprint of this run.

    With the Ray runner an engine of its own speaks in actors, which are checked where they are.
    """
    check.require(config)
    acoustics.require(config.acoustics, config.speech.sample_rate_hz)
    elsewhere = runner == "ray" and is_hosted(config.speech)
    services = open_services(
        config, pool=HostedBackend(config.speech, False) if elsewhere else None
    )
    try:
        return fingerprint(
            config, limit, services.speech.version(), align=services.aligner.version()
        )
    finally:
        services.close()


def open_plan(config: Config, print_: Fingerprint, limit: int | None, store: Store) -> Plan:
    """The plan that the folder holds, if this same run made it, or a new one."""
    plan = read_plan(store)
    if plan is None:
        return make_plan(config, print_, limit, store)
    require_same(plan.fingerprint, print_, store.shown)
    return plan


def missing(store: Store, plan: Plan) -> list[ShardPlan]:
    """The shards without a commit record."""
    done = set(store.list("commits"))
    return [shard for shard in plan.shards if shard.commit not in done]


def make_missing(
    store: Store,
    config: Config,
    plan: Plan,
    runner: str = "local",
    address: str | None = None,
    limits: Limits = Limits(),
) -> Iterator[Commit]:
    """Make every shard that has no commit yet and yield its commit as it comes."""
    if runner not in RUNNERS:
        raise StrettoError(f"unknown runner {runner!r}", "--runner", f"use {' or '.join(RUNNERS)}")
    config = check.settled(config)
    todo = missing(store, plan)
    digest = plan.fingerprint.digest
    if not todo:
        return
    if runner == "local":
        from pipeline.runner_local import run_local

        yield from run_local(store, config, digest, todo)
        return
    from pipeline.ray_speech import speech_pool
    from pipeline.runner_ray import cluster, run_ray

    own = address is None
    with cluster(address), speech_pool(config, limits.cpus, own) as speech:
        if speech and speech.version() != (planned := plan.fingerprint.versions["speech"]):
            raise StrettoError(
                f"the engine there is {speech.version()}, here {planned}",
                "speech",
                "install the same where the run starts as where it speaks",
            )
        yield from run_ray(store, config, digest, todo, limits, speech=speech)
