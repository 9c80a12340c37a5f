"""The Scene: what happens, in relative terms, before any audio exists.

An utterance is anchored to an edge of another ("230 ms after u03 ends", "at 60 % of a02"). A Scene is
a pure function of the record, the config and the seed. `generators.render` turns it into times.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import KEY_PATTERN, Record
from schemas.timeline import HearBehaviour, SayBehaviour

# between two utterances of one speaker, whatever the draws say: a channel never overlaps itself
SELF_GAP_S = 0.05


class Span(Record):
    """A piece of an utterance's text, spoken in one breath, after a pause of `pause_before_s`."""

    char_start: int
    char_end: int
    pause_before_s: float = 0.0


def one_breath(text: str) -> tuple[Span, ...]:
    """The spans of a short text that is said without a pause."""
    return (Span(char_start=0, char_end=len(text)),)


class Anchor(Record):
    """When an event starts: `offset_s` (may be negative) after an edge of the event `of`.

    `end` is the end of its sound, or of its span `span`; `settled` that of its last word or
    of its visible text, whichever is later; `fraction` a point `at` (0..1) of the way through its sound;
    `word` the end of its last word that ends at or before character `char` of its text.
    `of` None is t = 0. It is never earlier than `after_start_s` after the start of `of`'s sound.
    """

    of: str | None = None
    edge: Literal["start", "end", "settled", "fraction", "word"] = "end"
    span: int | None = None
    at: float = 0.0
    char: int = 0
    after_start_s: float = 0.0
    offset_s: float = 0.0


class Utterance(Record):
    """Something said. `text` is the spoken form; `write` the visible text of an assistant turn.

    The assistant commits to it `lead_s` before it sounds. It rests on `evidence`, ids of earlier
    events (`u000:2` is the user's event u000 up to the end of its span 2, `u000@17` up to the last
    word that ends at or before character 17). A user's utterance that
    starts while the assistant speaks may make it yield `reaction_s` after it is plain to hear; None
    for one that never does. `bystander` is anybody else in `listen`.
    """

    kind: Literal["utterance"] = "utterance"
    id: str
    speaker: Literal["user", "assistant", "bystander"]
    behaviour: HearBehaviour | SayBehaviour = "turn"
    addressed_to: Literal["assistant", "other"] = "assistant"
    turn_index: int | None = None
    text: str
    write: str | None = None
    think: str | None = None
    language: str
    voice: str
    spans: tuple[Span, ...]
    anchor: Anchor
    lead_s: float = 0.0
    evidence: tuple[str, ...] = ()
    reaction_s: float | None = None
    gain_db: float = 0.0


class TextEvent(Record):
    """A message that is not spoken: typed input, a tool's call or its result."""

    kind: Literal["text"] = "text"
    id: str
    role: Literal["typed", "tool_result", "tool_call"]
    turn_index: int | None = None
    text: str
    anchor: Anchor
    evidence: tuple[str, ...] = ()


class Motion(Record):
    """The trajectory starts `offset_s` after its anchor, on the next frame of the robot's clock."""

    kind: Literal["motion"] = "motion"
    id: str = "motion"
    anchor: Anchor
    evidence: tuple[str, ...] = ()


class Thought(Record):
    """What the assistant notes for itself while it listens; nobody hears or sees it."""

    kind: Literal["thought"] = "thought"
    id: str
    turn_index: int | None = None
    text: str
    anchor: Anchor
    evidence: tuple[str, ...] = ()


class Noise(Record):
    """A sound in `listen` that is no speech: `name` is one of `generators.sounds`."""

    kind: Literal["noise"] = "noise"
    id: str
    name: str
    duration_s: float = Field(gt=0)
    gain_db: float = 0.0
    anchor: Anchor


SceneEvent = Annotated[
    Utterance | TextEvent | Motion | Thought | Noise, Field(discriminator="kind")
]


class Scene(Record):
    """The events in the order in which they are anchored: an event names only earlier ones.

    The sample ends `tail_s` after everything is over. One that ends on the world's side ends `tail_s`
    after its event `unanswered`, just before an answer would have been decided.
    """

    key: str = Field(pattern=KEY_PATTERN)
    subset: str = Field(pattern=KEY_PATTERN)
    language: str
    system: str = ""
    task: str | None = None
    embodiment: str | None = None
    assistant_voice: str | None = None
    behaviours: tuple[str, ...] = ()
    pair: str | None = None
    tail_s: float = 0.5
    unanswered: str | None = None
    events: tuple[SceneEvent, ...]
