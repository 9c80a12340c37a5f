"""What the checks of a corpus found, summed: for dataset.json, `stretto stats` and the data card.

summary(store, config) -> {check: {status, samples, passed, failed, rejected, figures}}
table(found) -> (head, rows) of text;  markdown(found) for the card
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pipeline.checks import CHECKS, Check
from pipeline.store import Store
from schemas.config import Config

# rows of earlier versions
OLD_NAMES = {"vad": "speech"}
NOT_FIGURES = {"check", "key", "duration_s", "verdict", "rejected", "reasons_total"}
READERS = 16
QUANTILES = {"p5": 5, "p50": 50, "p95": 95}
HEAD = ("check", "status", "measured", "passed", "rejected", "figures (p5 / p50 / p95)")


class _Sums:
    """Sums over the rows of one check; a figure's values are counted, so their order is nothing."""

    def __init__(self) -> None:
        self.n: Counter[str] = Counter()
        self.values: defaultdict[str, Counter[float]] = defaultdict(Counter)

    def add(self, row: Mapping[str, Any]) -> None:
        verdict = row.get("verdict")
        self.n.update(samples=1, failed=verdict == "fail", nothing=verdict == "nothing")
        self.n.update(rejected=bool(row.get("rejected")))
        for name, value in row.items():
            if isinstance(value, int | float) and name not in NOT_FIGURES:
                self.values[name][value] += 1

    def result(self, check: Check) -> dict[str, Any]:
        """Plain JSON data."""
        failed, measured = self.n["failed"], self.n["samples"] - self.n["nothing"]
        summed = {name for pair in check.ratios.values() for name in pair}
        figures: dict[str, Any] = {
            name: _quantiles(self.values[name])
            for name in sorted(self.values)
            if name not in summed and name not in check.ratios
        }
        totals = {
            name: round(_total(self.values[part]) / whole, 4)
            for name, (part, whole_name) in check.ratios.items()
            if (whole := _total(self.values[whole_name]))
        }
        return {
            "status": "run",
            "samples": self.n["samples"],
            "measured": measured,
            "passed": round((measured - failed) / measured, 4) if measured else None,
            "failed": failed,
            "rejected": self.n["rejected"],
            "figures": figures,
            **({"totals": totals} if totals else {}),
        }


def summary(store: Store, config: Config) -> dict[str, Any]:
    """`checks` and `vad` of dataset.json: what each check found, or `not_run` and why."""
    sums: defaultdict[str, _Sums] = defaultdict(_Sums)
    heard: list[tuple[float, float, float]] = []
    for row in report_rows(store):
        name = OLD_NAMES.get(row["check"], row["check"])
        sums[name].add(row)
        if name == "speech":
            heard.append((row["duration_s"], row["listen"], row["speak"]))
    checks = {
        check.name: sums[check.name].result(check)
        if check.name in sums
        else {"status": "not_run", "why": _why(check, config)}
        for check in CHECKS
    }
    return {"checks": checks, "vad": _agreement(heard)}


def _agreement(heard: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    """How far silero-vad and the Timelines agree, by time."""
    if not heard:
        return {"status": "not_run"}
    total_s = math.fsum(duration_s for duration_s, _, _ in heard)
    listen, speak = (math.fsum(h[0] * h[n] for h in heard) / total_s for n in (1, 2))
    found = {"listen": round(listen, 4), "speak": round(speak, 4)}
    return {"status": "run", "samples": len(heard), **found}


def report_rows(store: Store) -> Iterator[dict[str, Any]]:
    """The rows of `checks/*.jsonl`, in the order of the file names."""
    names = sorted(store.list("checks"))
    with ThreadPoolExecutor(READERS) as pool:  # an object store answers one read in 20 to 50 ms
        for at in range(0, len(names), 64):
            for data in pool.map(store.read_bytes, names[at : at + 64]):
                yield from map(json.loads, data.splitlines())


def _why(check: Check, config: Config) -> str:
    if check.name == "speech" and config.checks.vad is None:
        return "silero-vad is not installed, or no sample was drawn"
    if check.settings(config.checks) is None:
        return "not configured"
    return "no sample was drawn"


def _total(values: Mapping[float, int]) -> float:
    return math.fsum(value * n for value, n in values.items())


def _quantiles(values: Counter[float]) -> dict[str, float]:
    """The smallest value that at least p % of the values do not exceed."""
    found, seen, wanted = {}, 0, list(QUANTILES.items())
    for value in sorted(values):
        seen += values[value]
        while wanted and seen * 100 >= wanted[0][1] * values.total():
            found[wanted.pop(0)[0]] = value
    return found


# ---- shown ---------------------------------------------------------------------------------------


def table(found: Mapping[str, Any] | None) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """A head and a row for each check, as text. None, of an older corpus, has no rows."""
    found = found or {}
    return HEAD, [_row(check, found[check.name]) for check in CHECKS if check.name in found]


def markdown(found: Mapping[str, Any] | None) -> str:
    """The checks as a Markdown table; "" of a corpus that has none."""
    head, rows = table(found)
    if not rows:
        return ""
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _row(check: Check, about: Mapping[str, Any]) -> tuple[str, ...]:
    if about["status"] != "run":
        return (
            check.name,
            f"{about['status']}: {about.get('why', '')}".rstrip(": "),
            "",
            "",
            "",
            "",
        )
    totals = about.get("totals", {})
    figures = [f"{n.replace('_', ' ')} {totals[n]:.1%}" for n in check.shown if n in totals]
    figures += [
        f"{n.replace('_', ' ')} {' / '.join(f'{q[p]:g}' for p in QUANTILES)}"
        for n in check.shown
        if (q := about["figures"].get(n))
    ]
    passed = "-" if about["passed"] is None else f"{about['passed']:.1%}"
    counts = (f"{about['measured']:,} of {about['samples']:,}", passed, f"{about['rejected']:,}")
    return (check.name, "run", *counts, "; ".join(figures))
