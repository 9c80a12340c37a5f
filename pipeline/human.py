"""People's turn-taking, and how far a corpus's is from it.

    distances(taking)    # taking: `Tally.result()["turn_taking"]`

A distance of times is the mean absolute difference of seven quantiles in ms, of a share the
difference in points, of a rate the difference itself; None where the corpus has nothing to compare.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipeline.distribution import distance_ms

SIDES = ("user", "assistant", "both")


@cache
def human() -> dict[str, Any]:
    """The numbers of people's telephone conversations, with their source."""
    return yaml.safe_load(Path(__file__).with_name("human_turn_taking.yaml").read_text("utf-8"))


def distances(taking: dict[str, Any]) -> dict[str, float | None]:
    """How far each figure is from people's, in a fixed order; the unit ends the name."""
    people, found = human(), dict[str, float | None]()
    for measure in ("fto", "pause", "backchannel"):
        for side in SIDES:
            quantiles = taking[side][measure]["s"]
            found[f"{measure}_{side}_ms"] = distance_ms(quantiles, people[f"{measure}_s"])
    for name in ("fto_overlap_share", "fto_gap_lt_200ms_share"):
        for side in SIDES:
            found[f"{name}_{side}_points"] = points(taking[side][name], people[name])
    for name in ("overlap_frac", "silent_frac"):
        found[f"{name}_points"] = points(taking[name], people[name])
    rate = taking["both"]["backchannels_per_min"]
    found["backchannels_both_per_min"] = minus(rate, people["backchannels_per_min"])
    turns = taking["transitions_per_min"]
    found["transitions_per_min"] = minus(turns, people["transitions_per_min"])
    return found


def points(found: float | None, people: float) -> float | None:
    """The difference of two shares in percentage points."""
    return None if found is None else round((found - people) * 100, 2)


def minus(found: float | None, people: float) -> float | None:
    """The difference of two rates."""
    return None if found is None else round(found - people, 2)
