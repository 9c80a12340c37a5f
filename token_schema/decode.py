"""Decode: ids back to what each lane holds: text of each event, codes, and action rows.

    sample = decode(schema, codecs, ids, subset="gr1", step_count=57, fps=10)
    sample.prompt; sample.texts("write"); sample.codes("listen"); sample.frames("speak")
    sample.actions; sample.slots("listen")

Text and codes come back exactly. Actions come back within the action codec's `max_error`; a held
block repeats the row before it. What a lane `as: slots` or `as: mel` holds is not in the ids: only
how many rows there are. Ids that the grammar refuses raise its StrettoError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError
from token_schema.codec_set import CodecSet
from token_schema.decode_codes import Codes, block_codes, block_frames, image_codes, step_frames
from token_schema.decode_text import DecodedText, prompt_of, texts_of
from token_schema.grammar import Grammar, Parsed
from token_schema.layouts.lanes import steps_per_block
from token_schema.models import ActLane, AudioLane, Lane, LookLane, TextLane
from token_schema.schema import TokenSchema
from token_schema.tokens import CONTENT, IDLE

__all__ = ["Decoded", "DecodedText", "decode"]


@dataclass
class Decoded:
    """A decoded sequence; a block is a step in the parallel mode, a turn in turns.

    Codes are the codec's own. `lane_codes`: one array a block, None where it is idle or the channel
    is not there: audio [frames, codebooks] (-1 where the token is `pad`), look [frames, tokens].
    In the parallel mode it is one array a frame [codebooks], and one an image [tokens].
    `lane_frames`: audio with all delays taken back, [frames, codebooks], -1 where there is no code.
    `lane_slots`: rows of `values` that stand in each block. `held` [T] marks the rows of `actions`
    [T, D] that were held.
    """

    block_count: int
    prompt: str
    lane_texts: dict[str, list[DecodedText]] = field(default_factory=dict)
    lane_codes: dict[str, list[Codes | None]] = field(default_factory=dict)
    lane_frames: dict[str, Codes] = field(default_factory=dict)
    lane_slots: dict[str, list[int]] = field(default_factory=dict)
    actions: NDArray[np.float32] | None = None
    held: NDArray[np.bool_] | None = None

    def texts(self, lane: str) -> list[str]:
        """The text of each event of a text lane, in order."""
        return [event.text for event in self.lane_texts[lane]]

    def codes(self, lane: str) -> list[Codes | None]:
        """The codes of each block of an audio or look lane."""
        return self.lane_codes[lane]

    def frames(self, lane: str) -> Codes:
        """The codes of each frame of an audio lane, delays taken back (blocks and parallel)."""
        return self.lane_frames[lane]

    def slots(self, lane: str) -> list[int]:
        """How many rows of numbers stand in each block of a slots or mel lane."""
        return self.lane_slots[lane]


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
    robot = subset if fps and any(isinstance(x, ActLane) for x in schema.lanes) else None
    steps = steps_per_block(schema, fps, schema.name) if robot and _timed(schema) and fps else None
    parsed = Grammar(schema, codecs, robot, steps, fps).read(flat)
    out = Decoded(int(parsed.block[-1]) + 1, prompt_of(schema, codecs, flat, parsed))
    for i, lane in enumerate(schema.lanes):
        own = _Content.of(flat, parsed, i, out.block_count)
        if isinstance(lane, TextLane):
            out.lane_texts[lane.name] = texts_of(schema, codecs, lane, i, flat, parsed)
        elif isinstance(lane, ActLane):
            if robot and (own.kinds == CONTENT).any():
                rows = _block_rows if _timed(schema) else _step_rows
                found, held = rows(lane, codecs, own, robot, steps or 0)
                n = _count(lane, len(found), step_count)
                out.actions, out.held = found[:n], held[:n]
        elif isinstance(lane, (AudioLane, LookLane)):
            _codes(schema, codecs, lane, own, out)
    return out


def _timed(schema: TokenSchema) -> bool:
    return schema.timing == "blocks"


@dataclass(frozen=True)
class _Content:
    """Content and idle tokens of one lane; those of block b are [edges[b], edges[b + 1])."""

    ids: NDArray[np.int32]
    kinds: NDArray[np.uint8]
    edges: NDArray[np.int64]

    @classmethod
    def of(cls, ids: NDArray[np.int32], parsed: Parsed, lane: int, blocks: int) -> _Content:
        mine = np.flatnonzero((parsed.lane == lane) & (parsed.kind <= IDLE))
        edges = np.searchsorted(parsed.block[mine], np.arange(blocks + 1))
        return cls(ids[mine], parsed.kind[mine], edges)

    def blocks(self) -> list[NDArray[np.int32]]:
        """The ids of each block, -1 for what is of class idle."""
        told = np.where(self.kinds == CONTENT, self.ids, -1).astype(np.int32)
        return [told[a:b] for a, b in zip(self.edges, self.edges[1:], strict=False)]


def _codes(schema: TokenSchema, codecs: CodecSet, lane: Lane, own: _Content, out: Decoded) -> None:
    """Fill in what an audio or look lane holds."""
    name, blocks = lane.name, own.blocks()
    if isinstance(lane, AudioLane) and lane.as_ != "codes":
        out.lane_slots[name] = [int((b >= 0).sum()) for b in blocks]
    elif schema.timing != "frames":
        out.lane_codes[name] = [block_codes(lane, codecs, b) for b in blocks]
        if isinstance(lane, AudioLane) and _timed(schema):
            out.lane_frames[name] = block_frames(schema, lane, codecs, out.lane_codes[name])
    elif isinstance(lane, AudioLane):
        frames = out.lane_frames[name] = step_frames(lane, codecs, np.stack(blocks))
        out.lane_codes[name] = [f if (f >= 0).any() else None for f in frames]
    else:
        assert isinstance(lane, LookLane)
        out.lane_codes[name] = list(image_codes(lane, codecs, np.stack(blocks)))


# ---- actions -----------------------------------------------------------------------------------


def _count(lane: ActLane, rows: int, step_count: int | None) -> int:
    if step_count is not None and step_count > rows:
        raise StrettoError(f"{rows} action rows, {step_count} wanted", f"lane {lane.name}")
    return rows if step_count is None else step_count


def _block_rows(
    lane: ActLane, codecs: CodecSet, own: _Content, subset: str, steps: int
) -> tuple[Any, Any]:
    """Rows float32 [T, D] and which of them are held: a block without codes repeats the row before
    it."""
    codec, start = codecs.action(lane, subset), codecs.vocabulary.range(lane.codec).start
    blocks = own.blocks()
    held = np.array([not len(b) or b[0] < 0 for b in blocks])
    rows = np.zeros((len(blocks), steps, codec.dims), np.float32)
    for b, block in enumerate(blocks):
        if not held[b]:
            rows[b] = codec.decode((block - start).tolist(), steps, codec.dims)
        elif b:
            rows[b] = rows[b - 1][-1]
    return rows.reshape(-1, codec.dims), np.repeat(held, steps)


def _step_rows(
    lane: ActLane, codecs: CodecSet, own: _Content, subset: str, steps: int
) -> tuple[Any, Any]:
    """Rows float32 [T, D], one after the other, as many as the codec takes at once."""
    codec, start = codecs.action(lane, subset), codecs.vocabulary.range(lane.codec).start
    ids = (own.ids[own.kinds == CONTENT] - start).reshape(-1, codec.dims)
    chunks = [ids[i : i + codec.horizon] for i in range(0, len(ids), codec.horizon)]
    rows = [codec.decode(c.ravel().tolist(), len(c), codec.dims) for c in chunks]
    return np.concatenate(rows), np.zeros(len(ids), bool)
