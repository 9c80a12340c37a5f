"""Placement of text: which tokens of which event are emitted in which cell (a block or a frame).

One rule serves all placements. Tokens are emitted first in, first out; one is placed in the first
cell that has room, in which the world that its event rests on is known (`known(c)` >= `decided_s`)
and whose end lies behind the token's own time (`ready_s`: none for `fifo`, its word's start for
`word`, ...). What is over the budget spills into the next cells.

What a barge-in cuts (`cut_s`) is as if whole in every cell with `known(c)` < `cut_s`, so that the
cells until then equal the twin's (promise 3); the first cell that knows of it says `cut`, and the
rest is dropped and counted. Pure functions; no codec, no Timeline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

# an event decided long after the audio's end is a broken Timeline: stop instead of filling memory
MAX_TAIL_CELLS = 100_000


@dataclass(frozen=True)
class QueuedText:
    """One event: the ids of its whole text, when it was decided, and when it was cut.

    `ready_s` has a time for each id (empty: at once); `ends_s` is when `end` may follow (None: at
    once), which for held text is the planned end of its speech.
    """

    event_id: str
    ids: tuple[int, ...]
    decided_s: float
    cut_s: float | None = None
    ready_s: tuple[float, ...] = ()
    ends_s: float | None = None


@dataclass(frozen=True)
class Marks:
    """The ids around an event: `begin` before its first token, `end` when it was emitted whole,
    `cut` when it was not. None: nothing is written there."""

    end: int | None
    cut: int | None
    begin: int | None = None


@dataclass(frozen=True)
class Cells:
    """The cells of a lane: `known_s(c)` world time known in cell c before the lane, `until_s(c)`
    its end, `budget` its room. `one_event`: a cell holds the end of at most one event."""

    count: int
    known_s: Callable[[int], float]
    until_s: Callable[[int], float]
    budget: int
    extend: bool
    one_event: bool = False


@dataclass
class PlacedText:
    """Ids of each cell (empty: nothing to emit there), tokens of text dropped, events left out
    whole. `going[c]`: at the end of cell c an event is begun and not ended. `soon[c]`: the next
    cell's first token is text, as far as cell c can know."""

    blocks: list[list[int]] = field(default_factory=list)
    going: list[bool] = field(default_factory=list)
    soon: list[bool] = field(default_factory=list)
    dropped: int = 0
    silent_events: int = 0


def place_text(events: Iterable[QueuedText], cells: Cells, marks: Marks) -> PlacedText:
    """Place events over at least `cells.count` cells; `extend` adds cells until all are emitted.

    Events are taken in the order of `decided_s`, equal ones as they stand.
    """
    return _Placer(deque(sorted(events, key=lambda e: e.decided_s)), cells, marks).run()


class _Placer:
    """The queue, and how much of its first event is emitted (`done`, -1: not even `begin`)."""

    def __init__(self, queue: deque[QueuedText], cells: Cells, marks: Marks) -> None:
        self.queue, self.cells, self.marks = queue, cells, marks
        self.done, self.begun, self.out = 0, False, PlacedText()

    def run(self) -> PlacedText:
        cells, out = self.cells, self.out
        while len(out.blocks) < cells.count or (cells.extend and self.queue):
            c = len(out.blocks)
            out.blocks.append(self._cell(c))
            out.going.append(self.begun)
            out.soon.append(self._soon(c))
            if c > cells.count + MAX_TAIL_CELLS:
                break
        out.dropped += sum(len(e.ids) for e in self.queue) - self.done
        return out

    def _cell(self, c: int) -> list[int]:
        cell: list[int] = []
        known_s, until_s = self.cells.known_s(c), self.cells.until_s(c)
        while self.queue and len(cell) < self.cells.budget:
            event = self.queue[0]
            if event.decided_s > known_s:
                break
            if event.cut_s is not None and known_s >= event.cut_s:
                self._drop(event, cell)
            elif not self._emit(event, cell, until_s):
                break
            elif self.begun:
                continue
            if self.cells.one_event and not self.begun and cell:
                break
        return cell

    def _drop(self, event: QueuedText, cell: list[int]) -> None:
        self.out.dropped += len(event.ids) - self.done
        if not self.begun:
            self.out.silent_events += 1
        elif self.marks.cut is not None:
            cell.append(self.marks.cut)
        self._next()

    def _emit(self, event: QueuedText, cell: list[int], until_s: float) -> bool:
        """Emit what fits and is ready; False when the event waits for its time."""
        if not self.begun and not self._ready(event, until_s):
            return False
        if not self.begun and self.marks.begin is not None:
            cell.append(self.marks.begin)
        self.begun = True
        while self.done < len(event.ids) and len(cell) < self.cells.budget:
            if not self._ready(event, until_s):
                return False
            cell.append(event.ids[self.done])
            self.done += 1
        if self.done < len(event.ids):
            return True
        if event.ends_s is not None and event.ends_s >= until_s:
            return False
        if self.marks.end is not None:
            if len(cell) >= self.cells.budget:
                return True
            cell.append(self.marks.end)
        self._next()
        return True

    def _ready(self, event: QueuedText, until_s: float) -> bool:
        at = min(self.done, len(event.ids) - 1)
        return not event.ready_s or event.ready_s[at] < until_s

    def _next(self) -> None:
        self.queue.popleft()
        self.done, self.begun = 0, False

    def _soon(self, c: int) -> bool:
        """Will text stand first in cell c + 1? Asked with what cell c knows, so that the twin that
        is cut later gives the same answer."""
        cells = self.cells
        if not self.queue or (c + 1 >= cells.count and not cells.extend):
            return False
        event, known_s = self.queue[0], cells.known_s(c)
        if event.decided_s > known_s or (event.cut_s is not None and known_s >= event.cut_s):
            return False
        left = self.done < len(event.ids)
        return left and self._ready(event, cells.until_s(c + 1))
