"""Which turns a Timeline has, and what of the world each input turn covers.

A pair of turns belongs to each decision: K is the time of the first one not yet placed, rounded up
to the frame grid of what is listened to; every event decided by then belongs to it, the next one
opens the next pair. The input turn covers the world's time (K of the pair before, K].

    for span in turn_spans(timeline, rate_hz=12.5):
        span.after_s, span.until_s, [event.id for event in span.events]

An assistant's backchannel is said into the user's turn, an opener before it is known to be over, a
note while listening is written into it. Half-duplex turns cannot show that (the user's turn would be
cut in two), so they decide nothing here.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from schemas.timeline import Act, AgentEvent, AnyAgentEvent, Hear, Say, Think, Timeline

EPS_S = 6e-7  # times are rounded to the microsecond, so a frame's end may read 0.5 us early or late
START_S = -1.0  # before the first input turn: what is perceived at 0 belongs to it
KINDS = ("think", "write", "say", "tool_call")


@dataclass(frozen=True)
class TurnSpan:
    """A pair of turns: what is perceived in (after_s, until_s], and the events then decided.

    The first one begins at START_S, before 0. The last one has no events: it is what follows the
    last decision.
    """

    after_s: float
    until_s: float
    events: tuple[AnyAgentEvent, ...] = ()


def turn_spans(
    timeline: Timeline, rate_hz: float | None = None, kinds: Collection[str] = KINDS
) -> list[TurnSpan]:
    """All pairs of turns of a sample; `rate_hz` is the frame grid (None: decisions as they are).

    The last one, up to the sample's end, has no events. A cut ends a turn where its speech stood,
    which a span does not show: `turns.compile_turns` does.
    """
    rates = () if rate_hz is None else (rate_hz,)
    left, spans, after_s = decisions(timeline, kinds), list[TurnSpan](), START_S
    while left:
        spans.append(next_span(left, after_s, rates))
        left, after_s = left[len(spans[-1].events) :], spans[-1].until_s
    return [*spans, TurnSpan(after_s, max(after_s, grid_up(timeline.duration_s, rates)))]


def decisions(timeline: Timeline, kinds: Collection[str]) -> list[AnyAgentEvent]:
    """The agent events of these kinds that make a turn, in the order in which they are decided."""
    made = [e for e in timeline.agent if e.kind in kinds and takes_turn(e)]
    return sorted((e for e in made if not isinstance(e, Act)), key=lambda e: e.decided_s)


def takes_turn(event: AgentEvent) -> bool:
    """Not a backchannel, an opener or a note made while listening. Told by what the agent meant, not
    by whether the user goes on: that is the future."""
    if isinstance(event, Think):
        return not event.while_listening
    return not isinstance(event, Say) or event.takes_turn


def next_span(events: Sequence[AnyAgentEvent], after_s: float, rates: Iterable[float]) -> TurnSpan:
    """The pair that the first of the events opens, with all that are decided by its K."""
    until_s = max(after_s, grid_up(events[0].decided_s, rates))
    return TurnSpan(after_s, until_s, tuple(takewhile(lambda e: e.decided_s <= until_s, events)))


def grid_up(time_s: float, rates: Iterable[float]) -> float:
    """The end of the frame that holds `time_s`, of the coarsest grid; without grids as it is."""
    ends = [round(math.ceil((time_s - EPS_S) * r) / r, 6) for r in rates]
    return max([time_s, *ends])


class Onsets:
    """When speech is noticed, and from when on it is then heard.

    Speech is noticed when a word of it ends: that a speaker goes on after a pause is not known in
    the pause. It is then heard from its start.
    """

    def __init__(self, hears: Iterable[Hear]) -> None:
        marks = ((e, [w.end_s for w in e.words] or [e.revealed_s]) for e in hears)
        self._marks = sorted((end_s, e.start_s) for e, ends in marks for end_s in ends)

    def first(self, after_s: float, until_s: float) -> tuple[float, float] | None:
        """(start_s, noticed_s) of what is noticed first in (after_s, until_s], or None."""
        at = bisect_right(self._marks, (after_s, math.inf))
        if at == len(self._marks) or self._marks[at][0] > until_s:
            return None
        noticed_s, start_s = self._marks[at]
        return start_s, noticed_s
