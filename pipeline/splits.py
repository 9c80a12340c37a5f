"""Which split a source group goes to: a keyed draw per group, so a new group moves no other one.

`val` takes draws below `shards.val_share`, `test` the next `shards.test_share`, `train` the rest.
A small corpus could end with an empty split, so afterwards, subset by subset in name order:
train first, then val, then test, each that should hold something and holds none of the subset's
groups takes one from the split of that subset with the most groups: the one with the smallest draw
(for train: the largest). Only train may take a split's last group. A group never stands in two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schemas.config import ShardsConfig
from schemas.draws import uniform

SPLITS = ("train", "val", "test")


def group_id(source: str, group: str) -> str:
    """A group belongs to its source: equal names in two sources are two groups."""
    return f"{source}/{group}"


def assign_splits(
    seed: int, groups: Mapping[str, Iterable[str]], shares: ShardsConfig
) -> dict[str, str]:
    """The split of every group. `groups` maps each subset to its group ids."""
    draws = {g: uniform(seed, g, "", "split") for members in groups.values() for g in members}
    split = {g: _by_share(u, shares) for g, u in draws.items()}
    for subset in sorted(groups):
        for wanted in _wanted(shares):
            _fill(wanted, sorted(set(groups[subset])), draws, split)
    return split


def _by_share(draw: float, shares: ShardsConfig) -> str:
    if draw < shares.val_share:
        return "val"
    return "test" if draw < shares.val_share + shares.test_share else "train"


def _wanted(shares: ShardsConfig) -> list[str]:
    size = {"train": 1.0 - shares.val_share - shares.test_share}
    size |= {"val": shares.val_share, "test": shares.test_share}
    return [s for s in SPLITS if size[s] > 1e-9]


def _fill(wanted: str, groups: list[str], draws: dict[str, float], split: dict[str, str]) -> None:
    """Give an empty split one group of the subset, if another split can spare one."""
    members = {s: [g for g in groups if split[g] == s] for s in SPLITS}
    giver = max(SPLITS, key=lambda s: len(members[s]))
    least = 1 if wanted == "train" else 2
    if members[wanted] or len(members[giver]) < least:
        return
    pick = max if wanted == "train" else min
    split[pick(members[giver], key=lambda g: (draws[g], g))] = wanted
