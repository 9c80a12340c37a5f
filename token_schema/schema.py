"""TokenSchema: the clock, the prompt, the lanes and the codecs of one schema file, together.

Rates and block lengths are exact fractions here, so that "a whole number a block" is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from schemas.base import Record
from schemas.draws import digest
from schemas.errors import StrettoError
from token_schema.models import ActLane, AudioLane, Clock, Lane, LookLane, Name, Prompt

Timing = Literal["blocks", "frames", "turns"]
WORLD = ("listen", "look", "typed")  # what the model perceives; in turns `hear` is read as well


class CodecSpec(Record):
    """Which codec a name stands for: an embedded type to fit, or a real one by name or path."""

    type: Name
    path: str | None = None
    revision: str | None = None
    options: dict[str, Any] = {}


class View(Record):
    """How training sequences are taken from the full stream; `token_schema.views` says what each
    hides.

    `history_blocks`: of a lane only the last so many blocks of a window. `random_start`: a window
    begins at a drawn block. `random_phase_s`: the clock begins up to so much before the sample.
    `crop_s`: the longest window.
    """

    history_blocks: dict[str, Annotated[int, Field(gt=0)]] = {}
    random_start: bool = False
    random_phase_s: float = Field(default=0.0, ge=0, le=60)
    crop_s: float | None = Field(default=None, gt=0)


class Stream(NamedTuple):
    """One stream of the parallel mode: the index of its lane and its place in it."""

    lane: int
    book: int


class TokenSchema(Record):
    """A whole schema. `lanes` follow each other in this order inside every block or step."""

    name: Name
    mode: Literal["interleaved", "parallel"]
    clock: Clock
    prompt: Prompt | None = None
    codecs: dict[Name, CodecSpec] = {}
    lanes: tuple[Lane, ...] = Field(min_length=1)
    view: View = View()

    @cached_property
    def hash(self) -> str:
        """Hex digest of what the schema says of the ids; comments, layout and `view` do not count."""
        return digest(self.model_dump(mode="json", by_alias=True, exclude={"view"}))

    def __hash__(self) -> int:
        return hash(self.hash)  # its mappings have none; equal schemas have equal digests

    @property
    def timing(self) -> Timing:
        """What a block is: a fixed time, a frame of the parallel mode, or a turn."""
        if self.clock.turns:
            return "turns"
        return "frames" if self.mode == "parallel" else "blocks"

    @cached_property
    def block(self) -> Fraction:
        """The block's (or frame's) length in seconds, exact. Turns have none: StrettoError."""
        length_s = self.clock.block_s or self.clock.frame_s
        if length_s is None:
            raise StrettoError("turns have no fixed length", self.name)
        return exact(length_s)

    @property
    def block_s(self) -> float:
        """The block's (or frame's) length in seconds."""
        return float(self.block)

    def lane(self, name: str) -> Lane:
        """The lane of that name. Raises StrettoError."""
        for lane in self.lanes:
            if lane.name == name:
                return lane
        raise StrettoError(
            f"no lane named {name!r}", self.name, "lanes: " + ", ".join(x.name for x in self.lanes)
        )

    def is_input(self, lane: Lane) -> bool:
        """Is the lane what the model perceives? In turns the transcript `hear` is an input too."""
        return lane.channel in WORLD or (lane.channel == "hear" and self.timing == "turns")

    def frame_at(self, lane: AudioLane, b: int) -> int:
        """The first code frame of block b: blocks of a `carry` lane have one more now and then.

        What is heard is waited for, so that the block's outputs know all of it: `listen` takes the
        frame in which the block ends. `speak` leaves it to the next block, which knows of it.
        """
        frames = exact(lane.rate_hz) * self.block * b
        return math.ceil(frames) if lane.channel == "listen" else math.floor(frames)

    def frames_per_block(self, lane: AudioLane) -> int:
        """Code frames of an audio lane in a block (the fewest, where they carry)."""
        return int(exact(lane.rate_hz) * self.block)

    @cached_property
    def streams(self) -> tuple[Stream, ...]:
        """The streams of a step of the parallel mode, in the order of the lanes."""
        return tuple(Stream(i, q) for i, lane in enumerate(self.lanes) for q in range(width(lane)))

    def phase_of(self, name: str) -> int | None:
        """The index of the phase lane that governs the lane of that name, or None."""
        for i, lane in enumerate(self.lanes):
            if lane.channel == "phase" and name in lane.of:
                return i
        return None

    def specials(self) -> tuple[str, ...]:
        """Every special token once: the prompt's, the block's, the turns', then lane by lane."""
        names: list[str | None] = []
        if self.prompt:
            names += [self.prompt.open, self.prompt.close]
        names += [self.clock.open, self.clock.close]
        if turns := self.clock.turns:
            names += [*turns.input, *turns.output, turns.cut]
        for lane in self.lanes:
            names.extend(lane.specials())
        return tuple(dict.fromkeys(n for n in names if n))


def width(lane: Lane) -> int:
    """Streams of a lane in the parallel mode."""
    if isinstance(lane, AudioLane):
        return lane.codebooks
    return lane.streams if isinstance(lane, (LookLane, ActLane)) else 1


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
