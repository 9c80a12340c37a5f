"""The train split as `stretto fit` reads it, and the `Job` that it makes a codec by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.stream import Corpus
from schemas.sample import Media
from schemas.timeline import Timeline
from token_schema.schema import TokenSchema

MAX_SAMPLES = 4000  # encoding is fast but not free: plenty for the sampled frames of a fit


@dataclass(frozen=True)
class Train:
    """The train split of a corpus, streamed anew for every codec."""

    corpus: Corpus
    schema: TokenSchema

    def samples(self, subset: str | None = None) -> Iterator[tuple[Timeline, Media]]:
        for row in self.corpus.rows("train", subset=subset):
            yield self.corpus.read(int(row))

    def spread(self, most: int = MAX_SAMPLES) -> Iterator[tuple[Timeline, Media]]:
        """At most so many samples, evenly over the split: every source and shard is met."""
        rows = self.corpus.rows("train")
        for row in rows[np.unique(np.linspace(0, len(rows) - 1, most).astype(int))]:
            yield self.corpus.read(int(row))

    def first(self, subset: str | None = None) -> Timeline:
        """Any sample tells what the clock, the cameras and the actions of its subset are."""
        return next(self.samples(subset))[0]

    def subsets(self) -> list[str]:
        """The subsets in the train split, sorted."""
        rows = self.corpus.rows("train")
        return sorted(set(self.corpus.index.column("subset").take(rows).to_pylist()))

    def robots(self) -> list[str]:
        """The subsets whose samples have actions."""
        kind = {s: self.corpus.rows("train", subset=s)[0] for s in self.subsets()}
        robots = [s for s, r in kind.items() if self.corpus.row(int(r))["kind"] == "trajectory"]
        return [s for s in robots if self.first(s).act is not None]


@dataclass(frozen=True)
class Job:
    """A codec to make: its folder's name, its settings, and a call that gives it and says how.

    `wanted` is what `fit.json` keeps. The codec is None when the corpus has nothing to fit it on.
    """

    name: str
    wanted: Mapping[str, Any]
    make: Callable[[], tuple[Any, str]]


class Counted:
    """Passes items on and counts them, so that a fit can say what it saw."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items, self.count = items, 0

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self.count += 1
            yield item
