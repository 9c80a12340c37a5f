"""Generated worlds for the property tests of the presets: one conversation, and how it may go on.

`worlds()` draws a Plan: what is heard and typed, what the agent decides, which replies a barge-in
cuts. `built(plan)` is its Timeline and media, `without_cuts(plan)` the twin that nobody interrupts,
`graft(one, other, t)` the world that is `one` until T and `other` after it. Cut speech keeps the
times of what was never said, as the generators do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from schema_samples import RATE_HZ, ArrayMedia, hear, picture, sample, sound, spoken, typed, write

from schemas.label import Evidence
from schemas.timeline import Hear, LookTrack, Say, Think, TimedWord, Timeline, ToolCall, TypedInput

FADE_S, REACTION_S, FPS = 0.15, 0.25, 10.0


@dataclass(frozen=True)
class Cut:
    """Events `ids` give up at `cut_s`, because of what is revealed REACTION_S earlier."""

    ids: tuple[str, ...]
    cut_s: float

    @property
    def revealed_s(self) -> float:
        return round(self.cut_s - REACTION_S, 6)


@dataclass(frozen=True)
class Plan:
    """A world, and what the agent plans in it as if nobody interrupted; `cuts` says who does.

    `seed` is that of the sound and of the pictures' and the robot's future. From `parts_s` on what
    is heard and seen is that of `later` (a seed).
    """

    duration_s: float
    world: tuple[Any, ...]
    agent: tuple[Any, ...]
    cuts: tuple[Cut, ...]
    seed: int
    robot: bool
    parts_s: float = 1e9
    later: int = 0


@dataclass(frozen=True)
class PlanMedia(ArrayMedia):
    """Pictures after `parts_s` are those of another world."""

    parts_s: float = 1e9
    seed: int = 0

    def frames(self, camera: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        wrist = 7 * (camera != "front")
        return np.stack(
            [picture(i + wrist + 100 * self.seed * (i / FPS > self.parts_s)) for i in indices]
        )


# ---- drawing -----------------------------------------------------------------------------------

WORDS = st.lists(
    st.sampled_from(["fox", "jumps.", "over", "a", "the drawer", "é猫", "🍎.", "brown"]),
    min_size=1,
    max_size=7,
).map(" ".join)


def ms(low: int, high: int) -> st.SearchStrategy[float]:
    return st.integers(low, high).map(lambda n: n / 1000)


@st.composite
def worlds(draw: Any, robot: bool | None = None) -> Plan:
    """One to three exchanges: heard, typed, thought, called, written, spoken, some of it cut."""
    world: list[Any] = []
    agent: list[Any] = []
    cuts: list[Cut] = []
    at_s = 0.0
    for n in range(draw(st.integers(1, 3))):
        at_s = round(at_s + draw(ms(0, 1500)), 3)
        at_s = _heard(draw, n, at_s, world, agent)
        at_s = _reply(draw, n, at_s, agent, cuts)
    duration_s = max(0.5, math.ceil((at_s + draw(ms(0, 900))) * 10) / 10)
    return Plan(
        duration_s,
        tuple(world),
        tuple(agent),
        tuple(cuts),
        draw(st.integers(0, 3)),
        draw(st.booleans()) if robot is None else robot,
    )


def _heard(draw: Any, n: int, at_s: float, world: list[Any], agent: list[Any]) -> float:
    """What the world does first; when that is revealed. Now and then the agent says `mm` into it."""
    what = draw(st.sampled_from(["heard", "heard", "heard", "typed", "both", "nothing"]))
    if what in ("typed", "both"):
        kind = draw(st.sampled_from(["typed", "tool_result"]))
        world.append(typed(f"t{n}", draw(WORDS), at_s, kind))
    if what in ("heard", "both"):
        event = hear(
            f"h{n}", draw(WORDS), round(at_s + 0.05, 3), draw(st.sampled_from([0.13, 0.3]))
        )
        world.append(event)
        if event.end_s - event.start_s > 1.3 and draw(st.booleans()):
            start_s = round(event.start_s + 0.6, 3)
            mm = spoken(f"m{n}", "mm.", start_s, 0.3)
            changes = {"behaviour": "backchannel", "decided_s": round(start_s - 0.1, 3)}
            agent.append(mm.model_copy(update=changes))
        return event.revealed_s
    return at_s


def _reply(draw: Any, n: int, at_s: float, agent: list[Any], cuts: list[Cut]) -> float:
    """What the agent decides at `at_s` or soon after; when all of it is over."""
    decided_s = round(at_s + draw(st.sampled_from([0.0, 0.08, 0.2, 0.513])), 3)
    which = draw(st.sampled_from(["say", "write", "both", "both", "all", "none"]))
    made: list[Any] = []
    if which == "all":
        text = draw(WORDS)
        times = {"decided_s": decided_s, "start_s": decided_s}
        ends = dict.fromkeys(("end_s", "planned_end_s"), round(decided_s + 0.4, 3))
        made.append(Think(id=f"k{n}", text=text, **times, **ends))
        made.append(ToolCall(id=f"c{n}", text=text, **times, **ends))
    if which in ("write", "both", "all"):
        made.append(write(f"w{n}", draw(WORDS) * draw(st.sampled_from([1, 1, 3])), decided_s))
    end_s = decided_s
    if which in ("say", "both", "all"):
        lead_s = draw(st.sampled_from([0.0, 0.1, 0.1, 0.35]))
        start_s = round(decided_s + lead_s, 3)
        said = spoken(f"s{n}", draw(WORDS), start_s, draw(st.sampled_from([0.1, 0.3])))
        made.append(said.model_copy(update={"decided_s": decided_s}))
        end_s = said.end_s
        cut_s = round(start_s + draw(ms(1, 2500)), 3)
        if draw(st.booleans()) and max(decided_s + REACTION_S, start_s) < cut_s < end_s:
            cuts.append(Cut(tuple(e.id for e in made), cut_s))
            end_s = min(end_s, cut_s + FADE_S)
    agent += made
    return round(end_s + 0.02, 3)


# ---- a sample ----------------------------------------------------------------------------------


def cut_event(event: Any, cut: Cut) -> Any:
    """The event given up: of speech the words and pieces that would start later are unsaid."""
    why = Evidence(event="h", revealed_s=max(0.0, cut.revealed_s))
    changes: dict[str, Any] = {"cut_s": cut.cut_s, "cut_by": why}
    if not isinstance(event, Say):
        return event.model_copy(update=changes | {"end_s": min(event.end_s, cut.cut_s)})
    end_s = round(min(event.end_s, cut.cut_s + FADE_S), 6)
    words = [w for w in event.words if w.start_s < cut.cut_s]
    pieces = [p for p in event.pieces if p.start_s < cut.cut_s]
    changes |= {
        "end_s": end_s,
        "words": tuple(
            w if w.end_s <= cut.cut_s else w.model_copy(update={"end_s": min(w.end_s, end_s)})
            for w in words
        ),
        "pieces": tuple(p.model_copy(update={"end_s": min(p.end_s, end_s)}) for p in pieces),
        "unsaid_words": tuple(w for w in event.words if w.end_s > cut.cut_s),
        "unsaid_pieces": tuple(
            p for p in event.pieces if p.end_s > end_s or p.start_s >= cut.cut_s
        ),
    }
    return event.model_copy(update=changes)


def agent_of(plan: Plan) -> list[Any]:
    """The agent's events, cut where they are, in the order in which they are decided."""
    cut_of = {i: cut for cut in plan.cuts for i in cut.ids}
    made = [cut_event(e, cut_of[e.id]) if e.id in cut_of else e for e in plan.agent]
    return sorted(made, key=lambda e: e.decided_s)


