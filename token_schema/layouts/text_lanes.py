"""What a text lane has to say: its events as ids with times, ready for `placement.place_text`.

    events, marks = queue(lane, codecs, timeline), marks(lane, codecs)

The whole text of an agent event is encoded at once, so ids never depend on where they are placed.
What is heard is encoded word by word: a world whose next word is another one gives the same ids for
the words before it. Times come from the words (`word`, `tail`) and pieces (`sentence`) of a Say.

Times are those of the plan (`planned_words`), so that a sample that is cut equals its twin. A cut
Timeline of version 1.0 does not have them: what it left out is never ready, and the placer drops it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from schemas.timeline import Act, Hear, Piece, Say, TimedWord, Timeline, TypedInput
from token_schema.codec_set import CodecSet
from token_schema.layouts.placement import Marks, QueuedText
from token_schema.layouts.turns_plan import takes_turn
from token_schema.models import TextLane

Spans = tuple[Sequence[int], Sequence[int]]  # ids, and the character offset to which each reaches


def queue(lane: TextLane, codecs: CodecSet, timeline: Timeline) -> list[QueuedText]:
    """The events of the lane's channel in the order in which they are decided, ids global.

    Raises StrettoError where a text cannot be encoded.
    """
    if lane.channel == "hear":
        return _heard(lane, codecs, timeline)
    if lane.channel == "typed":
        typed = [e for e in timeline.world if isinstance(e, TypedInput)]
        return [
            QueuedText(e.id, ids, e.revealed_s)
            for e, ids in zip(typed, _encode(lane, codecs, [e.text for e in typed]), strict=True)
        ]
    events: list[Any] = [e for e in timeline.agent if e.kind == lane.channel]
    texts = [e.text for e in events]
    if lane.placement == "fifo":
        ready: list[tuple[float, ...]] = [()] * len(events)
        encoded = _encode(lane, codecs, texts)
    else:
        start = codecs.vocabulary.range(lane.codec).start
        spans = codecs.get(lane.codec).encode_spans(texts) if texts else []
        ready = [_ready(lane, e, s) for e, s in zip(events, spans, strict=True)]
        encoded = [tuple(start + i for i in ids) for ids, _ in spans]
    return [
        QueuedText(e.id, ids, e.decided_s, e.cut_s, r, e.planned_end_s if lane.hold else None)
        for e, ids, r in zip(events, encoded, ready, strict=True)
    ]


def marks(lane: TextLane, codecs: CodecSet) -> Marks:
    """The ids around an event of the lane. What is heard carries its own: see `_heard`."""
    if lane.channel == "hear":
        return Marks(None, None)
    return _marks(lane, codecs)


def _marks(lane: TextLane, codecs: CodecSet) -> Marks:
    end, cut, begin = (_id(codecs, t) for t in (lane.end, lane.cut or lane.end, lane.begin))
    return Marks(end, cut, begin)


def _id(codecs: CodecSet, name: str | None) -> int | None:
    return None if name is None else codecs.vocabulary.id(name)


def _encode(lane: TextLane, codecs: CodecSet, texts: list[str]) -> list[tuple[int, ...]]:
    """Global ids of each text."""
    if not texts:
        return []
    start = codecs.vocabulary.range(lane.codec).start
    return [tuple(start + i for i in ids) for ids in codecs.get(lane.codec).encode_batch(texts)]


# ---- when an id of a Say is ready --------------------------------------------------------------


def _ready(lane: TextLane, event: Say, spans: Spans) -> tuple[float, ...]:
    """A time for each id, never falling; () where the event has no times at all: at once."""
    stretches: Sequence[TimedWord] | Sequence[Piece] = (
        event.planned_pieces if lane.placement == "sentence" else event.planned_words
    )
    ids, ends = spans
    if not stretches and event.cut_s is None:
        return ()
    owner = _owners(event, stretches, ends)
    spread = _even if lane.placement == "tail" else _at_start
    times = spread(stretches, owner)
    return tuple(accumulate((t + lane.offset_s for t in times), max))


def _owners(
    event: Say, stretches: Sequence[TimedWord] | Sequence[Piece], ends: Sequence[int]
) -> list[int]:
    """The word (or piece) of each id: the first that reaches as far as the id.

    What trails the last one is its own, unless the event was cut and words are left: that belongs
    to what never sounded, number len(stretches).
    """
    reach = list(accumulate((s.char_end for s in stretches), max))
    last = len(reach) - 1
    if event.cut_s is not None and _has_words(event.text[reach[-1] if reach else 0 :]):
        last = len(reach)
    return [min(bisect_left(reach, end), last) for end in ends]


def _has_words(text: str) -> bool:
    return any(c.isalnum() for c in text)


def _at_start(
    stretches: Sequence[TimedWord] | Sequence[Piece], owner: Sequence[int]
) -> list[float]:
    starts = [*(s.start_s for s in stretches), math.inf]
    return [starts[k] for k in owner]


def _even(stretches: Sequence[TimedWord] | Sequence[Piece], owner: Sequence[int]) -> list[float]:
    """Id j of the m ids of a word at start + (end - start) * j / m."""
    edges = [0, *(i for i in range(1, len(owner)) if owner[i] != owner[i - 1]), len(owner)]
    times: list[float] = []
    for a, b in pairwise(edges):
        if a == b:
            continue
        if owner[a] == len(stretches):
            times += [math.inf] * (b - a)
            continue
        s = stretches[owner[a]]
        times += [s.start_s + (s.end_s - s.start_s) * j / (b - a) for j in range(b - a)]
    return times


# ---- what is heard -----------------------------------------------------------------------------

# what only the sample's end tells is known right after it
AFTER_END_S = 1e-6


def _heard(lane: TextLane, codecs: CodecSet, timeline: Timeline) -> list[QueuedText]:
    """One entry a word, decided at the word's end, and one for the end mark. Events follow each other
    whole, by the end of their first word: who speaks into another's turn is written after it. Only
    the user's speech: a voice in the background is heard, not transcribed."""
    events = [e for e in timeline.world if isinstance(e, Hear) and e.speaker == "user"]
    own = _marks(lane, codecs)
    parts = [_heard_parts(e) for e in events]
    order = sorted(range(len(events)), key=lambda i: parts[i][0][1])
    encoded = iter(_encode(lane, codecs, [text for i in order for text, _ in parts[i]]))
    out: list[QueuedText] = []
    at_s = 0.0
    for i in order:
        for k, (_, end_s) in enumerate(parts[i]):
            ids, last = next(encoded), k == len(parts[i]) - 1
            if k == 0 and own.begin is not None:
                ids = (own.begin, *ids)
            at_s = max(at_s, end_s, events[i].revealed_s if last else 0.0)
            out.append(QueuedText(f"{events[i].id}:{k}", ids, at_s))
        if own.end is not None:
            at_s = max(at_s, _over_s(events[i], timeline))
            out.append(QueuedText(f"{events[i].id}:end", (own.end,), at_s))
    return out


def _over_s(event: Hear, timeline: Timeline) -> float:
    """When it is known that the speech is over, and not paused: the assistant takes the turn (whoever
    goes on does so before), or something else is heard or typed. Else once the sample is over."""
    # not by an Act: when it holds again is a record, which another world may not have
    after = [e.decided_s for e in timeline.agent if takes_turn(e) and not isinstance(e, Act)]
    for other in timeline.world:
        if isinstance(other, Hear) and other.words and other.speaker == "user":
            after.append(other.words[0].end_s)
        elif isinstance(other, TypedInput):
            after.append(other.revealed_s)
    return min(
        (t for t in after if t > event.revealed_s), default=timeline.duration_s + AFTER_END_S
    )


def _heard_parts(event: Hear) -> list[tuple[str, float]]:
    """(text, end_s) of each word, with what stands before it; the last one takes what trails."""
    if not event.words:
        return [(event.text, event.revealed_s)]
    cuts = [0, *accumulate((w.char_end for w in event.words[:-1]), max), len(event.text)]
    return [
        (event.text[a:b], w.end_s) for (a, b), w in zip(pairwise(cuts), event.words, strict=True)
    ]
