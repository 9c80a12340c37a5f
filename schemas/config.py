"""The config of a corpus: one YAML file, checked here. Unknown keys are refused with the nearest.

`Config.from_mapping(data, where)` turns a parsed YAML mapping into a frozen Config or raises a
StrettoError that names the field. Reading the file is the caller's job (`jobs.config_file`).
"""

from __future__ import annotations

import difflib
import types
import typing
from typing import Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from schemas.base import KEY_PATTERN, Record
from schemas.errors import StrettoError

# a user who goes on resumes 0.05 s before the assistant would speak: below this no pause is left
MIN_WAIT_S = 0.1


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


Rate = typing.Annotated[float, Field(ge=0, le=1)]


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"the low bound {bounds[0]:g} is above the high bound {bounds[1]:g}")
    return bounds


Wait = typing.Annotated[float, Field(ge=0, le=60)]
Bounds = typing.Annotated[tuple[Wait, Wait], AfterValidator(_rising)]
RateBounds = typing.Annotated[tuple[Rate, Rate], AfterValidator(_rising)]


def _patient(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] < MIN_WAIT_S:
        raise ValueError(
            f"the assistant must wait at least {MIN_WAIT_S:g} s, or it talks over pauses"
        )
    return bounds


Patience = typing.Annotated[Bounds, AfterValidator(_patient)]


class SceneConfig(Record):
    """Behaviours and their rates. Times in seconds; defaults from `docs/scenes.md`.

    `barge_in_rate`: share of user turns after a long assistant turn that barge in on it (a turn the
    record marks with `interrupts` always does). `backchannel_rate`: share of unfinished stretches of
    a user turn that the assistant answers with a backchannel.
    """

    barge_in_rate: Rate = 0.1
    barge_in_at: RateBounds = (0.25, 0.75)
    barge_in_min_words: int = Field(default=8, gt=0)
    reaction_s: Bounds = (0.2, 0.4)
    fade_s: float = Field(default=0.15, ge=0.001, le=5)
    backchannel_rate: Rate = 0.3
    reply_gap_s: Patience = (0.25, 0.7)
    patience_s: Patience = (1.6, 2.2)
    speak_lead_s: float = Field(default=0.1, ge=0, le=5)
    write_chars_per_s: float = Field(default=24.0, gt=0)
    start_s: Bounds = (0.3, 1.0)
    max_turn_chars: int = Field(default=4000, gt=0)
    max_duration_s: float = Field(default=600.0, gt=0)


class SpeechConfig(Record):
    """Who speaks. `sample_rate_hz` is the corpus's rate; a FLAC is 16-bit mono at this rate."""

    backend: str = "espeak"
    sample_rate_hz: Literal[8000, 16000, 22050, 24000, 44100, 48000] = 16000
    cache: str | None = None


class AnnotatorConfig(Record):
    """Who labels every second."""

    backend: Literal["rules"] = "rules"


class ChecksConfig(Record):
    """Checks of finished samples that measure, and write `checks/*.jsonl` beside the shards.

    `vad`: does silero-vad find speech where the Timeline says so? On `vad_share` of the samples (a
    keyed draw). true refuses the run where it can't be run; unset runs it where it is installed and
    reports `not_run` elsewhere.
    """

    vad: bool | None = None
    vad_share: Rate = 0.05


class CodecsConfig(Record):
    """Sizes of the codecs that `stretto fit` makes. Shards do not depend on them.

    A vocabulary wants data: each id should occur a few hundred times in the train split, or a small
    model meets ids in the held-out split that it never saw.
    """

    text_vocab: int = Field(default=2048, ge=300)
    action_vocab: int = Field(default=1024, ge=64)
    action_scale: int = Field(default=20, gt=0)
    audio_entries: int = Field(default=256, ge=2)
    image_entries: int = Field(default=512, ge=2)


class ShardsConfig(Record):
    """Samples a shard, and the share of source groups that goes to `val` and `test`."""

    samples: int = Field(default=64, gt=0)
    val_share: Rate = 0.1
    test_share: Rate = 0.0

    @model_validator(mode="after")
    def leaves_some_for_train(self) -> ShardsConfig:
        if self.val_share + self.test_share >= 1:
            raise ValueError("val_share and test_share leave nothing for train")
        return self


class VideoConfig(Record):
    """How frames are stored. MJPEG quality is FFmpeg's qscale: 2 is best, 31 worst."""

    codec: Literal["mjpeg", "av1"] = "mjpeg"
    quality: int = Field(default=3, ge=2, le=31)


class Config(Record):
    """A corpus. The same config, inputs and versions give the same bytes."""

    name: str = Field(pattern=KEY_PATTERN)
    seed: int = Field(default=0, ge=0)
    sources: tuple[SourceEntry, ...] = Field(min_length=1)
    scene: SceneConfig = SceneConfig()
    speech: SpeechConfig = SpeechConfig()
    annotator: AnnotatorConfig = AnnotatorConfig()
    checks: ChecksConfig = ChecksConfig()
    shards: ShardsConfig = ShardsConfig()
    video: VideoConfig = VideoConfig()
    codecs: CodecsConfig = CodecsConfig()
    schema_name: str = Field(default="ellsa", alias="schema")

    @field_validator("sources")
    @classmethod
    def distinct_names(cls, entries: tuple[SourceEntry, ...]) -> tuple[SourceEntry, ...]:
        names = [name for e in entries if (name := (e.dialogues or e.trajectories).name)]  # type: ignore[union-attr]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"two sources are named {twice[0]!r}")
        return entries

    @classmethod
    def from_mapping(cls, data: Any, where: str) -> Config:
        """Check a parsed YAML document. Raises StrettoError naming the first wrong field."""
        if not isinstance(data, dict):
            raise StrettoError(
                "the config is not a mapping", where, "write `name:`, `sources:` ..."
            )
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise config_error(cls, error, where) from None


def config_error(model: type[BaseModel], error: ValidationError, where: str) -> StrettoError:
    """The first fault of a validation as one line, with the nearest known key for an unknown one."""
    # an unknown key often causes further faults: it is the one to name
    faults = sorted(error.errors(), key=lambda f: f["type"] != "extra_forbidden")
    fault = faults[0]
    path = [str(p) for p in fault["loc"]]
    field = ".".join(path)
    if fault["type"] != "extra_forbidden" and not path:
        return StrettoError(fault["msg"].removeprefix("Value error, "), where)
    if fault["type"] != "extra_forbidden":
        return StrettoError(
            f"{fault['msg'].removeprefix('Value error, ')} (got {_short(fault['input'])})",
            f"{where}: {field}",
        )
    known = known_keys(model, fault["loc"][:-1])
    near = difflib.get_close_matches(path[-1], known, n=1)
    fix = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
    return StrettoError(f"unknown key `{path[-1]}`", f"{where}: {field}", fix)


def known_keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys allowed at `path` below `model`, as a user would write them."""
    kind: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        fields = {f.alias or n: f.annotation for n, f in getattr(kind, "model_fields", {}).items()}
        kind = _inner_model(fields.get(part, kind))
    return [f.alias or n for n, f in getattr(kind, "model_fields", {}).items()]


def _inner_model(annotation: Any) -> Any:
    """The record class inside `X | None`, `tuple[X, ...]` and the like."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation
    inner = [_inner_model(a) for a in typing.get_args(annotation) if a is not type(None)]
    models = [i for i in inner if isinstance(i, type) and issubclass(i, BaseModel)]
    return models[0] if models else annotation


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
