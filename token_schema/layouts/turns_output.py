"""An output turn: the planned content of every lane, in reading order, up to where a cut ends it.

A barge-in ends the turn at one place: where the first code that did not sound would stand (without
a speak lane, the first id of the cut text that was not out yet). What stands before that place is
as planned, so a cut turn is a prefix of its twin, and what stands behind it is gone and counted. So
text that a schema puts before its speech is whole once the speech has begun: the model that reads
this layout has emitted it by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.timeline import Say
from token_schema.layouts.turns_audio import Frames, TurnAudio
from token_schema.layouts.turns_plan import TurnSpan
from token_schema.layouts.turns_text import TextPart, TurnText
from token_schema.schema import TokenSchema


@dataclass(frozen=True)
class LaneTurn:
    """A lane's ids in a turn, and the codebook of each (text: 0). `first[id]` is where an event
    begins. `stop` is where the lane stopped at `cut_s` (None: it did not): a speak lane's ids end
    there, a text lane's are the whole plan.
    """

    lane: int
    ids: NDArray[np.int32]
    book: NDArray[np.int64]
    first: dict[str, int]
    stop: int | None = None
    cut_s: float | None = None
    values: NDArray[np.float32] | None = None
    text: TextPart | None = None


@dataclass(frozen=True)
class Unit:
    """Lanes that stand side by side: one, or those that alternate (`lane[i]` is whose id i is).

    Of a unit that the world ended (`cut`) the ids are a prefix of the plan; the units behind that
    one are empty (`behind_cut`).
    """

    lanes: tuple[int, ...]
    ids: NDArray[np.int32]
    book: NDArray[np.int64]
    lane: NDArray[np.int64] | None = None
    cut: bool = False
    behind_cut: bool = False

    def prefix(self, n: int, behind_cut: bool = False) -> Unit:
        lane = None if self.lane is None else self.lane[:n]
        return Unit(self.lanes, self.ids[:n], self.book[:n], lane, True, behind_cut)

    def count(self, lane: int) -> int:
        """How many ids are of that lane."""
        return len(self.ids) if self.lane is None else int((self.lane == lane).sum())


@dataclass(frozen=True)
class OutputTurn:
    """The units of a turn in reading order. `cut_s` is when the world ended it (None: it did not).
    `unfinished`: the text lane in which it ended amid an event, if it did. `dropped` counts text
    ids and `silent` events that are not there.
    """

    units: list[Unit]
    values: dict[int, NDArray[np.float32]]
    cut_s: float | None = None
    unfinished: int | None = None
    dropped: int = 0
    silent: int = 0


def output_turn(
    schema: TokenSchema,
    audio: Mapping[int, TurnAudio],
    texts: Mapping[int, TurnText],
    span: TurnSpan,
) -> OutputTurn:
    """What the agent does about an input turn. `audio` has the speak lanes, `texts` the output
    lanes of text, by their index."""
    events = span.events
    lanes = {}
    for i, lane in enumerate(schema.lanes):
        if i in texts:
            lanes[i] = _text(i, texts[i].part([e for e in events if e.kind == lane.channel]))
        elif i in audio:
            says = [e for e in events if isinstance(e, Say)]
            lanes[i] = _speech(i, audio[i], says, span.until_s)
    where = _cut_lanes(lanes)
    units = _until_cut(_units(schema, lanes, where))
    count = {i: u.count(i) for u in units for i in u.lanes}
    values = {i: x.values[: count[i]] for i, x in lanes.items() if x.values is not None}
    if not where:
        return OutputTurn(units, values)
    told = {e for i, x in lanes.items() for e, at in x.first.items() if at < count[i]}
    return OutputTurn(
        units,
        values,
        cut_s=lanes[where[0]].cut_s,
        unfinished=_unfinished(lanes[where[0]]),
        dropped=sum(x.text.dropped(count[i]) for i, x in lanes.items() if x.text),
        silent=len({e.id for e in events} - told),
    )


# ---- what is planned ---------------------------------------------------------------------------


def _text(index: int, part: TextPart) -> LaneTurn:
    zeros = np.zeros(len(part.ids), np.int64)
    return LaneTurn(index, part.ids, zeros, part.first, part.stop, part.cut_s, text=part)


def _speech(index: int, audio: TurnAudio, says: Sequence[Say], known_s: float) -> LaneTurn:
    """The frames in which the Says sound, in the order of time, each frame once."""
    parts: list[Frames] = []
    at, stop, cut_s, first = 0, None, None, dict[str, int]()
    for say in sorted(says, key=lambda e: (e.start_s, e.id)):
        begin = max(at, audio.frame(say.start_s))
        first[say.id] = sum(len(p.ids) for p in parts)
        if say.cut_s is not None and say.cut_s < say.planned_end_s:
            cut_s = say.cut_s
            # a code that rests on sound behind the cut is not the twin's
            end = min(audio.frame(cut_s - audio.lookahead_s), audio.stop(say.end_s))
            parts.append(audio.frames(begin, max(begin, end), known_s))
            stop = sum(len(p.ids) for p in parts)
            break  # whoever is cut says nothing behind it
        at = max(begin, audio.stop(say.end_s))
        parts.append(audio.frames(begin, at, known_s, until_s=say.end_s))
    if not parts:
        return LaneTurn(index, np.zeros(0, np.int32), np.zeros(0, np.int64), first)
    values = [p.values for p in parts if p.values is not None]
    return LaneTurn(
        index,
        np.concatenate([p.ids for p in parts]),
        np.concatenate([p.book for p in parts]),
        first,
        stop,
        cut_s,
        np.concatenate(values) if values else None,
    )


def _cut_lanes(lanes: Mapping[int, LaneTurn]) -> list[int]:
    """The lanes in which the world ended the turn: its speech if there is any, else the last text
    that was cut. A text whose speech went on to its end was out before it: nothing shows its cut.
    """
    cut = [i for i, x in lanes.items() if x.stop is not None]
    if spoken := [i for i in cut if lanes[i].text is None]:
        return spoken
    return cut[-1:] if not any(len(lanes[i].ids) for i in lanes if i > max(cut, default=0)) else []


def _unfinished(lane: LaneTurn) -> int | None:
    """The text lane that ended amid an event: between its first id and its last."""
    begun = lane.text is not None and lane.stop not in (0, *lane.first.values())
    return lane.lane if begun else None


# ---- reading order -----------------------------------------------------------------------------


def _units(schema: TokenSchema, lanes: Mapping[int, LaneTurn], where: Sequence[int]) -> list[Unit]:
    """Lanes in their order; those that alternate stand where the first of them does."""
    assert schema.clock.turns is not None
    every = schema.clock.turns.interleave
    group = [i for i in lanes if schema.lanes[i].name in every]
    units = []
    for i, lane in lanes.items():
        if i not in group:
            unit = Unit((i,), lane.ids, lane.book)
            units.append(unit if i not in where else unit.prefix(lane.stop or 0))
        elif i == group[0]:
            counts = [every[schema.lanes[j].name] for j in group]
            units.append(_alternate([lanes[j] for j in group], counts, where))
    return units


def _alternate(lanes: Sequence[LaneTurn], every: Sequence[int], where: Sequence[int]) -> Unit:
    """`every[k]` ids of each lane in turn until all are used up, or the world ended it."""
    columns = []
    for k, (lane, n) in enumerate(zip(lanes, every, strict=True)):
        # the id that would stand at `stop`, which speech has no more
        stop = lane.stop if lane.lane in where else None
        at = np.arange(len(lane.ids) + int(stop == len(lane.ids)))
        ids, book = (np.append(x, 0)[: len(at)] for x in (lane.ids, lane.book))
        owner = np.full(len(at), lane.lane)
        columns.append((at // n, np.full(len(at), k), at, owner, ids, book, at == stop))
    rounds, place, at, owner, ids, book, ends = (
        np.concatenate(c) for c in zip(*columns, strict=True)
    )
    order = np.lexsort((at, place, rounds))
    whole = ids[order].astype(np.int32), book[order], owner[order]
    unit = Unit(tuple(x.lane for x in lanes), *whole)
    return unit.prefix(int(np.flatnonzero(ends[order])[0])) if ends.any() else unit


def _until_cut(units: Sequence[Unit]) -> list[Unit]:
    """The units, empty behind the first one that was cut."""
    cut = next((k for k, unit in enumerate(units) if unit.cut), len(units))
    return [unit if k <= cut else unit.prefix(0, True) for k, unit in enumerate(units)]