def built(plan: Plan) -> tuple[Timeline, PlanMedia]:
    """The sample: noise that is heard, speech that is each event's own, the robot's path."""
    moves = (3, 25) if plan.robot else None
    timeline, media = sample(
        plan.duration_s, agent_of(plan), moves, FPS, world=plan.world, listen_seed=plan.seed
    )
    context = timeline.context.model_copy(
        update={"assistant_voice": "v", "languages": ("en", "de")}
    )
    timeline = timeline.model_copy(update={"context": context})
    heard, rows, n = media.heard, media.rows, round(plan.parts_s * RATE_HZ)
    if n < len(heard):
        heard = heard.copy()
        heard[n:] = sound(plan.duration_s, 10 + plan.later)[n:]
    if rows is not None:
        step = int(np.floor(min(plan.parts_s, 1e6) * FPS + 1e-6)) + 1
        rows = rows.copy()
        rows[step:] = 0.5 * rows[step:] - 0.25
        front = timeline.look[0]
        wrist = LookTrack(**{**front.model_dump(), "camera": "wrist"})
        timeline = timeline.model_copy(update={"look": (front, wrist)})
    return timeline, PlanMedia(
        heard, media.spoken, media.pictures, rows, plan.parts_s, 1 + plan.later
    )


def without_cuts(plan: Plan) -> Plan:
    """The twin: nobody interrupts."""
    return replace(plan, cuts=())


