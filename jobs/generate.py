"""`stretto generate CONFIG --out DIR`: the main job. Running it again resumes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from generators.speech.cache import Counts
from jobs.config_file import load_config
from jobs.console import progress, say
from pipeline.commit import Commit
from pipeline.finish import finish
from pipeline.plan import Plan, make_plan
from pipeline.run import make_missing, missing, open_plan, prepare
from pipeline.store import Store, open_store
from schemas.config import Config
from schemas.sample import Rejection

SHOWN_REJECTIONS = 20


def run(
    config: str,
    out: str,
    runner: str = "local",
    address: str | None = None,
    limit: int | None = None,
    settings: tuple[str, ...] = (),
    dry_run: bool = False,
) -> int:
    """Exit code: 0 fine (bad records in quarantine are said), 1 a fault of stretto's own."""
    corpus = load_config(config, settings)
    print_ = prepare(corpus, limit, runner)
    if dry_run:
        _show_plan(make_plan(corpus, print_, limit, None))
        return 0
    store = open_store(out)
    try:
        with store.lock():
            plan = open_plan(corpus, print_, limit, store)
            spoken = _make(store, corpus, plan, runner, address)
            _show_rejections(store)
            summary = finish(store, corpus, plan)
    except KeyboardInterrupt:
        say("stopped: run the same command again, it resumes")
        return 130
    return _report(summary, store, spoken)


def _make(store: Store, corpus: Config, plan: Plan, runner: str, address: str | None) -> Counts:
    """Make what is missing; how many utterances that took."""
    todo = missing(store, plan)
    left = sum(shard.records for shard in todo)
    if plan.planned > left:
        say(f"resuming: {len(plan.shards) - len(todo)} of {len(plan.shards)} shards are committed")
    spoken = Counts()
    with progress("generate", plan.planned, "records", plan.planned - left) as bar:
        for commit in make_missing(store, corpus, plan, runner, address):
            bar.done(commit.samples + commit.quarantined, _line(commit))
            spoken += Counts(commit.utterances or 0, commit.spoken or 0)
    return spoken


def _line(commit: Commit) -> str:
    bad = f", {commit.quarantined} quarantined" if commit.quarantined else ""
    return f"{commit.name}: {commit.samples} samples{bad}"


def _show_plan(plan: Plan) -> None:
    """What a run would make; nothing is written."""
    print(f"planned      {plan.planned} records in {len(plan.shards)} shards")
    print(f"quarantined  {plan.quarantined} by the sources")
    print(f"unused       {plan.unused}")
    records: Counter[tuple[str, str]] = Counter()
    for shard in plan.shards:
        records[shard.split, shard.subset] += shard.records
    for (split, subset), count in sorted(records.items()):
        print(f"  {split:5}  {subset:20}  {count} records")


def _show_rejections(store: Store) -> None:
    """A line for each record that is not in the corpus: where, what, why, what to do."""
    shown = 0
    for name in sorted(store.list("quarantine")):
        for line in store.read_bytes(name).splitlines():
            shown += 1
            if shown <= SHOWN_REJECTIONS:
                rejection = Rejection.model_validate_json(line)
                say(f"{rejection.status}: {rejection.line()}")
    if shown > SHOWN_REJECTIONS:
        say(f"... and {shown - SHOWN_REJECTIONS} more in {store.shown}/quarantine")


def _report(summary: dict[str, Any], store: Store, spoken: Counts) -> int:
    records = summary["records"]
    print(f"samples      {summary['samples']} in {summary['shards']} shards")
    print(f"hours        {summary['hours']:.3f}")
    if spoken.asked:
        kept = spoken.asked - spoken.spoken
        print(f"speech       {spoken.asked:,} utterances, {kept:,} from the cache")
    stages = ", ".join(f"{n} in {s}" for s, n in summary["quarantined_by_stage"].items())
    print(f"quarantined  {records['quarantined']}{f' ({stages})' if stages else ''}")
    if records["unused"]:
        print(f"unused       {records['unused']} (quarantine/source.jsonl says why)")
    print(f"results      {store.shown}")
    if summary["unexpected"]:
        say(
            f"{summary['unexpected']} records failed by a fault of stretto's own: "
            f"see the reasons that begin with 'unexpected' in {store.shown}/quarantine"
        )
    return 1 if summary["unexpected"] else 0
