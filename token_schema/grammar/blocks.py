"""The machines of a block: audio, look, act and phase. Text is in `text`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from token_schema.grammar.rules import (
    ABSENT,
    DUE,
    NO,
    PHASE_ALIVE,
    PHASE_IDLE,
    PHASE_OWES,
    PRESENT,
    YES,
    Camera,
    Codes,
    Memory,
    Option,
    Rule,
    Token,
    put,
)
from token_schema.tokens import CONTENT, IDLE


@dataclass(frozen=True)
class AudioBlock(Rule):
    """`total(b)` positions of block b: codes (codebook by codebook) or the token `slot`.

    `pads(b)` of them come first as `pad`, where a delay leaves nothing to say. One `idle` stands
    for a whole block in which nothing sounds; a block of nothing but pads cannot sound.
    """

    total: Callable[[int], int]
    pads: Callable[[int], int]
    codes: Codes | None = None
    slot: Token | None = None
    idle: Token | None = None
    pad: Token | None = None
    books: int = 1

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        at, total, pads = inner or 0, self.total(b), self.pads(b)
        if inner == -1:
            return []
        quiet = [self.idle.option(IDLE, -1, memory, quiet=True)] if self.idle and not at else []
        if self.idle and pads >= total:
            return quiet
        if at >= total:
            return []
        return [self._position(at, total, pads, memory), *quiet]

    def _position(self, at: int, total: int, pads: int, memory: Memory) -> Option:
        if at < pads and self.pad:
            return self.pad.option(IDLE, at + 1, memory)
        if self.slot:
            return self.slot.option(CONTENT, at + 1, memory)
        assert self.codes is not None
        return self.codes.option(at % self.books, f" ({total - at} to come)", at + 1, memory)

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        if inner == -1:
            return True
        return (inner or 0) >= self.total(b) and bool(inner or not self.idle)


@dataclass(frozen=True)
class LookBlock(Rule):
    """`total` codes in every block, or none in any."""

    codes: Codes
    total: int
    camera: Camera

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        at = inner or 0
        if at >= self.total or self.camera.state(memory) == ABSENT:
            return []
        then = self.camera.told(memory, PRESENT)
        return [self.codes.option(0, f" ({self.total - at} to come)", at + 1, then)]

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        return (inner or 0) >= self.total or (not inner and self.camera.state(memory) != PRESENT)

    def leave(self, inner: Any, memory: Memory) -> Memory:
        return memory if inner else self.camera.told(memory, ABSENT)


@dataclass(frozen=True)
class ActBlock(Rule):
    """Action codes of `coefficients` numbers in a block, or one `idle`, or none in any block.

    `lengths` gives the ids that hold so many numbers; without it any number of codes passes. An
    `idle` repeats the row before its block, so a robot's first block has none.
    """

    codes: Codes
    here: int
    idle: Token | None
    coefficients: int = 0
    lengths: tuple[tuple[int, frozenset[int]], ...] | None = None

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        if inner == -1 or memory[self.here] == ABSENT:
            return []
        at, then = inner or 0, put(memory, self.here, PRESENT)
        quiet = []
        if self.idle and not at and memory[self.here] == PRESENT:
            quiet = [self.idle.option(IDLE, -1, memory, quiet=True)]
        if self.lengths is None:
            return [self.codes.option(0, "", 1, then), *quiet]
        left = self.coefficients - at
        word = f"action codes of {left} more coefficients"
        stop = self.codes.start + self.codes.entries
        fitting = ((n, ids) for n, ids in self.lengths if 0 < n <= left)
        return [
            *(
                Option(self.codes.start, stop, word, CONTENT, at + n, then, members=ids)
                for n, ids in fitting
            ),
            *quiet,
        ]

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        if inner is None:
            return memory[self.here] != PRESENT
        return inner == -1 or self.lengths is None or inner >= self.coefficients

    def leave(self, inner: Any, memory: Memory) -> Memory:
        return memory if memory[self.here] else put(memory, self.here, ABSENT)


@dataclass(frozen=True)
class Phase(Rule):
    """`active` or `idle`. It is active while an event of a lane in `texts` (slots) is under way;
    with `owes` a lane that it governs must then show that there was something."""

    slot: int
    idle: Token
    active: Token
    texts: tuple[int, ...]
    owes: bool

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        if inner:
            return []
        going = [memory[i][0] for i in self.texts]
        owes = self.owes and all(g == NO for g in going)
        then = put(memory, self.slot, PHASE_OWES if owes else PHASE_ALIVE)
        out = [self.active.option(CONTENT, True, then)]
        if not any(g in (YES, DUE) for g in going):
            out.append(self.idle.option(IDLE, True, put(memory, self.slot, PHASE_IDLE)))
        return out

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        return bool(inner)


def by_length(pieces: list[int], start: int) -> tuple[tuple[int, frozenset[int]], ...]:
    """For each number of coefficients the global ids that hold as many; `pieces[i]` is that of i."""
    sets: dict[int, set[int]] = {}
    for i, n in enumerate(pieces):
        sets.setdefault(n, set()).add(start + i)
    return tuple((n, frozenset(ids)) for n, ids in sorted(sets.items()))
