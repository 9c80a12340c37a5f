"""What a schema announces: tokens a second of each lane, known before any sample is compiled.

    for rate in announced(schema, codecs): rate.content, rate.boundary, rate.bearing

A fixed lane has one number; a variable one (text, FAST, an idle form, a phase) the fewest and the
most. Where only a codec can say (FAST, images), the span is open until `codecs` is given. In turns a
second is one of that turn, so only codes have a rate there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from token_schema.codec_set import CodecSet
from token_schema.models import ActLane, AudioLane, Lane, LookLane, PhaseLane, TextLane
from token_schema.schema import TokenSchema, exact, width


@dataclass(frozen=True)
class Span:
    """Fewest and most, exact; `most` None where only a codec can say."""

    least: Fraction
    most: Fraction | None

    def __add__(self, other: Span) -> Span:
        open_ = self.most is None or other.most is None
        return Span(
            self.least + other.least,
            None if open_ else self.most + other.most,  # type: ignore[operator]
        )

    def __mul__(self, factor: Fraction | int) -> Span:
        return Span(self.least * factor, None if self.most is None else self.most * factor)

    @property
    def fixed(self) -> bool:
        return self.least == self.most

    def holds(self, value: float) -> bool:
        """Is a measured rate inside, within rounding?"""
        over = self.most is not None and value > float(self.most) * (1 + 1e-6) + 1e-6
        return not over and value >= float(self.least) * (1 - 1e-6) - 1e-6

    def __str__(self) -> str:
        if self.most is None:
            return f"{float(self.least):g} and more"
        low, high = f"{float(self.least):g}", f"{float(self.most):g}"
        return low if low == high else f"{low} to {high}"


NONE = Span(Fraction(0), Fraction(0))


def span(least: int | Fraction, most: int | Fraction | None = None) -> Span:
    """A span; with one number, a fixed one."""
    return Span(Fraction(least), Fraction(least if most is None else most))


@dataclass(frozen=True)
class LaneRate:
    """Of one lane, a second: `content` (content and idle tokens), `boundary`, and `bearing`, those
    of both that bear loss (once a delay is over: the pads before it bear less). `budget` is the most
    text tokens a second, None for other lanes."""

    name: str
    kind: str
    content: Span
    boundary: Span
    bearing: Span
    budget: Fraction | None = None

    @property
    def tokens(self) -> Span:
        return self.content + self.boundary


def announced(schema: TokenSchema, codecs: CodecSet | None = None) -> list[LaneRate]:
    """The rates of every lane, in order; the block's own boundaries as a last row `(block)`."""
    rates = [_lane_rate(schema, lane, codecs) for lane in schema.lanes]
    if schema.clock.open:
        edges = span(2 / schema.block)
        rates.append(LaneRate("(block)", "boundary", NONE, edges, NONE))
    return rates


def total(rates: list[LaneRate]) -> LaneRate:
    """All lanes together."""
    content = boundary = bearing = NONE
    for r in rates:
        content, boundary, bearing = content + r.content, boundary + r.boundary, bearing + r.bearing
    return LaneRate("all", "", content, boundary, bearing)


def _lane_rate(schema: TokenSchema, lane: Lane, codecs: CodecSet | None) -> LaneRate:
    timing = {"blocks": _in_block, "frames": _in_frame, "turns": _in_turn}[schema.timing]
    content, boundary = timing(schema, lane, codecs)
    seconds = 1 / schema.block if schema.timing != "turns" else Fraction(1)
    content, boundary = content * seconds, boundary * seconds
    budget = None
    if isinstance(lane, TextLane) and schema.timing != "turns":
        budget = (lane.budget or 1) * seconds
    kind = f"{lane.as_} ({lane.codec})" if hasattr(lane, "codec") else lane.as_
    if isinstance(lane, AudioLane) and lane.as_ != "codes":
        kind = lane.as_
    return LaneRate(lane.name, kind, content, boundary, _bearing(lane, content, boundary), budget)


def _bearing(lane: Lane, content: Span, boundary: Span) -> Span:
    """Those with a weight above 0. Where content and idle differ in that, anything between."""
    loss = lane.loss
    inner = NONE
    if loss.content and (loss.idle or content.fixed):
        inner = content
    elif loss.content or loss.idle:
        inner = Span(Fraction(0), content.most)
    share = Fraction(int(loss.open > 0) + int(loss.close > 0), 2)
    if lane.close and not lane.open:
        share = Fraction(int(loss.close > 0))
    return inner + boundary * share


# ---- blocks ------------------------------------------------------------------------------------


def _in_block(schema: TokenSchema, lane: Lane, codecs: CodecSet | None) -> tuple[Span, Span]:
    """(content, boundary) tokens of a block."""
    edges = int(bool(lane.open)) + int(bool(lane.close))
    content = _block_content(schema, lane, codecs)
    boundary = span(edges)
    if isinstance(lane, TextLane) and lane.end_closes:
        boundary = span(edges - 1, edges)
    if schema.phase_of(lane.name) is not None:
        content, boundary = (Span(Fraction(0), s.most) for s in (content, boundary))
    return content, boundary


def _block_content(schema: TokenSchema, lane: Lane, codecs: CodecSet | None) -> Span:
    if isinstance(lane, PhaseLane):
        return span(1)
    if isinstance(lane, TextLane):
        budget = lane.budget or 1
        return span(budget) if lane.fixed else span(1 if lane.idle else 0, budget)
    if isinstance(lane, AudioLane):
        frames = exact(lane.rate_hz) * schema.block
        books = lane.codebooks if lane.as_ == "codes" else 1
        # a lane that carries has a frame more in some blocks: a short sample is off by up to one
        codes = span(math.floor(frames) * books, math.ceil(frames) * books)
        return Span(min(Fraction(1), codes.least), codes.most) if lane.idle else codes
    if isinstance(lane, LookLane):
        tokens = _image_tokens(lane, codecs)
        return Span(Fraction(0), None if tokens is None else Fraction(tokens * lane.frames))
    return _act_span(schema, lane, codecs)


def _image_tokens(lane: LookLane, codecs: CodecSet | None) -> int | None:
    found = codecs.codecs.get(lane.codec) if codecs else None
    return None if found is None else int(found.tokens)


def _act_span(schema: TokenSchema, lane: ActLane, codecs: CodecSet | None) -> Span:
    """From nothing (no robot) to the most that any embodiment's codec gives a block. A codec that
    was not fitted on blocks (`uniform`) does not know how many rows one has."""
    most: Fraction | None = None
    for name, codec in sorted(codecs.codecs.items()) if codecs else ():
        if name.startswith(f"{lane.codec}.") and codec.fixed is None:
            most = max(most or Fraction(0), Fraction(codec.most_tokens(codec.horizon)))
    return Span(Fraction(0), most)


# ---- frames and turns --------------------------------------------------------------------------


def _in_frame(schema: TokenSchema, lane: Lane, codecs: CodecSet | None) -> tuple[Span, Span]:
    return span(width(lane)), NONE


def _in_turn(schema: TokenSchema, lane: Lane, codecs: CodecSet | None) -> tuple[Span, Span]:
    """A second of the lane's own turn; boundaries come once a turn and have no rate."""
    if isinstance(lane, AudioLane):
        books = lane.codebooks if lane.as_ == "codes" else 1
        return span(exact(lane.rate_hz) * books), NONE
    return Span(Fraction(0), None), NONE
