"""Do the texts of a sample come back? What a lane should say, against what was decoded of it.

    fault = lane_fault(schema, lane, timeline, decoded.lane_texts[lane.name])      # "" or why not

Only a text that was cut may be missing whole or in part (with `tail: drop` any at the end, in turns
also what takes no turn, such as a backchannel). Of a lane without `begin` and `end` all its texts come back
as one (in turns: one a turn), so there the whole run of text is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schemas.timeline import AgentEvent, Hear, Timeline, TypedInput
from token_schema.decode import DecodedText
from token_schema.layouts.turns_plan import takes_turn
from token_schema.models import TextLane
from token_schema.schema import TokenSchema

LOST = "\ufffd"  # a cut may fall inside a character: its bytes so far decode to this


@dataclass(frozen=True)
class Source:
    """A text that a lane should say. `may_miss`: it may be missing whole."""

    id: str
    text: str
    decided_s: float
    cut_s: float | None = None
    may_miss: bool = False


def sources_of(schema: TokenSchema, lane: TextLane, timeline: Timeline) -> list[Source]:
    """The texts of the lane's channel in the order in which it says them."""
    turns = schema.timing == "turns"
    found = []
    events: tuple[Any, ...] = (*timeline.world, *timeline.agent)
    for event in events:
        if not _shows(lane, event):
            continue
        quiet = turns and isinstance(event, AgentEvent) and not takes_turn(event)
        cut_s = getattr(event, "cut_s", None)
        at_s = _at_s(event, turns)
        found.append(Source(event.id, event.text, at_s, cut_s, quiet or cut_s is not None))
    return sorted(found, key=lambda source: source.decided_s)


def _shows(lane: TextLane, event: Any) -> bool:
    if lane.channel == "typed":
        return isinstance(event, TypedInput)
    if isinstance(event, Hear) and event.speaker != "user":
        return False  # a voice in the background is heard, not transcribed
    return bool(event.kind == lane.channel)


def _at_s(event: Any, turns: bool) -> float:
    """Agents' texts by decision; what is heard by its first word, in turns (and typed) when known."""
    if isinstance(event, Hear) and event.words and not turns:
        return event.words[0].end_s
    if isinstance(event, (Hear, TypedInput)):
        return event.revealed_s
    return float(event.decided_s)


def lane_fault(
    schema: TokenSchema, lane: TextLane, timeline: Timeline, found: Sequence[DecodedText]
) -> str:
    """Why `found` can't be what the lane should say, or ""."""
    sources = sources_of(schema, lane, timeline)
    may_drop = schema.clock.tail == "drop"
    if not (lane.begin or lane.end):
        return run_on(sources, "".join(t.text for t in found), may_drop)
    # without a `cut` token of its own `end` stands for both, without `end` nothing does
    loose = lane.cut is None or lane.cut == lane.end or lane.end is None
    return unmatched(sources, found, may_drop, loose)


def unmatched(
    sources: Sequence[Any], found: Sequence[DecodedText], may_drop: bool, loose: bool = False
) -> str:
    """Why `found` can't be `sources` in order, or "". Only a cut event may be missing whole.

    `reached` holds how many of `found` the events so far can account for: a cut text may fit
    several events, so a greedy match would accuse the innocent. `loose`: how a text ended does not
    tell whether it was cut.
    """
    reached = {0}
    for event in sorted(sources, key=lambda e: e.decided_s):
        after = {j + 1 for j in reached if j < len(found) and _is(found[j], event, may_drop, loose)}
        after |= reached if may_drop or _may_miss(event) else set()
        if not after:
            there = [repr(found[j].text[:40]) for j in sorted(reached) if j < len(found)]
            return f"does not give back {event.id}, but {there[-1] if there else 'nothing more'}"
        reached = after
    if len(found) in reached:
        return ""
    return f"gives back {found[max(reached)].text[:40]!r}, which nobody wrote"


def _may_miss(event: Any) -> bool:
    return event.cut_s is not None or getattr(event, "may_miss", False)


def _is(found: DecodedText, event: Any, may_drop: bool, loose: bool) -> bool:
    """A whole text comes back whole, a cut one as far as it came."""
    if found.text == event.text and (loose or found.ended == "end"):
        return True
    if found.ended == "end" and not loose:
        return False
    begun = event.text.startswith(found.text.rstrip(LOST))
    return begun and (may_drop and found.ended == "open" or event.cut_s is not None)


def run_on(sources: Sequence[Source], said: str, may_drop: bool) -> str:
    """The same where nothing stands between the texts: `reached` are places in what was said."""
    reached = {0}
    for event in sources:
        after = reached.copy() if may_drop or event.may_miss else set()
        for place in reached:
            at = place + (said.startswith(" ", place) and not event.text.startswith(" "))
            part = _common(event.text, said, at)
            if part == len(event.text):
                after.add(at + part)
            if may_drop or event.cut_s is not None:
                stops = range(at, at + part + 1)
                after |= {_behind_lost(said, stop) for stop in stops}
        if not after:
            return f"does not give back {event.id}, but {said[max(reached) :][:40]!r}"
        reached = after
    if len(said) in reached:
        return ""
    return f"gives back {said[max(reached) :][:40]!r}, which nobody wrote"


def _common(text: str, said: str, at: int) -> int:
    """How many characters of `text` stand at `at`."""
    n = 0
    while n < len(text) and said.startswith(text[n], at + n):
        n += 1
    return n


def _behind_lost(said: str, at: int) -> int:
    while said.startswith(LOST, at):
        at += 1
    return at
