"""Schemas of the blocks mode that between them use every feature, and generated samples for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from schema_samples import (
    SMALL,
    ArrayMedia,
    cut_say,
    hear,
    picture,
    sample,
    schema_of,
    spoken,
    typed,
    write,
)

from schemas.timeline import Act, Hear, Say, Think, Timeline, ToolCall
from token_schema.language import TokenSchema

# a unit of 0.8 s: whether to answer, then text by token time and speech, neither there when silent
PHASED = """
name: phased
mode: interleaved
clock: {block_s: 0.8, open: <unit>, close: </unit>}
lanes:
  - look: {as: codes, frames: 2, open: <boi>, close: <eoi>}
  - listen: {as: slots, rate_hz: 5, slot: <heard>}
  - phase: {of: [say, speak, act], idle: <listening>, active: <speaking>, loss: 1}
  - say: {as: text, budget: 20, placement: tail, end: <turn>, cut: <stop>, close: <chunk>,
          end_closes: true, loss: {content: 1, close: 1}}
  - speak: {as: codes, rate_hz: 10, codebooks: 4, open: <bos>, close: <eos>,
            loss: {content: 1, books: [1, 0.5, 0.5, 0.25]}}
  - act: {as: codes, codec: bins, idle: <hold>, open: <boa>, close: <eoa>, loss: 1}
codecs: {bins: {type: uniform}}
"""
# no boundary tokens: every block is as long as any other
FIXED = """
name: fixed
mode: interleaved
clock: {block_s: 0.4}
prompt: {open: <bop>, close: <eop>}
lanes:
  - listen: {as: codes, codec: audio-25hz, rate_hz: 25, codebooks: 2}
  - say: {as: text, budget: 3, fixed: true, hold: true, placement: sentence, idle: <silence>,
          begin: <begin>, wait: <pad>, end: <end>, loss: 1}
  - write: {as: text, budget: 2, fixed: true, idle: <silence>, end: <end>, cut: <cut>, loss: 1}
  - speak: {as: codes, codec: audio-25hz, rate_hz: 25, codebooks: 2}
"""
# every text view, words beside the speech, mel to predict
VIEWS = """
name: views
mode: interleaved
clock: {block_s: 1.0}
prompt: {open: <bop>, close: <eop>, take: [system, languages]}
lanes:
  - typed: {as: text, budget: 6, idle: <none>, end: <end>, open: <bti>, close: <eti>}
  - listen: {as: slots, rate_hz: 5, slot: <heard>, open: <bosp>, close: <eosp>}
  - hear: {as: text, budget: 9, idle: <none>, begin: <begin>, end: <end>, open: <bh>, close: <eh>,
           loss: 1}
  - think: {as: text, budget: 5, idle: <none>, end: <end>, cut: <cut>, open: <bth>, close: <eth>}
  - tool_call: {as: text, budget: 7, idle: <none>, end: <end>, open: <btc>, close: <etc>}
  - say: {as: text, budget: 12, placement: word, offset_s: 0.1, idle: <none>, wait: <wait>,
          end: <end>, cut: <cut>, open: <bsa>, close: <esa>, loss: 1}
  - speak: {as: mel, rate_hz: 5, slot: <mel>, idle: <quiet>, open: <bos>, close: <eos>, loss: 1}
"""
# frames that do not divide the block: 12 in one second, 13 in the next
CARRY = """
name: carry
mode: interleaved
clock: {block_s: 1.0}
prompt: {open: <bop>, close: <eop>}
lanes:
  - listen: {as: codes, codec: audio-12hz5, rate_hz: 12.5, codebooks: 2, fractional: carry,
             open: <bosp>, close: <eosp>}
  - write: {as: text, budget: 8, idle: <silence>, end: <end>, cut: <cut>, open: <bot>, close: <eot>}
  - speak: {as: codes, codec: audio-12hz5, rate_hz: 12.5, codebooks: 2, fractional: carry,
            idle: <quiet>, open: <bos>, close: <eos>}
