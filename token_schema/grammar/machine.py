"""The machine: the states that a program can be in, found as they are reached, and kept.

A state is a Core, a value; its Node says which ids may follow and where each leads. `Machine.node`
gives it: the options of the item where the core stands and, where its content may end, of those
behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from schemas.errors import StrettoError
from token_schema.grammar.parts import Item, Program
from token_schema.grammar.rules import PHASE_ALIVE, PHASE_IDLE, PHASE_OWES, Memory, Option, put
from token_schema.schema import TokenSchema
from token_schema.tokens import PROMPT

MAX_NODES = 300_000  # then forget: a long sample of 17 streams visits some thousands


class Core(NamedTuple):
    """Item `at` of block `b` (folded where blocks repeat; -1: the prompt), how far its content is,
    and what the lanes remember."""

    b: int
    at: int
    inner: Any
    memory: Memory


class Arc:
    """Ids [first, stop) (of them `members`) lead to `core`. `ahead`: by so many blocks the id's own
    block is later than the state's."""

    __slots__ = ("first", "stop", "members", "lane", "kind", "ahead", "core", "node", "word")

    def __init__(self, option: Option, lane: int, ahead: int, core: Core) -> None:
        self.first, self.stop, self.members = option.first, option.stop, option.members
        self.lane, self.kind, self.ahead = lane, option.kind, ahead
        self.word, self.core = option.word, core
        self.node: Node | None = None


@dataclass(frozen=True)
class Node:
    """A core's arcs, whether the sequence may end there, and (blocks ahead, item) of the first that
    waits for a token: what errors name."""

    arcs: tuple[Arc, ...]
    ends: bool
    at: tuple[int, int, int]


class Machine:
    """The nodes of one program."""

    def __init__(self, schema: TokenSchema, program: Program) -> None:
        self.schema, self.program = schema, program
        self._nodes: dict[Core, Node] = {}

    @property
    def start(self) -> Core:
        """Before the first id."""
        return Core(-1 if self.program.head else 0, 0, None, self.program.memory)

    def node(self, core: Core) -> Node:
        node = self._nodes.get(core)
        if node is None:
            if len(self._nodes) > MAX_NODES:
                self._nodes.clear()
            node = self._nodes[core] = self._expand(core)
        return node

    def _expand(self, core: Core) -> Node:
        """All that may come: of the item itself and, where its content may end, of those behind."""
        arcs: list[Arc] = []
        ends, ahead, first = False, 0, None
        while True:
            core, wrapped = self._settle(core)
            ahead += wrapped
            ends = ends or (
                core.at == 0
                and core.inner is None
                and core.b > 0
                and self.program.whole(core.memory)
            )
            item = self.program.items(core.b)[core.at]
            found = self._arcs(item, core, ahead)
            if found and first is None:
                first = (ahead, core.b, core.at)
            self._tell_apart(arcs, found)
            arcs += found
            if not self._may_leave(item, core) or ahead > 1:
                break
            core = self._leave(item, core)
        return Node(tuple(arcs), ends, first or (ahead, core.b, core.at))

    def _settle(self, core: Core) -> tuple[Core, int]:
        """The next item that is there: past the end of a block, and past what an idle phase leaves
        out. With the number of blocks begun."""
        b, at, inner, memory = core
        program, wrapped = self.program, 0
        while True:
            loop = program.loop if b < 0 else None
            if loop and at == loop[1] and not memory[loop[2]]:
                at = loop[0]
            items = program.items(b)
            if at >= len(items):
                b, at, wrapped = program.next_block(b), 0, wrapped + 1
            elif items[at].phase >= 0 and memory[items[at].phase] == PHASE_IDLE:
                at += 1
            else:
                return Core(b, at, inner, memory), wrapped

    def _arcs(self, item: Item, core: Core, ahead: int) -> list[Arc]:
        """The arcs of an item. What a governed lane shows is what its phase promised."""
        out = []
        owes = item.phase >= 0 and core.memory[item.phase] == PHASE_OWES
        for option in item.rule.options(core.inner, core.memory, core.b):
            if owes and item.last and option.quiet:
                continue
            memory = option.memory
            shows = owes and not option.quiet and option.kind < 2
            if shows:
                memory = put(memory, item.phase, PHASE_ALIVE)
            lane = item.rule.lane if option.lane is None else option.lane
            then = Core(core.b, core.at, option.inner, memory)
            out.append(Arc(option, lane, ahead, then))
        return out

    def _may_leave(self, item: Item, core: Core) -> bool:
        if item.last and core.inner is None and core.memory[item.phase] == PHASE_OWES:
            return False
        return item.rule.done(core.inner, core.memory, core.b)

    def _leave(self, item: Item, core: Core) -> Core:
        past = 2 if item.rule.closed(core.inner) else 1
        memory = item.rule.leave(core.inner, core.memory)
        return Core(core.b, core.at + past, None, memory)

    def _tell_apart(self, arcs: list[Arc], found: list[Arc]) -> None:
        """A token that could be of two lanes would be read as the wrong one."""
        for a in arcs:
            for b in found:
                if a.first < b.stop and b.first < a.stop:
                    raise StrettoError(
                        f"{a.word} could be of lane {self.lane_name(a.lane)!r} or"
                        f" {self.lane_name(b.lane)!r}",
                        self.schema.name,
                        "give one of them `open` and `close`",
                    )

    def lane_name(self, lane: int) -> str:
        return "" if lane == PROMPT else self.schema.lanes[lane].name


def find(node: Node, token_id: int) -> Arc | None:
    for arc in node.arcs:
        if arc.first <= token_id < arc.stop and (arc.members is None or token_id in arc.members):
            return arc
    return None


def words(node: Node) -> str:
    return "expected " + " or ".join(dict.fromkeys(arc.word for arc in node.arcs))
