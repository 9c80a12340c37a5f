"""What a schema file may say: its clock, its prompt and its lanes, as frozen models.

`language` reads them from YAML and checks what no single field shows; `docs/schemas.md` explains
each field. Rates and block lengths are exact fractions here, so that "a whole number a block" is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from schemas.base import Record
from schemas.draws import digest
from schemas.errors import StrettoError

TOKEN_CLASSES = ("content", "idle", "open", "close")

TokenName = Annotated[str, Field(pattern=r"^<[a-z][a-z0-9_]*>$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
Weight = Annotated[float, Field(ge=0)]


class Loss(Record):
    """Loss weights by token class. In YAML one number stands for all four."""

    content: Weight = 0.0
    idle: Weight = 0.0
    open: Weight = 0.0
    close: Weight = 0.0

    @model_validator(mode="before")
    @classmethod
    def from_number(cls, value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return dict.fromkeys(TOKEN_CLASSES, value)
        return value

    def weights(self) -> tuple[float, ...]:
        """In the order of TOKEN_CLASSES."""
        return (self.content, self.idle, self.open, self.close)


class Clock(Record):
    """The block, and what happens to text still queued when the audio ends.

    `extend` adds blocks that listen to silence until the queue is empty; `drop` counts the rest as
    dropped.
    """

    block_s: float = Field(gt=0, le=60)
    tail: Literal["extend", "drop"] = "extend"


class Prompt(Record):
    """The head of the sequence: fields of the Timeline's context, one a line."""

    open: TokenName
    close: TokenName
    take: tuple[Literal["system", "role", "task", "tools", "embodiment"], ...] = (
        "system",
        "role",
        "tools",
    )
    codec: Name = "text"
    loss: Loss = Loss()


class LaneBase(Record):
    """What every lane has. `name` tells two lanes of one channel apart (default: the channel)."""

    name: str = ""
    open: TokenName
    close: TokenName
    loss: Loss = Loss()

    def specials(self) -> tuple[str, ...]:
        """The lane's special tokens in the order in which they get their ids."""
        extra = (getattr(self, field, None) for field in ("idle", "end", "cut"))
        return (self.open, self.close, *(t for t in extra if t))


class AudioLane(LaneBase):
    """`listen` or `speak` as codes: `rate_hz` frames a second, `codebooks` codes in each.

    `idle` (speak only) is the one token of a block in which the agent does not speak; without it
    such a block is written in the codes of its silence.
    """

    channel: Literal["listen", "speak"]
    as_: Literal["codes"] = Field(alias="as")
    codec: Name = "audio"
    rate_hz: float = Field(gt=0)
    codebooks: int = Field(default=1, ge=1, le=32)
    idle: TokenName | None = None

    @model_validator(mode="after")
    def never_deaf(self) -> AudioLane:
        if self.channel == "listen" and self.idle:
            raise ValueError("`listen` has no `idle`: the model cannot know that a block is silent")
        return self


class LookLane(LaneBase):
    """`look` as codes: `frames` evenly spaced frames a block of `camera` (default: the first)."""

    channel: Literal["look"]
    as_: Literal["codes"] = Field(alias="as")
    codec: Name = "image"
    camera: str | None = None
    frames: int = Field(default=1, ge=1, le=60)


class TextLane(LaneBase):
    """A text view, first in, first out: `budget` tokens a block, what is over spills to the next.

    `idle` is the one token of a block with nothing to emit, `end` closes an event that was emitted
    whole, `cut` one whose rest a barge-in dropped; both count in the budget.
    """

    channel: Literal["think", "write", "say"]
    as_: Literal["text"] = Field(alias="as")
    codec: Name = "text"
    budget: int = Field(gt=0, le=4096)
    placement: Literal["fifo"] = "fifo"
    idle: TokenName
    end: TokenName
    cut: TokenName


class ActLane(LaneBase):
    """`act` as codes of all steps of the block. `idle` is the one token of a block that holds.

    The codec is fitted once per embodiment: CODEC-SUBSET (`action-gr1`), one id range for all.
    """

    channel: Literal["act"]
    as_: Literal["codes"] = Field(alias="as")
    codec: Name = "action"
    idle: TokenName | None = None


Lane = AudioLane | LookLane | TextLane | ActLane
LANES: dict[str, type[LaneBase]] = {
    "listen": AudioLane,
    "look": LookLane,
    "think": TextLane,
    "write": TextLane,
    "say": TextLane,
    "speak": AudioLane,
    "act": ActLane,
}


class TokenSchema(Record):
    """A whole schema. `lanes` follow each other in this order inside every block."""

    name: Name
    mode: Literal["interleaved"]
    clock: Clock
    prompt: Prompt
    lanes: tuple[Lane, ...] = Field(min_length=1)

    @cached_property
    def hash(self) -> str:
        """Hex digest of what the schema says; comments and layout of the file do not count."""
        return digest(self.model_dump(mode="json", by_alias=True))

    @property
    def block(self) -> Fraction:
        """The block's length in seconds, exact."""
        return exact(self.clock.block_s)

    def lane(self, name: str) -> Lane:
        """The lane of that name. Raises StrettoError."""
        for lane in self.lanes:
            if lane.name == name:
                return lane
        raise StrettoError(
            f"no lane named {name!r}", self.name, "lanes: " + ", ".join(x.name for x in self.lanes)
        )

    def frames_per_block(self, lane: AudioLane) -> int:
        """Code frames of an audio lane in a block."""
        return int(exact(lane.rate_hz) * self.block)

    def specials(self) -> tuple[str, ...]:
        """Every special token once, in the order of declaration."""
        names = [self.prompt.open, self.prompt.close]
        for lane in self.lanes:
            names.extend(lane.specials())
        return tuple(dict.fromkeys(names))


def exact(value: float) -> Fraction:
    """A rate or a length as the fraction that was meant: 0.08 is 2/25, 29.97003 is 30000/1001."""
    return Fraction(value).limit_denominator(2000)


def fitting_blocks(rates: Iterable[Fraction], near: Fraction, count: int = 4) -> list[Fraction]:
    """The block lengths nearest to `near` in which every rate gives a whole number.

    They are the multiples of the least common multiple of 1/rate.
    """
    step = Fraction(1)
    for i, rate in enumerate(rates):
        period = 1 / rate
        top = math.lcm(step.numerator, period.numerator)
        step = period if i == 0 else Fraction(top, math.gcd(step.denominator, period.denominator))
    first = max(1, round(near / step) - 1)
    return [step * k for k in range(first, first + count)]
