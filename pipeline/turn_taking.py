"""Turn-taking of finished Timelines, by the definitions that the human numbers were made with.

All times are in seconds. The definitions (and the numbers for 2,438 human telephone conversations)
stand in `pipeline/human_turn_taking.yaml`:

- an inter-pausal unit (IPU) is a run of one speaker's words with gaps shorter than 0.2 s;
- the floor-transfer offset (FTO) is the start of the next speaker's IPU minus the end of the
  previous speaker's, negative = overlap; IPUs that start and end inside the other's are left out;
- a pause is a gap between two successive IPUs of one speaker with no IPU of the other between;
- a backchannel is an IPU shorter than 1 s with more than 1 s of own silence on both sides and the
  other speaker active in more than half of it.

The two speakers are the user and the assistant. The user's words are all that `speaker` "user" says,
to whomever: a telephone carries those, too. Bystanders in `listen` are a third party, whom the human
numbers have none of, and a Sound has no words: both are left out. The assistant's words are those
that sounded, a cut one up to the end of its fade. What lies before the first word and after the last
counts as own silence.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.timeline import Hear, Say, TimedWord, Timeline

IPU_GAP_S = 0.2
BACKCHANNEL_MAX_S = 1.0
BACKCHANNEL_SILENCE_S = 1.0
USER = "user"

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
    overlaps_s: tuple[float, ...]
    silent_s: float
    duration_s: float

    @property
    def overlap_s(self) -> float:
        """Seconds in which both speak."""
        return sum(self.overlaps_s)


def measure(timeline: Timeline) -> TurnTaking:
    """Turn-taking of one sample, from the words of both sides as they sounded."""
    user = ipus(w for e in heard_of_user(timeline) for w in e.words)
    assistant = ipus(w for e in timeline.agent if isinstance(e, Say) for w in e.words)
    user_s, assistant_s = total(user), total(assistant)
    overlaps_s = overlaps(user, assistant)
    return TurnTaking(
        user=user,
        assistant=assistant,
        transitions=transitions(user, assistant),
        user_pauses_s=pauses(user, assistant),
        assistant_pauses_s=pauses(assistant, user),
        user_backchannels_s=backchannels(user, assistant),
        assistant_backchannels_s=backchannels(assistant, user),
        overlaps_s=overlaps_s,
        silent_s=max(0.0, timeline.duration_s - (user_s + assistant_s - sum(overlaps_s))),
        duration_s=timeline.duration_s,
    )


def heard_of_user(timeline: Timeline) -> list[Hear]:
    """What the user says, whatever it is and to whom; nobody else's speech in `listen`."""
    return [e for e in timeline.world if isinstance(e, Hear) and e.speaker == USER]


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


def overlaps(user: Sequence[Interval], assistant: Sequence[Interval]) -> tuple[float, ...]:
    """Seconds of each stretch in which an IPU of either side sounds together with one of the other."""
    found = []
    for start_s, end_s in user:
        first = bisect_right(assistant, (start_s, float("-inf"))) - 1
        for other_start_s, other_end_s in assistant[max(0, first) :]:
            if other_start_s >= end_s:
                break
            seconds = round(min(end_s, other_end_s) - max(start_s, other_start_s), 6)
            if seconds > 0:
                found.append(seconds)
    return tuple(found)


def overlap(unit: Interval, other: Sequence[Interval]) -> float:
    """Seconds of `unit` during which `other` (sorted, disjoint) is active."""
    return sum(overlaps((unit,), other))


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
