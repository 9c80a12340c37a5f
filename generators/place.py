"""From relations to times: where each event of a Scene lies, in samples from the sample's start.

The events are placed in the Scene's order, so each rests on those before it. An utterance of the
user that starts while the assistant speaks makes it yield: `cut` is when, and the audio fades out
after it. Until then nothing differs from the twin in which the user keeps silent (promise 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from generators.sounds import sound
from generators.speech import Speech
from generators.yielding import PLAIN_AFTER_S, HeardWord, plain_word, yield_at
from schemas.config import Config
from schemas.scene import (
    SELF_GAP_S,
    Anchor,
    Motion,
    Noise,
    Scene,
    SceneEvent,
    TextEvent,
    Thought,
    Utterance,
)

SpeechKey = tuple[str, int]


@dataclass(frozen=True)
class Stretch:
    """One spoken span, placed: samples [start, end)."""

    span_index: int
    char_start: int
    speech: Speech
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.speech.pcm)


@dataclass(frozen=True)
class Placed:
    """An event in time. `end` is that of its sound as planned; `settled` that of its
    last word, or of its visible text where that is later."""

    event: SceneEvent
    decided: int
    start: int
    end: int
    settled: int
    stretches: tuple[Stretch, ...] = ()
    plain: int = 0
    cut: int | None = None
    cut_by: str | None = None
    cut_word: int = 0
    pcm: NDArray[np.int16] | None = None


@dataclass
class Placement:
    """All events of a scene by id, in order, and the sample's length."""

    rate: int
    config: Config
    placed: dict[str, Placed] = field(default_factory=dict)
    sample_count: int = 0
    # a robot's clock, its steps and the track that shows them, where the scene has a motion
    fps: float = 1.0
    motion_steps: int = 0
    first_step: int = 0
    seen_in: str | None = None

    def samples(self, seconds: float) -> int:
        """The nearest sample."""
        return round(seconds * self.rate)


def place(
    scene: Scene,
    speech: Mapping[SpeechKey, Speech],
    config: Config,
    motion_steps: int = 0,
    fps: float = 1.0,
    seen_in: str | None = None,
) -> Placement:
    """Place every event. A Motion lasts `motion_steps` rows at `fps`, seen in track `seen_in`."""
    rate = config.speech.sample_rate_hz
    plan = Placement(rate, config, fps=fps, motion_steps=motion_steps, seen_in=seen_in)
    for event in scene.events:
        if isinstance(event, Utterance):
            placed = _place_utterance(plan, event, speech)
        elif isinstance(event, Motion):
            placed = _place_motion(plan, event)
        elif isinstance(event, Noise):
            placed = _place_noise(plan, event, scene.key)
        else:
            placed = _place_text(plan, event)
        plan.placed[event.id] = placed
        if isinstance(event, Utterance) and event.reaction_s is not None:
            _yield_to(plan, placed, event)
    plan.sample_count = _end(plan, scene)
    return plan


def _end(plan: Placement, scene: Scene) -> int:
    """The sample's length. Without an answer it ends before one would be decided, and what would be
    decided later is not there."""
    tail = plan.samples(scene.tail_s)
    if scene.unanswered is None:
        return max((settled(plan, p) for p in plan.placed.values()), default=0) + tail
    end = plan.placed[scene.unanswered].end + tail
    for placed in plan.placed.values():  # the answer comes after what the assistant is saying
        event = placed.event
        if isinstance(event, Utterance) and event.speaker == "assistant" and placed.decided < end:
            end = max(end, settled(plan, placed))
    plan.placed = {i: p for i, p in plan.placed.items() if p.decided < end}
    return end


def _anchor(plan: Placement, anchor: Anchor) -> int:
    """The sample an anchor points at, offset included; never before t = 0."""
    offset = plan.samples(anchor.offset_s)
    if anchor.of is None:
        return max(0, offset)
    of = plan.placed[anchor.of]
    if anchor.edge == "word":
        base = _word_end(of, anchor.char)
    elif anchor.edge == "fraction":
        base = of.start + round(anchor.at * (of.end - of.start))
    elif anchor.edge == "start":
        base = of.start
    elif anchor.edge == "settled":
        base = of.settled if of.cut is None else settled(plan, of)
    else:
        base = of.end if anchor.span is None else of.stretches[anchor.span].end
    earliest = of.start + plan.samples(anchor.after_start_s) if anchor.after_start_s else 0
    return max(earliest, base + offset)


def settled(plan: Placement, placed: Placed) -> int:
    """When an event is over, as it happened: a cut one ends with its fade."""
    if placed.cut is None:
        return max(placed.end, placed.settled)
    return min(placed.end, placed.cut + plan.samples(plan.config.scene.fade_s))


