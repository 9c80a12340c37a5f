"""The machines of the parallel mode: what each stream of a lane may hold in step b.

`inner` counts the streams of the lane that the step has filled. Text is `text.TextCell`
with room for one token. `RowCell` is one stream of a row of the prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from token_schema.grammar.rules import (
    ABSENT,
    PRESENT,
    Camera,
    Codes,
    Memory,
    Option,
    Rule,
    Token,
    put,
)
from token_schema.tokens import IDLE


@dataclass(frozen=True)
class AudioStep(Rule):
    """Codebook q shows frame b - shifts[q], `pad` before frame 0, `idle` in a silent frame.

    A frame is silent in all codebooks: with `idle` the slot remembers it, newest frame first, from
    the codebook that shows it first until the last one has.
    """

    slot: int
    shifts: tuple[int, ...]
    codes: Codes
    idle: Token | None
    pad: Token | None

    def start(self) -> tuple[bool | None, ...]:
        """What is remembered before the first step; True: it sounds."""
        return (None,) * (max(self.shifts) - min(self.shifts) + 1)

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        q = inner or 0
        if q >= len(self.shifts):
            return []
        sounds = memory[self.slot]
        if not q and self.idle:
            sounds = (None, *sounds[:-1])
            memory = put(memory, self.slot, sounds)
        if b < self.shifts[q]:
            assert self.pad is not None
            return [self.pad.option(IDLE, q + 1, memory)]
        code = self.codes.option(q, "", q + 1, memory)
        if not self.idle:
            return [code]
        age = self.shifts[q] - min(self.shifts)
        quiet = self.idle.option(IDLE, q + 1, self._told(memory, age, False), quiet=True)
        code = code._replace(memory=self._told(memory, age, True))
        return {None: [code, quiet], True: [code], False: [quiet]}[sounds[age]]

    def _told(self, memory: Memory, age: int, sounds: bool) -> Memory:
        return put(memory, self.slot, put(memory[self.slot], age, sounds))

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        return inner == len(self.shifts)

    def whole(self, memory: Memory) -> bool:
        """A frame that sounds is out in every codebook."""
        return not self.idle or not any(memory[self.slot][:-1])


@dataclass(frozen=True)
class LookStep(Rule):
    """An image of `total` codes every `every` steps, row by row over `streams`, then `pad`; or
    `pad` throughout."""

    camera: Camera
    codes: Codes
    total: int
    every: int
    streams: int
    delay: int
    pad: Token

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        j = inner or 0
        if j >= self.streams:
            return []
        at, out = (b - self.delay) % self.every * self.streams + j, []
        shows = b >= self.delay and at < self.total
        here = self.camera.state(memory)
        if shows and here != ABSENT:
            more = f" ({self.total - at} to come)"
            out.append(self.codes.option(0, more, j + 1, self.camera.told(memory, PRESENT)))
        if not shows or here != PRESENT:
            then = self.camera.told(memory, ABSENT) if shows else memory
            out.append(self.pad.option(IDLE, j + 1, then))
        return out

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        return inner == self.streams


@dataclass(frozen=True)
class ActStep(Rule):
    """Rows of `dims` codes in the steps in which they are due, `pad` elsewhere.

    `rate` rows come with each step from step `first` on, and wait where a step is full; the slot
    remembers (rows that wait, all rows are out). Without `rate` any number of rows passes.
    """

    slot: int
    codes: Codes
    dims: int
    streams: int
    first: int
    rate: Fraction | None
    pad: Token

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        j, over = inner or (0, False)
        if j >= self.streams:
            return []
        waits, ended = memory[self.slot]
        due = self._due(b, waits)
        row, at = divmod(j, self.dims)
        shows = not over and not ended and row < due
        out = []
        if shows:
            word = self.codes.option(0, "", (j + 1, False), self._after(memory, j, b))
            out.append(word)
        if not shows or at == 0:
            ends = shows and self.rate is not None
            then = put(memory, self.slot, (0, True)) if ends else self._after(memory, j, b)
            out.append(self.pad.option(IDLE, (j + 1, True), then))
        return out

    def _due(self, b: int, waits: int) -> int:
        """Rows that this step shows, when there are so many."""
        room = self.streams // self.dims
        return room if self.rate is None else min(room, waits + self._new(b))

    def _new(self, b: int) -> int:
        """Row k is due in step first + floor(k / rate)."""
        assert self.rate is not None
        return self._until(b + 1) - self._until(b)

    def _until(self, b: int) -> int:
        steps = max(0, b - self.first)
        assert self.rate is not None
        return -(-steps * self.rate.numerator // self.rate.denominator)

    def _after(self, memory: Memory, j: int, b: int) -> Memory:
        waits, ended = memory[self.slot]
        if ended or self.rate is None or j + 1 < self.streams:
            return memory
        return put(memory, self.slot, (waits + self._new(b) - self._due(b, waits), False))

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        return inner is not None and inner[0] == self.streams

    def whole(self, memory: Memory) -> bool:
        return not memory[self.slot][0]


@dataclass(frozen=True)
class RowCell(Rule):
    """One stream of one row of the prompt: one of these tokens or codes. `closes` is the token
    that ends the region: the slot then remembers it."""

    choices: tuple[tuple[Token | Codes, int], ...]
    book: int = 0
    slot: int = -1
    closes: Token | None = None

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        if inner:
            return []
        out = []
        for what, kind in self.choices:
            if isinstance(what, Codes):
                option = what.option(self.book, "", True, memory)
            else:
                then = put(memory, self.slot, True) if what == self.closes else memory
                option = what.option(kind, True, then)
            out.append(option)
        return out

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        return bool(inner)
