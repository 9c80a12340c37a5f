"""The grammar's program of the parallel mode: the rows of the prompt, then one list for every step."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from token_schema.codec_set import CodecSet
from token_schema.grammar.parts import Item, Parts, Program, content
from token_schema.grammar.rules import Camera, Codes, Rule, Token
from token_schema.grammar.steps import ActStep, AudioStep, LookStep, RowCell
from token_schema.models import ActLane, AudioLane, Lane, LookLane, TextLane
from token_schema.tokens import CLOSE, OPEN, PROMPT


def frames_program(parts: Parts) -> Program:
    """Prompt rows, then steps."""
    items = [Item(_stream(parts, i, lane)) for i, lane in enumerate(parts.schema.lanes)]
    head, loop = _rows(parts)
    return parts.program(head, [items], loop)


# ---- steps -------------------------------------------------------------------------------------


def _stream(parts: Parts, i: int, lane: Lane) -> Rule:
    if isinstance(lane, TextLane):
        parts.settle(lane.delay + 1)
        return parts.cell(i, lane, 1, True, lane.delay)
    if isinstance(lane, AudioLane):
        return _audio(parts, i, lane)
    if isinstance(lane, LookLane):
        return _look(parts, i, lane)
    assert isinstance(lane, ActLane)
    return _act(parts, i, lane)


def shifts_of(lane: AudioLane, codecs: CodecSet) -> tuple[int, ...]:
    """Steps by which each codebook stands later than its frame."""
    delays = lane.delays or (0,) * lane.codebooks
    return tuple(lane.delay + d + codecs.frames_ahead(lane) for d in delays)


def _audio(parts: Parts, i: int, lane: AudioLane) -> AudioStep:
    shifts = shifts_of(lane, parts.codecs)
    idle, pad = parts.maybe(lane.idle), parts.maybe(lane.pad)
    rule = AudioStep(i, i, shifts, parts.codes(lane.codec), idle, pad)
    parts.settle(max(shifts) + 1)
    parts.memory[i] = rule.start()
    return rule


def _look(parts: Parts, i: int, lane: LookLane) -> LookStep:
    codes, camera = parts.codes(lane.codec), Camera(*parts.cameras(lane))
    total = parts.codecs.get(lane.codec).tokens if codes.entries else 0
    parts.settle(lane.delay + 1, lane.every)
    pad = parts.token(lane.pad)
    return LookStep(i, camera, codes, total, lane.every, lane.streams, lane.delay, pad)


def _act(parts: Parts, i: int, lane: ActLane) -> ActStep:
    """Rows stand in the first step after their time, later by what listening comes late."""
    listens = (x for x in parts.schema.lanes if isinstance(x, AudioLane) and x.channel == "listen")
    first = 1 + min((min(shifts_of(x, parts.codecs)) for x in listens), default=0) + lane.delay
    rate, dims = None, 1
    if parts.subset and parts.fps:
        dims = parts.codecs.action(lane, parts.subset).fixed
        rate = parts.fps * parts.schema.block
    parts.settle(first + 1, (rate or Fraction(1)).denominator)
    parts.memory[i] = (0, False)
    codes, pad = parts.codes(lane.codec), parts.token(lane.pad)
    return ActStep(i, i, codes, dims, lane.streams, first, rate, pad)


# ---- the rows of the prompt --------------------------------------------------------------------


def _rows(parts: Parts) -> tuple[list[Item], Any]:
    """A gap and a voice of a fixed length; text until its close: the place of its repeated row."""
    prompt, out, loop = parts.schema.prompt, list[Item](), None
    if prompt is None:
        return [], None
    seconds = {"gap": prompt.gap_s, "voice": prompt.voice_s}
    for region in prompt.rows:
        if region != "text":
            count = round(seconds[region] / parts.schema.block_s)
            out += _row(parts, None, region == "voice") * count
            continue
        first, last = parts.token(prompt.open), parts.token(prompt.close)
        out += _row(parts, RowCell(PROMPT, ((first, OPEN),)))
        choices: tuple[tuple[Token | Codes, int], ...]
        choices = (content(parts.codes(prompt.codec)), (last, CLOSE))
        row = _row(parts, RowCell(PROMPT, choices, slot=parts.free, closes=last))
        loop = (len(out), len(out) + len(row), parts.free)
        out += row
    return out, loop


def _row(parts: Parts, text: Rule | None, voice: bool = False) -> list[Item]:
    """One row; `text` is what stands in the first text stream."""
    rules: list[Rule] = []
    for lane in parts.schema.lanes:
        if isinstance(lane, TextLane):
            rules.append(text or RowCell(PROMPT, (content(parts.token(lane.idle)),)))
            text = None
        elif isinstance(lane, AudioLane):
            rules += [_sound(parts, lane, q, voice) for q in range(lane.codebooks)]
        elif isinstance(lane, (LookLane, ActLane)):
            rules += [RowCell(PROMPT, (content(parts.token(lane.pad)),))] * lane.streams
    return [Item(rule) for rule in rules]


def _sound(parts: Parts, lane: AudioLane, q: int, voice: bool) -> RowCell:
    codes = content(parts.codes(lane.codec))
    if not lane.idle:
        return RowCell(PROMPT, (codes,), q)
    idle = content(parts.token(lane.idle))
    return RowCell(PROMPT, (idle, codes) if voice else (idle,), q)
