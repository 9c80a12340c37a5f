"""Lays pieces into the arrays of one batch, as the model takes them. No torch here.

What differs between schemas is in a Layout. Flat: ids [rows, context] and one target a place.
Parallel: ids [rows, context, streams] and for every step one target a head. In the parallel mode an
id is the row of the embedding table that holds it for its stream, not the vocabulary's number:
streams share codes, and each has its own embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from token_schema.tokens import PROMPT
from trainer.pack import Compiled, Held

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """How the tokens of a schema become arrays.

    `heads`: the streams that bear loss. `lookup`: int32 [streams, vocabulary], the embedding row of
    each id in each stream, -1 where a stream never has it; None in the flat modes. `values`: the
    lanes of slots or mel frames, with how many numbers a row has. `frames`: those of mel frames.
    `branches`: pieces may be trees (`token_schema.branches`).
    """

    streams: int = 1
    heads: tuple[int, ...] = (0,)
    lookup: NDArray[np.int32] | None = None
    values: Mapping[int, int] = field(default_factory=dict)
    frames: tuple[int, ...] = ()
    branches: bool = False

    def local(self, ids: NDArray[np.int32]) -> Ints:
        """Embedding rows of ids [..., streams]. Raises StrettoError for one its stream cannot hold."""
        if self.lookup is None:
            return ids.astype(np.int64)
        found = self.lookup[np.arange(self.streams), ids]
        if (found < 0).any():
            at = tuple(np.argwhere(found < 0)[0])
            raise StrettoError(f"id {int(ids[at])} is none of stream {int(at[-1])}", "tokens")
        return found.astype(np.int64)


FLAT = Layout()


class Values(NamedTuple):
    """Numbers that enter at flat places `at` [k]: rows [k, dim]."""

    at: Ints
    rows: Floats


class Frames(NamedTuple):
    """Mel frames [k, dim] at the flat places `at` [k], each to predict from the step `before`."""

    at: Ints
    before: Ints
    rows: Floats
    weight: Floats


@dataclass(frozen=True)
class Rows:
    """Packed rows and the places whose next step bears loss.

    `ids` [rows, context] or [rows, context, streams]; `segment` counts the pieces of a row from 1
    (0: padding); `place` restarts at 0 in each. `at` [m] are the flat positions of the steps that
    bear loss, `index` [m] of the steps that each follows, from which it is predicted; `target`,
    `lane` and `weight` are [m] or [m, heads]. `lane` is 255 for tokens that no lane's figures count:
    boundary tokens, the prompt, and what bears no loss. `values` and `frames` have an entry for each
    lane of the Layout, in its order. `branch` and `start` [rows, context] are those of a Tree, None
    where the Layout has no branches.
    """

    ids: Ints
    segment: Ints
    place: Ints
    at: Ints
    index: Ints
    target: Ints
    lane: Ints
    weight: Floats
    values: tuple[Values, ...] = ()
    frames: tuple[Frames, ...] = ()
    branch: Ints | None = None
    start: Ints | None = None

    @property
    def token_count(self) -> int:
        """Tokens that are no padding."""
        streams = self.ids.shape[2] if self.ids.ndim == 3 else 1
        return int((self.segment > 0).sum()) * streams

    @property
    def weight_sum(self) -> float:
        """The weights of all that bears loss."""
        parts = (self.weight, *(f.weight for f in self.frames))
        return sum(float(w.sum(dtype="float64")) for w in parts)


@dataclass(frozen=True)
class _Arrays:
    """What is filled piece by piece, [rows, context, streams] or [rows, context]."""

    ids: Ints
    lane: Ints
    loss: Floats
    segment: Ints
    place: Ints
    branch: Ints
    start: Ints
    before: Ints

    @classmethod
    def empty(cls, rows: int, context: int, streams: int) -> _Arrays:
        deep, flat = (rows, context, streams), (rows, context)
        ids, lane = np.zeros(deep, np.int64), np.zeros(deep, np.int64)
        rest = (np.zeros(flat, np.int64) for _ in range(5))
        return cls(ids, lane, np.zeros(deep, np.float32), *rest)


def collate(rows: Sequence[Sequence[Held]], context: int, layout: Layout = FLAT) -> Rows:
    """Lay pieces into arrays. A piece's first step is predicted from nothing and bears no loss."""
    into = _Arrays.empty(len(rows), context, layout.streams)
    values: dict[int, list[Values]] = {i: [] for i in layout.values}
    frames: dict[int, list[Frames]] = {i: [] for i in layout.frames}
    for r, row in enumerate(rows):
        start = 0
        for number, held in enumerate(row, start=1):
            span = slice(start, start + held.tokens.steps)
            into.segment[r, span] = number
            _lay(held, into, r, span, layout)
            for i in values:
                _lay_values(i, held.tokens, into, r, span, layout, values, frames)
            start = span.stop
    return Rows(
        into.ids if layout.lookup is not None else into.ids[..., 0],
        into.segment,
        into.place,
        *_targets(into, layout),
        tuple(Values(*_join(layout.values[i], parts, 1)) for i, parts in values.items()),
        tuple(Frames(*_join(layout.values[i], parts, 2)) for i, parts in frames.items()),
        into.branch if layout.branches else None,
        into.start if layout.branches else None,
    )


