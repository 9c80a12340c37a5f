"""Sums over the samples of a corpus: a Timeline goes in, counts and distributions come out.

`Tally.add(timeline)` for each sample, then `Tally.result()`. Memory does not grow with the hours and
the order of adding does not matter. `docs/statistics.md` says what each figure is.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.human import distances
from pipeline.sums import Sums, hours
from pipeline.tally_taking import (
    add_exchange,
    add_stops,
    add_taking,
    exchange_result,
    taking_result,
)
from pipeline.tally_text import (
    actions_result,
    add_actions,
    add_text,
    consistency_result,
    text_result,
    turns_result,
    words_per_min,
)
from pipeline.turn_taking import measure
from schemas.timeline import Timeline


class Tally:
    """Sums over samples. Turn-taking is measured on dialogues: robots hardly take turns."""

    def __init__(self) -> None:
        self.behaviours: Counter[str] = Counter()
        self.sources: Counter[tuple[str, str]] = Counter()
        self.effects: Counter[str] = Counter()
        self.sums = Sums()

    def add(self, timeline: Timeline) -> None:
        """Count one sample."""
        self.behaviours.update(timeline.behaviours)
        made = timeline.provenance
        self.sources[made.source, made.licence or ""] += 1
        self.effects.update({effect.name for effect in made.acoustics})
        self.sums.add_s(**{f"in_{name}": timeline.duration_s for name in timeline.behaviours})
        taking = measure(timeline)
        add_text(self.sums, timeline, taking)
        add_actions(self.sums, timeline, taking)
        add_stops(self.sums, timeline)
        if timeline.act is None:
            add_taking(self.sums, timeline, taking)
            add_exchange(self.sums, timeline, taking)

    def merge(self, other: Tally) -> None:
        """Count all that `other` counted."""
        self.behaviours.update(other.behaviours)
        self.sources.update(other.sources)
        self.effects.update(other.effects)
        self.sums.merge(other.sums)

    def result(self) -> dict[str, Any]:
        """Everything as JSON data, in a fixed order."""
        sources = sorted(self.sources.items())
        taking = taking_result(self.sums)
        return {
            "sources": [
                {"source": source, "licence": licence or None, "samples": n}
                for (source, licence), n in sources
            ],
            "behaviours": {name: self.behaviours[name] for name in sorted(self.behaviours)},
            "behaviour_hours": {
                name: hours([self.sums.seconds(f"in_{name}")]) for name in sorted(self.behaviours)
            },
            "effects": {name: self.effects[name] for name in sorted(self.effects)},
            "turn_taking": taking,
            "distance": distances(taking),
            "exchange": exchange_result(self.sums),
            "turns": turns_result(self.sums),
            "words_per_min": words_per_min(self.sums),
            "text": text_result(self.sums),
            "consistency": consistency_result(self.sums),
            "actions": actions_result(self.sums),
        }
