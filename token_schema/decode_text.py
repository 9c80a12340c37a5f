"""Texts of decoded lanes: content ids back to the events they were, and the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from token_schema.codec_set import CodecSet
from token_schema.grammar import Parsed
from token_schema.models import TextLane
from token_schema.schema import TokenSchema
from token_schema.tokens import CLOSE, CONTENT, OPEN, PROMPT

Ended = Literal["end", "cut", "open"]


@dataclass(frozen=True)
class DecodedText:
    """One event of a text lane. Of a lane that has neither `begin` nor `end`: all that it says (in
    turns: in one turn).

    `ended` says how: `end` whole, `cut` by a barge-in, `open` by the sample's end or without a
    token. Where the lane has no `cut` token of its own, `end` may stand for either.
    """

    text: str
    first_block: int
    last_block: int
    ended: Ended


def prompt_of(schema: TokenSchema, codecs: CodecSet, ids: NDArray[np.int32], parsed: Parsed) -> str:
    """The text between the prompt's open and close; "" where there is none."""
    head = (parsed.lane == PROMPT) & (parsed.block < 0)
    opens = np.flatnonzero(head & (parsed.kind == OPEN))
    if schema.prompt is None or not len(opens):
        return ""
    closes = np.flatnonzero(head & (parsed.kind == CLOSE))
    every = len(schema.streams) if schema.timing == "frames" else 1
    text = ids[opens[0] : closes[-1] : every][1:]
    return _decoded(codecs, schema.prompt.codec, text.tolist())


def texts_of(
    schema: TokenSchema,
    codecs: CodecSet,
    lane: TextLane,
    index: int,
    ids: NDArray[np.int32],
    parsed: Parsed,
) -> list[DecodedText]:
    """The events of a text lane, in order."""
    mine = np.flatnonzero((parsed.lane == index) & (parsed.kind == CONTENT))
    events = _Events(lane, codecs)
    cut = _cut_turns(schema, codecs, ids, parsed)
    for token, block in zip(ids[mine].tolist(), parsed.block[mine].tolist(), strict=True):
        if schema.timing == "turns" and block != events.block:
            events.turn_ends(cut)
        events.take(token, block)
    if schema.timing == "turns":
        events.turn_ends(cut)
    events.finish("open")
    return events.out


def _cut_turns(
    schema: TokenSchema, codecs: CodecSet, ids: NDArray[np.int32], parsed: Parsed
) -> set[int]:
    """The turns that the world cut."""
    if schema.clock.turns is None:
        return set()
    cut = codecs.vocabulary.id(schema.clock.turns.cut)
    return set(parsed.block[(ids == cut) & (parsed.kind == CLOSE)].tolist())


class _Events:
    """The ids of the event under way, and the events before it."""

    def __init__(self, lane: TextLane, codecs: CodecSet) -> None:
        self.codec, self.codecs = lane.codec, codecs
        names = (lane.begin, lane.end, lane.cut)
        self.begin, self.end, self.cut = (codecs.vocabulary.id(t) if t else -1 for t in names)
        self.pending: list[int] = []
        self.first, self.block = -1, -1
        self.out: list[DecodedText] = []

    def take(self, token: int, block: int) -> None:
        if token == self.begin:
            self.finish("open")
            self.first = block
        self.block = block
        if self.first < 0:
            self.first = block
        if token == self.end:
            self.finish("end")
        elif token == self.cut:
            self.finish("cut")
        elif token != self.begin:
            self.pending.append(token)

    def turn_ends(self, cut: set[int]) -> None:
        """No event reaches beyond its turn."""
        self.finish("cut" if self.block in cut else "open")

    def finish(self, ended: Ended) -> None:
        if self.first >= 0:
            text = _decoded(self.codecs, self.codec, self.pending)
            self.out.append(DecodedText(text, self.first, self.block, ended))
        self.pending, self.first = [], -1


def _decoded(codecs: CodecSet, codec: str, ids: Sequence[int]) -> str:
    start = codecs.vocabulary.range(codec).start
    return codecs.get(codec).decode([i - start for i in ids])
