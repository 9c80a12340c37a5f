"""The config of a training run: one YAML file, checked here. `docs/training.md` explains each key.

`TrainConfig.from_mapping(data, where)` gives a frozen config or a StrettoError naming the field.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from schemas.base import Record
from schemas.config import config_error
from schemas.draws import digest
from schemas.errors import StrettoError


class ModelConfig(Record):
    """The decoder's sizes. `ffn` None is 8/3 of `dim`, rounded up to 32."""

    dim: int = Field(default=128, gt=0)
    layers: int = Field(default=4, gt=0)
    heads: int = Field(default=4, gt=0)
    kv_heads: int | None = Field(default=None, gt=0)
    ffn: int | None = Field(default=None, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    rope_theta: float = Field(default=10000.0, gt=0)

    @model_validator(mode="after")
    def heads_divide(self) -> ModelConfig:
        if self.dim % self.heads or (self.dim // self.heads) % 2:
            raise ValueError(f"dim {self.dim} / heads {self.heads} must be an even whole number")
        if self.kv_heads and self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} is no multiple of kv_heads {self.kv_heads}")
        return self


class OptimConfig(Record):
    """AdamW, linear warm-up, cosine down to `lr * min_lr_share` at the last step."""

    lr: float = Field(default=2e-3, gt=0)
    min_lr_share: float = Field(default=0.1, ge=0, le=1)
    warmup: int = Field(default=20, ge=0)
    weight_decay: float = Field(default=0.1, ge=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    grad_clip: float = Field(default=1.0, gt=0)


class TrainConfig(Record):
    """A training run. The same config and corpus give the same losses on the same machine."""

    corpus: str
    out: str
    schema_name: str = Field(default="ellsa", alias="schema")
    view: Literal["schema", "full"] = "schema"
    codecs: str | None = None
    split: str = "train"
    eval_split: str = "val"
    subset: str | None = None
    languages: tuple[str, ...] = ()
    seed: int = Field(default=0, ge=0)
    steps: int = Field(default=50, gt=0)
    context: int = Field(default=1024, ge=16)
    batch_rows: int = Field(default=4, gt=0)
    accumulate: int = Field(default=1, gt=0)
    lookahead: int = Field(default=16, gt=0)
    model: ModelConfig = ModelConfig()
    optim: OptimConfig = OptimConfig()
    log_every: int = Field(default=1, gt=0)
    eval_every: int = Field(default=0, ge=0)
    eval_samples: int = Field(default=32, ge=0)
    checkpoint_every: int = Field(default=100, gt=0)
    keep: int = Field(default=2, gt=0)
    resume: Literal["auto", "never"] = "auto"
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    workers: int = Field(default=1, ge=0)
    prefetch: int = Field(default=4, gt=0)
    cache_mb: int = Field(default=256, ge=0)

    @field_validator("out")
    @classmethod
    def is_local(cls, out: str) -> str:
        if "://" in out:
            raise ValueError("checkpoints are written to this machine: give a local path")
        return out

    @classmethod
    def from_mapping(cls, data: Any, where: str) -> TrainConfig:
        """Check a parsed YAML document. Raises StrettoError naming the first wrong field."""
        if not isinstance(data, dict):
            raise StrettoError("the config is not a mapping", where, "write `corpus:`, `out:` ...")
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise config_error(cls, error, where) from None

    def identity(self) -> dict[str, Any]:
        """The settings that shape the losses: a checkpoint made with others is not resumed.

        `steps` may grow (the schedule then follows the new length); how often to log, evaluate and
        keep, the device and the number of workers are free. `batch_rows` is for each rank.
        """
        free = {
            "corpus",
            "out",
            "codecs",
            "steps",
            "log_every",
            "eval_every",
            "eval_samples",
            "eval_split",
            "checkpoint_every",
            "keep",
            "resume",
            "device",
            "dtype",
            "compile",
            "workers",
            "prefetch",
            "cache_mb",
        }
        return self.model_dump(mode="json", exclude=free)

    def digest(self) -> str:
        """A short digest of `identity`."""
        return digest(self.identity(), size=8)