def _place_utterance(
    plan: Placement, event: Utterance, speech: Mapping[SpeechKey, Speech]
) -> Placed:
    lead = plan.samples(event.lead_s)
    start = max(_anchor(plan, event.anchor), _free_from(plan, event) + lead, lead)
    stretches, at = [], start
    for index, span in enumerate(event.spans):
        spoken = speech[event.id, index]
        at += plan.samples(span.pause_before_s) if index else 0
        stretches.append(Stretch(index, span.char_start, spoken, at))
        at += len(spoken.pcm)
    # people time themselves by the last word, not by the breath after it
    over = max((w.end for w in heard_words(stretches)), default=at)
    if event.write is not None:
        over = max(over, start - lead + written(plan, event.write))
    plain = _plain(plan, stretches)
    return Placed(event, start - lead, start, at, over, tuple(stretches), plain)


def _free_from(plan: Placement, event: Utterance) -> int:
    """The first sample at which its speaker may decide to speak again. Who writes too waits for what
    is still being written."""
    own = [
        _over(plan, p, event.write is not None)
        for p in plan.placed.values()
        if isinstance(p.event, Utterance) and p.event.speaker == event.speaker
    ]
    return max(own) + plan.samples(SELF_GAP_S) if own else 0


def _over(plan: Placement, placed: Placed, writing: bool) -> int:
    if placed.cut is not None:
        return settled(plan, placed)
    return max(placed.end, placed.settled) if writing else placed.end


def written(plan: Placement, text: str) -> int:
    """How many samples it takes to write a text."""
    return plan.samples(len(text) / plan.config.scene.write_chars_per_s)


def heard_words(stretches: Sequence[Stretch]) -> list[HeardWord]:
    """The words of an utterance as they are heard, in samples from the sample's start."""
    return [
        HeardWord(s.char_start + w.char_end, s.start + w.start_sample, s.start + w.end_sample)
        for s in stretches
        for w in s.speech.words
    ]


def _plain(plan: Placement, stretches: list[Stretch]) -> int:
    """When the speech can be told from a cough."""
    words = heard_words(stretches)
    if not words:
        return stretches[-1].end
    return words[plain_word(words, plan.samples(PLAIN_AFTER_S))].end


def _word_end(placed: Placed, char: int) -> int:
    """The end of the last word that ends at or before a character; the start where there is none."""
    ends = [w.end for w in heard_words(placed.stretches) if w.char_end <= char]
    return max(ends, default=placed.start)


def _place_motion(plan: Placement, event: Motion) -> Placed:
    """A motion starts on the robot's clock: on the first step at or after its anchor."""
    decided = _anchor(plan, event.anchor)
    step = Fraction(plan.rate) / Fraction(plan.fps).limit_denominator(1001)
    plan.first_step = math.ceil(decided / step)
    start = math.ceil(plan.first_step * step)
    end = math.ceil((plan.first_step + plan.motion_steps) * step)
    return Placed(event, decided, start, end, end)


def _place_text(plan: Placement, event: TextEvent | Thought) -> Placed:
    start = _anchor(plan, event.anchor)
    if isinstance(event, Thought):  # one after the other
        notes = [p for p in plan.placed.values() if isinstance(p.event, Thought)]
        start = max([start, *(p.start + written(plan, p.event.text) for p in notes)])  # type: ignore[union-attr]
    return Placed(event, start, start, start, start)


def _place_noise(plan: Placement, event: Noise, key: str) -> Placed:
    start, config = _anchor(plan, event.anchor), plan.config
    pcm = sound(event.name, event.duration_s, plan.rate, config.seed, key, event.id)
    end = start + len(pcm)
    return Placed(event, start, start, end, end, pcm=pcm)


def _yield_to(plan: Placement, user: Placed, event: Utterance) -> None:
    """Cut what the assistant is saying, if it is still speaking when it knows that it should."""
    assert event.reaction_s is not None
    given = yield_at(
        event.text,
        event.language,
        heard_words(user.stretches),
        plan.samples(event.reaction_s),
        plan.samples(PLAIN_AFTER_S),
    )
    for event_id, placed in plan.placed.items():
        own = placed.event
        if given is None or not isinstance(own, Utterance) or own.speaker != "assistant":
            continue
        speaking = placed.cut is None and placed.start < given.at < placed.end
        if speaking and user.start < placed.end and own.behaviour in ("turn", "proactive"):
            plan.placed[event_id] = replace(
                placed, cut=given.at, cut_by=event.id, cut_word=given.word
            )
