"""What goes in: Dialogue, Trajectory and Recording, as sources read and the plan stores them.

All are small JSON records. A Trajectory *refers* to its rows and video frames (a path and a range)
and a Recording to its audio; they are read when its shard is made, so a plan of a large corpus
stays small.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import KEY_PATTERN, Record, Seconds

Role = Literal["user", "assistant", "system", "tool"]


class Turn(Record):
    """One message. `text` is what is written (and may hold code or tables).

    `tool_calls` is an assistant's calls as JSON text; such a turn may have an empty `text`.
    `say` is the speakable form where the source has one. `interrupts` marks a user turn that barges
    in on the assistant turn before it.
    """

    role: Role
    text: str
    say: str | None = None
    think: str | None = None
    speaker: str | None = None
    interrupts: bool = False
    tool_calls: str | None = None


class Dialogue(Record):
    """A text dialogue. `group` keeps what must not be split between train and test together.

    `key` is unique in the corpus and does not depend on the turns' text: draws are keyed by it, and
    two worlds of one record (another next user turn) must draw the same (promise 2). A clean twin
    (`perturb` false) has a key of its own and draws under `draws_as`, the key of the perturbed one;
    `pair` names the two.
    """

    kind: Literal["dialogue"] = "dialogue"
    key: str = Field(pattern=KEY_PATTERN)
    source: str
    record_id: str
    group: str
    where: str
    language: str = "en"
    licence: str | None = None
    tags: tuple[str, ...] = ()
    perturb: bool = True
    draws_as: str | None = None
    pair: str | None = None
    turns: tuple[Turn, ...]

    @property
    def draw_key(self) -> str:
        """The key that every draw of this record is made under."""
        return self.draws_as or self.key


class VideoRange(Record):
    """The frames of one camera for one episode: `frame_count` frames of `path` from `start_s` on."""

    camera: str
    path: str
    start_s: float = 0.0
    frame_count: int
    fps: float


class Trajectory(Record):
    """A robot episode by reference: rows [row_start, row_end) of a parquet file, and its videos.

    `action_dim`/`state_dim` are the last axis of the [T, D] arrays; `notes` say what the reader
    mended or left unused, each in one line.
    """

    kind: Literal["trajectory"] = "trajectory"
    key: str = Field(pattern=KEY_PATTERN)
    source: str
    record_id: str
    group: str
    where: str
    subset: str = Field(pattern=KEY_PATTERN)
    language: str = "en"
    licence: str | None = None
    tags: tuple[str, ...] = ()
    instruction: str
    robot_type: str | None = None
    fps: float = Field(gt=0)
    step_count: int = Field(gt=0)
    rows_path: str
    row_start: int
    row_end: int
    action_column: str
    state_column: str | None = None
    action_dim: int
    state_dim: int = 0
    action_names: tuple[str, ...] = ()
    state_names: tuple[str, ...] = ()
    idle_action: str | tuple[float, ...] = "auto"
    videos: tuple[VideoRange, ...] = ()
    notes: tuple[str, ...] = ()


class ChannelRange(Record):
    """One channel of an audio file: `frame_count` frames from frame `frame_start` on."""

    path: str
    channel: int = Field(ge=0)
    sample_rate_hz: int = Field(gt=0)
    frame_start: int = Field(default=0, ge=0)
    frame_count: int = Field(gt=0)


class RecordedWord(Record):
    """A word with its given times; `text` is [char_start, char_end) of its segment's text."""

    text: str
    char_start: int
    char_end: int
    start_s: Seconds
    end_s: Seconds


class Segment(Record):
    """What one speaker says in one go, in seconds from the recording's start.

    `words` is None where no word times are given: the align stage finds them. `label` is the
    speaker's name in the source.
    """

    speaker: Literal["user", "assistant"]
    label: str | None = None
    text: str
    start_s: Seconds
    end_s: Seconds
    words: tuple[RecordedWord, ...] | None = None


class Recording(Record):
    """A recorded conversation by reference: a channel for the user, one for the assistant or none.

    Without `assistant` nobody answers: `speak` is silent. `segments` are in order of their start;
    those of one speaker never overlap. `notes` say what the reader mended or left unused.
    """

    kind: Literal["recording"] = "recording"
    key: str = Field(pattern=KEY_PATTERN)
    source: str
    record_id: str
    group: str
    where: str
    language: str = "en"
    licence: str | None = None
    tags: tuple[str, ...] = ()
    duration_s: float = Field(gt=0)
    user: ChannelRange
    assistant: ChannelRange | None = None
    segments: tuple[Segment, ...]
    notes: tuple[str, ...] = ()


InputRecord = Annotated[Dialogue | Trajectory | Recording, Field(discriminator="kind")]
