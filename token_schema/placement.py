"""Placement of text: which tokens of which event are emitted in which block.

First in, first out: an event waits until the world that it rests on is known (`known(b)` >=
`decided_s`), then its tokens take what is left of the block's budget and spill into the next
blocks. `known(b)` is the latest world time covered by the input lanes that stand before the lane in
block b. What a barge-in cuts (`cut_s`) is as if whole in every block with `known(b)` < `cut_s`, so
that the blocks until then equal the twin's (promise 3); the first block that knows of it says
`<cut>`, and the rest is dropped and counted. Pure functions; no codec, no Timeline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

# an event decided long after the audio's end is a broken Timeline: stop instead of filling memory
MAX_TAIL_BLOCKS = 100_000


@dataclass(frozen=True)
class QueuedText:
    """One event: the ids of its whole text, when it was decided, and when it was cut."""

    event_id: str
    ids: tuple[int, ...]
    decided_s: float
    cut_s: float | None = None


@dataclass(frozen=True)
class Marks:
    """The ids that close an event: `end` when it was emitted whole, `cut` when it was not."""

    end: int
    cut: int


@dataclass
class PlacedText:
    """Ids of each block (empty: idle), tokens of text dropped, and events left out whole."""

    blocks: list[list[int]] = field(default_factory=list)
    dropped: int = 0
    silent_events: int = 0


def place_text(
    events: Iterable[QueuedText],
    known_s: Callable[[int], float],
    n_blocks: int,
    budget: int,
    marks: Marks,
    extend: bool,
) -> PlacedText:
    """Place events over at least `n_blocks` blocks; `extend` adds blocks until all are emitted.

    Events are taken in the order of `decided_s`, equal ones as they stand.
    """
    queue = deque(sorted(events, key=lambda e: e.decided_s))
    out, done = PlacedText(), 0  # `done` tokens of the first event in the queue are emitted
    while len(out.blocks) < n_blocks or (extend and queue):
        known = known_s(len(out.blocks))
        block: list[int] = []
        while queue and len(block) < budget and queue[0].decided_s <= known:
            done = _emit(queue, block, done, budget, known, marks, out)
        out.blocks.append(block)
        if len(out.blocks) > n_blocks + MAX_TAIL_BLOCKS:
            break
    out.dropped += sum(len(e.ids) for e in queue) - (min(done, len(queue[0].ids)) if queue else 0)
    return out


def _emit(
    queue: deque[QueuedText],
    block: list[int],
    done: int,
    budget: int,
    known: float,
    marks: Marks,
    out: PlacedText,
) -> int:
    """Emit what fits of the first event; returns how much of the (new) first event is emitted."""
    event = queue[0]
    if event.cut_s is not None and known >= event.cut_s:
        out.dropped += len(event.ids) - done
        if done:
            block.append(marks.cut)
        else:
            out.silent_events += 1
        queue.popleft()
        return 0
    whole = (*event.ids, marks.end)
    taken = whole[done : done + budget - len(block)]
    block.extend(taken)
    if done + len(taken) < len(whole):
        return done + len(taken)
    queue.popleft()
    return 0
