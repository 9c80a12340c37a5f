"""Packs samples of any length into rows of `context` tokens, and names what it holds by reference.

A sample that fits stands whole in a row. A longer one is split at block boundaries into windows;
each window repeats the sample's prompt (its tokens before block 0), as the prompt is what every
block is read under. A repeated prompt bears no loss, so each token bears loss in one window only.
What a window hides is the blocks before it: its first tokens are predicted without them.

Rows are filled from a buffer of `lookahead` pieces: first the oldest piece, so none waits for ever,
then always the longest that still fits. The rest of a row is padding. No piece is cropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from token_schema.encode import IDLE, PROMPT


@dataclass(frozen=True)
class Compiled:
    """A sample's tokens, [n] each: ids, lane index, block (negative: the prompt), loss weight, class.

    `kind` is the token class of `token_schema.encode`: 0 content, 1 idle, 2 open, 3 close.
    """

    ids: NDArray[np.int32]
    lane: NDArray[np.uint8]
    block: NDArray[np.int32]
    loss: NDArray[np.float32]
    kind: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, where: NDArray[np.int64]) -> Compiled:
        """The tokens at some places."""
        return Compiled(*(array[where] for array in self.arrays()))

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The fields, in their order."""
        return self.ids, self.lane, self.block, self.loss, self.kind

    @property
    def told(self) -> NDArray[np.bool_]:
        """Where a token says something: content or idle. Boundary tokens are forced by the grammar
        (and stand in empty lanes too), so they count in the loss but in no lane's figures."""
        return self.kind <= IDLE

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays())


class Piece(NamedTuple):
    """Blocks [first_block, end_block) of the sample at a global position; end -1: all of it."""

    position: int
    first_block: int = 0
    end_block: int = -1


class Held(NamedTuple):
    """A piece with its tokens."""

    piece: Piece
    tokens: Compiled


def windows(sample: Compiled, context: int, where: str) -> list[tuple[int, int]]:
    """The block ranges of a sample's pieces. Raises StrettoError where one block is too long."""
    if len(sample) <= context:
        return [(0, -1)]
    blocks, sizes = np.unique(sample.block[sample.block >= 0], return_counts=True)
    room = context - int((sample.block < 0).sum())
    ranges, first, used = [], 0, 0
    for block, size in zip(blocks.tolist(), sizes.tolist(), strict=True):
        if size > room:
            raise StrettoError(
                f"block {block} has {size} tokens, and {room} fit beside the prompt",
                where,
                f"raise `context` to {context - room + size} or more",
            )
        if used + size > room:
            ranges.append((first, block))
            first, used = block, 0
        used += size
    return [*ranges, (first, int(blocks[-1]) + 1)]


def places(sample: Compiled, piece: Piece) -> NDArray[np.int64]:
    """Where the tokens of a piece stand in its sample: the prompt and its blocks."""
    if piece.end_block < 0:
        return np.arange(len(sample))
    inside = (sample.block >= piece.first_block) & (sample.block < piece.end_block)
    return np.flatnonzero(inside | (sample.block < 0))


def cut(sample: Compiled, piece: Piece) -> Held:
    """The tokens of a piece. A repeated prompt bears no loss."""
    part = sample.take(places(sample, piece))
    if piece.first_block > 0:
        part = replace(part, loss=np.where(part.block < 0, np.float32(0), part.loss))
    return Held(piece, part)


def split(sample: Compiled, position: int, context: int, where: str) -> list[Held]:
    """All pieces of the sample at `position`, in order."""
    return [cut(sample, Piece(position, *r)) for r in windows(sample, context, where)]


def fill_row(buffer: list[Held], context: int) -> list[Held]:
    """Take a row's pieces out of the buffer: the oldest, then the longest that fits, and so on."""
    row = [buffer.pop(0)]
    room = context - len(row[0].tokens)
    while fits := [i for i, held in enumerate(buffer) if len(held.tokens) <= room]:
        best = max(fits, key=lambda i: (len(buffer[i].tokens), -i))
        row.append(buffer.pop(best))
        room -= len(row[-1].tokens)
    return row


@dataclass(frozen=True)
class Rows:
    """Packed rows [rows, context] and the places whose next token bears loss.

    `segment` counts the pieces of a row from 1 (0: padding); `place` restarts at 0 in each. `index`
    [m] are flat positions in [rows * context); the token after each, `target`, has lane and weight.
    `lane` is 255 for tokens that no lane's figures count: boundary tokens and the prompt.
    """

    ids: NDArray[np.int64]
    segment: NDArray[np.int64]
    place: NDArray[np.int64]
    index: NDArray[np.int64]
    target: NDArray[np.int64]
    lane: NDArray[np.int64]
    weight: NDArray[np.float32]

    @property
    def token_count(self) -> int:
        """Tokens that are no padding."""
        return int((self.segment > 0).sum())


def collate(rows: Sequence[Sequence[Held]], context: int) -> Rows:
    """Lay pieces into arrays. A piece's first token is predicted from nothing and bears no loss."""
    shape = (len(rows), context)
    ids, segment, place = (np.zeros(shape, np.int64) for _ in range(3))
    loss, lane = np.zeros(shape, np.float32), np.zeros(shape, np.int64)
    for r, row in enumerate(rows):
        start = 0
        for number, held in enumerate(row, start=1):
            span = slice(start, start + len(held.tokens))
            ids[r, span] = held.tokens.ids
            lane[r, span] = np.where(held.tokens.told, held.tokens.lane, PROMPT)
            loss[r, span] = held.tokens.loss
            loss[r, start] = 0
            segment[r, span], place[r, span] = number, np.arange(len(held.tokens))
            start = span.stop
    bears = np.flatnonzero(loss.reshape(-1) > 0)
    flat = ids.reshape(-1)
    return Rows(
        ids,
        segment,
        place,
        bears - 1,
        flat[bears],
        lane.reshape(-1)[bears],
        loss.reshape(-1)[bears],
    )
