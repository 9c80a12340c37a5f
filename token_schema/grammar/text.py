"""The machine of a text lane in blocks and in steps: one cell at a time, as `placement` fills it.

What a lane remembers from cell to cell is (going, soon). `going` says whether an event is begun and
not ended: NO, YES, DUE (an id of it is the next thing), or MAYBE where the lane has no `end` token
to tell. `soon` says that an `epad` came last: at least one more cell follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from token_schema.grammar.rules import DUE, MAYBE, NO, YES, Memory, Option, Rule, Token, put
from token_schema.tokens import CONTENT, IDLE

FRESH = (NO, False)


class Filled(NamedTuple):
    """So many tokens are in the cell; the last was a filler (then only fillers follow); it is
    over."""

    used: int = 0
    filler: str = ""
    over: bool = False


@dataclass(frozen=True)
class TextMarks:
    """The lane's special tokens; None: it has none. `cut` is None too where `end` serves for it.

    `end` and `cut` may be `idle`: the first one after text ends it.
    """

    idle: Token | None = None
    wait: Token | None = None
    begin: Token | None = None
    end: Token | None = None
    cut: Token | None = None
    epad: Token | None = None


@dataclass(frozen=True)
class TextCell(Rule):
    """Up to `budget` tokens: ids [start, stop) and marks, then fillers.

    `fixed`: fillers up to the budget; else one, and only where nothing else stands. `at_once`:
    nothing of an event waits for a time of its own, so a cell is full while one is under way.
    `by_word`: heard text, where a filler inside an event is the same `idle`. `silent_end`: an event
    may end without a token. `one_event`: `end` and `cut` close the cell, the lane's `close` is left
    out. `ends_open`: the sequence may end inside an event. Cells before `delay` hold only `idle`.
    """

    slot: int
    start: int
    stop: int
    marks: TextMarks
    budget: int
    fixed: bool = False
    at_once: bool = False
    by_word: bool = False
    silent_end: bool = False
    one_event: bool = False
    ends_open: bool = False
    delay: int = 0

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        cell, going = inner or Filled(), memory[self.slot][0]
        if cell.over or cell.used >= self.budget:
            return []
        if cell.filler:
            return self._again(cell, memory) if self.fixed else []
        if b < self.delay and self.marks.idle:
            return [self._filler(self.marks.idle, cell, memory)]
        out = self._text(cell, memory, going)
        if self.fixed or not cell.used:
            out += self._fillers(cell, memory, going)
        return out

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        cell, going = inner or Filled(), memory[self.slot][0]
        if cell.over or cell.used >= self.budget:
            return True
        if self.fixed:
            return False
        if cell.filler:
            return True
        if cell.used:
            return going != DUE and not (self.at_once and going == YES)
        return self._may_be_empty(going)

    def closed(self, inner: Any) -> bool:
        return bool(inner and inner.over)

    def whole(self, memory: Memory) -> bool:
        going, soon = memory[self.slot]
        return not soon and (self.ends_open or going in (NO, MAYBE))

    def _may_be_empty(self, going: int) -> bool:
        """Nothing at all stands in a cell only where the lane has no token to say so."""
        if not self.marks.idle and (going in (NO, MAYBE) or self.silent_end):
            return True
        if going in (YES, MAYBE) and not self.at_once:
            return not (self.marks.wait or self.marks.idle)
        return False

    # ---- text and its marks --------------------------------------------------------------------

    def _text(self, cell: Filled, memory: Memory, going: int) -> list[Option]:
        m, out = self.marks, []
        may_begin = going in (NO, MAYBE) or self.silent_end
        if not m.begin or going != NO:
            after = self._put(memory, YES if m.end else MAYBE)
            nxt = Filled(cell.used + 1)
            out.append(Option(self.start, self.stop, "text", CONTENT, nxt, after))
        if m.begin and may_begin:
            out.append(self._mark(m.begin, cell, memory, DUE))
        if m.end and (going in (YES, DUE) or not (m.begin or m.end == m.idle)):
            out.append(self._mark(m.end, cell, memory, NO))
        if m.cut and not cell.used and going != NO:
            out.append(self._mark(m.cut, cell, memory, NO))
        return out

    def _mark(self, token: Token, cell: Filled, memory: Memory, going: int) -> Option:
        closed = self.one_event and token in (self.marks.end, self.marks.cut)
        inner = Filled(cell.used + 1, "", closed)
        return token.option(CONTENT, inner, self._put(memory, going))

    def _put(self, memory: Memory, going: int, soon: bool = False) -> Memory:
        return put(memory, self.slot, (going, soon))

    # ---- fillers -------------------------------------------------------------------------------

    def _fillers(self, cell: Filled, memory: Memory, going: int) -> list[Option]:
        """`idle` where no event is under way, `wait` where one is, `epad` before text."""
        m, out = self.marks, []
        waits = (going in (YES, MAYBE) and not self.at_once) or (self.by_word and going == YES)
        rests = going in (NO, MAYBE) or self.silent_end
        if waits and m.wait and not self.by_word:
            out.append(self._filler(m.wait, cell, self._put(memory, YES)))
        idles = rests or (waits and (not m.wait or self.by_word) and m.idle != m.end)
        if m.idle and idles:
            # a token of its own for waiting tells that `idle` means that nothing is under way
            told = (self.at_once or m.wait) and not self.by_word
            then = NO if told or going == NO else going
            out.append(self._filler(m.idle, cell, self._put(memory, then)))
        if m.epad and not (self.at_once or self.by_word) and (waits or rests):
            then = DUE if going == YES and not self.silent_end else going
            out.append(self._filler(m.epad, cell, self._put(memory, then, soon=True)))
        return out

    def _filler(self, token: Token, cell: Filled, memory: Memory) -> Option:
        return token.option(IDLE, Filled(cell.used + 1, token.name), memory, quiet=True)

    def _again(self, cell: Filled, memory: Memory) -> list[Option]:
        m = self.marks
        return [
            self._filler(t, cell, memory) for t in (m.idle, m.wait) if t and t.name == cell.filler
        ]
