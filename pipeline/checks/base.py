"""What a check of finished samples is, and what it finds.

A `Check` is declared once, in the module that runs it, and listed in `pipeline.checks.CHECKS`. Its
`run` takes samples and gives a `Finding` for each: figures, and reasons where it fails. An exact
check decides by integer arithmetic, so its verdict is the same on every processor and may reject; one
that rests on a model's floats only reports, unless its verdicts are kept (`pipeline.checks.verdicts`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from schemas.base import Record
from schemas.config import ChecksConfig
from schemas.sample import Sample

Figure = float | int
SHOWN_REASONS = 8  # a wholly broken sample has hundreds


class Reason(Record):
    """Why a check fails, and where: the event and the seconds. `fix` where it is not the check's."""

    what: str
    event: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    fix: str | None = None

    def line(self) -> str:
        """`u003 at 4.20-6.10 s: what`."""
        at = "" if self.start_s is None else f"at {self.start_s:.2f}-{self.end_s:.2f} s"
        where = " ".join(part for part in (self.event, at) if part)
        return f"{where}: {self.what}" if where else self.what


@dataclass(frozen=True)
class Finding:
    """What a check found in one sample: it fails when there is a reason.

    Without figures there was nothing to measure: that is neither a pass nor a failure. `details`
    stand in its row.
    """

    figures: Mapping[str, Figure]
    reasons: tuple[Reason, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        if self.reasons:
            return "fail"
        return "ok" if self.figures else "nothing"

    def row(self, check: str, sample: Sample) -> dict[str, Any]:
        """A line of `checks/*.jsonl`."""
        timeline = sample.timeline
        row: dict[str, Any] = {
            "check": check,
            "key": timeline.key,
            "duration_s": timeline.duration_s,
            "verdict": self.verdict,
            **self.figures,
            **self.details,
        }
        if self.reasons:
            shown = self.reasons[:SHOWN_REASONS]
            row["reasons"] = [r.model_dump(exclude_none=True) for r in shown]
            row["reasons_total"] = len(self.reasons)
        return row


class Models(Protocol):
    """Models, opened once in a process."""

    def model(self, name: str, make: Callable[[], Any]) -> Any:
        """The model of this name, made on first use."""


@dataclass(frozen=True)
class Check:
    """One check. `settings` gives its part of the config, None where it is not to run.

    `needs` and `cost` are for people. `run(samples, settings, models)` gives a Finding for each;
    `require(settings)` raises StrettoError where it can't run here. `ratios` are figures of the whole
    corpus: name -> (sum of this figure, sum of that).
    """

    name: str
    needs: str
    cost: str
    fix: str
    settings: Callable[[ChecksConfig], Any]
    run: Callable[[Sequence[Sample], Any, Models], list[Finding]]
    exact: bool = True
    shown: tuple[str, ...] = ()  # its main figures; dataset.json has all
    draw: str = ""  # the name of its draw, where that is not its own
    share: Callable[[ChecksConfig], float] = lambda checks: 1.0
    require: Callable[[Any], None] = lambda settings: None
    ratios: Mapping[str, tuple[str, str]] = field(default_factory=dict)
