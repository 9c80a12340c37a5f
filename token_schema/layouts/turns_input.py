"""Input turns: what was perceived in a span of time, lane after lane.

The content of the first lane is known as it is perceived. That nothing more follows in it is known
at the end of the span, and so is everything behind it: the next lane's first token already tells.
A transcript (`hear`) stands there whole and tells that the speaker has stopped, which a pause does
not: it is known at the end of the span wherever it stands.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.timeline import Hear, Timeline, TypedInput
from token_schema.codec_set import CodecSet
from token_schema.layouts.turns_audio import TurnAudio
from token_schema.layouts.turns_plan import Onsets, TurnSpan
from token_schema.layouts.turns_strip import Strip
from token_schema.layouts.turns_text import TurnText
from token_schema.models import AudioLane, TextLane
from token_schema.schema import TokenSchema
from token_schema.tokens import CLOSE, OPEN


class InputTurns:
    """The input lanes of one sample. `used` counts the frames of a listen lane already written,
    `values` has the numbers of its slots."""

    def __init__(
        self,
        schema: TokenSchema,
        codecs: CodecSet,
        timeline: Timeline,
        audio: Mapping[int, TurnAudio],
    ) -> None:
        self.audio = audio
        self.lanes = {i: x for i, x in enumerate(schema.lanes) if schema.is_input(x)}
        hears = [e for e in timeline.world if isinstance(e, Hear) and e.speaker == "user"]
        typed = [e for e in timeline.world if isinstance(e, TypedInput)]
        self.onsets = Onsets(hears)
        self.events = {"hear": _in_time(hears), "typed": _in_time(typed)}
        self.texts = {
            i: TurnText(x, codecs, self.events[x.channel])
            for i, x in self.lanes.items()
            if isinstance(x, TextLane)
        }
        self.used = dict.fromkeys(self.lanes, 0)
        self.values: dict[int, list[NDArray[np.float32]]] = {
            i: [] for i, x in self.lanes.items() if isinstance(x, AudioLane) and x.as_ != "codes"
        }
        listen = [audio[i] for i in self.lanes if i in audio]
        self.rates = tuple(x.lane.rate_hz for x in listen)
        self.lookahead_s = max((x.lookahead_s for x in listen), default=0.0)

    def known_s(self, span: TurnSpan) -> float:
        """What is known when the input turn is over: codes that look ahead end later."""
        return round(span.until_s + self.lookahead_s, 6)

    def perceived(self, span: TurnSpan) -> bool:
        """Is there anything in the span that an input lane shows?"""
        return any(
            bool(self._revealed(i, span))
            if isinstance(lane, TextLane)
            else self.onsets.first(span.after_s, span.until_s) is not None
            for i, lane in self.lanes.items()
        )

    def write(self, strip: Strip, span: TurnSpan) -> None:
        """The lanes of the input turn, without the tokens of the turn itself."""
        end_s, before_s = self.known_s(span), max(0.0, span.after_s)
        for n, (i, lane) in enumerate(self.lanes.items()):
            known_s = end_s if n else None
            strip.mark(lane.open, i, OPEN, end_s if n else before_s)
            if isinstance(lane, TextLane):
                closed = self._read(strip, i, lane, span, known_s) and lane.end_closes
            else:
                closed = False
                self._listen(strip, i, span, known_s)
            if not closed:
                strip.mark(lane.close, i, CLOSE, end_s)

    def _listen(self, strip: Strip, i: int, span: TurnSpan, known_s: float | None) -> None:
        """Frames from the start of the speech (what of it stands in no turn yet) to the end."""
        audio, found = self.audio[i], self.onsets.first(span.after_s, span.until_s)
        if found is None:
            return
        start_s, noticed_s = found
        first, stop = max(audio.frame(start_s), self.used[i]), audio.frame(span.until_s)
        if stop <= first:
            return
        self.used[i] = stop
        part = audio.frames(first, stop)
        ends_s = np.arange(first + 1, stop + 1) / audio.lane.rate_hz + audio.lookahead_s
        own_s = np.repeat(np.maximum(np.round(ends_s, 6), noticed_s), audio.books)
        strip.add(part.ids, i, own_s if known_s is None else known_s, part.book)
        if part.values is not None:
            self.values[i].append(part.values)

    def _read(
        self, strip: Strip, i: int, lane: TextLane, span: TurnSpan, known_s: float | None
    ) -> bool:
        """The texts that were revealed in the span; were there any?"""
        events = self._revealed(i, span)
        part = self.texts[i].part(events)
        if lane.channel == "hear":
            known_s = self.known_s(span)
        lengths = np.diff([*part.first.values(), len(part.ids)])
        own_s = np.repeat([e.revealed_s for e in events], lengths)
        strip.add(part.ids, i, own_s if known_s is None else known_s)
        return bool(events)

    def _revealed(self, i: int, span: TurnSpan) -> list[Any]:
        events = self.events[self.lanes[i].channel]
        first, stop = (
            bisect_right(events, t, key=lambda e: e.revealed_s)
            for t in (span.after_s, span.until_s)
        )
        return events[first:stop]


def _in_time(events: Iterable[Any]) -> list[Any]:
    return sorted(events, key=lambda e: e.revealed_s)