def cut_at(plan: Plan, cut_s: float) -> Plan:
    """The plan interrupted at `cut_s`: what is decided and not over is cut, the rest never comes.

    What is heard is the same: only what the agent does tells the two apart."""
    agent = tuple(e for e in plan.agent if e.decided_s < cut_s)
    cuts = tuple(c for c in plan.cuts if c.cut_s < cut_s)
    over = {i for c in cuts for i in c.ids}
    running = {e.id for e in agent if e.planned_end_s > cut_s and e.id not in over}
    return replace(plan, agent=agent, cuts=(*cuts, Cut(tuple(sorted(running)), cut_s)))


# ---- another future ----------------------------------------------------------------------------


def graft(one: Plan, other: Plan, t: float, gap_s: float, interrupts: bool) -> Plan:
    """`one` until T, then another world: other words, pictures, typing, decisions, another end.

    What is decided by T stays as it was planned; a barge-in that is revealed by T stays too. With
    `interrupts` another one cuts all that is not over, as early as it can.
    """
    agent = [e for e in one.agent if e.decided_s <= t]
    cuts = [c for c in one.cuts if c.revealed_s <= t]
    over = {i for c in cuts for i in c.ids}
    if interrupts:
        cut_s = round(t + 0.001 + REACTION_S, 6)
        # nobody interrupts what is over, or what will be
        running = [e.id for e in agent if e.id not in over and e.planned_end_s > cut_s]
        cuts.append(Cut(tuple(running), cut_s))
    made = replace(one, agent=tuple(agent), cuts=tuple(cuts))
    busy_s = max([t, *(e.end_s for e in agent_of(made) if isinstance(e, Say))])
    later = [e for e in other.agent if e.decided_s > t]
    later = [e for e in later if not isinstance(e, Say) or e.start_s > busy_s]
    new = {e.id for e in later}
    agent += [e.model_copy(update={"id": f"x{e.id}"}) for e in later]
    # a reply of the other world is cut as a whole there
    whole = [c for c in other.cuts if set(c.ids) <= new]
    cuts += [Cut(tuple(f"x{i}" for i in c.ids), c.cut_s) for c in whole]
    world = _world(one, other, t, gap_s)
    over_s = max([busy_s, *(e.revealed_s for e in world)])
    return replace(
        other,
        duration_s=max(other.duration_s, math.ceil(over_s * 10) / 10),
        world=tuple(world),
        agent=tuple(agent),
        cuts=tuple(cuts),
        seed=one.seed,
        robot=one.robot,
        parts_s=t,
        later=other.seed,
    )


def _world(one: Plan, other: Plan, t: float, gap_s: float) -> list[Any]:
    out: list[Any] = []
    for event in one.world:
        if isinstance(event, TypedInput):
            out += [event] * (event.revealed_s <= t)
        elif event.start_s <= t:
            out.append(_goes_on(event, t, gap_s))
    late = [e for e in other.world if e.start_s > t]
    return out + [e.model_copy(update={"id": f"x{e.id}"}) for e in late]


def _goes_on(event: Hear, t: float, gap_s: float) -> Hear:
    """Words that ended by T stay; whoever has not finished by T says one other word, after it."""
    if event.revealed_s <= t:
        return event
    words = [w for w in event.words if w.end_s <= t]
    start_s = max([event.start_s, *(w.end_s for w in words)])
    end_s = round(max(t, start_s) + gap_s + 0.01, 6)
    at = words[-1].char_end + 1 if words else 0
    words.append(TimedWord(text="Q", char_start=at, char_end=at + 1, start_s=start_s, end_s=end_s))
    text = event.text[: at - 1] + " Q" if at else "Q"
    changes = {"words": tuple(words), "text": text, "end_s": end_s, "revealed_s": end_s}
    return event.model_copy(update=changes)
