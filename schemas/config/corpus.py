"""The config of a corpus: one YAML file, checked here. Unknown keys are refused with the nearest.

`Config.from_mapping(data, where)` turns a parsed YAML mapping into a frozen Config or raises a
StrettoError that names the field. Reading the file is the caller's job (`jobs.config_file`).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from schemas.base import KEY_PATTERN, Record
from schemas.config.acoustics import AcousticsConfig
from schemas.config.align import AlignConfig
from schemas.config.bounds import Rate
from schemas.config.checks import ChecksConfig
from schemas.config.faults import config_error
from schemas.config.scene import SceneConfig
from schemas.config.sources import SourceEntry
from schemas.config.speech import SpeechConfig
from schemas.config.text import TextConfig
from schemas.errors import StrettoError


class AnnotatorConfig(Record):
    """Who labels every second."""

    backend: Literal["rules"] = "rules"


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
    text: TextConfig = TextConfig()
    speech: SpeechConfig = SpeechConfig()
    align: AlignConfig = AlignConfig()
    acoustics: AcousticsConfig = AcousticsConfig()
    annotator: AnnotatorConfig = AnnotatorConfig()
    checks: ChecksConfig = ChecksConfig()
    shards: ShardsConfig = ShardsConfig()
    video: VideoConfig = VideoConfig()
    codecs: CodecsConfig = CodecsConfig()
    schema_name: str = Field(default="ellsa", alias="schema")

    @field_validator("sources")
    @classmethod
    def distinct_names(cls, entries: tuple[SourceEntry, ...]) -> tuple[SourceEntry, ...]:
        names = [name for e in entries if (name := e.source.name)]
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