def _lay(held: Held, into: _Arrays, r: int, span: slice, layout: Layout) -> None:
    """One piece into its span of a row."""
    tokens, tree = held.tokens, held.tree
    steps = np.arange(tokens.steps)
    before = tree.before if tree else steps - 1
    shape = (-1, layout.streams)
    into.ids[r, span] = layout.local(tokens.ids.reshape(shape))
    into.lane[r, span] = np.where(tokens.told, tokens.lane, PROMPT).reshape(shape)
    into.loss[r, span] = np.where(before[:, None] < 0, 0, tokens.loss.reshape(shape))
    into.place[r, span] = tree.place if tree else steps
    into.before[r, span] = r * into.segment.shape[1] + span.start + before
    if tree:
        into.branch[r, span], into.start[r, span] = tree.branch, tree.start


def _lay_values(
    lane: int,
    tokens: Compiled,
    into: _Arrays,
    r: int,
    span: slice,
    layout: Layout,
    values: dict[int, list[Values]],
    frames: dict[int, list[Frames]],
) -> None:
    """Where a lane's numbers enter; of mel frames also where they are predicted. A frame has no
    cross-entropy, so its place in `loss` and `lane` is cleared."""
    step, stream = np.divmod(tokens.valued(lane), layout.streams)
    at, rows = r * into.segment.shape[1] + span.start + step, tokens.values[lane]
    values[lane].append(Values(at, rows))
    if lane not in layout.frames:
        return
    own = (r, span.start + step, stream)
    bears = into.loss[own]
    mine = bears > 0
    before = into.before.reshape(-1)[at[mine]]
    frames[lane].append(Frames(at[mine], before, rows[mine], bears[mine]))
    into.loss[own], into.lane[own] = 0, PROMPT


def _join(dim: int, parts: Sequence[tuple[NDArray, ...]], places: int) -> list[NDArray]:
    """Parts one after the other; without any, arrays of no rows: every parameter of the model takes
    part in every batch, as DDP asks. `places`: how many columns stand before the numbers."""
    if parts:
        return [np.concatenate(column) for column in zip(*parts, strict=True)]
    none: list[NDArray] = [np.zeros(0, np.int64) for _ in range(places)]
    return [*none, np.zeros((0, dim), np.float32), np.zeros(0, np.float32)][: 2 * places]


def _targets(into: _Arrays, layout: Layout) -> tuple[Ints, Ints, Ints, Ints, Floats]:
    """`at`, `index`, `target`, `lane`, `weight` of Rows."""
    ids, lane, loss = (a.reshape(-1, layout.streams) for a in (into.ids, into.lane, into.loss))
    before, heads = into.before.reshape(-1), list(layout.heads)
    if np.delete(loss, heads, axis=1).any():
        raise StrettoError("a stream without a head bears loss", "tokens")
    at = np.flatnonzero((loss[:, heads] > 0).any(axis=1))
    weight, target = loss[at][:, heads].astype(np.float32), ids[at][:, heads].astype(np.int64)
    counted = np.where(weight > 0, lane[at][:, heads], PROMPT).astype(np.int64)
    if layout.lookup is None:
        target, counted, weight = target[:, 0], counted[:, 0], weight[:, 0]
    return at, before[at], target, counted, weight
