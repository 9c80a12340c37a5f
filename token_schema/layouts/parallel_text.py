"""Text in the parallel mode: one id a step, placed by `placement`, and what fills the empty steps.

An empty step holds `epad` where it can know that the next one begins with text, `wait` inside an
event that has not ended, `idle` else.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from schemas.errors import StrettoError
from schemas.timeline import Say
from token_schema.layouts.parallel_grid import EPS, Grid, LaneStreams, later
from token_schema.layouts.placement import Cells, PlacedText, place_text
from token_schema.layouts.text_lanes import marks, queue
from token_schema.models import TextLane


def place(grid: Grid, lane: TextLane, count: int) -> PlacedText:
    """The lane's text over `count` steps or more, a step a cell; a delayed lane's cells stand so
    many steps later. What is typed shows in the step in which it appears."""
    _check_cuts(grid, lane)
    known: Callable[[int], float] = grid.known_s
    if grid.schema.is_input(lane):
        known = lambda c: grid.at(c + 1)  # noqa: E731
    cells = Cells(
        count=max(0, count - lane.delay),
        known_s=known,
        until_s=lambda c: grid.at(c + 1),
        budget=1,
        extend=grid.schema.clock.tail == "extend",
    )
    events = queue(lane, grid.codecs, grid.timeline)
    return place_text(events, cells, marks(lane, grid.codecs))


def _check_cuts(grid: Grid, lane: TextLane) -> None:
    """In a Timeline of version 1.0 what a barge-in left unsaid has no times and is never written. The
    step in which it could have stood must know of the barge-in: else its absence tells of it."""
    if lane.channel != "say" or lane.placement == "fifo":
        return
    for event in grid.timeline.agent:
        if not isinstance(event, Say) or event.cut_s is None or event.cut_by is None:
            continue
        if event.unsaid_words:
            continue
        parts = event.planned_pieces if lane.placement == "sentence" else event.planned_words
        if not event.text[parts[-1].char_end if parts else 0 :].strip():
            continue
        cell = math.floor((event.cut_s + lane.offset_s) / grid.schema.block_s + EPS)
        missing = grid.first_knowing(event.cut_by.revealed_s) - (max(0, cell) + lane.delay)
        if missing > 0:
            raise StrettoError(
                f"text of what is left unsaid from {event.cut_s:g} s on would be missing before"
                f" its step can know why ({event.cut_by.revealed_s:g} s)",
                f"{grid.where(lane)}: {event.id}",
                f"make the corpus again, or delay the lane by {missing} more",
            )


def text_stream(grid: Grid, lane: TextLane, placed: PlacedText, n_steps: int) -> LaneStreams:
    """The placed id of each step, or its filler."""
    idle = grid.id(lane.idle)
    ids = np.full(n_steps, idle, np.int32)
    empty = np.ones(n_steps, bool)
    n = len(placed.blocks)
    if lane.wait:
        ids[:n][np.array(placed.going, bool)] = grid.id(lane.wait)
    if lane.epad:
        ids[:n][np.array(placed.soon, bool)] = grid.id(lane.epad)
    filled = [c for c, cell in enumerate(placed.blocks) if cell]
    ids[filled] = [placed.blocks[c][0] for c in filled]
    empty[filled] = False
    out, quiet = later(ids[:, None], empty[:, None], lane.delay, idle)
    reach = grid.starts(n_steps + 1)[1:, None] if grid.schema.is_input(lane) else None
    return LaneStreams(out, quiet, reach)


def missing_epad(grid: Grid, lane: TextLane, placed: PlacedText) -> int:
    """Words behind an empty step that is no `epad`: that step could not know of them."""
    if not lane.epad:
        return 0
    own = marks(lane, grid.codecs)
    cells, soon = [[], *placed.blocks], [False, *placed.soon]
    return sum(
        bool(cell) and cell[0] not in (own.end, own.cut) and not cells[c] and not soon[c]
        for c, cell in enumerate(placed.blocks)
    )
