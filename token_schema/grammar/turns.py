"""The machines of turns: content of any length, and a turn that the world may cut.

A cut ends an output turn at one place (`turns_output`): the content there is a prefix of the plan,
the lanes behind it are empty, and `cut` stands in place of the turn's close. The slot `over`
remembers that only this can follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from token_schema.grammar.rules import DUE, MAYBE, NO, YES, Codes, Memory, Option, Rule, Token, put
from token_schema.grammar.text import TextMarks
from token_schema.tokens import CLOSE, CONTENT

CUT = -1  # how a text lane stands behind its `cut`


@dataclass(frozen=True)
class TurnEnd(Rule):
    """The close of an output turn, or `cut`."""

    close: Token
    cut: Token
    over: int

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        if inner:
            return []
        fresh = put(memory, self.over, False)
        out = [self.cut.option(CLOSE, True, fresh)]
        return out if memory[self.over] else [self.close.option(CLOSE, True, fresh), *out]

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        return bool(inner)


@dataclass(frozen=True)
class AudioTurn(Rule):
    """Whole frames: codes of every codebook, or the token `slot`. `inner` is the next codebook."""

    over: int
    codes: Codes | None
    slot: Token | None
    books: int

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        if memory[self.over]:
            return []
        return [self.position(inner or 0, memory)]

    def position(self, at: int, memory: Memory) -> Option:
        if self.slot:
            return self.slot.option(CONTENT, 0, memory)
        assert self.codes is not None
        return self.codes.option(at, "", (at + 1) % self.books, memory)

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        return not inner

    def ready(self, at: int) -> bool:
        """May the lane be used up here?"""
        return not at


@dataclass(frozen=True)
class TextTurn(Rule):
    """Events one after the other, `begin ids end`; `inner` says whether one is under way.

    `cut` (outputs only) stands where the world ended one. `one_event`: the last `end` stands in
    place of the lane's close.
    """

    over: int
    start: int
    stop: int
    marks: TextMarks
    one_event: bool

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        if memory[self.over]:
            return []
        return self.position(NO if inner is None else inner, memory)

    def position(self, going: int, memory: Memory) -> list[Option]:
        m, out = self.marks, []
        if not m.begin or going != NO:
            then = YES if m.end else MAYBE
            out.append(Option(self.start, self.stop, "text", CONTENT, then, memory))
        if m.begin and going in (NO, MAYBE):
            out.append(m.begin.option(CONTENT, DUE, memory))
        if m.end and (going in (YES, DUE) or not m.begin):
            out.append(m.end.option(CONTENT, NO, memory))
        if m.cut and going in (YES, MAYBE):
            out.append(m.cut.option(CONTENT, CUT, put(memory, self.over, True)))
        return out

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        return inner is None or self.ready(inner)

    def ready(self, going: int) -> bool:
        """May the lane be used up here?"""
        return going in (NO, MAYBE, CUT)

    def closed(self, inner: Any) -> bool:
        return self.one_event and inner is not None


class Place(NamedTuple):
    """Lane k has given c of its tokens of this round; how each lane stands, None: used up."""

    k: int
    c: int
    stands: tuple[int | None, ...]


@dataclass(frozen=True)
class Alternating(Rule):
    """Output lanes that take turns: `counts[k]` tokens of lane k, round after round, until all are
    used up. A cut falls where the next token of a speak lane would stand."""

    over: int
    parts: tuple[AudioTurn | TextTurn, ...]
    counts: tuple[int, ...]

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        if memory[self.over]:
            return []
        out = []
        for place in self._reach(self._place(inner)):
            part, stand = self.parts[place.k], place.stands[place.k]
            assert stand is not None
            found = part.position(stand, memory)
            for option in found if isinstance(found, list) else [found]:
                then = Place(place.k, place.c + 1, put(place.stands, place.k, option.inner))
                out.append(option._replace(inner=then, lane=part.lane))
        return out

    def _place(self, inner: Any) -> Place:
        fresh = tuple(NO if isinstance(p, TextTurn) else 0 for p in self.parts)
        return inner or Place(0, 0, fresh)

    def _reach(self, place: Place) -> Iterator[Place]:
        """Where the next token may stand: in this lane, or, as far as lanes may be used up, in a
        later one."""
        k, c, stands = place
        for _ in range(2 * len(self.parts) + 1):
            stand = stands[k]
            if stand is not None and c < self.counts[k]:
                yield Place(k, c, stands)
                if not self.parts[k].ready(stand):
                    return
                stands = put(stands, k, None)
            k, c = (k + 1) % len(self.parts), 0

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        place = self._place(inner)
        return memory[self.over] or self._used_up(place) or self._cuts(place)

    def _used_up(self, place: Place) -> bool:
        return all(s is None or p.ready(s) for p, s in zip(self.parts, place.stands, strict=True))

    def _cuts(self, place: Place) -> bool:
        return any(
            isinstance(p := self.parts[at.k], AudioTurn) and p.ready(at.stands[at.k] or 0)
            for at in self._reach(place)
        )

    def leave(self, inner: Any, memory: Memory) -> Memory:
        whole = self._used_up(self._place(inner))
        return memory if whole else put(memory, self.over, True)
