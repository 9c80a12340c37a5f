"""A long recording as several records: cut where nobody speaks.

`windows(recording, longest_s)` gives recordings of at most `longest_s` that cover all of it, each cut
in the middle of the longest pause of the second half of what may come next.
"""

from __future__ import annotations

from collections.abc import Iterable

from generators.sources.dialogues import record_key
from generators.sources.refusal import Refused
from schemas import ChannelRange, Recording, Segment

MIN_PAUSE_S = 0.2


def windows(recording: Recording, longest_s: float | None) -> list[Recording]:
    """The recording itself where it is short enough (or may be of any length), else its windows.

    One without speech is among them, with no segment. Raises Refused where people speak on for
    `longest_s` without a common pause.
    """
    if longest_s is None or recording.duration_s <= longest_s:
        return [recording]
    _same_length(recording)
    edges = _edges(recording, longest_s)
    spans = zip(edges, edges[1:], strict=False)
    return [_window(recording, i, start_s, end_s) for i, (start_s, end_s) in enumerate(spans)]


def _same_length(recording: Recording) -> None:
    ranges = [r for r in (recording.user, recording.assistant) if r is not None]
    lengths_s = {round(r.frame_count / r.sample_rate_hz, 1) for r in ranges}
    if len(lengths_s) > 1:
        raise Refused("its two files differ in length, so it can't be cut at `longest_s`")


def _edges(recording: Recording, longest_s: float) -> list[float]:
    """0, the cuts, and the end."""
    pauses = _pauses(recording.segments, recording.duration_s)
    edges = [0.0]
    while recording.duration_s - edges[-1] > longest_s:
        edges.append(_next_cut(pauses, edges[-1], longest_s))
    return [*edges, recording.duration_s]


def _next_cut(pauses: list[tuple[float, float]], begin_s: float, longest_s: float) -> float:
    """Where the window that begins at `begin_s` ends."""
    last_s = begin_s + longest_s
    options = []
    for start_s, end_s in pauses:
        # a pause that reaches over the limit is used as far as the limit
        start_s, end_s = max(start_s, begin_s), min(end_s, last_s)
        if end_s - start_s >= MIN_PAUSE_S and (start_s + end_s) / 2 > begin_s + MIN_PAUSE_S:
            options.append((end_s - start_s, round((start_s + end_s) / 2, 6)))
    late = [o for o in options if o[1] > begin_s + longest_s / 2]
    if not options:
        raise Refused(
            f"people speak from {begin_s:.1f} to {last_s:.1f} s without a pause of "
            f"{MIN_PAUSE_S} s in common",
            "raise `longest_s`",
        )
    return max(late)[1] if late else options[-1][1]


def _pauses(segments: Iterable[Segment], duration_s: float) -> list[tuple[float, float]]:
    """When neither side speaks, in order."""
    found, at_s = [], 0.0
    for segment in sorted(segments, key=lambda s: s.start_s):
        if segment.start_s > at_s:
            found.append((at_s, segment.start_s))
        at_s = max(at_s, segment.end_s)
    return [*found, (at_s, duration_s)] if at_s < duration_s else found


def _window(whole: Recording, index: int, start_s: float, end_s: float) -> Recording:
    record_id = f"{whole.record_id}#{index}"
    own = [_moved(s, start_s) for s in whole.segments if start_s <= s.start_s < end_s]
    user = _part(whole.user, start_s, end_s)
    speaks = whole.assistant is not None and any(s.speaker == "assistant" for s in own)
    return whole.model_copy(
        update={
            "key": record_key(whole.source, record_id),
            "record_id": record_id,
            "duration_s": round(user.frame_count / user.sample_rate_hz, 6),
            "user": user,
            "assistant": _part(whole.assistant, start_s, end_s)
            if whole.assistant is not None and speaks
            else None,
            "segments": tuple(own),
            "notes": (*whole.notes, f"{start_s:.3f} to {end_s:.3f} s of a longer recording"),
        }
    )


def _part(of: ChannelRange, start_s: float, end_s: float) -> ChannelRange:
    first, last = (min(round(x * of.sample_rate_hz), of.frame_count) for x in (start_s, end_s))
    update = {"frame_start": of.frame_start + first, "frame_count": last - first}
    return of.model_copy(update=update)


def _moved(segment: Segment, start_s: float) -> Segment:
    """A segment whose times count from `start_s`."""

    def times(of: Segment | object) -> dict[str, float]:
        return {n: round(getattr(of, n) - start_s, 6) for n in ("start_s", "end_s")}

    words = segment.words and tuple(w.model_copy(update=times(w)) for w in segment.words)
    return segment.model_copy(update={"words": words, **times(segment)})
