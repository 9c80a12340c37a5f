"""The Timeline: one sample on one clock, free of any token schema.

World events are what the model perceives, each with `revealed_s`, the time by which it can be fully
perceived. Agent events are what the model produces, each with `decided_s` and the evidence it rests
on: every cited `revealed_s` <= `decided_s` <= `start_s` (promise 2, checked by `check_causal`).
Times are seconds from the sample's start, multiples of one audio sample rounded to the microsecond.
Arrays and audio live beside the JSON (`listen.flac`, `look.CAMERA.mp4`, `act.npy`, ...).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import KEY_PATTERN, Record, Seconds
from schemas.label import Evidence, Label
from schemas.tracks import ArrayTrack, AudioTrack, Context, Effect, LookTrack, Provenance

__all__ = [
    "AnyAgentEvent",
    "ArrayTrack",
    "AudioTrack",
    "Context",
    "Effect",
    "Evidence",
    "Label",
    "LookTrack",
    "Provenance",
    "Timeline",
    "WorldEvent",
]

TIMELINE_VERSION = "1.2"

# What speech in `listen` is; only `turn` and `barge_in` ask for an answer. `side_speech` is said to
# somebody else, `background` by somebody else.
HearBehaviour = Literal[
    "turn", "barge_in", "failed_barge_in", "backchannel", "side_speech", "background"
]
# What the assistant says: a turn, "mm-hmm", "Sure," before it has decided what to answer, or a
# remark that nobody asked for.
SayBehaviour = Literal["turn", "backchannel", "opener", "proactive"]
# Where word times come from: the engine that spoke, the recording's own, an aligner, or an estimate
# from the length of the sound.
WordTimes = Literal["engine", "given", "aligned", "estimated"]


class TimedWord(Record):
    """A word as it sounds. [char_start, char_end) is its span in the text of its event.

    `cut` marks the word that a barge-in faded out in the middle: it was begun, not said.
    """

    text: str
    char_start: int
    char_end: int
    start_s: Seconds
    end_s: Seconds
    cut: bool = False


class Piece(Record):
    """One synthesized stretch of an event: a span of its text and where its audio lies.

    [char_start, char_end) of the event's text is heard from `start_s` to `end_s`.
    """

    char_start: int
    char_end: int
    start_s: Seconds
    end_s: Seconds


# ---- what the model perceives ------------------------------------------------------------------


class Hear(Record):
    """Speech in `listen`: who says it, to whom, the transcript and its word times.

    `revealed_s` is the end of the last word; `plain_s` the end of the first word that ends 0.2 s or
    more after the start: from then on the speech can be told from a cough.
    """

    kind: Literal["hear"] = "hear"
    id: str
    speaker: str = "user"
    addressed_to: str = "assistant"
    behaviour: HearBehaviour = "turn"
    turn_index: int | None = None
    text: str
    language: str
    voice: str
    word_times: WordTimes = "engine"
    start_s: Seconds
    end_s: Seconds
    plain_s: Seconds
    revealed_s: Seconds
    words: tuple[TimedWord, ...] = ()
    pieces: tuple[Piece, ...] = ()


class TypedInput(Record):
    """Text that appears at once: a typed message or the result of a tool."""

    kind: Literal["typed", "tool_result"]
    id: str
    turn_index: int | None = None
    text: str
    start_s: Seconds
    revealed_s: Seconds


class Sound(Record):
    """Something in `listen` that is no speech, such as a cough. It has no words and asks nothing."""

    kind: Literal["sound"] = "sound"
    id: str
    name: str
    start_s: Seconds
    end_s: Seconds
    revealed_s: Seconds


WorldEvent = Annotated[Hear | TypedInput | Sound, Field(discriminator="kind")]


# ---- what the model produces -------------------------------------------------------------------


class AgentEvent(Record):
    """What every agent event has. `cut_s` is when it was given up, `cut_by` what made it so.

    Speech fades out within `fade_s` (config) after `cut_s`; nothing else of the event happens after
    it. Text is kept whole, as planned, and cut by time: a schema emits what fits before `cut_s` and
    counts the rest, so a sample equals its uninterrupted twin until the interruption is perceived.
    `planned_end_s` is the end it would have had without the cut.
    """

    id: str
    turn_index: int | None = None
    decided_s: Seconds
    start_s: Seconds
    end_s: Seconds
    planned_end_s: Seconds
    cut_s: Seconds | None = None
    cut_by: Evidence | None = None
    evidence: tuple[Evidence, ...] = ()


class Think(AgentEvent):
    """Reasoning as it streams. `while_listening` marks a note made while the user has the floor."""

    kind: Literal["think"] = "think"
    text: str
    while_listening: bool = False


class Write(AgentEvent):
    """The visible text, which may be structured. `end_s` is nominal: a schema's budget decides."""

    kind: Literal["write"] = "write"
    text: str