"""
# the input two blocks late and through a codec that looks ahead, the output no earlier
LATE = """
name: late
mode: interleaved
clock: {block_s: 0.5}
prompt: {open: <bop>, close: <eop>}
lanes:
  - say: {as: text, budget: 4, placement: word, idle: <silence>, end: <end>, cut: <cut>,
          open: <bsa>, close: <esa>, loss: 1}
  - listen: {as: codes, codec: audio-ahead, rate_hz: 10, delay: 2, pad: <pad>,
             open: <bosp>, close: <eosp>}
  - write: {as: text, budget: 8, idle: <silence>, end: <end>, cut: <cut>, open: <bot>, close: <eot>}
  - speak: {as: codes, rate_hz: 10, codebooks: 4, delay: 3, pad: <pad>, open: <bos>, close: <eos>}
"""
# a frame a block under the placement of the parallel mode, with end-of-pad
EPAD = """
name: epad
mode: interleaved
clock: {block_s: 0.08, tail: drop}
lanes:
  - listen: {as: codes, codec: audio-12hz5, rate_hz: 12.5, codebooks: 1}
  - say: {as: text, budget: 1, fixed: true, placement: word, idle: <pad>, epad: <epad>, end: <end>,
          loss: 1}
"""
# the phase stands before what is heard in the block: it and its lanes know the block before
EARLY = """
name: early
mode: interleaved
clock: {block_s: 0.4}
lanes:
  - phase: {of: [think, write], idle: <no>, active: <yes>, loss: 1}
  - listen: {as: codes, rate_hz: 10, codebooks: 2, open: <bosp>, close: <eosp>}
  - think: {as: text, budget: 3, end: <end>, open: <bth>, close: <eth>}
  - write: {as: text, budget: 5, end: <end>, cut: <cut>, open: <bot>, close: <eot>, loss: 1}
"""
VARIANTS: dict[str, TokenSchema] = {
    s.name: s for s in (SMALL, *map(schema_of, (PHASED, FIXED, VIEWS, CARRY, LATE, EPAD, EARLY)))
}
names = st.sampled_from(sorted(VARIANTS))

TEXTS = st.text(st.sampled_from("abc XYZ\n|`{}é猫🍎"), max_size=40)
WORDS = st.lists(st.sampled_from("a the brown fox. jumps é 猫 🍎 over. -- 42".split()), min_size=1)
TIMES = st.integers(0, 5500).map(lambda ms: ms / 1000)


def ended(event_id: str, text: str, at_s: float, kind: Any) -> Any:
    times = {"decided_s": at_s, "start_s": at_s, "end_s": at_s, "planned_end_s": at_s}
    return kind(id=event_id, text=text, **times)


@st.composite
def worlds(draw: Any, robot: bool | None = None, writes: int = 0) -> tuple[Timeline, ArrayMedia]:
    """Any sample, or a robot's or not, with at least so many texts. It is whole: nothing is cut."""
    duration_s = draw(st.integers(5, 62)) / 10
    agent: list[Any] = [
        write(f"w{i}", draw(TEXTS), draw(TIMES)) for i in range(draw(st.integers(writes, 4)))
    ]
    for i in range(draw(st.integers(0, 2))):
        said = spoken(f"s{i}", " ".join(draw(WORDS)[:8]), draw(TIMES), draw(st.floats(0.08, 0.4)))
        if said.end_s <= duration_s:
            agent.append(said)
    if draw(st.booleans()):
        agent.append(ended("think", draw(TEXTS), draw(TIMES), Think))
        agent.append(ended("call", draw(TEXTS), draw(TIMES), ToolCall))
    world: list[Any] = [typed("t", draw(TEXTS), draw(TIMES))] if draw(st.booleans()) else []
    for i in range(draw(st.integers(0, 2))):
        heard = hear(f"h{i}", " ".join(draw(WORDS)), draw(TIMES), draw(st.floats(0.1, 0.5)))
        world.append(heard)
    steps = int(np.ceil(duration_s * 10 - 1e-9))
    robot = draw(st.booleans()) if robot is None else robot
    first = draw(st.integers(0, steps - 1))
    moves = (first, draw(st.integers(1, 40))) if robot else None
    return sample(duration_s, agent, moves, listen_seed=draw(st.integers(0, 3)), world=world)


# ---- other worlds ------------------------------------------------------------------------------


