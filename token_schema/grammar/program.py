"""The rules of a schema one behind the other: the prompt, then a list of items for every block.

    program = program_of(schema, codecs, subset, steps_per_block, fps)

Blocks and steps of the parallel mode repeat one list, turns alternate two. It follows from the
schema and the sizes of its codecs.
"""

from __future__ import annotations

import math
from dataclasses import replace

from token_schema.codec_set import CodecSet
from token_schema.grammar.blocks import ActBlock, AudioBlock, LookBlock, Phase, by_length
from token_schema.grammar.frames import frames_program
from token_schema.grammar.parts import Item, Parts, Program
from token_schema.grammar.rules import Camera, OneToken, Rule, closes, opens
from token_schema.grammar.turns import Alternating, AudioTurn, TextTurn, TurnEnd
from token_schema.models import ActLane, AudioLane, Lane, LookLane, PhaseLane, TextLane
from token_schema.schema import TokenSchema, exact
from token_schema.tokens import CLOSE, PROMPT


def program_of(
    schema: TokenSchema,
    codecs: CodecSet,
    subset: str | None = None,
    steps_per_block: int | None = None,
    fps: float | None = None,
) -> Program:
    """The program of a schema. `subset`, with `steps_per_block` or `fps`, names the embodiment."""
    parts = Parts(schema, codecs, subset, steps_per_block, fps)
    make = {"blocks": blocks_program, "frames": frames_program, "turns": turns_program}
    return make[schema.timing](parts)


def _framed(parts: Parts, i: int, lane: Lane, rule: Rule, slot: int, last: bool) -> list[Item]:
    """The lane's open, its content, its close."""
    out = [Item(rule, slot, last)]
    if lane.open and lane.close:
        out.insert(0, Item(opens(i, parts.token(lane.open)), slot))
    if lane.close:
        out.append(Item(closes(i, parts.token(lane.close)), slot))
    return out


# ---- blocks ------------------------------------------------------------------------------------


def blocks_program(parts: Parts) -> Program:
    """Every block: `clock.open`, the lanes in their order, `clock.close`."""
    items: list[Item] = []
    clock = parts.schema.clock
    if clock.open:
        items.append(Item(opens(PROMPT, parts.token(clock.open))))
    for i, lane in enumerate(parts.schema.lanes):
        phase = parts.schema.phase_of(lane.name)
        later = (parts.schema.phase_of(x.name) for x in parts.schema.lanes[i + 1 :])
        slot, last = (-1, False) if phase is None else (phase, phase not in later)
        items += _framed(parts, i, lane, _block_rule(parts, i, lane), slot, last)
    if clock.close:
        items.append(Item(closes(PROMPT, parts.token(clock.close))))
    return parts.program(parts.text_head(), [items])


def _block_rule(parts: Parts, i: int, lane: Lane) -> Rule:
    if isinstance(lane, TextLane):
        return parts.cell(i, lane, lane.budget or 1, lane.fixed)
    if isinstance(lane, AudioLane):
        return _audio(parts, i, lane)
    if isinstance(lane, LookLane):
        codes = parts.codes(lane.codec)
        total = parts.codecs.get(lane.codec).tokens * lane.frames if codes.entries else 0
        return LookBlock(i, codes, total, Camera(*parts.cameras(lane)))
    if isinstance(lane, ActLane):
        return _act(parts, i, lane)
    return _phase(parts, i, lane)


def _audio(parts: Parts, i: int, lane: AudioLane) -> AudioBlock:
    schema = parts.schema
    per_block = exact(lane.rate_hz) * schema.block
    shift = parts.codecs.shift_frames(lane)
    books = lane.codebooks if lane.as_ == "codes" else 1
    parts.settle(math.ceil(shift / per_block) + 1, per_block.denominator)

    def total(b: int) -> int:
        return (schema.frame_at(lane, b + 1) - schema.frame_at(lane, b)) * books

    def pads(b: int) -> int:
        return max(0, shift - schema.frame_at(lane, b)) * books

    codes = parts.codes(lane.codec) if lane.as_ == "codes" else None
    slot, idle, pad = (parts.maybe(x) for x in (lane.slot, lane.idle, lane.pad))
    return AudioBlock(i, total, pads, codes, slot, idle, pad, books)


def _act(parts: Parts, i: int, lane: ActLane) -> ActBlock:
    codes, here = parts.codes(lane.codec), parts.robot()
    idle = parts.maybe(lane.idle)
    if not (parts.subset and parts.steps):
        return ActBlock(i, codes, here, idle)
    codec = parts.codecs.action(lane, parts.subset)
    lengths = by_length([len(codec.piece(k)) for k in range(codec.size)], codes.start)
    return ActBlock(i, codes, here, idle, parts.steps * codec.dims, lengths)


def _phase(parts: Parts, i: int, lane: PhaseLane) -> Phase:
    """Silent speech in codes looks like speech: then nothing tells whether there was something."""
    governed = [(k, x) for k, x in enumerate(parts.schema.lanes) if x.name in lane.of]
    texts = tuple(k for k, x in governed if isinstance(x, TextLane))
    told = all(x.idle for _, x in governed if isinstance(x, AudioLane))
    return Phase(i, i, parts.token(lane.idle), parts.token(lane.active), texts, told)


# ---- turns -------------------------------------------------------------------------------------


def turns_program(parts: Parts) -> Program:
    """An input turn, an output turn, and so on; output lanes may alternate."""
    schema, turns = parts.schema, parts.schema.clock.turns
    assert turns is not None
    parts.settle(2)
    given = [Item(opens(PROMPT, parts.token(turns.input[0])))]
    made = [Item(opens(PROMPT, parts.token(turns.output[0])))]
    group = [x for x in schema.lanes if x.name in turns.interleave]
    for i, lane in enumerate(schema.lanes):
        if schema.is_input(lane):
            given += _framed(parts, i, lane, _turn_rule(parts, i, lane), -1, False)
        elif lane not in group:
            made += _framed(parts, i, lane, _turn_rule(parts, i, lane), -1, False)
        elif lane is group[0]:
            rules = tuple(_turn_rule(parts, schema.lanes.index(x), x) for x in group)
            counts = tuple(turns.interleave[x.name] for x in group)
            made.append(Item(Alternating(i, parts.free, rules, counts)))
    given.append(Item(OneToken(PROMPT, parts.token(turns.input[1]), CLOSE)))
    ends = parts.token(turns.output[1]), parts.token(turns.cut)
    made.append(Item(TurnEnd(PROMPT, *ends, parts.free)))
    return parts.program(parts.text_head(), [given, made])


def _turn_rule(parts: Parts, i: int, lane: Lane) -> AudioTurn | TextTurn:
    if isinstance(lane, AudioLane):
        codes = parts.codes(lane.codec) if lane.as_ == "codes" else None
        books = lane.codebooks if codes else 1
        return AudioTurn(i, parts.free, codes, parts.maybe(lane.slot), books)
    assert isinstance(lane, TextLane)
    r, marks = parts.codecs.vocabulary.range(lane.codec), parts.marks(lane)
    if parts.schema.is_input(lane):
        marks = replace(marks, cut=None)  # what is read comes whole
    return TextTurn(i, parts.free, r.start, r.stop, marks, lane.end_closes)
