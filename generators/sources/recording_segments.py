"""The segments of a recording: checked, each side's in order, cut where an utterance ends.

A segment with words lasts from its first to its last word; one without lasts as long as the
manifest says, and the align stage finds its words in it.
"""

from __future__ import annotations

from collections.abc import Iterable

from generators.sources.recording_raw import RawRecording, RawSegment, RawWord
from generators.sources.recording_roles import Side
from generators.sources.recording_words import (
    SLACK_S,
    TURN_PAUSE_S,
    checked,
    cut_up,
    placed,
)
from generators.sources.refusal import Refused, short
from generators.sources.text import clean
from schemas import Segment

# how far a manifest's length may lie from the file's: MP3 adds its encoder's delay
DURATION_SLACK_S = 0.1
# annotators leave a margin around what is said, so neighbours may touch this far
OVERLAP_SLACK_S = 0.1
MIN_SEGMENT_S = 0.02
# only a pause in which the other spoke cuts a segment that the source gives as one
NEVER_S = float("inf")


def segments_of(
    raw: RawRecording, sides: list[Side | None], duration_s: float, notes: list[str]
) -> tuple[Segment, ...]:
    """The segments of both sides in order of their start; `notes` grows by what was left unused.

    Raises Refused for the first that can't be.
    """
    found: list[Segment] = []
    empty = skipped = made = 0
    for number, (item, side) in enumerate(zip(raw.segments, sides, strict=True), start=1):
        if side is None:
            skipped += 1
            continue
        segment, was_made = _segment(item, side, duration_s, number)
        empty += segment is None
        made += was_made
        found += [segment] if segment else []
    counts = ((skipped, "skipped by `roles`"), (empty, "without words, not used"))
    notes += [f"{n} segments {what}" for n, what in counts if n]
    notes += [f"{made} segments took their text from the words"] if made else []
    if not found:
        raise Refused("no segment has a word: the transcript is empty")
    user, assistant = (
        _in_order([s for s in found if s.speaker == w]) for w in ("user", "assistant")
    )
    pause_s = TURN_PAUSE_S if raw.loose else NEVER_S
    if raw.loose:
        user, assistant = _cut(user, pause_s, assistant), _cut(assistant, pause_s, user)
    else:
        assistant = _cut(assistant, pause_s, user)
    return tuple(sorted((*user, *assistant), key=lambda s: (s.start_s, s.speaker)))


def _cut(segments: list[Segment], pause_s: float, others: list[Segment]) -> list[Segment]:
    return [part for s in segments for part in cut_up(s, pause_s, others)]


def _segment(
    item: RawSegment, side: Side, duration_s: float, number: int
) -> tuple[Segment | None, bool]:
    """(the segment or None where nothing is said, whether the words gave its text)."""
    text = _line(item.text) if item.text else ""
    words = [w for w in _clean(item.words or ()) if any(c.isalnum() for c in w.text)]
    who = f"segment {number}" + (f" of {short(item.label, 24)}" if item.label else "")
    if words:
        kept = checked(words, duration_s, who)
        text, timed, made = placed(text, kept)
        start_s, end_s = timed[0].start_s, timed[-1].end_s
        if end_s - start_s < MIN_SEGMENT_S:
            raise Refused(f"{who}: its words last {end_s - start_s:.3f} s")
        return _made(item, side, text, start_s, end_s, timed), made and bool(item.text)
    if not any(c.isalnum() for c in text):
        return None, False
    end_s = duration_s if item.end_s is None else item.end_s
    if item.start_s < -SLACK_S or end_s > duration_s + DURATION_SLACK_S:
        span = f"{item.start_s:.3f} to {end_s:.3f} s"
        raise Refused(f"{who} at {span} lies outside of {duration_s:.3f} s of audio")
    start_s, end_s = max(0.0, item.start_s), min(end_s, duration_s)
    if end_s - start_s < MIN_SEGMENT_S:
        raise Refused(f"{who} lasts {end_s - start_s:.3f} s, from {start_s:.3f} s")
    return _made(item, side, text, round(start_s, 6), round(end_s, 6), None), False


def _made(
    item: RawSegment, side: Side, text: str, start_s: float, end_s: float, words: tuple | None
) -> Segment:
    label = _line(item.label) if item.label else None
    return Segment(speaker=side, label=label, text=text, start_s=start_s, end_s=end_s, words=words)


def _line(text: str) -> str:
    return " ".join(clean(text)[0].split())


def _clean(words: Iterable[RawWord]) -> list[RawWord]:
    return [RawWord(_line(w.text), w.start_s, w.end_s, w.label) for w in words]


def _in_order(segments: list[Segment]) -> list[Segment]:
    """One side's segments by start; a small overlap is shared out. Raises Refused for a larger."""
    found: list[Segment] = []
    for segment in sorted(segments, key=lambda s: s.start_s):
        if found and segment.start_s < found[-1].end_s:
            before = found[-1]
            if before.end_s - segment.start_s > OVERLAP_SLACK_S or before.words or segment.words:
                raise Refused(
                    f"two segments of the {segment.speaker} overlap: {before.start_s:.3f} to "
                    f"{before.end_s:.3f} s and {segment.start_s:.3f} to {segment.end_s:.3f} s",
                    "one channel can't speak twice: mend the times or skip one with `roles`",
                )
            middle_s = round((before.end_s + segment.start_s) / 2, 6)
            found[-1] = before.model_copy(update={"end_s": middle_s})
            segment = segment.model_copy(update={"start_s": middle_s})
        found.append(segment)
    return found
