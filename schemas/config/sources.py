"""`sources:` of a config: dialogues, trajectories; where they lie and which field holds what."""

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


class SourceEntry(Record):
    """One entry of `sources`: exactly one of `dialogues` and `trajectories`."""

    dialogues: DialogueSource | None = None
    trajectories: TrajectorySource | None = None

    @model_validator(mode="after")
    def one_of(self) -> SourceEntry:
        if (self.dialogues is None) == (self.trajectories is None):
            raise ValueError("an entry has exactly one of `dialogues` and `trajectories`")
        return self
