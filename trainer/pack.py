"""Cuts samples of any length into pieces for rows of `context` steps; names pieces by reference.

A step is a token, or in the parallel mode a row of `streams` tokens that one position holds. A
sample that fits stands whole in a row. A longer one is split at block boundaries into windows; each
repeats the sample's prompt (its steps before block 0), as the prompt is what every block is read
under. Each token bears loss in one window only. What windows hide, and the views that cut them
otherwise, is in `token_schema.views`.

Rows are filled from a buffer of `lookahead` pieces: first the oldest piece, so none waits for ever,
then always the longest that still fits. The rest of a row is padding. No piece is cropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_schema.branches import Tree
from token_schema.tokens import CONTENT, IDLE
from token_schema.views import FULL, Plan, Window


@dataclass(frozen=True)
class Compiled:
    """A sample's tokens, [n] each: ids, lane index, block (negative: the prompt), loss weight, class.

    `kind` is the token class of `token_schema.encode`: 0 content, 1 idle, 2 open, 3 close. With
    `streams` > 1 step t is the row [t * streams, (t + 1) * streams). `values`: index of a lane of
    slots or mel frames -> float32 [m, dim], row k at the k-th content token of that lane.
    """

    ids: NDArray[np.int32]
    lane: NDArray[np.uint8]
    block: NDArray[np.int32]
    loss: NDArray[np.float32]
    kind: NDArray[np.uint8]
    streams: int = 1
    values: dict[int, NDArray[np.float32]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def steps(self) -> int:
        """Positions that the sample takes in a row."""
        return len(self.ids) // self.streams

    def take(self, steps: NDArray[np.int64]) -> Compiled:
        """The steps numbered `steps`, in that order; a step may come more than once."""
        if len(steps) == self.steps and (steps == np.arange(self.steps)).all():
            return self
        tokens = (steps[:, None] * self.streams + np.arange(self.streams)).reshape(-1)
        values = {}
        for i, rows in self.values.items():
            number = np.full(len(self), -1)
            number[self.valued(i)] = np.arange(len(rows))
            taken = number[tokens]
            values[i] = rows[taken[taken >= 0]]
        return replace(
            self,
            ids=self.ids[tokens],
            lane=self.lane[tokens],
            block=self.block[tokens],
            loss=self.loss[tokens],
            kind=self.kind[tokens],
            values=values,
        )

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The fields of one length, in their order."""
        return self.ids, self.lane, self.block, self.loss, self.kind

    def valued(self, lane: int) -> NDArray[np.int64]:
        """The tokens of a lane to which its `values` belong, in their order."""
        return np.flatnonzero((self.lane == lane) & (self.kind == CONTENT))

    @property
    def told(self) -> NDArray[np.bool_]:
        """Where a token says something: content or idle. Boundary tokens are forced by the grammar
        (and stand in empty lanes too), so they count in the loss but in no lane's figures."""
        return self.kind <= IDLE

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in (*self.arrays(), *self.values.values()))

    def by_step(self) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """Lane and block of each step (in the parallel mode the lane of its first stream)."""
        return self.lane[:: self.streams], self.block[:: self.streams]


class Piece(NamedTuple):
    """Blocks [first_block, end_block) of the sample at a global position; end -1: all of it. With
    a history view, the blocks from `back_block` on are seen."""

    position: int
    first_block: int = 0
    end_block: int = -1
    back_block: int = 0


class Held(NamedTuple):
    """A piece with its tokens, and how its steps hang together where they do not simply follow."""

    piece: Piece
    tokens: Compiled
    tree: Tree | None = None


def windows(
    sample: Compiled, context: int, where: str, plan: Plan = FULL, position: int = 0
) -> list[Window]:
    """The windows of a sample's pieces. Raises StrettoError where one block is too long."""
    return plan.windows(*sample.by_step(), context, position, where)


def places(sample: Compiled, piece: Piece, plan: Plan = FULL) -> NDArray[np.int64]:
    """Which steps of its sample a piece has, in its order."""
    return plan.lay(*sample.by_step(), Window(*piece[1:]), piece.position).steps


def cut(sample: Compiled, piece: Piece, plan: Plan = FULL) -> Held:
    """The tokens of a piece. What bears its loss in another window of this visit bears none."""
    laid = plan.lay(*sample.by_step(), Window(*piece[1:]), piece.position)
    part = sample.take(laid.steps)
    if not laid.bears.all():
        bears = np.repeat(laid.bears, sample.streams)
        part = replace(part, loss=np.where(bears, part.loss, np.float32(0)))
    return Held(piece, part, laid.tree)


def split(
    sample: Compiled, position: int, context: int, where: str, plan: Plan = FULL
) -> list[Held]:
    """All pieces of the sample at `position`, in order."""
    ranges = windows(sample, context, where, plan, position)
    return [cut(sample, Piece(position, *r), plan) for r in ranges]


def fill_row(buffer: list[Held], context: int) -> list[Held]:
    """Take a row's pieces out of the buffer: the oldest, then the longest that fits, and so on."""
    row = [buffer.pop(0)]
    room = context - row[0].tokens.steps
    while fits := [i for i, held in enumerate(buffer) if held.tokens.steps <= room]:
        best = max(fits, key=lambda i: (buffer[i].tokens.steps, -i))
        row.append(buffer.pop(best))
        room -= row[-1].tokens.steps
    return row
