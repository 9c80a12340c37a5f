"""What every record shares: frozen pydantic models that refuse unknown fields and non-finite numbers."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

KEY_PATTERN = r"^[a-z0-9-]+$"

Seconds = Annotated[float, Field(ge=0, description="seconds from the sample's start")]


class Record(BaseModel):
    """Frozen, closed and finite: NaN would become `null` in JSON and then mean something else."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def to_json(self) -> str:
        """Compact JSON, fields in the order they are declared, so equal records are equal bytes."""
        return self.model_dump_json(exclude_none=True)


def slug(text: str, fallback: str = "x") -> str:
    """`text` as a part of a key: lower-case ASCII letters, digits and single dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or fallback


def seconds(samples: int, sample_rate_hz: int) -> float:
    """A sample position as seconds, rounded to the microsecond: the same text in every JSON."""
    return round(samples / sample_rate_hz, 6)
