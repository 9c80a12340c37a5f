"""Turn-taking of finished Timelines, by the definitions that the human numbers were made with.

All times are in seconds. The definitions (and the numbers for 2,438 human telephone conversations)
stand in `pipeline/human_turn_taking.yaml`:

- an inter-pausal unit (IPU) is a run of one speaker's words with gaps shorter than 0.2 s;
- the floor-transfer offset (FTO) is the start of the next speaker's IPU minus the end of the
  previous speaker's, negative = overlap; IPUs that start and end inside the other's are left out;
- a pause is a gap between two successive IPUs of one speaker with no IPU of the other between;
- a backchannel is an IPU shorter than 1 s with more than 1 s of own silence on both sides and the
  other speaker active in more than half of it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.timeline import Hear, Say, TimedWord, Timeline

IPU_GAP_S = 0.2
BACKCHANNEL_MAX_S = 1.0
BACKCHANNEL_SILENCE_S = 1.0

Interval = tuple[float, float]


@dataclass(frozen=True)
class Transition:
    """The floor goes over: `to` is who takes it, `fto_s` < 0 means they began in overlap."""

    to: str
    fto_s: float
    at_s: float


@dataclass(frozen=True)
class TurnTaking:
    """One sample. Lists in order of time; `user` and `assistant` IPUs, seconds of each state."""

    user: tuple[Interval, ...]
    assistant: tuple[Interval, ...]
    transitions: tuple[Transition, ...]
    user_pauses_s: tuple[float, ...]
    assistant_pauses_s: tuple[float, ...]
    user_backchannels_s: tuple[float, ...]
    assistant_backchannels_s: tuple[float, ...]
    overlap_s: float
    silent_s: float
    duration_s: float


def measure(timeline: Timeline) -> TurnTaking:
    """Turn-taking of one sample: `hear` words are the user's side, `say` words the assistant's."""
    user = ipus(w for e in timeline.world if isinstance(e, Hear) for w in e.words)
    assistant = ipus(w for e in timeline.agent if isinstance(e, Say) for w in e.words)
    user_s, assistant_s = total(user), total(assistant)
    overlap_s = sum(overlap(unit, assistant) for unit in user)
    return TurnTaking(
        user=user,
        assistant=assistant,
        transitions=transitions(user, assistant),
        user_pauses_s=pauses(user, assistant),
        assistant_pauses_s=pauses(assistant, user),
        user_backchannels_s=backchannels(user, assistant),
        assistant_backchannels_s=backchannels(assistant, user),
        overlap_s=overlap_s,
        silent_s=max(0.0, timeline.duration_s - (user_s + assistant_s - overlap_s)),
        duration_s=timeline.duration_s,
    )


def ipus(words: Iterable[TimedWord]) -> tuple[Interval, ...]:
    """Words merged across gaps shorter than 0.2 s; sorted, and never overlapping."""
    units: list[Interval] = []
    for start_s, end_s in sorted((w.start_s, w.end_s) for w in words):
        # times are whole microseconds: a gap of exactly 0.2 s must not merge by a rounding error
        if units and round(start_s - units[-1][1], 6) < IPU_GAP_S:
            units[-1] = (units[-1][0], max(units[-1][1], end_s))
        else:
            units.append((start_s, end_s))
    return tuple(units)


def transitions(user: Sequence[Interval], assistant: Sequence[Interval]) -> tuple[Transition, ...]:
    """Each change of speaker between successive IPUs that do not lie inside the other's."""
    kept = [(unit, "user") for unit in user if not inside(unit, assistant)]
    kept += [(unit, "assistant") for unit in assistant if not inside(unit, user)]
    kept.sort()
    return tuple(
        Transition(to=who, fto_s=round(unit[0] - before[1], 6), at_s=unit[0])
        for (before, previous), (unit, who) in zip(kept, kept[1:], strict=False)
        if who != previous
    )


def pauses(own: Sequence[Interval], other: Sequence[Interval]) -> tuple[float, ...]:
    """Gaps between successive own IPUs in whose course no IPU of the other lies."""
    return tuple(
        round(after[0] - before[1], 6)
        for before, after in zip(own, own[1:], strict=False)
        if not between(before, after, other)
    )


def backchannels(own: Sequence[Interval], other: Sequence[Interval]) -> tuple[float, ...]:
    """Durations of own IPUs that are backchannels."""
    found = []
    for i, (start_s, end_s) in enumerate(own):
        before_s = start_s - own[i - 1][1] if i else float("inf")
        after_s = own[i + 1][0] - end_s if i + 1 < len(own) else float("inf")
        # whole microseconds, as the times are: 4.4 - 3.4 is 1.0000000000000004 in floats
        length_s, silence_s = round(end_s - start_s, 6), round(min(before_s, after_s), 6)
        under_s = round(overlap((start_s, end_s), other), 6)
        alone = silence_s > BACKCHANNEL_SILENCE_S
        if length_s < BACKCHANNEL_MAX_S and alone and under_s > length_s / 2:
            found.append(length_s)
    return tuple(found)


def total(units: Sequence[Interval]) -> float:
    """Seconds covered."""
    return sum(end_s - start_s for start_s, end_s in units)


def overlap(unit: Interval, other: Sequence[Interval]) -> float:
    """Seconds of `unit` during which `other` (sorted, disjoint) is active."""
    first = bisect_right(other, (unit[0], float("-inf"))) - 1
    seconds = 0.0
    for start_s, end_s in other[max(0, first) :]:
        if start_s >= unit[1]:
            break
        seconds += max(0.0, min(end_s, unit[1]) - max(start_s, unit[0]))
    return seconds


def inside(unit: Interval, other: Sequence[Interval]) -> bool:
    """Does `unit` start and end within one IPU of the other?"""
    at = bisect_right(other, (unit[0], float("inf"))) - 1
    return at >= 0 and other[at][0] <= unit[0] and unit[1] <= other[at][1]


def between(before: Interval, after: Interval, other: Sequence[Interval]) -> bool:
    """Does any IPU of the other overlap the gap from `before` to `after`?"""
    at = bisect_left(other, (before[1], float("-inf")))
    starts_in_gap = at < len(other) and other[at][0] < after[0]
    reaches_in = at > 0 and other[at - 1][1] > before[1]
    return starts_in_gap or reaches_in
