"""Promises that a Timeline keeps or breaks by itself: pure functions, one line a fault.

Each function takes a `Seen` (a sample as it lies in its shard) and yields what is wrong with it.
Times are compared with 2 microseconds of tolerance, because they are rounded to one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.label import Evidence
from schemas.timeline import Act, AgentEvent, Hear, Say, Think, Timeline, WorldEvent, Write

EPS_S = 2e-6


@dataclass(frozen=True)
class Seen:
    """A sample: its index row, its Timeline, its members, and the config's fade."""

    row: Mapping[str, Any]
    timeline: Timeline
    members: Mapping[str, bytes]
    fade_s: float

    @property
    def where(self) -> str:
        """The sample, as errors about its members name it."""
        return f"sample {self.timeline.key}"


# ---- causality -----------------------------------------------------------------------------------


def causal(seen: Seen) -> Iterator[str]:
    """Every cited revealed_s <= decided_s <= start_s, and what is cited says the same of itself."""
    timeline = seen.timeline
    world: dict[str, WorldEvent] = {e.id: e for e in timeline.world}
    for event in timeline.agent:
        if event.decided_s > event.start_s + EPS_S:
            yield f"{event.id} starts at {event.start_s} s, decided only at {event.decided_s} s"
        yield from _rests(event.id, event.evidence, event.decided_s, world, timeline)
        if event.cut_s is not None:
            if event.cut_by is None:
                yield f"{event.id} is cut by nothing"
            else:
                yield from _rests(f"{event.id} cut", (event.cut_by,), event.cut_s, world, timeline)
        if isinstance(event, Act) and event.step_evidence:
            yield from _steps(event, timeline)
    for label in timeline.labels:
        name = f"label {label.second_index}"
        yield from _rests(name, label.evidence, label.decided_s, world, timeline)


def _rests(
    name: str,
    evidence: Iterable[Evidence],
    decided_s: float,
    world: Mapping[str, WorldEvent],
    timeline: Timeline,
) -> Iterator[str]:
    for cited in evidence:
        if cited.revealed_s > decided_s + EPS_S:
            yield (
                f"{name} is decided at {decided_s} s and rests on {cited.event}, "
                f"revealed at {cited.revealed_s} s"
            )
        true_s = revealed(cited, world, timeline)
        if true_s is None:
            yield f"{name} rests on {_name(cited)}, which is not there"
        elif abs(true_s - cited.revealed_s) > EPS_S:
            yield f"{name} says {_name(cited)} is revealed at {cited.revealed_s} s, not {true_s} s"


def revealed(cited: Evidence, world: Mapping[str, WorldEvent], timeline: Timeline) -> float | None:
    """When the cited thing is revealed by its own times; None when there is no such thing."""
    if cited.event.startswith("look."):
        tracks = [t for t in timeline.look if f"look.{t.camera}" == cited.event]
        index = cited.frame_index
        if not tracks or index is None or not 0 <= index < tracks[0].frame_count:
            return None
        return round(tracks[0].start_s + index / tracks[0].fps, 6)
    event = world.get(cited.event)
    if event is None:
        return None
    if cited.word is None:
        return event.revealed_s
    words = event.words if isinstance(event, Hear) else ()
    return words[cited.word].end_s if 0 <= cited.word < len(words) else None


def _name(cited: Evidence) -> str:
    part = f" word {cited.word}" if cited.word is not None else ""
    part += f" frame {cited.frame_index}" if cited.frame_index is not None else ""
    return f"{cited.event}{part}"


def _steps(event: Act, timeline: Timeline) -> Iterator[str]:
    """A step rests on the frame shown at its own time, so that frame must be there."""
    tracks = [t for t in timeline.look if f"look.{t.camera}" == event.step_evidence]
    if not tracks:
        yield f"{event.id} rests on {event.step_evidence}, which is not there"
    elif tracks[0].start_s > event.start_s + EPS_S:
        yield f"{event.id} moves before {event.step_evidence} shows its first frame"


# ---- sound and words -----------------------------------------------------------------------------


def channels(seen: Seen) -> Iterator[str]:
    """A channel never overlaps itself: pieces of `say`, of a speaker's `hear`, what is written, rows
    of `act`."""
    timeline = seen.timeline
    lanes: dict[str, list[tuple[float, float, str]]] = {}
    for event in (*timeline.world, *timeline.agent):
        if isinstance(event, (Hear, Say)):
            lane = "speak" if isinstance(event, Say) else f"listen of {event.speaker}"
            lanes.setdefault(lane, []).extend((p.start_s, p.end_s, event.id) for p in event.pieces)
    for event in timeline.agent:
        if isinstance(event, Write) or (isinstance(event, Think) and event.while_listening):
            lane = "write" if isinstance(event, Write) else "notes while listening"
            lanes.setdefault(lane, []).append((event.start_s, event.end_s, event.id))
    for lane, spans in sorted(lanes.items()):
        spans.sort()
        for before, after in zip(spans, spans[1:], strict=False):
            if after[0] < before[1] - EPS_S:
                yield f"{lane}: {after[2]} at {after[0]} s overlaps {before[2]} to {before[1]} s"
    yield from _act_rows(timeline)


