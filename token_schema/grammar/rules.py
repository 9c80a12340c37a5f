"""The small machines of the grammar: for each lane what may come next inside its content.

A rule is asked with three things: `inner`, how far its content is (None at its begin); `memory`,
what all lanes remember from block to block, one slot a lane; and `b`, the block. It answers with
Options; `token_schema.grammar.program` puts the rules of all lanes one behind the other. What all rules
are made of is here; see `text`, `blocks`, `steps`, `turns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from token_schema.tokens import CLOSE, CONTENT, OPEN

Memory = tuple[Any, ...]
UNKNOWN, PRESENT, ABSENT = 0, 1, 2  # is there a camera, a robot: the first block tells
PHASE_IDLE, PHASE_ALIVE, PHASE_OWES = 0, 1, 2  # owes: active, and nothing has come of it yet
NO, YES, DUE, MAYBE = range(4)  # is a text event begun and not ended; DUE: an id of it comes next


class Option(NamedTuple):
    """The ids [first, stop) (of them `members`, where given) may come, called `word` in errors.

    `inner` and `memory` are what stands then. `quiet`: it says that nothing is there. `lane`: where
    it is not the rule's own.
    """

    first: int
    stop: int
    word: str
    kind: int
    inner: Any
    memory: Memory
    quiet: bool = False
    members: frozenset[int] | None = None
    lane: int | None = None


@dataclass(frozen=True)
class Rule:
    """What every rule answers. `lane` is its index in the schema, 255 for what belongs to none."""

    lane: int

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        """What may come next in its content."""
        raise NotImplementedError

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        """May its content end here?"""
        raise NotImplementedError

    def leave(self, inner: Any, memory: Memory) -> Memory:
        """What is remembered once its content has ended."""
        return memory

    def closed(self, inner: Any) -> bool:
        """Does its last token stand in place of the lane's `close`?"""
        return False

    def whole(self, memory: Memory) -> bool:
        """May the sequence end, as far as this lane is concerned?"""
        return True


def put(memory: Memory, slot: int, value: Any) -> Memory:
    """The memory with another value in one slot."""
    if memory[slot] == value:
        return memory
    return (*memory[:slot], value, *memory[slot + 1 :])


@dataclass(frozen=True)
class Token:
    """A special token: its id and its name."""

    id: int
    name: str

    def option(self, kind: int, inner: Any, memory: Memory, quiet: bool = False) -> Option:
        return Option(self.id, self.id + 1, self.name, kind, inner, memory, quiet)


@dataclass(frozen=True)
class Codes:
    """The ids of a codec: `start` of codebook 0, `entries` of each."""

    codec: str
    start: int
    entries: int
    books: int = 1

    def option(self, q: int, more: str, inner: Any, memory: Memory) -> Option:
        """A code of codebook q. `more` says in an error how many are to come."""
        first = self.start + q * self.entries
        book = f" of codebook {q}" if self.books > 1 else ""
        word = f"a code of {self.codec!r}{book}{more}"
        return Option(first, first + self.entries, word, CONTENT, inner, memory)


@dataclass(frozen=True)
class OneToken(Rule):
    """A boundary token."""

    token: Token
    kind: int

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        return [] if inner else [self.token.option(self.kind, True, memory)]

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        return bool(inner)


def opens(lane: int, token: Token) -> OneToken:
    return OneToken(lane, token, OPEN)


def closes(lane: int, token: Token) -> OneToken:
    return OneToken(lane, token, CLOSE)


@dataclass(frozen=True)
class Camera:
    """Is a camera there? Cameras have numbers: one with a `higher` one is, without a `lower` one is
    not."""

    slot: int
    lower: tuple[int, ...] = ()
    higher: tuple[int, ...] = ()

    def state(self, memory: Memory) -> int:
        if any(memory[i] == ABSENT for i in self.lower):
            return ABSENT
        return PRESENT if any(memory[i] == PRESENT for i in self.higher) else memory[self.slot]

    def told(self, memory: Memory, state: int) -> Memory:
        return put(memory, self.slot, state)
