"""Sums that do not depend on the order of adding, in memory that does not grow with the hours.

Counts, seconds (summed as whole microseconds: a sum of floats would depend on the order) and
distributions, each under a name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pipeline.distribution import Distribution


class Sums:
    """What `pipeline.tally` adds up over the samples."""

    def __init__(self) -> None:
        self.n: Counter[str] = Counter()
        self._micros: Counter[str] = Counter()
        self._spread: dict[str, Distribution] = {}

    def add_s(self, **more_s: float) -> None:
        """Seconds, to the sums of these names."""
        for name, seconds in more_s.items():
            self._micros[name] += round(seconds * 1_000_000)

    def add_values(self, name: str, values: Iterable[float]) -> None:
        """Values, to the distribution of this name."""
        self._spread.setdefault(name, Distribution()).add(values)

    def merge(self, other: Sums) -> None:
        """Add all that `other` has."""
        self.n.update(other.n)
        self._micros.update(other._micros)
        for name, spread in other._spread.items():
            self._spread.setdefault(name, Distribution()).counts.update(spread.counts)

    def seconds(self, name: str) -> float:
        """The sum of the seconds of this name."""
        return self._micros[name] / 1_000_000

    def of(self, name: str) -> Distribution:
        """The distribution of this name; an empty one where nothing was added."""
        return self._spread.get(name, Distribution())


def ratio(part: float, whole: float, digits: int = 4) -> float | None:
    """part / whole, None where there is no whole."""
    return round(part / whole, digits) if whole > 0 else None


def hours(seconds: Iterable[float]) -> float:
    """Hours, to a third of a second."""
    return round(sum(seconds) / 3600, 4)
