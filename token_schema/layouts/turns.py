"""Turn-based layouts: a turn for a block. What was heard up to a decision, then what is done about it.

    tokens = compile_turns(schema, codecs, timeline, media)

The sequence is the prompt, then pairs of an input turn and an output turn (`turns_plan` says which);
`block` is the number of the turn: input turns are even, output turns odd. A last input turn follows
if anything is perceived after the last decision. The turns' own tokens (`clock.turns`) are of no
lane: lane 255, as the prompt. Of them only the end of an output turn is learned, with the largest
`close` weight of its lanes.

What is known: an output turn rests on its input turn (`known_s` is its end, K), see `turns_input`.
What the world does to an output turn (`turns.cut`, and what closes its lanes before that) is known
at the cut and never learned; all before it stands as planned, see `turns_output`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from schemas.sample import Media
from schemas.timeline import AnyAgentEvent, Timeline
from token_schema.codec_set import CodecSet
from token_schema.layouts.shown import not_placed, prompt_text
from token_schema.layouts.turns_audio import TurnAudio
from token_schema.layouts.turns_input import InputTurns
from token_schema.layouts.turns_output import OutputTurn, Unit, output_turn
from token_schema.layouts.turns_plan import (
    START_S,
    TurnSpan,
    decisions,
    grid_up,
    next_span,
    takes_turn,
    turn_spans,
)
from token_schema.layouts.turns_strip import Strip
from token_schema.layouts.turns_text import TurnText
from token_schema.models import AudioLane, TextLane, Turns
from token_schema.schema import TokenSchema
from token_schema.tokens import CLOSE, CONTENT, OPEN, PROMPT, Report, Tokens

__all__ = ["TurnSpan", "compile_turns", "turn_spans"]


def compile_turns(
    schema: TokenSchema, codecs: CodecSet, timeline: Timeline, media: Media
) -> Tokens:
    """The tokens of one sample. Raises StrettoError where schema, codecs and sample do not fit."""
    return _Compiler(schema, codecs, timeline, media).run()


class _Compiler:
    """One sample: turn after turn on a strip."""

    def __init__(
        self, schema: TokenSchema, codecs: CodecSet, timeline: Timeline, media: Media
    ) -> None:
        assert schema.clock.turns is not None
        self.schema, self.codecs, self.timeline = schema, codecs, timeline
        self.marks: Turns = schema.clock.turns
        audio = {
            i: TurnAudio(lane, codecs, timeline, media)
            for i, lane in enumerate(schema.lanes)
            if isinstance(lane, AudioLane)
        }
        self.strip, self.inputs = Strip(schema, codecs), InputTurns(schema, codecs, timeline, audio)
        self.speak = {i: x for i, x in audio.items() if i not in self.inputs.lanes}
        self.outputs = [x for x in schema.lanes if not schema.is_input(x)]
        self.texts = {
            i: TurnText(x, codecs, [e for e in timeline.agent if e.kind == x.channel])
            for i, x in enumerate(schema.lanes)
            if isinstance(x, TextLane) and i not in self.inputs.lanes
        }
        self.end_loss = max((x.loss.close for x in self.outputs), default=0.0)
        self.values: dict[int, list[NDArray[np.float32]]] = {
            i: [] for i, x in self.speak.items() if x.lane.as_ == "mel"
        }
        self.dropped = self.silent = 0

    def run(self) -> Tokens:
        kinds = {"say" if x.channel == "speak" else x.channel for x in self.outputs}
        left, after_s, rates = decisions(self.timeline, kinds), START_S, self.inputs.rates
        self._head()
        self.strip.block = 0
        while left:
            span = next_span(left, after_s, rates)
            self._input(span)
            cut_s = self._output(span)
            left, after_s = self._without(left[len(span.events) :], cut_s), span.until_s
        last = TurnSpan(after_s, max(after_s, grid_up(self.timeline.duration_s, rates)))
        if not self.strip.block or self.inputs.perceived(last):
            self._input(last)
        return self.strip.tokens(self._report(), self._values())

    def _without(self, events: list[AnyAgentEvent], cut_s: float | None) -> list[AnyAgentEvent]:
        """The cut of a turn takes along what was decided before it for later turns and also cut."""
        if cut_s is None:
            return events
        gone = [e for e in events if e.cut_s is not None and e.decided_s < cut_s]
        self.silent += len(gone)
        for i, text in self.texts.items():
            mine = [e for e in gone if e.kind == self.schema.lanes[i].channel]
            self.dropped += text.part(mine).dropped(0)
        return [e for e in events if e not in gone]

    def _head(self) -> None:
        prompt = self.schema.prompt
        if prompt is None:
            return
        text = self.codecs.get(prompt.codec).encode(prompt_text(self.schema, self.timeline))
        start = self.codecs.vocabulary.range(prompt.codec).start
        self.strip.mark(prompt.open, PROMPT, OPEN, 0.0)
        self.strip.add(np.array(text, np.int32) + start, PROMPT, 0.0)
        self.strip.mark(prompt.close, PROMPT, CLOSE, 0.0)

    def _input(self, span: TurnSpan) -> None:
        self.strip.clock(self.marks.input[0], OPEN, max(0.0, span.after_s))
        self.inputs.write(self.strip, span)
        self.strip.clock(self.marks.input[1], CLOSE, self.inputs.known_s(span))
        self.strip.block += 1

    # ---- an output turn ------------------------------------------------------------------------

    def _output(self, span: TurnSpan) -> float | None:
        """Write it; when the world cut it, or None."""
        known_s = self.inputs.known_s(span)
        turn = output_turn(self.schema, self.speak, self.texts, span)
        self.strip.clock(self.marks.output[0], OPEN, known_s)
        for unit in turn.units:
            self._unit(unit, turn, known_s)
        if turn.cut_s is None:
            self.strip.clock(self.marks.output[1], CLOSE, known_s, self.end_loss)
        else:
            self.strip.clock(self.marks.cut, CLOSE, turn.cut_s)
        for i, rows in turn.values.items():
            self.values[i].append(rows)
        self.dropped, self.silent = self.dropped + turn.dropped, self.silent + turn.silent
        self.strip.block += 1
        return turn.cut_s

    def _unit(self, unit: Unit, turn: OutputTurn, known_s: float) -> None:
        """Its boundaries, unless lanes alternate; behind a cut it is the world that puts them."""
        i, lane = unit.lanes[0], self.schema.lanes[unit.lanes[0]]
        alone = lane.name not in self.marks.interleave
        cut_s = known_s if turn.cut_s is None else turn.cut_s
        open_s, close_s = (cut_s if x else known_s for x in (unit.behind_cut, unit.cut))
        if alone:
            self.strip.mark(lane.open, i, OPEN, open_s, told=not unit.behind_cut)
        if unit.lane is None:
            self.strip.add(unit.ids, i, known_s, unit.book)
        else:
            self.strip.add_mixed(unit.ids, unit.lane, known_s, unit.book)
        ended = len(unit.ids) > 0 and not unit.cut
        if turn.unfinished in unit.lanes:
            text = self.schema.lanes[turn.unfinished]
            assert isinstance(text, TextLane)
            mark = text.cut or text.end
            self.strip.mark(mark, turn.unfinished, CONTENT, cut_s, told=False)
            ended = mark is not None
        if alone and not (ended and isinstance(lane, TextLane) and lane.end_closes):
            self.strip.mark(lane.close, i, CLOSE, close_s, told=not unit.cut)

    # ---- the whole -----------------------------------------------------------------------------

    def _values(self) -> dict[str, NDArray[np.float32]]:
        """The rows of each lane of numbers, [0, dim] where there are none."""
        audio = {**self.inputs.audio, **self.speak}
        parts = {**self.inputs.values, **self.values}
        return {
            self.schema.lanes[i].name: np.concatenate(
                [np.zeros((0, audio[i].codec.dim), np.float32), *parts[i]]
            )
            for i in sorted(parts)
        }

    def _report(self) -> Report:
        act = self.timeline.act
        return Report(
            blocks=self.strip.block,
            tail_blocks=0,
            dropped_text_tokens=self.dropped,
            silent_events=self.silent,
            not_placed=self._not_placed(),
            step_count=act.step_count if act else None,
        )

    def _not_placed(self) -> dict[str, int]:
        """Events without a lane; the assistant's backchannels; cameras, which no turn can show."""
        missing = not_placed(self.schema, self.timeline)
        said = any(x.channel in ("say", "speak") for x in self.outputs)
        found = {
            "backchannel": sum(not takes_turn(e) for e in self.timeline.agent) if said else 0,
            "look": len(self.timeline.look),
        }
        return dict(sorted({**missing, **{k: n for k, n in found.items() if n}}.items()))
