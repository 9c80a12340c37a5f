"""Putting lanes together: every token's place is computed, then the lanes' arrays are copied there.

    tokens = assemble(grid, codecs, contents, report)

One pass of numpy a lane, whatever the number of blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.timeline import Timeline
from token_schema.codec_set import CodecSet
from token_schema.layouts.lanes import Grid, LaneBlocks
from token_schema.layouts.shown import prompt_text
from token_schema.schema import TokenSchema
from token_schema.tokens import CLOSE, CONTENT, OPEN, PROMPT, Report, Tokens


@dataclass(frozen=True)
class _Column:
    """One segment of every block: `counts[b]` tokens of a lane. `token_id` where it is one token,
    else what stands in `content`."""

    lane: int
    counts: NDArray[np.int64]
    kind: int = CONTENT
    token_id: int = -1
    content: LaneBlocks | None = None


def _columns(grid: Grid, codecs: CodecSet, contents: list[LaneBlocks]) -> Iterator[_Column]:
    schema, n = grid.schema, grid.n_blocks
    yield from _boundary(codecs, PROMPT, OPEN, schema.clock.open, np.ones(n, bool))
    for i, (lane, content) in enumerate(zip(schema.lanes, contents, strict=True)):
        there = content.present if content.present is not None else np.ones(n, bool)
        closed = there if content.closed is None else there & content.closed
        yield from _boundary(codecs, i, OPEN, lane.open, there)
        yield _Column(i, content.counts, content=content)
        yield from _boundary(codecs, i, CLOSE, lane.close, closed)
    yield from _boundary(codecs, PROMPT, CLOSE, schema.clock.close, np.ones(n, bool))


def _boundary(
    codecs: CodecSet, lane: int, kind: int, name: str | None, there: NDArray[np.bool_]
) -> Iterator[_Column]:
    if name is not None:
        yield _Column(lane, there.astype(np.int64), kind, codecs.vocabulary.id(name))


def assemble(grid: Grid, codecs: CodecSet, contents: list[LaneBlocks], report: Report) -> Tokens:
    schema, n = grid.schema, grid.n_blocks
    head = _head(schema, codecs, grid.timeline)
    columns = list(_columns(grid, codecs, contents))
    lengths = np.stack([c.counts for c in columns], axis=1)
    starts = np.cumsum(lengths.ravel()).reshape(lengths.shape) - lengths + len(head)
    total = len(head) + int(lengths.sum())
    flat = lengths.ravel()
    ids, known_s = np.empty(total, np.int32), np.zeros(total)
    lane, kind = np.full(total, PROMPT, np.uint8), np.full(total, CONTENT, np.uint8)
    block = np.full(total, -1, np.int32)
    ids[: len(head)] = head
    if len(head):
        kind[0], kind[len(head) - 1] = OPEN, CLOSE
    lane[len(head) :] = np.repeat(np.tile(np.array([c.lane for c in columns], np.uint8), n), flat)
    kind[len(head) :] = np.repeat(np.tile(np.array([c.kind for c in columns], np.uint8), n), flat)
    block[len(head) :] = np.repeat(np.arange(n, dtype=np.int32), lengths.sum(axis=1))
    factors = []
    for column, start in zip(columns, starts.T, strict=True):
        content = column.content
        if content is None:
            ids[start[column.counts > 0]] = column.token_id
            continue
        before = np.cumsum(content.counts) - content.counts
        at = np.repeat(start - before, content.counts) + np.arange(len(content.ids))
        ids[at], kind[at] = content.ids, content.kinds
        if content.known_s is not None:
            known_s[at] = content.known_s
        if content.factor is not None:
            factors.append((at, content.factor))
    loss = _weights(schema)[lane, kind]
    loss[(lane == PROMPT) & (block >= 0)] = 0  # the clock's own tokens are given, not learned
    for at, factor in factors:
        loss[at] *= factor
    values = {x.name: c for x, c in zip(schema.lanes, contents, strict=True) if c.values}
    np.maximum.accumulate(known_s, out=known_s)
    return Tokens(ids, lane, kind, block, loss, known_s, report, values=LaneValues(values))


def _head(schema: TokenSchema, codecs: CodecSet, timeline: Timeline) -> NDArray[np.int32]:
    """The prompt: its open, the text, its close; nothing where the schema has none."""
    if schema.prompt is None:
        return np.zeros(0, np.int32)
    vocabulary, name = codecs.vocabulary, schema.prompt.codec
    text = codecs.get(name).encode(prompt_text(schema, timeline))
    start = vocabulary.range(name).start
    ends = vocabulary.id(schema.prompt.open), vocabulary.id(schema.prompt.close)
    return np.array([ends[0], *(start + i for i in text), ends[1]], np.int32)


def _weights(schema: TokenSchema) -> NDArray[np.float32]:
    """Loss weight by lane and class, float32 [256, 4]."""
    weights = np.zeros((256, 4), np.float32)
    if schema.prompt:
        weights[PROMPT] = schema.prompt.loss.weights()
    for i, lane in enumerate(schema.lanes):
        weights[i] = lane.loss.weights()
    return weights


class LaneValues(Mapping[str, Any]):
    """Numbers of the slots and mel lanes, made when asked for: to know the ids of a schema without
    audio codes, no sound is decoded. Pickled as a plain dict."""

    def __init__(self, contents: dict[str, LaneBlocks]) -> None:
        self._contents, self._made = contents, {}  # type: ignore[var-annotated]

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        if name not in self._made:
            content = self._contents[name]
            assert content.values is not None and content.rows is not None
            self._made[name] = content.values()[content.rows[content.rows >= 0]]
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._contents)

    def __len__(self) -> int:
        return len(self._contents)

    def __reduce__(self) -> Any:
        return dict, (dict(self),)
