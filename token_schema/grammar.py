"""The Grammar: a finite-state machine that accepts what `compile_sample` makes, and nothing else.

    grammar = Grammar(schema, codecs, subset="gr1", steps_per_block=10)
    grammar.check(ids)                       # StrettoError: position, lane, what was expected there
    state = grammar.step(grammar.start, ids[0])
    grammar.allowed(state)                   # bool [vocabulary.size]: for constrained decoding

It follows from the schema and the sizes of its codecs. `subset` names the embodiment, whose action
codec says how many coefficients each id holds; without it any number of action codes passes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from token_schema.codec_set import CodecSet
from token_schema.language import ActLane, AudioLane, Lane, LookLane, TextLane, TokenSchema

HEAD, PROMPT, OPEN, CONTENT = "head", "prompt", "open", "content"
UNKNOWN, PRESENT, ABSENT = 0, 1, 2  # is there a camera, a robot: the first block tells


class State(NamedTuple):
    """Where the machine stands.

    `filled` is tokens (act: coefficients) so far in the lane's content, `idle` that its idle token
    came, `begun[i]` that lane i has a text event that has not ended, `here[i]` whether the channel
    of lane i is there at all.
    """

    phase: str
    block: int
    lane: int
    filled: int
    idle: bool
    begun: tuple[bool, ...]
    here: tuple[int, ...]


class Expected(NamedTuple):
    """Id ranges [start, stop), the same in words, and the most coefficients of an action id."""

    ranges: list[tuple[int, int]]
    words: list[str]
    limit: int | None = None


class Grammar:
    """States are values: keep one, step on from it twice."""

    def __init__(
        self,
        schema: TokenSchema,
        codecs: CodecSet,
        subset: str | None = None,
        steps_per_block: int | None = None,
    ) -> None:
        self.schema, self.codecs, self.vocabulary = schema, codecs, codecs.vocabulary
        self._rules = [self._rule(lane) for lane in schema.lanes]
        self._ids = {t: self.vocabulary.id(t) for t in schema.specials()}
        self._lengths: list[int] | None = None
        self._coefficients = 0
        acts = [x for x in schema.lanes if isinstance(x, ActLane)]
        if subset and steps_per_block and acts:
            codec = codecs.action(acts[0], subset)
            self._lengths = [len(codec.piece(i)) for i in range(codec.size)]
            self._coefficients = steps_per_block * codec.dims

    @property
    def start(self) -> State:
        """Before the first id."""
        n = len(self.schema.lanes)
        return State(HEAD, 0, 0, 0, False, (False,) * n, (UNKNOWN,) * n)

    def check(self, ids: Iterable[int]) -> None:
        """Accept a whole sequence or raise StrettoError with the position and what was expected."""
        state, n = self.start, 0
        for n, token_id in enumerate(ids, start=1):
            state = self._step(state, int(token_id), n - 1)
        if not self.may_end(state):
            raise StrettoError(
                "the sequence ends here", self._where(state, n), self._expected_words(state)
            )

    def step(self, state: State, token_id: int) -> State:
        """The state after one more id. Raises StrettoError when it is not allowed."""
        return self._step(state, token_id, None)

    def may_end(self, state: State) -> bool:
        """Is a sequence whole here: after a block, with no text event left open?"""
        whole = state.phase == OPEN and state.lane == 0 and state.block > 0
        return whole and (self.schema.clock.tail == "drop" or not any(state.begun))

    def allowed(self, state: State) -> NDArray[np.bool_]:
        """Which ids may follow: bool [vocabulary.size]."""
        expected = self._expected(state)
        mask = np.zeros(self.vocabulary.size, bool)
        for first, stop in expected.ranges:
            mask[first:stop] = True
        if expected.limit is not None:
            start = self._rules[state.lane]["range"].start
            mask[start : start + len(self._lengths or ())] &= (
                np.array(self._lengths) <= expected.limit
            )
        return mask

    # ---- the machine -------------------------------------------------------------------------

    def _step(self, state: State, token_id: int, position: int | None) -> State:
        expected = self._expected(state)
        inside = any(first <= token_id < stop for first, stop in expected.ranges)
        if inside and expected.limit is not None:
            inside = self._length(state, token_id) <= expected.limit
        if not inside:
            raise StrettoError(
                f"id {token_id} ({self._name(token_id)}) is not allowed",
                self._where(state, position),
                self._expected_words(state),
            )
        return self._next(state, token_id)

    def _next(self, state: State, token_id: int) -> State:
        if state.phase == HEAD:
            return state._replace(phase=PROMPT)
        if state.phase == PROMPT:
            ends = token_id == self._ids[self.schema.prompt.close]
            return state._replace(phase=OPEN) if ends else state
        if state.phase == OPEN:
            return state._replace(phase=CONTENT, filled=0, idle=False)
        lane = self.schema.lanes[state.lane]
        if token_id == self._ids[lane.close]:
            return self._close(state)
        return self._content(state, lane, token_id)

    def _close(self, state: State) -> State:
        here = state.here
        if here[state.lane] == UNKNOWN:
            here = _set(here, state.lane, ABSENT if not state.filled else PRESENT)
        last = state.lane + 1 == len(self.schema.lanes)
        return State(
            OPEN, state.block + last, 0 if last else state.lane + 1, 0, False, state.begun, here
        )

    def _content(self, state: State, lane: Lane, token_id: int) -> State:
        idle = getattr(lane, "idle", None)
        if idle and token_id == self._ids[idle]:
            return state._replace(idle=True, filled=state.filled + 1)
        if isinstance(lane, TextLane):
            going = token_id not in (self._ids[lane.end], self._ids[lane.cut])
            return state._replace(
                filled=state.filled + 1, begun=_set(state.begun, state.lane, going)
            )
        length = self._length(state, token_id) if isinstance(lane, ActLane) else 1
        return state._replace(filled=state.filled + length)

    def _length(self, state: State, token_id: int) -> int:
        """Coefficients that an action id holds; an id of another embodiment never fits."""
        start = self._rules[state.lane]["range"].start
        if self._lengths is None or not start <= token_id < self._rules[state.lane]["range"].stop:
            return 1 if self._lengths is None else 0
        code = token_id - start
        return self._lengths[code] if code < len(self._lengths) else self._coefficients + 1

    # ---- what may follow ---------------------------------------------------------------------

    def _rule(self, lane: Lane) -> dict[str, Any]:
        """A lane's code range and how many codes a block has."""
        r = self.vocabulary.range(lane.codec)
        if isinstance(lane, AudioLane):
            return {"range": r, "total": self.schema.frames_per_block(lane) * lane.codebooks}
        if isinstance(lane, LookLane) and r.entries:
            return {"range": r, "total": self.codecs.get(lane.codec).tokens * lane.frames}
        return {"range": r, "total": 0}

    def _expected(self, state: State) -> Expected:
        schema = self.schema
        if state.phase == HEAD:
            return self._tokens(schema.prompt.open)
        if state.phase == PROMPT:
            r = self.vocabulary.range(schema.prompt.codec)
            close = self._tokens(schema.prompt.close)
            return Expected([(r.start, r.stop), *close.ranges], ["text", *close.words])
        lane = schema.lanes[state.lane]
        if state.phase == OPEN:
            return self._tokens(lane.open)
        if state.idle:
            return self._tokens(lane.close)
        if isinstance(lane, TextLane):
            return self._text(state, lane)
        if isinstance(lane, ActLane):
            return self._act(state, lane)
        return self._fixed(state, lane)

    def _tokens(self, *names: str) -> Expected:
        return Expected([(self._ids[n], self._ids[n] + 1) for n in names], list(names))

    def _text(self, state: State, lane: TextLane) -> Expected:
        begun, names = state.begun[state.lane], []
        if state.filled == 0:
            names.append(lane.cut if begun else lane.idle)
        elif state.filled == lane.budget or not begun:
            names.append(lane.close)
        if state.filled == lane.budget:
            return self._tokens(*names)
        r = self._rules[state.lane]["range"]
        out = self._tokens(*names, lane.end)
        return Expected([(r.start, r.stop), *out.ranges], ["text", *out.words])

    def _fixed(self, state: State, lane: AudioLane | LookLane) -> Expected:
        """A fixed number of codes, or none in any block of a channel that is not there."""
        rule, here = self._rules[state.lane], state.here[state.lane]
        left = rule["total"] - state.filled
        if left == 0 or here == ABSENT:
            return self._tokens(lane.close)
        q = state.filled % lane.codebooks if isinstance(lane, AudioLane) else 0
        names = []
        if state.filled == 0 and isinstance(lane, LookLane) and here == UNKNOWN:
            names.append(lane.close)
        if state.filled == 0 and isinstance(lane, AudioLane) and lane.idle:
            names.append(lane.idle)
        out = self._tokens(*names)
        book = f" of codebook {q}" if rule["range"].codebooks > 1 else ""
        return Expected(
            [rule["range"].book(q), *out.ranges],
            [f"a code of {lane.codec!r}{book} ({left} to come)", *out.words],
        )

    def _act(self, state: State, lane: ActLane) -> Expected:
        r, here = self._rules[state.lane]["range"], state.here[state.lane]
        if here == ABSENT:
            return self._tokens(lane.close)
        names = []
        if state.filled == 0 and here == UNKNOWN:
            names.append(lane.close)
        if state.filled == 0 and here == PRESENT and lane.idle:
            names.append(lane.idle)
        if self._lengths is None:
            out = self._tokens(*names, *([lane.close] if state.filled else []))
            return Expected(
                [(r.start, r.stop), *out.ranges], [f"a code of {lane.codec!r}", *out.words]
            )
        left = self._coefficients - state.filled
        if left == 0:
            return self._tokens(lane.close)
        out = self._tokens(*names)
        codes = (r.start, r.start + len(self._lengths))
        return Expected(
            [codes, *out.ranges], [f"action codes of {left} more coefficients", *out.words], left
        )

    # ---- words -------------------------------------------------------------------------------

    def _name(self, token_id: int) -> str:
        inside = 0 <= token_id < self.vocabulary.size
        return self.vocabulary.name(token_id) if inside else "no token"

    def _where(self, state: State, position: int | None) -> str:
        at = "" if position is None else f"position {position}, "
        if state.phase in (HEAD, PROMPT):
            return f"{at}prompt"
        return f"{at}block {state.block}, lane {self.schema.lanes[state.lane].name}"

    def _expected_words(self, state: State) -> str:
        return "expected " + " or ".join(self._expected(state).words)


def _set(values: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    return (*values[:index], value, *values[index + 1 :])
