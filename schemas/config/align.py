"""`align:` of a config: who finds the word times of speech that comes without them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from schemas.base import Record
from schemas.config.bounds import Rate


class AlignConfig(Record):
    """Word times for speech whose engine knows none (espeak-ng's are its own: nothing is aligned).

    `ctc` aligns with the `transformers` CTC model `model` (a folder or a hub name at `revision`) on
    `device`; `romanise` spells the text in Latin letters first, as MMS aligners want it. An
    utterance that scores below `min_score` (0 to 1), or that can't be aligned, is estimated by
    `fallback: duration` or goes to quarantine with `none`. `duration` estimates all from the length
    of the sound. `auto`: `ctc` where a model is named, else `duration`.
    """

    backend: Literal["auto", "ctc", "duration"] = "auto"
    model: str | None = Field(default=None, min_length=1)
    revision: str | None = Field(default=None, min_length=1)
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    romanise: bool = False
    min_score: Rate = 0.1
    fallback: Literal["duration", "none"] = "duration"

    @property
    def resolved(self) -> Literal["ctc", "duration"]:
        """The backend that `auto` stands for."""
        if self.backend == "auto":
            return "ctc" if self.model else "duration"
        return self.backend

    @model_validator(mode="after")
    def model_fits_backend(self) -> AlignConfig:
        if self.resolved == "ctc" and not self.model:
            raise ValueError("`backend: ctc` needs a `model`: a folder or a hub name")
        if self.resolved == "duration" and (self.model or self.revision or self.romanise):
            raise ValueError("`model`, `revision` and `romanise` are for `backend: ctc`")
        return self
