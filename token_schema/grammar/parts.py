"""What the grammar's program is made of: items in their place, and the parts that all timings share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from token_schema.codec_set import CodecSet
from token_schema.grammar.rules import UNKNOWN, Codes, Memory, Option, Rule, Token, closes, opens
from token_schema.grammar.text import FRESH, TextCell, TextMarks
from token_schema.models import ActLane, LookLane, TextLane
from token_schema.schema import TokenSchema, exact
from token_schema.tokens import CONTENT, PROMPT


@dataclass(frozen=True)
class Item:
    """A rule in its place. `phase`: the slot of the phase that governs it (-1: none); `last`: it is
    the last that this phase governs, so by its end there must have been something."""

    rule: Rule
    phase: int = -1
    last: bool = False


@dataclass(frozen=True)
class Program:
    """`head` once, then `cycle[b % len(cycle)]` for b = 0, 1, ...

    Where item `loop[1]` of the head would follow, it goes back to `loop[0]` until the memory's slot
    `loop[2]` is set. From block `settled` on, blocks b and b + `period` are alike.
    """

    head: tuple[Item, ...]
    cycle: tuple[tuple[Item, ...], ...]
    memory: Memory
    settled: int
    period: int
    loop: tuple[int, int, int] | None

    def items(self, b: int) -> tuple[Item, ...]:
        return self.head if b < 0 else self.cycle[b % len(self.cycle)]

    def next_block(self, b: int) -> int:
        """The number of the next block, folded where blocks repeat."""
        b += 1
        folded = b > self.settled + self.period
        return self.settled + (b - self.settled) % self.period if folded else b

    def whole(self, memory: Memory) -> bool:
        """May the sequence end, once a block has?"""
        return all(item.rule.whole(memory) for items in self.cycle for item in items)


@dataclass(frozen=True)
class AnyText(Rule):
    """The text of the prompt, of any length."""

    codes: Codes

    def options(self, inner: Any, memory: Memory, b: int) -> list[Option]:
        return [self.codes.option(0, "", True, memory)._replace(word="text")]

    def done(self, inner: Any, memory: Memory, b: int) -> bool:
        return True


class Parts:
    """Tokens, codes and the memory of one schema.

    The slot of a lane's memory is its index; lanes of a camera share one, all actions too; the slot
    `free` behind the lanes' is for the head and the turns. `settled` and `periods` grow with the
    lanes (see Program).
    """

    def __init__(
        self,
        schema: TokenSchema,
        codecs: CodecSet,
        subset: str | None,
        steps: int | None,
        fps: float | None,
    ) -> None:
        self.schema, self.codecs, self.subset = schema, codecs, subset
        self.fps = exact(fps) if fps else None
        self.steps = steps
        if not steps and self.fps and schema.timing == "blocks":
            self.steps = int(self.fps * schema.block)
        self.free = len(schema.lanes)
        self.memory: list[Any] = [UNKNOWN] * self.free + [False]
        self.settled, self.periods = 1, [1]

    def settle(self, block: int, period: int = 1) -> None:
        """A lane repeats itself every `period` blocks from `block` on."""
        self.settled = max(self.settled, block)
        self.periods.append(period)

    def program(
        self, head: Sequence[Item], cycle: Sequence[Sequence[Item]], loop: Any = None
    ) -> Program:
        period = math.lcm(*self.periods, len(cycle))
        rows = tuple(map(tuple, cycle))
        return Program(tuple(head), rows, tuple(self.memory), self.settled, period, loop)

    def token(self, name: str | None) -> Token:
        assert name is not None
        return Token(self.codecs.vocabulary.id(name), name)

    def maybe(self, name: str | None) -> Token | None:
        return self.token(name) if name else None

    def codes(self, codec: str) -> Codes:
        r = self.codecs.vocabulary.range(codec)
        return Codes(codec, r.start, r.entries, r.codebooks)

    def robot(self) -> int:
        """The slot that the act lanes share: that of the first."""
        return next(i for i, x in enumerate(self.schema.lanes) if isinstance(x, ActLane))

    def cameras(self, lane: LookLane) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        """The slots of its camera, of those with a lower number, and of those with a higher one.

        A sample with any camera has those that are called by name, and number 0."""
        looks = [(i, x.camera) for i, x in enumerate(self.schema.lanes) if isinstance(x, LookLane)]
        slots: dict[int, int] = {}
        for i, camera in looks:
            slots.setdefault(camera if isinstance(camera, int) else 0, i)
        own = lane.camera if isinstance(lane.camera, int) else 0
        lower = tuple(i for n, i in slots.items() if n < own)
        return slots[own], lower, tuple(i for n, i in slots.items() if n > own)

    def marks(self, lane: TextLane) -> TextMarks:
        names = ("idle", "wait", "begin", "end", "cut", "epad")
        found = {n: self.maybe(getattr(lane, n)) for n in names}
        if lane.cut == lane.end or (lane.cut == lane.idle and not lane.end):
            found["cut"] = None
        return TextMarks(**found)

    def cell(self, i: int, lane: TextLane, budget: int, fixed: bool, delay: int = 0) -> TextCell:
        """The rule of a text lane in blocks or steps."""
        self.memory[i] = FRESH
        r, heard = self.codecs.vocabulary.range(lane.codec), lane.channel == "hear"
        return TextCell(
            i,
            slot=i,
            start=r.start,
            stop=r.stop,
            marks=self.marks(lane),
            budget=budget,
            fixed=fixed,
            at_once=lane.placement == "fifo" and not heard and not lane.hold,
            by_word=heard,
            silent_end=not lane.end and (lane.hold or not lane.cut),
            one_event=lane.end_closes,
            ends_open=self.schema.clock.tail == "drop",
            delay=delay,
        )

    def text_head(self) -> list[Item]:
        """The prompt: its open, text, its close."""
        prompt = self.schema.prompt
        if prompt is None:
            return []
        rules = (
            opens(PROMPT, self.token(prompt.open)),
            AnyText(PROMPT, self.codes(prompt.codec)),
            closes(PROMPT, self.token(prompt.close)),
        )
        return [Item(rule) for rule in rules]


def content(what: Token | Codes) -> tuple[Token | Codes, int]:
    """A choice of class content: what most of the prompt is."""
    return what, CONTENT
