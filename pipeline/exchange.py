"""What passes between the two in a finished Timeline, in the terms of the duplex benchmarks.

- `responses`: how long after the user's last word the assistant answers (Full-Duplex-Bench's
  latency; there a negative one counts as 0);
- `stops`: how long after an interruption begins the assistant is silent, and how long after it is
  plain to hear it yields;
- `spoken_into`: what sounds while the assistant speaks, and whether it stopped for it (the four
  scenes of Full-Duplex-Bench 1.5: interruption, backchannel, side speech, background);
- `early`: why each transition that the assistant takes in overlap was no guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from pipeline.turn_taking import TurnTaking, heard_of_user
from schemas.timeline import Hear, Say, Sound, Timeline

# Times are whole microseconds; what was revealed at the moment of the decision is known to it.
EPS_S = 2e-6
ASKS = ("turn", "barge_in")
Early = Literal[
    "backchannel", "opener", "evidence_revealed", "continued", "together", "unexplained"
]
EARLY: tuple[Early, ...] = get_args(Early)


@dataclass(frozen=True)
class Response:
    """`latency_s` from the end of the user's `turn` or `barge_in` to the answer's first word.

    None for a turn that nothing answers before the user's next.
    """

    after: str
    latency_s: float | None


@dataclass(frozen=True)
class Stop:
    """`after_start_s`: onset of the interruption to silence; `after_plain_s`: plain to the yield."""

    after_start_s: float
    after_plain_s: float


def says(timeline: Timeline) -> list[Say]:
    """What the assistant said, with at least a word that sounded, in order of time."""
    found = [e for e in timeline.agent if isinstance(e, Say) and e.words]
    return sorted(found, key=lambda e: (e.words[0].start_s, e.id))


def asking(timeline: Timeline) -> list[Hear]:
    """The user's turns and barge-ins that ask the assistant, in order of time."""
    found = [
        e
        for e in heard_of_user(timeline)
        if e.behaviour in ASKS and e.addressed_to == "assistant" and e.words
    ]
    return sorted(found, key=lambda e: (e.words[0].start_s, e.id))


def responses(timeline: Timeline) -> list[Response]:
    """One a turn of the user's. An answer starts with its opener, and may start in overlap."""
    asked = asking(timeline)
    answers = [e for e in says(timeline) if e.behaviour in ("turn", "opener")]
    speech = {e.id for e in timeline.world if isinstance(e, Hear)}
    found = []
    for i, turn in enumerate(asked):
        next_s = asked[i + 1].words[0].start_s if i + 1 < len(asked) else float("inf")
        starts = (e.words[0].start_s for e in answers if _answers(e, turn, speech))
        first_s = next((s for s in starts if turn.words[0].start_s < s < next_s), None)
        latency_s = None if first_s is None else round(first_s - turn.words[-1].end_s, 6)
        found.append(Response(turn.behaviour, latency_s))
    return found


def _answers(say: Say, turn: Hear, speech: set[str]) -> bool:
    """A reply that rests on other speech of the user's, and not on this, answers that.

    One that rests on no speech (a tool's result, an opener, a recording) answers what it follows.
    """
    heard = {e.event for e in say.evidence} & speech
    return not heard or turn.id in heard


def stops(timeline: Timeline) -> list[Stop]:
    """One for each thing the assistant was saying when an interruption made it stop."""
    heard = {e.id: e for e in timeline.world if isinstance(e, Hear)}
    found = []
    for say in timeline.agent:
        if isinstance(say, Say) and say.cut_s is not None and say.cut_by is not None:
            if cause := heard.get(say.cut_by.event):
                after_start_s = round(say.end_s - cause.start_s, 6)
                found.append(Stop(after_start_s, round(say.cut_s - cause.plain_s, 6)))
    return found


def spoken_into(timeline: Timeline) -> list[tuple[str, bool]]:
    """(what it is, did the assistant stop for it) of all that starts while the assistant speaks."""
    said = [e for e in says(timeline) if e.behaviour != "backchannel"]
    stopped = {e.cut_by.event for e in said if e.cut_by is not None}
    return [
        (event.behaviour if isinstance(event, Hear) else "sound", event.id in stopped)
        for event in timeline.world
        if isinstance(event, (Hear, Sound))
        and any(e.words[0].start_s <= event.start_s < e.words[-1].end_s for e in said)
    ]


def early(timeline: Timeline, taking: TurnTaking) -> Iterator[Early]:
    """Why the assistant spoke before the user's last word, for each transition that it so took.

    A backchannel and an opener need no answer; `evidence_revealed`: it had heard what it needs;
    `continued`: its turn goes on after a pause that the user spoke into; `together`: it had decided
    to speak before the user began. `unexplained` is a fault: it is none of these. A recorded
    assistant is a person, who needs no reason.
    """
    if "recorded" in timeline.behaviours:
        return
    by_start: dict[float, tuple[Say, int]] = {}
    for say in says(timeline):
        for index, word in enumerate(say.words):
            by_start.setdefault(word.start_s, (say, index))
    for transition in taking.transitions:
        if transition.to == "assistant" and transition.fto_s < 0:
            say, index = by_start[transition.at_s]
            begun_s = max(s for s, _ in taking.user if s <= transition.at_s)
            yield _why(say, index, begun_s)


def _why(say: Say, word: int, user_begun_s: float) -> Early:
    """The reason for a word of the assistant's while the user, who began then, still speaks."""
    if any(e.revealed_s > say.decided_s + EPS_S for e in say.evidence):
        return "unexplained"
    if say.behaviour == "backchannel" or say.behaviour == "opener":
        return say.behaviour
    if word:
        return "continued"
    if say.evidence:
        return "evidence_revealed"
    return "together" if say.decided_s <= user_begun_s else "unexplained"
