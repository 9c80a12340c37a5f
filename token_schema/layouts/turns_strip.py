"""The strip of tokens that `turns` writes, stretch by stretch: ids, lane, class, turn, known, loss.

    strip = Strip(schema, codecs)
    strip.mark("<speech>", lane=1, kind=OPEN, known_s=2.0)
    strip.add(ids, lane=1, kind=CONTENT, known_s=2.0, book=books)
    strip.tokens(report, values)

The turns' own tokens belong to no lane: 255, as the prompt, with a turn's number as `block`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from token_schema.codec_set import CodecSet
from token_schema.models import AudioLane
from token_schema.schema import TokenSchema
from token_schema.tokens import CONTENT, PROMPT, Report, Tokens

TYPES = (np.uint8, np.uint8, np.int32, np.float64, np.float32)  # lane, kind, block, known_s, loss


class Strip:
    """`block` is the number of the turn being written, -1 in the prompt.

    A stretch is its ids and one row (lane, kind, block, known_s, loss) that all of them share;
    what differs from id to id is kept beside. Rows become columns once, at the end.
    """

    def __init__(self, schema: TokenSchema, codecs: CodecSet) -> None:
        self.block = -1
        self._ids: list[NDArray[np.int32]] = []
        self._rows: list[tuple[int, int, int, float, float]] = []
        self._finer: list[tuple[int, int, NDArray[Any]]] = []  # (row, column, values)
        vocabulary = codecs.vocabulary
        self._special = {x: np.array([vocabulary.id(x)], np.int32) for x in schema.specials()}
        self._weights = {i: lane.loss.weights() for i, lane in enumerate(schema.lanes)}
        self._weights[PROMPT] = schema.prompt.loss.weights() if schema.prompt else (0.0,) * 4
        self._books = {
            i: np.array(lane.loss.books, np.float32)
            for i, lane in enumerate(schema.lanes)
            if isinstance(lane, AudioLane) and lane.loss.books
        }

    def add(
        self,
        ids: NDArray[np.int32],
        lane: int,
        known_s: float | NDArray[np.float64],
        book: NDArray[np.int64] | None = None,
    ) -> None:
        """Content ids [n] of a lane; `known_s` may be [n], `book` [n] is the codebook of each."""
        loss = self._weights[lane][CONTENT]
        row = len(self._ids)
        if isinstance(known_s, np.ndarray):
            self._finer.append((row, 3, known_s))
            known_s = 0.0
        if book is not None and lane in self._books:
            self._finer.append((row, 4, loss * self._books[lane][book]))
        self._append(ids, lane, CONTENT, known_s, loss)

    def add_mixed(
        self,
        ids: NDArray[np.int32],
        lane: NDArray[np.int64],
        known_s: float,
        book: NDArray[np.int64],
    ) -> None:
        """Content ids [n] of lanes that alternate: `lane` [n] and `book` [n] of each."""
        row, loss = len(self._ids), np.zeros(len(ids), np.float32)
        for i in np.unique(lane).tolist():
            factor = self._books[i][book[lane == i]] if i in self._books else np.float32(1)
            loss[lane == i] = self._weights[i][CONTENT] * factor
        self._finer += [(row, 0, lane), (row, 4, loss)]
        self._append(ids, 0, CONTENT, known_s, 0.0)

    def mark(
        self, name: str | None, lane: int, kind: int, known_s: float, told: bool = True
    ) -> None:
        """One special token of a lane; nothing when the lane has none. `told: False` is what the
        world put there: never learned."""
        if name is not None:
            loss = self._weights[lane][kind] if told else 0.0
            self._append(self._special[name], lane, kind, known_s, loss)

    def clock(self, name: str, kind: int, known_s: float, loss: float = 0.0) -> None:
        """One of the turns' own tokens."""
        self._append(self._special[name], PROMPT, kind, known_s, loss)

    def _append(
        self, ids: NDArray[np.int32], lane: int, kind: int, known_s: float, loss: float
    ) -> None:
        self._ids.append(ids)
        self._rows.append((lane, kind, self.block, known_s, loss))

    def tokens(self, report: Report, values: dict[str, NDArray[np.float32]]) -> Tokens:
        """All that was written. What is known never falls in reading order."""
        lengths = np.fromiter(map(len, self._ids), np.int64, len(self._ids))
        columns = [
            np.repeat(np.array(column, dtype), lengths)
            for column, dtype in zip(zip(*self._rows, strict=True), TYPES, strict=True)
        ]
        starts = np.cumsum(lengths) - lengths
        for row, column, finer in self._finer:
            columns[column][starts[row] : starts[row] + lengths[row]] = finer
        lane, kind, block, known_s, loss = columns
        np.maximum.accumulate(known_s, out=known_s)
        ids = np.concatenate(self._ids).astype(np.int32)
        return Tokens(ids, lane, kind, block, loss, known_s, report, values=values)
