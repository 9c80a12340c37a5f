"""The clock of the parallel mode: the steps of one sample, and what is known in each.

A step emits its output streams first and takes in its input streams after: what is emitted in step
t rests on what was heard by its start, t * frame_s, less the frames by which listening comes late.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from schemas.timeline import Timeline
from token_schema.codec_set import CodecSet
from token_schema.models import AudioLane, Lane
from token_schema.schema import TokenSchema

EPS = 1e-9  # times are rounded to the microsecond; this only absorbs float division
Ids = NDArray[np.int32]


@dataclass(frozen=True)
class LaneStreams:
    """The streams of one lane over T steps: `ids` int32 [T, w]; `idle` bool [T, w]: of class idle.

    `reach_s` float64 [T, w] (inputs only): the latest world time that an id shows.
    """

    ids: Ids
    idle: NDArray[np.bool_]
    reach_s: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Grid:
    """The steps of one sample."""

    schema: TokenSchema
    codecs: CodecSet
    timeline: Timeline

    @cached_property
    def own(self) -> int:
        """Steps that the sample's own length fills, the last one padded."""
        return max(1, math.ceil(self.timeline.duration_s / self.schema.block_s - 1e-6))

    @cached_property
    def late(self) -> int:
        """Frames by which what is heard comes late: the smallest shift of a listen stream."""
        lanes = (x for x in self.schema.lanes if x.channel == "listen")
        return min((min(self.shifts(x)) for x in lanes), default=0)  # type: ignore[arg-type]

    def shifts(self, lane: AudioLane) -> tuple[int, ...]:
        """By how many steps the code of a frame comes later, in each codebook: the lane's delay,
        the codebook's, and what the codec must hear beyond the frame. Raises StrettoError."""
        ahead_s = self.codecs.get(lane.codec).lookahead_s
        ahead = math.ceil(ahead_s * lane.rate_hz - EPS)
        delays = lane.delays or (0,) * lane.codebooks
        out = tuple(lane.delay + d + ahead for d in delays)
        if any(out) and not lane.pad:
            raise StrettoError(
                f"codec {lane.codec!r} looks ahead by {ahead_s:g} s: its codes come later",
                f"{self.schema.name}: lane {lane.name}",
                "give the lane a `pad` token for its first steps",
            )
        return out

    @cached_property
    def _times(self) -> list[float]:
        """`at` of the first steps: the placer asks four times a step."""
        return [self._at(step) for step in range(self.own + 2)]

    def _at(self, step: int) -> float:
        block = self.schema.block
        return round(step * block.numerator / block.denominator, 6)

    def at(self, step: int) -> float:
        """Start of a step, rounded as Timelines are."""
        times = self._times
        return times[step] if step < len(times) else self._at(step)

    def known_s(self, step: int) -> float:
        """World time that the outputs of a step know of."""
        return self.at(step - self.late) if step > self.late else 0.0

    def starts(self, n_steps: int) -> NDArray[np.float64]:
        """`at` of steps 0 .. n_steps - 1."""
        more = range(len(self._times), n_steps)
        return np.array([*self._times[:n_steps], *map(self._at, more)], np.float64)

    def first_knowing(self, time_s: float) -> int:
        """The first step whose outputs know of a world time."""
        if time_s <= 0:
            return 0
        return math.ceil(time_s * float(1 / self.schema.block) - 1e-6) + self.late

    def id(self, token: str | None) -> int:
        """The id of a special token."""
        assert token is not None
        return self.codecs.vocabulary.id(token)

    def where(self, lane: Lane) -> str:
        return f"{self.timeline.key}: lane {lane.name}"


def later(
    ids: Ids, idle: NDArray[np.bool_], steps: int, fill: int
) -> tuple[Ids, NDArray[np.bool_]]:
    """Rows [T, w] moved down by so many steps, `fill` (of class idle) before them; T stays."""
    if not steps:
        return ids, idle
    head = min(steps, len(ids))
    moved, quiet = np.full_like(ids, fill), np.ones_like(idle)
    moved[head:], quiet[head:] = ids[: len(ids) - head], idle[: len(ids) - head]
    return moved, quiet
