"""Timelines of given words: who says what when, and nothing else; for tests of what measures them."""

from __future__ import annotations

from typing import Any

from corpus_fixture import RATE_HZ, provenance

from schemas.label import Evidence
from schemas.timeline import AgentEvent, AudioTrack, Context, Hear, Say, TimedWord, Timeline, Write

Spans = list[tuple[float, float]]


def spoken(spans: Spans) -> tuple[str, tuple[TimedWord, ...]]:
    """A text of three-letter words, and the words at these times."""
    text = " ".join(["one"] * len(spans))
    timed = tuple(
        TimedWord(text="one", char_start=4 * i, char_end=4 * i + 3, start_s=a, end_s=b)
        for i, (a, b) in enumerate(spans)
    )
    return text, timed


def heard(event_id: str, spans: Spans, **fields: Any) -> Hear:
    """The user's words; `behaviour`, `speaker` and the like as fields."""
    text, words = spoken(spans)
    return Hear(
        id=event_id,
        text=text,
        language="en",
        voice="u",
        start_s=spans[0][0],
        end_s=spans[-1][1],
        plain_s=spans[0][1],
        revealed_s=spans[-1][1],
        words=words,
        **fields,
    )


def said(event_id: str, spans: Spans, on: tuple[Evidence, ...] = (), **fields: Any) -> Say:
    """The assistant's words, decided 0.1 s before the first."""
    text, words = spoken(spans)
    times = {
        "decided_s": max(0.0, round(spans[0][0] - 0.1, 6)),
        "start_s": spans[0][0],
        "end_s": spans[-1][1],
        "planned_end_s": spans[-1][1],
    }
    event = {"id": event_id, "text": text, "language": "en", "voice": "a"}
    return Say(**(event | times | {"words": words, "evidence": on} | fields))


def written(say: Say, start_s: float, end_s: float) -> Write:
    """The visible text of a Say, which is the same words."""
    return Write(
        id=f"write-{say.id}",
        text=say.text,
        decided_s=start_s,
        start_s=start_s,
        end_s=end_s,
        planned_end_s=end_s,
    )


def rests_on(event: Hear, word: int) -> Evidence:
    """The event up to this word."""
    return Evidence(event=event.id, word=word, revealed_s=event.words[word].end_s)


def timeline(*events: Any, duration_s: float = 20.0, **fields: Any) -> Timeline:
    """A dialogue of these events, agent and world."""
    track = AudioTrack(sample_rate_hz=RATE_HZ, sample_count=round(duration_s * RATE_HZ))
    return Timeline(
        key="hand-made",
        subset="dialogue",
        group="hand-made",
        language="en",
        duration_s=duration_s,
        context=Context(),
        listen=track,
        speak=track,
        world=tuple(e for e in events if not isinstance(e, AgentEvent)),
        agent=tuple(e for e in events if isinstance(e, AgentEvent)),
        provenance=provenance("hand-made"),
        **fields,
    )