def _act_rows(timeline: Timeline) -> Iterator[str]:
    """The act events take all rows of `act.npy` in order, none twice, at the rows' own times."""
    if timeline.act is None:
        return
    row, fps = 0, timeline.act.fps
    acts = [e for e in timeline.agent if isinstance(e, Act)]
    for event in sorted(acts, key=lambda e: e.first_step):
        if event.first_step != row:
            yield f"{event.id} begins at row {event.first_step}, not {row}"
        if abs(event.start_s - event.first_step / fps) > 1 / timeline.listen.sample_rate_hz:
            yield f"{event.id} starts at {event.start_s} s, its row {event.first_step} elsewhere"
        row = event.first_step + event.step_count
    if row != timeline.act.step_count:
        yield f"act events take {row} of {timeline.act.step_count} rows"


def words(seen: Seen) -> Iterator[str]:
    """Words rise, are what the text has there, and lie inside their event and its pieces."""
    for event in (*seen.timeline.world, *seen.timeline.agent):
        if not isinstance(event, (Hear, Say)):
            continue
        yield from _rising(event)
        for index, word in enumerate(event.words):
            if event.text[word.char_start : word.char_end] != word.text:
                yield f"{event.id} word {index} {word.text!r} is not in the text at its place"
            if not any(
                p.start_s - EPS_S <= word.start_s
                and word.end_s <= p.end_s + EPS_S
                and p.char_start <= word.char_start
                and word.char_end <= p.char_end
                for p in event.pieces
            ):
                yield f"{event.id} word {index} {word.text!r} lies outside of its pieces"
        if isinstance(event, Hear) and event.words:
            if abs(event.words[-1].end_s - event.revealed_s) > EPS_S:
                yield f"{event.id} is revealed at {event.revealed_s} s, not at its last word's end"


def _rising(event: Hear | Say) -> Iterator[str]:
    at_s, char = event.start_s, 0
    for index, word in enumerate(event.words):
        if word.start_s < at_s - EPS_S or word.end_s < word.start_s or word.char_start < char:
            yield f"{event.id} word {index} {word.text!r} comes before the word before it"
        at_s, char = word.start_s, word.char_end
    if event.words and event.words[-1].end_s > event.end_s + EPS_S:
        yield f"{event.id} ends at {event.end_s} s, its last word at {event.words[-1].end_s} s"


def cuts(seen: Seen) -> Iterator[str]:
    """After a cut nothing begins, and what sounds fades out; without one nothing is marked cut."""
    for event in seen.timeline.agent:
        if event.end_s > event.planned_end_s + EPS_S:
            yield f"{event.id} ends at {event.end_s} s, after its planned {event.planned_end_s} s"
        silent_s = math.inf if event.cut_s is None else event.cut_s + seen.fade_s
        if not isinstance(event, Say):
            silent_s = math.inf if event.cut_s is None else event.cut_s
        if event.end_s > silent_s + EPS_S:
            yield f"{event.id} is cut at {event.cut_s} s and goes on to {event.end_s} s"
        if isinstance(event, Say):
            yield from _cut_words(event, silent_s)


def _cut_words(event: Say, silent_s: float) -> Iterator[str]:
    cut_s = math.inf if event.cut_s is None else event.cut_s
    for index, word in enumerate(event.words):
        if word.start_s >= cut_s:
            yield f"{event.id} word {index} {word.text!r} begins after the cut at {cut_s} s"
        elif word.end_s > silent_s + EPS_S:
            yield f"{event.id} word {index} {word.text!r} sounds after the fade"
        if word.cut != (word.end_s > cut_s):
            yield f"{event.id} word {index} {word.text!r} is marked cut={word.cut}"
    for piece in event.pieces:
        if piece.end_s > silent_s + EPS_S:
            yield f"{event.id} has a piece up to {piece.end_s} s, after the fade"


def events(seen: Seen) -> Iterator[str]:
    """Ids are unique, everything lies inside the sample, and there is one label a second."""
    timeline = seen.timeline
    ids = [e.id for e in (*timeline.world, *timeline.agent)]
    if twice := sorted({i for i in ids if ids.count(i) > 1}):
        yield f"two events have the id {twice[0]}"
    for event in (*timeline.world, *timeline.agent):
        if isinstance(event, AgentEvent | Hear) and event.end_s < event.start_s - EPS_S:
            yield f"{event.id} ends before it starts"
        last_s = event.end_s if isinstance(event, Hear | Say | Act) else event.start_s
        if last_s > timeline.duration_s + EPS_S:
            yield f"{event.id} goes on to {last_s} s in a sample of {timeline.duration_s} s"
    seconds = [label.second_index for label in timeline.labels]
    if seconds != list(range(math.ceil(timeline.duration_s - EPS_S))):
        yield f"{len(seconds)} labels for {timeline.duration_s} s"
