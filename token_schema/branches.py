"""The view `history_blocks` as one sequence: a main line and a branch for each block.

Read one block at a time, the view would cost a sequence for each block e: all before it without the
old images and actions, then the last blocks whole. But what such a sequence has of the older blocks
does not depend on e: it is the *main line*, the sample without the lanes of the view. So it is read
once, and each block e adds a *branch*: the blocks from e - n + 1 to e (n the longest history),
without what of them is too old for its own lane. A step of a branch sees the main line before the
branch begins, and its own branch, at the places (rotary positions) that it would have alone. That
gives what separate sequences give, for about n + 1 times the sample instead of half its blocks
times. Only block e bears loss in branch e.

    tree = grow(lane, block, history, first, end, back)      # the branches of blocks [first, end)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Tree(NamedTuple):
    """int64 [k] each. `steps`: which steps of the sample stand there (some more than once);
    `place`: their rotary position; `branch`: 0 for the main line; `start`: the place at which their
    branch leaves it; `before`: where the step stands that each follows, -1 for the first."""

    steps: Ints
    place: Ints
    branch: Ints
    start: Ints
    before: Ints


@dataclass(frozen=True)
class Sizes:
    """How many steps windows of a sample take. `history`: lane -> blocks."""

    lane: NDArray[np.uint8]
    block: NDArray[np.int32]
    history: Mapping[int, int]

    @property
    def longest(self) -> int:
        """Blocks of a branch."""
        return max(self.history.values())

    @cached_property
    def whole(self) -> Ints:
        """Steps of each block."""
        return np.bincount(self.block[self.block >= 0])

    @cached_property
    def own(self) -> dict[int, Ints]:
        """Steps of each block that are of a lane of the view."""
        inside, n = self.block >= 0, len(self.whole)
        return {
            i: np.bincount(self.block[inside & (self.lane == i)], minlength=n) for i in self.history
        }

    @cached_property
    def line(self) -> Ints:
        """Steps of each block in the main line."""
        return self.whole - np.sum(list(self.own.values()), axis=0)

    def branch(self, newest: int, back: int) -> int:
        """Steps of one branch."""
        blocks = range(max(back, newest - self.longest + 1), newest + 1)
        old = (
            int(self.own[i][b]) for i, n in self.history.items() for b in blocks if b <= newest - n
        )
        return int(sum(self.whole[b] for b in blocks)) - sum(old)

    def window(self, first: int, end: int, back: int) -> int:
        """Steps of a whole window, without the prompt."""
        line = int(self.line[back : max(back, end - self.longest)].sum())
        return line + sum(self.branch(e, back) for e in range(first, end))


def ranges(sizes: Sizes, start: int, room: int, crop: int | None) -> list[tuple[int, int, int]]:
    """(first, end, back) of windows that cover the blocks from `start` on, each within `room` steps.

    One where all fits. Else branches take up to half of the room, and the main line goes back as
    far as the rest allows. Every single block must fit.
    """
    n = len(sizes.whole)
    if (crop is None or n - start <= crop) and sizes.window(start, n, start) <= room:
        return [(start, n, start)]
    found, first = [], start
    most = max(1, crop // 2) if crop else n
    while first < n:
        end, used = first + 1, sizes.branch(first, start)
        while end < n and end - first < most:
            used += sizes.branch(end, start)
            if used > room // 2:
                break
            end += 1
        lowest = start if crop is None else max(start, end - crop)
        back = first
        while back > lowest and sizes.window(first, end, back - 1) <= room:
            back -= 1
        found.append((first, end, back))
        first = end
    return found


def grow(
    lane: NDArray[np.uint8],
    block: NDArray[np.int32],
    history: Mapping[int, int],
    first: int,
    end: int,
    back: int,
) -> Tree:
    """The main line (with the prompt) and the branches of the blocks [first, end)."""
    longest = max(history.values())
    viewed = np.isin(lane, list(history))
    line = np.flatnonzero((block < 0) | ((block >= back) & (block < end - longest) & ~viewed))
    parts = [_part(line, 0, 0, -1, 0)]
    for number, newest in enumerate(range(first, end), start=1):
        oldest = max(back, newest - longest + 1)
        keep = (block >= oldest) & (block <= newest)
        for i, n in history.items():
            keep &= (lane != i) | (block > newest - n)
        start = int((block[line] < oldest).sum())
        at = sum(len(p.steps) for p in parts)
        parts.append(_part(np.flatnonzero(keep), number, start, start - 1, at))
    return Tree(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _part(steps: Ints, branch: int, start: int, parent: int, at: int) -> Tree:
    """One line that leaves the main line at place `start` and stands from `at` on."""
    count = np.arange(len(steps))
    before = at + count - 1
    before[:1] = parent
    return Tree(
        steps, start + count, np.full(len(steps), branch), np.full(len(steps), start), before
    )
