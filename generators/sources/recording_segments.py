"""The segments of a recording: checked, each side's in order, cut where an utterance ends.

A segment with words lasts from its first to its last word; one without lasts as long as the
manifest says, and the align stage finds its words in it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from generators.sources.recording_raw import RawRecording, RawSegment, RawWord
from generators.sources.recording_roles import Side
from generators.sources.recording_words import (
    SLACK_S,
    TURN_PAUSE_S,
    checked,
    cut_up,
    joined,
    placed,
)
from generators.sources.refusal import Refused, seconds, short
from generators.sources.text import clean
from schemas import Segment

# how far a manifest's length may lie from the file's: MP3 adds its encoder's delay
DURATION_SLACK_S = 0.1
# annotators leave a margin around what is said, so neighbours may touch this far
OVERLAP_SLACK_S = 0.1
MIN_SEGMENT_S = 0.02
# how far a segment's words may lie outside of it
WORDS_SLACK_S = 0.25
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
    for number, (item, side) in enumerate(_items(raw, sides), start=1):
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
    # what the user says rests on nothing that we must account for
    user, assistant = _cut(user, pause_s, []), _cut(assistant, pause_s, user)
    return tuple(sorted((*user, *assistant), key=lambda s: (s.start_s, s.speaker)))


def sayable(item: RawSegment) -> bool:
    """Whether anything in it can be said: "...", a dash or a lone surrogate can't."""
    texts = [item.text or "", *(w.text for w in item.words or ())]
    return any(c.isalnum() for text in texts for c in _line(text))


def _items(raw: RawRecording, sides: list[Side | None]) -> list[tuple[RawSegment, Side | None]]:
    """The segments with their sides; loose ones of one side as one, their words by time."""
    if not raw.loose:
        return list(zip(raw.segments, sides, strict=True))
    found: list[tuple[RawSegment, Side | None]] = []
    for side in dict.fromkeys(sides):
        own = [s for s, x in zip(raw.segments, sides, strict=True) if x == side]
        # a merge keeps each speaker's order, so that times which fall are still seen to fall
        words = tuple(heapq.merge(*(s.words or () for s in own), key=lambda w: w.start_s))
        one = own[0] if len(own) == 1 else RawSegment(text=joined(words), words=words)
        found.append((one, side))
    return found


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
        _belong(item, start_s, end_s, who)
        if end_s - start_s < MIN_SEGMENT_S:
            raise Refused(f"{who}: its words last {seconds(end_s - start_s)} s")
        return _made(item, side, text, start_s, end_s, timed), made and bool(item.text)
    if not any(c.isalnum() for c in text):
        return None, False
    end_s = duration_s if item.end_s is None else item.end_s
    if item.start_s < -SLACK_S or end_s > duration_s + DURATION_SLACK_S:
        span = f"{seconds(item.start_s)} to {seconds(end_s)} s"
        raise Refused(f"{who} at {span} lies outside of {seconds(duration_s)} s of audio")
    start_s, end_s = max(0.0, item.start_s), min(end_s, duration_s)
    if end_s - start_s < MIN_SEGMENT_S:
        raise Refused(f"{who} lasts {seconds(end_s - start_s)} s, from {seconds(start_s)} s")
    return _made(item, side, text, round(start_s, 6), round(end_s, 6), None), False


def _belong(item: RawSegment, start_s: float, end_s: float, who: str) -> None:
    """Words far outside of their segment count from somewhere else."""
    if item.end_s is None:
        return
    if start_s < item.start_s - WORDS_SLACK_S or end_s > item.end_s + WORDS_SLACK_S:
        raise Refused(
            f"{who} is said from {seconds(item.start_s)} to {seconds(item.end_s)} s, its words from "
            f"{seconds(start_s)} to {seconds(end_s)} s",
            "both count from the start of the recording",
        )


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
            found[-1], segment = _apart(found[-1], segment)
        found.append(segment)
    return found


def _apart(before: Segment, after: Segment) -> tuple[Segment, Segment]:
    """Two segments of one side that overlap, parted; given word times stay, but for a rounding."""
    if before.words and after.words and before.end_s - after.start_s <= SLACK_S:
        last = before.words[-1]
        if last.start_s <= after.start_s:
            words = (*before.words[:-1], last.model_copy(update={"end_s": after.start_s}))
            return before.model_copy(update={"words": words, "end_s": after.start_s}), after
    least_s = after.start_s if before.words is None else before.end_s
    at_s = before.end_s if before.words else after.start_s
    if not before.words and not after.words:
        at_s = least_s = round((before.end_s + after.start_s) / 2, 6)
    small = before.end_s - after.start_s <= OVERLAP_SLACK_S and not (before.words and after.words)
    if not small or at_s - before.start_s < MIN_SEGMENT_S or after.end_s - least_s < MIN_SEGMENT_S:
        raise Refused(
            f"two segments of the {after.speaker} overlap: {seconds(before.start_s)} to "
            f"{seconds(before.end_s)} s and {seconds(after.start_s)} to {seconds(after.end_s)} s",
            "one channel can't speak twice: mend the times or skip one with `roles`",
        )
    return (
        before.model_copy(update={"end_s": at_s}),
        after.model_copy(update={"start_s": least_s}),
    )
