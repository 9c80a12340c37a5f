"""`sources:` of a config: dialogues, trajectories, recordings; where they lie, which field is what."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from schemas.base import Record


class DialogueSource(Record):
    """Dialogues from JSON, JSONL, CSV, message trees or Hugging Face `datasets`, by field names.

    `path` may be a glob. A dotted name (`meta.lang`) reaches into nested fields. `format`:
    `messages` is JSONL with `messages: [{role, content}]`; `json` and `jsonl` map the fields named
    here; `csv` has one row a turn (rows of one `id` follow each other); `tree` has `prompt` nodes
    with `replies`; `huggingface` loads `path` (a hub name or a local folder) with `datasets`.
    """

    name: str | None = None
    path: str
    format: Literal["messages", "json", "jsonl", "csv", "tree", "huggingface"] = "messages"
    id: str | None = None
    turns: str | None = None
    role: str | None = None
    text: str | None = None
    say: str | None = None
    think: str | None = None
    interrupts: str | None = None
    speaker: str | None = None
    group: str | None = None
    system: str | None = None
    language: str = "en"
    language_field: str | None = None
    roles: dict[str, Literal["user", "assistant", "system", "tool", "skip"]] = {}
    split: str | None = None
    licence: str | None = None
    limit: int | None = Field(default=None, gt=0)


class Clock(Record):
    """The robot's nominal clock: LIBERO-like sets state another rate than they were driven at."""

    fps: float = Field(gt=0)


class TrajectorySource(Record):
    """Robot episodes from a LeRobot folder (v2.0, v2.1 or v3.0).

    `clock.fps` overrides `info.json`'s fps. `cameras` picks cameras (default: all that have files).
    `idle_action` is the action while nothing is to be done: `zeros`, `first_state` (absolute joint
    targets), `auto` (first_state where action and state have the same names, else zeros) or values.
    """

    name: str | None = None
    path: str
    format: Literal["lerobot"] = "lerobot"
    clock: Clock | None = None
    cameras: tuple[str, ...] = ()
    action: str = "action"
    state: str | None = "observation.state"
    language: str = "en"
    idle_action: Literal["auto", "zeros", "first_state"] | tuple[float, ...] = "auto"
    non_instructions: tuple[str, ...] = ("valid", "invalid", "success", "failure", "none", "n/a")
    licence: str | None = None
    limit: int | None = Field(default=None, gt=0)


class RecordingSource(Record):
    """Recorded conversations with transcripts, by a manifest (`path`, a file or a glob).

    `format`: `moshi` (moshi-finetune's `data.jsonl`), `lhotse` (cuts), `nemo` (JSONL, also the
    duplex form), `json` and `jsonl` (the fields named here), `sidecar` (`path` is audio; the text
    lies beside it as `.lab` or `.txt`).

    Audio is looked for below `audio_root`, else below the manifest's folder; `audio_prefix` is
    taken off the manifest's paths first, `audio_by: name` finds a file by its name alone, and
    `audio_outside: true` allows absolute paths to elsewhere. `user_channel` and `assistant_channel`
    count from 0 (default: the left is the assistant in `moshi`, the user elsewhere). A recording
    longer than `longest_s` becomes several, cut where nobody speaks.
    """

    name: str | None = None
    path: str
    format: Literal["moshi", "lhotse", "nemo", "json", "jsonl", "sidecar"] = "jsonl"
    audio_root: str | None = None
    audio_prefix: str | None = None
    audio_by: Literal["path", "name"] = "path"
    audio_outside: bool = False
    user_channel: int | None = Field(default=None, ge=0)
    assistant_channel: int | None = Field(default=None, ge=0)
    longest_s: float | None = Field(default=None, ge=5)
    roles: dict[str, Literal["user", "assistant", "skip"]] = {}
    id: str | None = None
    audio: str | None = None
    assistant_audio: str | None = None
    offset: str | None = None
    duration: str | None = None
    text: str | None = None
    speaker: str | None = None
    segments: str | None = None
    start: str | None = None
    end: str | None = None
    words: str | None = None
    word: str | None = None
    group: str | None = None
    language: str = "en"
    language_field: str | None = None
    licence: str | None = None
    limit: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def fits_its_format(self) -> RecordingSource:
        named = [n for n in MAPPED if getattr(self, n) is not None]
        if named and self.format not in ("json", "jsonl"):
            raise ValueError(f"`{named[0]}` maps a field of json and jsonl, not of {self.format}")
        if self.user_channel is not None and self.user_channel == self.assistant_channel:
            raise ValueError("user and assistant can't be one channel")
        if self.audio_by == "name" and self.audio_root is None:
            raise ValueError("`audio_by: name` needs `audio_root`, where to look")
        return self


# the fields of a RecordingSource that name a field of the input
MAPPED = (
    "id",
    "audio",
    "assistant_audio",
    "offset",
    "duration",
    "text",
    "speaker",
    "segments",
    "start",
    "end",
    "words",
    "word",
    "group",
    "language_field",
)


class SourceEntry(Record):
    """One entry of `sources`: exactly one of `dialogues`, `trajectories` and `recordings`."""

    dialogues: DialogueSource | None = None
    trajectories: TrajectorySource | None = None
    recordings: RecordingSource | None = None

    @property
    def source(self) -> DialogueSource | TrajectorySource | RecordingSource:
        """The one that is given."""
        found = self.dialogues or self.trajectories or self.recordings
        assert found is not None
        return found

    @model_validator(mode="after")
    def one_of(self) -> SourceEntry:
        given = [x for x in (self.dialogues, self.trajectories, self.recordings) if x is not None]
        if len(given) != 1:
            raise ValueError(
                "an entry has exactly one of `dialogues`, `trajectories` and `recordings`"
            )
        return self
