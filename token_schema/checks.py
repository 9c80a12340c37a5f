"""What no single field of a schema shows: order, rates, and what a clock can do.

Every error names the file, the line and the lane. Names and tokens are in `checks_names`.
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas.errors import StrettoError
from token_schema.checks_names import NameChecks, Origin, Places
from token_schema.models import ActLane, AudioLane, Lane, LookLane, PhaseLane, TextLane
from token_schema.schema import TokenSchema, exact, fitting_blocks
from token_schema.yaml_file import Document


def check_schema(schema: TokenSchema, document: Document, origins: Sequence[Origin]) -> None:
    """Raise StrettoError for the first thing that does not fit together; `origins` of each lane."""
    names = NameChecks(schema, document, origins)
    names.codecs()
    names.names()
    names.tokens()
    names.phases()
    clock = _ClockChecks(schema, document, origins)
    {"blocks": clock.blocks, "frames": clock.frames, "turns": clock.turns}[schema.timing]()


class _ClockChecks(Places):
    """The checks of one clock."""

    # ---- interleaved blocks --------------------------------------------------------------------

    def blocks(self) -> None:
        self._simple_length()
        self._order()
        for lane in self.schema.lanes:
            if isinstance(lane, TextLane):
                self._block_text(lane)
            if isinstance(lane, AudioLane) and lane.delays:
                self.refuse("`delays` are of the parallel mode", lane, "delays", "use `delay`")
            if isinstance(lane, AudioLane) and lane.delay and not lane.pad:
                self.refuse("a delayed lane needs `pad` for its first blocks", lane, "delay")
            if isinstance(lane, (LookLane, ActLane, TextLane)) and lane.delay:
                self.refuse("only `listen` and `speak` can be delayed in blocks", lane, "delay")
        self._rates()
        self._lags()

    def _lags(self) -> None:
        """An output that comes before what it answers: `listen` delayed, `speak` or `act` not."""
        heard = [x for x in self.schema.lanes if x.channel == "listen"]
        lag = min((x.delay for x in heard), default=0)
        for lane in self.schema.lanes:
            if lane.channel in ("speak", "act") and lane.delay < lag:
                self.refuse(
                    f"comes {lane.delay} blocks late, `listen` {lag}: it would answer what has not"
                    " been heard",
                    lane,
                    "delay",
                    "delay `listen` by no more blocks than `speak`; not at all with `act`",
                )

    def _block_text(self, lane: TextLane) -> None:
        if lane.budget is None:
            self.refuse("text in blocks needs a `budget`", lane, None, "e.g. budget: 8")
        governed = self.schema.phase_of(lane.name) is not None
        if not lane.idle and not governed:
            self.refuse(
                "a block with nothing to emit needs an `idle` token",
                lane,
                None,
                "or put the lane under a `phase`",
            )
        if not lane.end and not lane.fixed:
            self.refuse("needs an `end` token: without it two texts run together", lane)
        if not lane.fixed and not lane.close and not self.schema.clock.close:
            self.refuse("has neither `close` nor `fixed: true`: its end cannot be told", lane)
        timed = lane.placement != "fifo" or lane.hold
        if timed and lane.idle in (lane.end, lane.cut) and not lane.wait and lane.idle:
            self.refuse(
                f"{lane.idle} would be read as the end of a text that only waits for its time",
                lane,
                "end",
                "give it a `wait` token, or an `end` of its own",
            )
        index = self.schema.lanes.index(lane)
        after = self.schema.lanes[index + 1 : index + 2]
        if not (lane.close or lane.fixed) and after and not after[0].open:
            if isinstance(after[0], TextLane):
                self.refuse(
                    f"its text runs into that of {after[0].name!r}", lane, None, "give it a `close`"
                )
        if lane.fixed and lane.end_closes:
            self.refuse("`fixed` and `end_closes` exclude each other", lane, "end_closes")
        if lane.epad and not (lane.fixed and lane.budget == 1):
            self.refuse("`epad` is of the parallel mode", lane, "epad")

    def _order(self) -> None:
        """Codes of a whole block are known at its end: only a lane after `listen` may emit them."""
        heard, answer = False, None
        for lane in self.schema.lanes:
            heard = heard or lane.channel == "listen"
            if self.schema.is_input(lane) and answer:
                self.refuse(
                    f"stands behind {answer.name!r}, which would answer what is shown after it",
                    lane,
                    None,
                    "write the inputs first",
                )
            if heard and not self.schema.is_input(lane):
                answer = answer or lane
            made = {lane.channel}
            if isinstance(lane, PhaseLane):  # it tells whether they have something to emit
                made = {self.schema.lane(name).channel for name in lane.of}
            if made & {"speak", "act"} and not heard:
                self.refuse(
                    "stands before `listen`: it would tell what happens in the block"
                    " before the block is heard",
                    lane,
                    None,
                    "move it behind `listen`",
                )

    def _simple_length(self) -> None:
        block_s = self.schema.clock.block_s or self.schema.clock.frame_s or 0.0
        if not self.schema.block or abs(float(self.schema.block) / block_s - 1) > 1e-6:
            field = "block_s" if self.schema.clock.block_s else "frame_s"
            raise StrettoError(
                f"a block of {block_s:g} s is no simple fraction of a second",
                f"{self.document.where(('clock', field))}: clock.{field}",
                "write a length such as 1.0, 0.8 or 0.48",
            )

    def _rates(self) -> None:
        audio = [x for x in self.schema.lanes if isinstance(x, AudioLane) and not x.fractional]
        for lane in audio:
            frames = exact(lane.rate_hz) * self.schema.block
            if frames.denominator != 1:
                fits = fitting_blocks([exact(x.rate_hz) for x in audio], self.schema.block)
                raise StrettoError(
                    f"{lane.rate_hz:g} Hz gives {float(frames):g} frames in a block of"
                    f" {self.schema.block_s:g} s",
                    self.where(lane, "rate_hz"),
                    "block lengths that fit: "
                    + ", ".join(f"{float(f):g}" for f in fits)
                    + "; or say `fractional: carry`",
                )

    # ---- parallel ------------------------------------------------------------------------------

    def frames(self) -> None:
        self._simple_length()
        seen_input = None
        for lane in self.schema.lanes:
            if self.schema.is_input(lane):
                seen_input = seen_input or lane
            elif seen_input:
                self.refuse(
                    f"stands behind the input {seen_input.name!r}: what is emitted in a step is"
                    " decided before that step is heard",
                    lane,
                    None,
                    "write the outputs first, then the inputs",
                )
            if lane.open:
                self.refuse("a stream has no `open` and `close`", lane, "open")
            self._stream(lane)

    def _stream(self, lane: Lane) -> None:
        if isinstance(lane, PhaseLane):
            self.refuse("`phase` is of the interleaved mode", lane)
        if isinstance(lane, TextLane):
            if not lane.idle:
                self.refuse("a stream needs an `idle` token for steps without text", lane)
            if lane.budget not in (None, 1) or lane.end_closes:
                self.refuse("a stream has one token a step", lane, "budget")
        if isinstance(lane, AudioLane):
            if lane.as_ != "codes":
                self.refuse(f"`as: {lane.as_}` is of the interleaved mode", lane, "as")
            if exact(lane.rate_hz) * self.schema.block != 1:
                self.refuse(
                    f"{lane.rate_hz:g} Hz is not one frame in a step of {self.schema.block_s:g} s",
                    lane,
                    "rate_hz",
                    f"write frame_s: {1 / lane.rate_hz:g}",
                )
            if (lane.delay or any(lane.delays)) and not lane.pad:
                self.refuse("a delayed lane needs `pad` for its first steps", lane)
        if lane.channel in ("look", "typed") and lane.delay:
            self.refuse("only `listen` and the outputs can be delayed in steps", lane, "delay")
        if isinstance(lane, (LookLane, ActLane)) and not lane.pad:
            self.refuse("a stream needs a `pad` token for steps without codes", lane)
        if isinstance(lane, ActLane) and lane.idle:
            self.refuse("`idle` is of the interleaved mode: rows repeat as they are", lane, "idle")

    # ---- turns ---------------------------------------------------------------------------------

    def turns(self) -> None:
        turns = self.schema.clock.turns
        assert turns is not None
        for lane in self.schema.lanes:
            if isinstance(lane, (LookLane, ActLane, PhaseLane)):
                self.refuse(f"`{lane.channel}` has no place in a turn", lane)
            if isinstance(lane, AudioLane) and (lane.delay or lane.delays or lane.idle):
                self.refuse("a turn has no delays and no idle blocks", lane)
            if isinstance(lane, TextLane) and (lane.fixed or lane.budget or lane.hold):
                self.refuse("text in a turn has no budget, no `fixed`, no `hold`", lane)
        names = [x.name for x in self.schema.lanes if not self.schema.is_input(x)]
        if bad := [n for n in turns.interleave if n not in names]:
            raise StrettoError(
                f"no output lane named {bad[0]!r}",
                f"{self.document.where(('clock', 'turns', 'interleave'))}: clock.turns.interleave",
                "output lanes: " + ", ".join(names),
            )
