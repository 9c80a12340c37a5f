"""Distributions as counts of thousandths: exact quantiles, flat memory, any order of adding.

    times = Distribution()
    times.add([0.231, -0.1])        # seconds, or any value that thousandths are fine enough for
    times.result()                  # {"n": 2, "mean": 0.0655, "s": {"p5": ..., ..., "p95": ...}}

Quantiles are interpolated linearly between order statistics (numpy's default, R's type 7), as those
of people in `human_turn_taking.yaml` are. `distance_ms` compares the two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

QUANTILES = (5, 10, 25, 50, 75, 90, 95)
BIN_MS = 200  # Full-Duplex-Bench compares timing in bins of 0.2 s

Quantiles = Mapping[str, float]


class Distribution:
    """Values counted to the thousandth: of seconds, whole milliseconds."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    def add(self, values: Iterable[float]) -> None:
        self.counts.update(round(v * 1000) for v in values)

    @property
    def n(self) -> int:
        """How many values there are."""
        return self.counts.total()

    @property
    def mean(self) -> float | None:
        """The mean; a sum of whole numbers, so the order of adding does not matter."""
        if not self.n:
            return None
        return round(sum(value * count for value, count in self.counts.items()) / self.n / 1000, 6)

    def within(self, low: float, high: float) -> Distribution:
        """Only the values in [low, high)."""
        part = Distribution()
        below, above = low * 1000, high * 1000
        part.counts.update({v: c for v, c in self.counts.items() if below <= v < above})
        return part

    def share(self, low: float, high: float) -> float | None:
        """Share of the values in [low, high)."""
        return round(self.within(low, high).n / self.n, 4) if self.n else None

    def quantiles(self) -> dict[str, float] | None:
        """p5 to p95, linear between the values around them; None where there are no values."""
        if not self.n:
            return None
        ordered = sorted(self.counts.items())
        return {f"p{p}": self._quantile(ordered, p) for p in QUANTILES}

    def _quantile(self, ordered: list[tuple[int, int]], percent: int) -> float:
        """The value at place (n - 1) * percent / 100 of the sorted values, counted from 0."""
        place, hundredths = divmod((self.n - 1) * percent, 100)
        low, high = _at(ordered, place), _at(ordered, min(place + 1, self.n - 1))
        return round((low * 100 + (high - low) * hundredths) / 100_000, 6)

    def histogram(self) -> dict[str, int]:
        """n by the start of the bin, of each bin of 0.2 s that holds a value, in order."""
        bins: Counter[int] = Counter()
        for value, count in self.counts.items():
            bins[value // BIN_MS] += count
        return {f"{b * BIN_MS / 1000:.1f}": bins[b] for b in sorted(bins)}

    def result(self) -> dict[str, Any]:
        """As JSON data."""
        return {"n": self.n, "mean": self.mean, "s": self.quantiles()}


def _at(ordered: list[tuple[int, int]], place: int) -> int:
    """The value at a place of the sorted values, counted from 0."""
    seen = 0
    for value, count in ordered:
        seen += count
        if place < seen:
            return value
    raise IndexError(place)


def distance_ms(found: Quantiles | None, human: Quantiles) -> float | None:
    """Mean absolute difference of the p5, p10, p25, p50, p75, p90 and p95 quantiles, in ms."""
    if found is None:
        return None
    names = [f"p{p}" for p in QUANTILES]
    return round(sum(abs(found[p] - human[p]) for p in names) / len(names) * 1000, 1)
