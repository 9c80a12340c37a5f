"""Decode: ids back to what each lane holds: text of each event, codes, and action rows.

    sample = decode(schema, codecs, ids, subset="gr1", step_count=57, fps=10)
    sample.prompt; sample.texts("write"); sample.codes("listen"); sample.actions

Text and codes come back exactly. Actions come back within the action codec's `max_error`; a held
block repeats the row before it. Ids that the grammar refuses raise its StrettoError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from token_schema.codec_set import CodecSet
from token_schema.grammar import Grammar
from token_schema.lanes import steps_per_block
from token_schema.language import ActLane, AudioLane, Lane, LookLane, TextLane, TokenSchema

Codes = NDArray[np.int32]


@dataclass(frozen=True)
class DecodedText:
    """One event of a text lane.

    `ended` says how: `end` whole, `cut` by a barge-in, `open` by the sample's end.
    """

    text: str
    first_block: int
    last_block: int
    ended: Literal["end", "cut", "open"]


@dataclass
class Decoded:
    """A decoded sequence. Codes are the codec's own, one array a block, None where it is idle or
    the channel is not there: audio [frames, codebooks], look [frames, tokens]. `held` [T] marks the
    rows of `actions` [T, D] that were held."""

    block_count: int
    prompt: str
    lane_texts: dict[str, list[DecodedText]] = field(default_factory=dict)
    lane_codes: dict[str, list[Codes | None]] = field(default_factory=dict)
    actions: NDArray[np.float32] | None = None
    held: NDArray[np.bool_] | None = None

    def texts(self, lane: str) -> list[str]:
        """The text of each event of a text lane, in order."""
        return [event.text for event in self.lane_texts[lane]]

    def codes(self, lane: str) -> list[Codes | None]:
        """The codes of each block of an audio or look lane."""
        return self.lane_codes[lane]


def decode(
    schema: TokenSchema,
    codecs: CodecSet,
    ids: Sequence[int] | NDArray[np.int32],
    subset: str | None = None,
    step_count: int | None = None,
    fps: float | None = None,
) -> Decoded:
    """The content of a sequence. Actions need the `subset` and `fps` of their sample; `step_count`
    cuts what pads the last block. Raises StrettoError."""
    flat = np.asarray(ids, np.int32)
    robot = subset if fps else None
    steps = steps_per_block(schema, fps, schema.name) if fps else 0
    Grammar(schema, codecs, robot, steps).check(flat.tolist())
    content = _contents(schema, codecs, flat)
    head = flat[1 : int(np.flatnonzero(flat == codecs.vocabulary.id(schema.prompt.close))[0])]
    prompt = codecs.get(schema.prompt.codec).decode(_local(codecs, schema.prompt.codec, head))
    out = Decoded(len(content[schema.lanes[0].name]), prompt)
    for lane in schema.lanes:
        blocks = content[lane.name]
        if isinstance(lane, TextLane):
            out.lane_texts[lane.name] = _texts(lane, codecs, blocks)
        elif isinstance(lane, ActLane):
            if robot and any(len(b) for b in blocks):
                out.actions, out.held = _actions(lane, codecs, blocks, robot, steps, step_count)
        else:
            out.lane_codes[lane.name] = [_block_codes(lane, codecs, b) for b in blocks]
    return out


def _contents(
    schema: TokenSchema, codecs: CodecSet, ids: NDArray[np.int32]
) -> dict[str, list[NDArray[np.int32]]]:
    """What stands between the boundary tokens, by lane and block; the grammar has checked them."""
    out = {}
    for lane in schema.lanes:
        opens = np.flatnonzero(ids == codecs.vocabulary.id(lane.open)) + 1
        closes = np.flatnonzero(ids == codecs.vocabulary.id(lane.close))
        out[lane.name] = [ids[a:b] for a, b in zip(opens, closes, strict=True)]
    return out


def _local(codecs: CodecSet, codec: str, ids: NDArray[np.int32]) -> list[int]:
    return (ids - codecs.vocabulary.range(codec).start).tolist()


def _texts(lane: TextLane, codecs: CodecSet, blocks: list[NDArray[np.int32]]) -> list[DecodedText]:
    vocabulary, codec = codecs.vocabulary, codecs.get(lane.codec)
    idle, end, cut = (vocabulary.id(t) for t in (lane.idle, lane.end, lane.cut))
    events: list[DecodedText] = []
    pending: list[int] = []
    first: int | None = None

    def finish(block: int, ended: Literal["end", "cut", "open"]) -> None:
        text = codec.decode(_local(codecs, lane.codec, np.array(pending, np.int32)))
        events.append(DecodedText(text, block if first is None else first, block, ended))

    for b, block in enumerate(blocks):
        for token in block.tolist():
            if token == idle:
                continue
            if token in (end, cut):
                finish(b, "end" if token == end else "cut")
                pending, first = [], None
                continue
            first = b if first is None else first
            pending.append(token)
    if pending:
        finish(len(blocks) - 1, "open")
    return events


def _block_codes(lane: Lane, codecs: CodecSet, ids: NDArray[np.int32]) -> Codes | None:
    """The codec's own codes of one block; None for an idle token or nothing."""
    idle = getattr(lane, "idle", None)
    if not len(ids) or (idle and ids[0] == codecs.vocabulary.id(idle)):
        return None
    r = codecs.vocabulary.range(lane.codec)
    if isinstance(lane, LookLane):
        return (ids - r.start).reshape(lane.frames, -1)
    assert isinstance(lane, AudioLane)
    books = r.entries * np.arange(lane.codebooks, dtype=np.int32)
    return ids.reshape(-1, lane.codebooks) - r.start - books


def _actions(
    lane: ActLane,
    codecs: CodecSet,
    blocks: list[NDArray[np.int32]],
    subset: str,
    steps: int,
    step_count: int | None,
) -> tuple[Any, Any]:
    """Rows float32 [T, D] and which of them are held."""
    codec = codecs.action(lane, subset)
    hold = codecs.vocabulary.id(lane.idle) if lane.idle else -1
    held = np.array([len(b) == 1 and b[0] == hold for b in blocks])
    rows = np.zeros((len(blocks), steps, codec.dims), np.float32)
    for b, block in enumerate(blocks):
        rows[b] = (
            rows[b - 1][-1]
            if held[b]
            else codec.decode(_local(codecs, lane.codec, block), steps, codec.dims)
        )
    n = len(blocks) * steps if step_count is None else step_count
    if n > len(blocks) * steps:
        raise StrettoError(f"{len(blocks) * steps} action rows, {n} wanted", f"lane {lane.name}")
    return rows.reshape(-1, codec.dims)[:n], np.repeat(held, steps)[:n]
