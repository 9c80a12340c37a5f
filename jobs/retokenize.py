"""`stretto retokenize DIR --schema S --out OUT`: a corpus as tokens. Running it again resumes."""

from __future__ import annotations

import json
from typing import Any

from jobs.console import progress, say
from pipeline.commit import Commit
from pipeline.plan import Plan
from pipeline.retokenize import Run, compile_missing, default_workers, open_plan, open_run
from pipeline.retokenize_finish import finish_tokens
from pipeline.run import missing
from pipeline.store import Store
from schemas.sample import Rejection

SHOWN_REJECTIONS = 20


def run(
    dir: str,
    schema: str,
    out: str,
    workers: int | None = None,
    codecs: str | None = None,
    split: str | None = None,
    as_json: bool = False,
) -> int:
    """Exit code: 0 fine (quarantined samples are said), 1 a fault of stretto's own.

    `workers` processes (None: one a core; 0: in this process). `as_json` prints the token rates as
    JSON in place of the table.
    """
    opened = open_run(dir, schema, out, codecs, split)
    try:
        with opened.store.lock():
            plan = open_plan(opened)
            _make(opened, plan, default_workers() if workers is None else workers)
            _show_rejections(opened.store)
            summary = finish_tokens(opened.store, opened.source, opened.schema, opened.codecs, plan)
    except KeyboardInterrupt:
        say("stopped: run the same command again, it resumes")
        return 130
    if as_json:
        print(json.dumps({"schema": opened.schema.name, **summary["rates"]}, indent=1))
    else:
        _report(summary, opened.store)
    return 1 if summary["unexpected"] else 0


def _make(run: Run, plan: Plan, workers: int) -> None:
    todo = missing(run.store, plan)
    left = sum(shard.records for shard in todo)
    if plan.planned > left:
        say(f"resuming: {len(plan.shards) - len(todo)} of {len(plan.shards)} shards are committed")
    with progress("retokenize", plan.planned, "samples", plan.planned - left) as bar:
        for commit in compile_missing(run, plan, workers):
            bar.done(commit.samples + commit.quarantined, _line(commit))


def _line(commit: Commit) -> str:
    bad = f", {commit.quarantined} quarantined" if commit.quarantined else ""
    return f"{commit.name}: {commit.samples} samples{bad}"


def _show_rejections(store: Store) -> None:
    """A line for each sample without tokens: where, what, why, what to do."""
    names = sorted(store.list("quarantine"))
    lines = [line for name in names for line in store.read_bytes(name).splitlines()]
    for line in lines[:SHOWN_REJECTIONS]:
        say(f"quarantined: {Rejection.model_validate_json(line).line()}")
    if len(lines) > SHOWN_REJECTIONS:
        say(f"... and {len(lines) - SHOWN_REJECTIONS} more in {store.shown}/quarantine")


def _report(summary: dict[str, Any], store: Store) -> None:
    rates, records = summary["rates"], summary["records"]
    print(f"samples      {summary['samples']} in {summary['shards']} shards")
    print(f"tokens       {rates['tokens']:,} ({rates['tokens_per_s']:,} a second of sound)")
    print(f"loss         {_share(rates['loss_share'])} of the tokens bear one")
    print(f"boundaries   {_share(rates['boundary_share'])} of the tokens open or close something")
    for lane in rates["lanes"]:
        shares = f"{_share(lane['idle_share'])} idle, {_share(lane['loss_share'])} with loss"
        print(f"  {lane['lane']:10} {lane['tokens_per_s']:>9,} tokens/s, {shares}")
    if rates["dropped_tokens"]:
        print(f"dropped      {rates['dropped_tokens']:,} text tokens (cut by a barge-in, or tail)")
    print(f"quarantined  {records['quarantined']}")
    print(f"results      {store.shown}")
    if summary["unexpected"]:
        say(
            f"{summary['unexpected']} samples failed by a fault of stretto's own: "
            f"see the reasons that begin with 'unexpected' in {store.shown}/quarantine"
        )


def _share(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.1f} %"