def cut_at(timeline: Timeline, media: ArrayMedia, cut_s: float) -> tuple[Timeline, ArrayMedia]:
    """The sample with every agent event that is going on at `cut_s` cut, later ones replaced."""
    agent: list[Any] = [write("reply", "AFTER", cut_s)]
    for event in timeline.agent:
        if event.kind == "act":
            agent.append(event)
        elif event.decided_s < cut_s:
            agent.append(cut_event(event, cut_s))
    spoken_pcm = media.spoken.copy()
    fade = round(cut_s * 16000)
    spoken_pcm[fade : fade + 2400] //= 3
    spoken_pcm[fade + 2400 :] = 0
    changed = ArrayMedia(media.heard, spoken_pcm, media.pictures, media.rows)
    return timeline.model_copy(update={"agent": tuple(agent)}), changed


def cut_event(event: Any, cut_s: float) -> Any:
    if isinstance(event, Say):
        return event if event.planned_end_s <= cut_s else cut_say(event, cut_s)
    return event.model_copy(update={"cut_s": cut_s})


@dataclass(frozen=True)
class OtherFuture(ArrayMedia):
    """Frames after index `parts` are other ones."""

    parts: int = 0

    def frames(self, camera: str, indices: Any) -> NDArray[np.uint8]:
        return np.stack([picture(i + 100 * (i > self.parts)) for i in indices])


def graft(
    timeline: Timeline, media: ArrayMedia, other: Timeline, other_media: ArrayMedia, t: float
) -> tuple[Timeline, ArrayMedia]:
    """`timeline` until T, then `other`: its sound, frames, rows, events and length.

    What the agent decided by T stays whole: its plan is not the world's future. Of what is heard,
    the words that ended by T stay.
    """
    n = int(t * 16000)

    def joined(x: NDArray[Any], y: NDArray[Any], at: int) -> NDArray[Any]:
        return np.concatenate([x[:at], y[at:]])

    agent = [e for e in timeline.agent if e.decided_s <= t]
    agent += [e for e in other.agent if e.decided_s > t and e.kind != "act"]
    # the track of speech: what was decided by T sounds as planned, and the other's from then on
    spoken_pcm = joined(media.spoken, other_media.spoken, n)
    rows, mine = other_media.rows, media.rows
    if rows is not None and mine is not None:
        steps = int(np.floor(t * 10)) + 1
        rows = joined(mine, rows, steps) if steps < len(rows) else mine[: len(rows)]
        agent = [_clipped(e, len(rows)) if isinstance(e, Act) else e for e in agent]
    else:
        agent = [e for e in agent if e.kind != "act"]
    look = tuple(x.model_copy(update={"frame_count": other_media.pictures}) for x in other.look)
    world = tuple(_heard(timeline, other, t))
    changed = other.model_copy(update={"agent": tuple(agent), "look": look, "world": world})
    heard = joined(media.heard, other_media.heard, n)
    pictures = other_media.pictures
    return changed, OtherFuture(heard, spoken_pcm, pictures, rows, parts=int(t * 10 + 1e-6))


def _heard(timeline: Timeline, other: Timeline, t: float) -> list[Any]:
    """World events: revealed by T ours, begun later the other's; one between goes on otherwise."""
    events: list[Any] = []
    for event in timeline.world:
        if event.revealed_s <= t:
            events.append(event)
        elif isinstance(event, Hear) and event.words[0].end_s <= t:
            events.append(_goes_on(event, t))
    return events + [e for e in other.world if e.start_s > t]


def _goes_on(event: Hear, t: float) -> Hear:
    """The words after T are other ones, in capitals and later."""
    known = sum(w.end_s <= t for w in event.words)
    char = event.words[known].char_start
    words = tuple(
        w
        if i < known
        else w.model_copy(update={"text": w.text.upper(), "end_s": round(w.end_s + 0.4, 6)})
        for i, w in enumerate(event.words)
    )
    text = event.text[:char] + event.text[char:].upper()
    end_s = words[-1].end_s
    return event.model_copy(
        update={"text": text, "words": words, "end_s": end_s, "revealed_s": end_s}
    )


def _clipped(event: Act, steps: int) -> Act:
    count = max(0, min(event.step_count, steps - event.first_step))
    return event.model_copy(update={"step_count": count})