class Say(AgentEvent):
    """Speech in `speak`: the exact words, in pieces (sentences) with their times.

    `words` and `pieces` hold only what sounded; `text` is the whole plan. Of a cut event
    `unsaid_words` and `unsaid_pieces` are those that a cut shortened or left out, with the times
    that they would have had: `planned_words` and `planned_pieces` equal the uncut twin's (since 1.1;
    a cut event of 1.0 has none). `behaviour` tells a backchannel (see SayBehaviour).
    """

    kind: Literal["say"] = "say"
    behaviour: SayBehaviour = "turn"
    text: str
    language: str
    voice: str
    word_times: WordTimes = "engine"
    words: tuple[TimedWord, ...] = ()
    pieces: tuple[Piece, ...] = ()
    unsaid_words: tuple[TimedWord, ...] = ()
    unsaid_pieces: tuple[Piece, ...] = ()

    @property
    def takes_turn(self) -> bool:
        """A backchannel and an opener take none: what follows them, if anything, does."""
        return self.behaviour in ("turn", "proactive")

    @property
    def planned_words(self) -> tuple[TimedWord, ...]:
        """All words with the times of the plan."""
        if not self.unsaid_words:
            return self.words
        first = self.unsaid_words[0].char_start
        return (*(w for w in self.words if w.char_start < first), *self.unsaid_words)

    @property
    def planned_pieces(self) -> tuple[Piece, ...]:
        """All pieces with the times of the plan."""
        if not self.unsaid_pieces:
            return self.pieces
        first = self.unsaid_pieces[0].char_start
        return (*(p for p in self.pieces if p.char_start < first), *self.unsaid_pieces)


class ToolCall(AgentEvent):
    """A call of a tool, as text."""

    kind: Literal["tool_call"] = "tool_call"
    text: str


class Act(AgentEvent):
    """Rows [first_step, first_step + step_count) of `act.npy`, one row each 1/fps s from `start_s`.

    `mode` is `idle` (hold) or `trajectory`. To begin is decided at `decided_s`; each step is decided
    at its own time, in a trajectory from the frame of that time in track `step_evidence`. So the
    event's extent (`step_count`, `end_s`) is known only at its end: it is a record, not a plan.
    """

    kind: Literal["act"] = "act"
    mode: Literal["idle", "trajectory"]
    first_step: int
    step_count: int
    step_evidence: str | None = None


AnyAgentEvent = Annotated[Think | Write | Say | ToolCall | Act, Field(discriminator="kind")]


class Timeline(Record):
    """One sample. `duration_s` is its length; every track covers all of it.

    `pair` is shared by a perturbed sample and its clean twin (since 1.2). `stems` names the sources
    of `listen` kept apart, each a member `stem.NAME.flac` of listen's length.
    """

    version: Literal["1.0", "1.1", "1.2"] = "1.2"
    key: str = Field(pattern=KEY_PATTERN)
    subset: str = Field(pattern=KEY_PATTERN)
    group: str
    language: str
    duration_s: Seconds
    behaviours: tuple[str, ...] = ()
    pair: str | None = None
    context: Context
    listen: AudioTrack
    speak: AudioTrack
    stems: tuple[str, ...] = ()
    look: tuple[LookTrack, ...] = ()
    act: ArrayTrack | None = None
    state: ArrayTrack | None = None
    world: tuple[WorldEvent, ...] = ()
    agent: tuple[AnyAgentEvent, ...] = ()
    labels: tuple[Label, ...] = ()
    provenance: Provenance
