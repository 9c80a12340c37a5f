"""The checks of a shard's works: exact ones on every sample, models on a keyed share in one batch.

A failing check that may reject turns the work into a Rejection of stage `check`, with where and what
to do; its rows are kept all the same. What a check found stands in the work's `reports`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.checks import CHECKS
from pipeline.checks.base import Check, Finding, Models
from pipeline.checks.verdicts import kept
from pipeline.work import Work, guarded, rejection
from schemas.config import Config
from schemas.draws import uniform
from schemas.errors import StrettoError

Found = tuple[Check, Finding]


def run_checks(works: Sequence[Work], config: Config, models: Models) -> list[Work]:
    """The works with their reports, or rejected; length and order stay."""
    checked = [
        guarded("check", w, lambda w: _exactly(w, config, models)) if w.sample else w for w in works
    ]
    for check in CHECKS:
        if not check.exact and check.settings(config.checks) is not None:
            checked = _by_model(check, checked, config, models)
    return checked


def drawn(check: Check, work: Work, config: Config) -> bool:
    """Whether this sample is one of the check's share: whatever else is in its shard."""
    key = getattr(work.record, "draw_key", work.record.key)  # a twin is drawn with its pair
    return uniform(config.seed, key, "sample", check.draw or check.name) < check.share(
        config.checks
    )


def _exactly(work: Work, config: Config, models: Models) -> Work:
    assert work.sample is not None
    found: list[Found] = []
    for check in CHECKS:
        settings = check.settings(config.checks) if check.exact else None
        if settings is not None:
            found.append((check, check.run([work.sample], settings, models)[0]))
    return _decided(work, found, config)


def _by_model(check: Check, works: list[Work], config: Config, models: Models) -> list[Work]:
    """One batch of all samples of the shard that were drawn. A failing model stops the run."""
    places = [n for n, w in enumerate(works) if w.sample and drawn(check, w, config)]
    samples = [s for n in places if (s := works[n].sample) is not None]
    if not samples:
        return works
    settings = check.settings(config.checks)
    try:
        if settings.reject:
            folder = Path(config.checks.verdicts or "").expanduser()
            found = kept(check, samples, settings, models, folder)
        else:
            found = check.run(samples, settings, models)
    except StrettoError:
        raise
    except Exception as error:
        what = f"the check {check.name} failed: {type(error).__name__}: {error}"
        where = f"the shard of {works[places[0]].record.key}"
        raise StrettoError(what, where, "mend it, or turn it off in `checks:`") from error
    works = list(works)
    for n, finding in zip(places, found, strict=True):
        works[n] = _decided(works[n], [(check, finding)], config)
    return works


def _decided(work: Work, found: Sequence[Found], config: Config) -> Work:
    """The work with the rows of what was found, rejected where a failing check may do that."""
    assert work.sample is not None
    refusing = [(c, f) for c, f in found if f.reasons and c.settings(config.checks).reject]
    rows: list[dict[str, Any]] = []
    for check, finding in found:
        row = finding.row(check.name, work.sample)
        rows.append(row | {"rejected": True} if (check, finding) in refusing else row)
    reports = (*work.reports, *rows)
    if not refusing:
        return replace(work, reports=reports)
    refused = rejection(work.record, "check", _error(refusing))
    return Work(work.record, rejection=refused.model_copy(update={"reports": reports}))


def _error(refusing: Sequence[Found]) -> StrettoError:
    """The first reason in full, and how many there are beside it."""
    check, finding = refusing[0]
    also = [c.name for c, _ in refusing[1:]]
    more = [f"{len(finding.reasons) - 1} more such"] if len(finding.reasons) > 1 else []
    more += [f"also {', '.join(also)}"] if also else []
    rest = f" ({'; '.join(more)})" if more else ""
    first = finding.reasons[0]
    return StrettoError(f"check {check.name}: {first.line()}{rest}", fix=first.fix or check.fix)
