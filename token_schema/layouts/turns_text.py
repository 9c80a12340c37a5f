"""Text of turns: the ids of a turn's events one after the other, and how many were out at a cut.

    text = TurnText(lane, codecs, events)      # all events of the sample, encoded at once
    part = text.part(some)                     # part.ids, part.stop, part.dropped(emitted)

Each event is encoded alone, so no id rests on what follows it. `begin` and `end` stand around every
event; without `end` a space stands between two texts of a turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.timeline import AnyAgentEvent, Hear, Say, TypedInput
from token_schema.codec_set import CodecSet
from token_schema.models import TextLane

TextEvent = AnyAgentEvent | Hear | TypedInput


@dataclass(frozen=True)
class TextPart:
    """Ids int32 [n] of a lane in a turn; `own[i]`: it is of a text, no mark.

    `first` gives the place of each event's first id; `stop` is where an event stopped that was cut
    at `cut_s` (None: all whole).
    """

    ids: NDArray[np.int32]
    own: NDArray[np.bool_]
    first: dict[str, int]
    stop: int | None = None
    cut_s: float | None = None

    def dropped(self, emitted: int) -> int:
        """Text ids that are not among the first `emitted`."""
        return int(self.own[emitted:].sum())


class TurnText:
    """One text lane of one sample."""

    def __init__(self, lane: TextLane, codecs: CodecSet, events: Sequence[TextEvent]) -> None:
        """Raises StrettoError for a text that is no Unicode."""
        self.codec, self.start = codecs.get(lane.codec), codecs.vocabulary.range(lane.codec).start
        self.begin, self.end = (
            [codecs.vocabulary.id(t)] if t else [] for t in (lane.begin, lane.end)
        )
        self.space = "" if lane.end else " "
        texts = [e.text for e in events]  # type: ignore[union-attr]
        self._ids = dict(zip(texts, self._encode(texts), strict=True))

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return self.codec.encode_batch(texts) if texts else []

    def part(self, events: Sequence[TextEvent]) -> TextPart:
        """The planned ids of the events, in the order given."""
        ids, own, first = list[int](), list[bool](), dict[str, int]()
        stop, cut_s = None, None
        for event in events:
            first[event.id] = len(ids)
            text = (self.space if ids else "") + event.text  # type: ignore[union-attr]
            mine = self._ids[text] if text in self._ids else self._encode([text])[0]
            said = _said(event, text, len(mine), self.codec)
            if stop is None and said < len(mine):
                stop = len(ids) + (len(self.begin) + said if said else 0)
                cut_s = event.cut_s  # type: ignore[union-attr]
            ids += self.begin
            ids += [self.start + i for i in mine]
            ids += self.end
            own += [False] * len(self.begin) + [True] * len(mine) + [False] * len(self.end)
        return TextPart(np.array(ids, np.int32), np.array(own, bool), first, stop, cut_s)


def _said(event: TextEvent, text: str, count: int, codec: Any) -> int:
    """How many of its `count` ids were out when it was cut: all of them, if it was not."""
    cut_s = getattr(event, "cut_s", None)
    if cut_s is None or isinstance(event, (Hear, TypedInput)):
        return count
    if isinstance(event, Say) and event.words:
        begun = [w.char_end for w in event.words if w.start_s < cut_s]
        reach = max(begun, default=0) + len(text) - len(event.text)
        if not any(c.isalnum() for c in text[reach:]):
            return count
        [(_, ends)] = codec.encode_spans([text])
        return sum(end <= reach for end in ends) if begun else 0
    if cut_s >= event.planned_end_s:
        return count
    # a text without word times comes out evenly until its planned end
    part = (cut_s - event.start_s) / (event.planned_end_s - event.start_s)
    return min(count, max(0, math.floor(count * part + 1e-9))) if cut_s > event.start_s else 0
