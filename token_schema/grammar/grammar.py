"""The Grammar: a finite-state machine that accepts what `compile_sample` makes, and nothing else.

    grammar = Grammar(schema, codecs, subset="gr1", fps=10)
    grammar.check(ids)                       # StrettoError: position, lane, what was expected there
    parsed = grammar.read(ids)               # lane, kind and block of every id, as encode has them
    state = grammar.step(grammar.start, ids[0])
    grammar.allowed(state)                   # bool [vocabulary.size]: for constrained decoding

It follows from the schema and the sizes of its codecs. `subset` names the embodiment, whose action
codec says how many numbers each id holds, and `fps` (or `steps_per_block`) how many there are;
without them any number of action codes passes. Ids of the parallel mode come flat, row by row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from token_schema.codec_set import CodecSet
from token_schema.grammar.machine import Arc, Core, Machine, Node, find, words
from token_schema.grammar.program import program_of
from token_schema.schema import TokenSchema
from token_schema.tokens import PROMPT


class State(NamedTuple):
    """Where the machine stands; `block` is the number of the block (step, turn), -1 the prompt."""

    core: Core
    block: int


@dataclass(frozen=True, eq=False)
class _Same:
    """A schema or its codecs as a key: the same object is equal, and nothing else."""

    value: Any

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value


@lru_cache(maxsize=8)
def _machine(
    schema: _Same, codecs: _Same, subset: str | None, steps: int | None, fps: float | None
) -> Machine:
    """The machine, kept with the states found so far: a corpus is checked sample by sample."""
    return Machine(schema.value, program_of(schema.value, codecs.value, subset, steps, fps))


class Parsed(NamedTuple):
    """What encode says of every id: `lane` uint8, `kind` uint8, `block` int32 [n]."""

    lane: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    block: NDArray[np.int32]


class Grammar:
    """States are values: keep one, step on from it twice."""

    def __init__(
        self,
        schema: TokenSchema,
        codecs: CodecSet,
        subset: str | None = None,
        steps_per_block: int | None = None,
        fps: float | None = None,
    ) -> None:
        self.schema, self.vocabulary = schema, codecs.vocabulary
        same = _Same(schema), _Same(codecs)
        self._machine = _machine(*same, subset, steps_per_block, fps)
        self._stream = [(s.lane, s.book) for s in schema.streams]

    @property
    def start(self) -> State:
        """Before the first id."""
        core = self._machine.start
        return State(core, core.b)

    def check(self, ids: Iterable[int]) -> None:
        """Accept a whole sequence or raise StrettoError with the position and what was expected."""
        self._walk(ids)

    def read(self, ids: Iterable[int]) -> Parsed:
        """Lane, kind and block of every id of a whole sequence. Raises StrettoError as `check`."""
        arcs = self._walk(ids)
        block = self.start.block
        return Parsed(
            np.array([a.lane for a in arcs], np.uint8),
            np.array([a.kind for a in arcs], np.uint8),
            (block + np.cumsum([a.ahead for a in arcs])).astype(np.int32),
        )

    def step(self, state: State, token_id: int) -> State:
        """The state after one more id. Raises StrettoError when it is not allowed."""
        node = self._machine.node(state.core)
        arc = find(node, int(token_id))
        if arc is None:
            raise self._refused(node, int(token_id), state.block, None)
        return State(arc.core, state.block + arc.ahead)

    def may_end(self, state: State) -> bool:
        """Is a sequence whole here: after a block, with nothing left open?"""
        return self._machine.node(state.core).ends

    def allowed(self, state: State) -> NDArray[np.bool_]:
        """Which ids may follow: bool [vocabulary.size]."""
        mask = np.zeros(self.vocabulary.size, bool)
        for arc in self._machine.node(state.core).arcs:
            if arc.members is None:
                mask[arc.first : arc.stop] = True
            else:
                mask[list(arc.members)] = True
        return mask

    # ---- the machine -------------------------------------------------------------------------

    def _walk(self, ids: Iterable[int]) -> list[Arc]:
        """The arc of every id. `find` is written out here: it is most of the time."""
        node, path = self._machine.node(self.start.core), list[Arc]()
        for token_id in ids.tolist() if isinstance(ids, np.ndarray) else ids:
            for arc in node.arcs:
                if arc.first <= token_id < arc.stop and (
                    arc.members is None or token_id in arc.members
                ):
                    break
            else:
                raise self._refused(node, int(token_id), self._block(path), len(path))
            path.append(arc)
            if arc.node is None:
                arc.node = self._machine.node(arc.core)
            node = arc.node
        if not node.ends:
            raise StrettoError(
                "the sequence ends here",
                self._where(node, self._block(path), len(path)),
                words(node),
            )
        return path

    def _block(self, path: list[Arc]) -> int:
        return self.start.block + sum(arc.ahead for arc in path)

    # ---- words -------------------------------------------------------------------------------

    def _refused(self, node: Node, token_id: int, block: int, position: int | None) -> StrettoError:
        inside = 0 <= token_id < self.vocabulary.size
        name = self.vocabulary.name(token_id) if inside else "no token"
        where = self._where(node, block, position)
        return StrettoError(f"id {token_id} ({name}) is not allowed", where, words(node))

    def _where(self, node: Node, block: int, position: int | None) -> str:
        ahead, b, at = node.at
        out = [] if position is None else [f"position {position}"]
        if b < 0:
            return ", ".join([*out, "prompt"])
        unit = {"blocks": "block", "frames": "step", "turns": "turn"}[self.schema.timing]
        out.append(f"{unit} {block + ahead}")
        lane = node.arcs[0].lane if node.arcs else PROMPT
        if lane != PROMPT:
            out.append(f"lane {self._machine.lane_name(lane)}")
        if self.schema.timing == "frames" and position is not None:
            out.append(f"stream {position % len(self._stream)}")
        return ", ".join(out)
