"""Timeline events from placed ones: words and pieces on the sample's clock, evidence, cuts."""

from __future__ import annotations

import re
from typing import Any, cast

from generators.place import Placed, Placement, Stretch, heard_words, settled
from generators.place import written as written_samples
from schemas.base import seconds
from schemas.label import Evidence
from schemas.scene import Motion, Noise, TextEvent, Thought, Utterance
from schemas.timeline import (
    Hear,
    HearBehaviour,
    Piece,
    Say,
    SayBehaviour,
    Sound,
    Think,
    TimedWord,
    ToolCall,
    TypedInput,
    WordTimes,
    Write,
)


def hear(plan: Placement, placed: Placed) -> Hear:
    """The world event of a user's utterance."""
    event = placed.event
    assert isinstance(event, Utterance)
    words = tuple(w for s in placed.stretches for w in _words(plan, s))
    end_s = seconds(placed.end, plan.rate)
    return Hear(
        id=event.id,
        speaker=event.speaker,
        addressed_to=event.addressed_to,
        behaviour=cast(HearBehaviour, event.behaviour),
        turn_index=event.turn_index,
        text=event.text,
        language=event.language,
        voice=event.voice,
        word_times=_word_times(placed),
        start_s=seconds(placed.start, plan.rate),
        end_s=end_s,
        plain_s=seconds(placed.plain, plan.rate),
        revealed_s=words[-1].end_s if words else end_s,
        words=words,
        pieces=tuple(_piece(plan, s) for s in placed.stretches),
    )


def say(plan: Placement, placed: Placed) -> Say:
    """The agent event of what the assistant says: the words that sounded, and those it was kept
    from saying."""
    event = placed.event
    assert isinstance(event, Utterance)
    words = [w for s in placed.stretches for w in _words(plan, s)]
    pieces = [_piece(plan, s) for s in placed.stretches]
    end = placed.end
    unsaid: dict[str, Any] = {}
    if placed.cut is not None:
        end = settled(plan, placed)
        cut_s, end_s = seconds(placed.cut, plan.rate), seconds(end, plan.rate)
        unsaid["unsaid_words"] = tuple(w for w in words if w.end_s > cut_s)
        unsaid["unsaid_pieces"] = tuple(p for p in pieces if p.end_s > end_s or p.start_s >= cut_s)
        words = [_cut_word(w, cut_s, end_s) for w in words if w.start_s < cut_s]
        pieces = [
            p.model_copy(update={"end_s": min(p.end_s, end_s)}) for p in pieces if p.start_s < cut_s
        ]
    return Say(
        **_agent(plan, placed, event.id, end),
        start_s=seconds(placed.start, plan.rate),
        planned_end_s=seconds(placed.end, plan.rate),
        behaviour=cast(SayBehaviour, event.behaviour),
        text=event.text,
        language=event.language,
        voice=event.voice,
        word_times=_word_times(placed),
        words=tuple(words),
        pieces=tuple(pieces),
        **unsaid,
    )


def _cut_word(word: TimedWord, cut_s: float, end_s: float) -> TimedWord:
    if word.end_s <= cut_s:
        return word
    return word.model_copy(update={"cut": True, "end_s": min(word.end_s, end_s)})


def written(plan: Placement, placed: Placed) -> list[Write | Think]:
    """The visible text of an assistant turn, and its reasoning: they start when it is decided."""
    event = placed.event
    assert isinstance(event, Utterance)
    events: list[Write | Think] = []
    for kind, text in ((Think, event.think), (Write, event.write)):
        if text is None or not text.strip():
            continue
        planned_end = placed.decided + written_samples(plan, text)
        end = planned_end if placed.cut is None else min(planned_end, placed.cut)
        events.append(
            kind(
                **_agent(plan, placed, f"{kind.__name__.lower()}-{event.id}", end),
                start_s=seconds(placed.decided, plan.rate),
                planned_end_s=seconds(planned_end, plan.rate),
                text=text,
            )
        )
    return events


def text_event(plan: Placement, placed: Placed) -> TypedInput | ToolCall:
    """A message that nobody speaks."""
    event = placed.event
    assert isinstance(event, TextEvent)
    at_s = seconds(placed.start, plan.rate)
    if event.role == "tool_call":
        return ToolCall(
            **_agent(plan, placed, event.id, placed.end),
            start_s=at_s,
            planned_end_s=at_s,
            text=event.text,
        )
    return TypedInput(
        kind="typed" if event.role == "typed" else "tool_result",
        id=event.id,
        turn_index=event.turn_index,
        text=event.text,
        start_s=at_s,
        revealed_s=at_s,
    )


def thought(plan: Placement, placed: Placed) -> Think:
    """What the assistant notes while it listens."""
    event = placed.event
    assert isinstance(event, Thought)
    end_s = seconds(placed.start + written_samples(plan, event.text), plan.rate)
    return Think(
        **_agent(plan, placed, event.id, placed.end) | {"end_s": end_s},
        start_s=seconds(placed.start, plan.rate),
        planned_end_s=end_s,
        text=event.text,
        while_listening=True,
    )


def noise(plan: Placement, placed: Placed) -> Sound:
    """A sound that is no speech."""
    event = placed.event
    assert isinstance(event, Noise)
    end_s = seconds(placed.end, plan.rate)
    return Sound(
        id=event.id,
        name=event.name,
        start_s=seconds(placed.start, plan.rate),
        end_s=end_s,
        revealed_s=end_s,
    )


def evidence(plan: Placement, cited: tuple[str, ...]) -> tuple[Evidence, ...]:
    """Scene evidence ("u000", "u000:2" up to the end of span 2, "u000@17" up to character 17)."""
    found = [_evidence(plan, c) for c in cited]
    return tuple(e for e in found if e is not None)


def _evidence(plan: Placement, cited: str) -> Evidence | None:
    event_id, mark, place = re.split("([:@]|$)", cited, maxsplit=1)
    placed = plan.placed[event_id]
    if isinstance(placed.event, Motion):
        return _last_frame(plan)
    if not placed.stretches:
        return Evidence(event=event_id, revealed_s=seconds(placed.end, plan.rate))
    used = placed.stretches[: int(place) + 1] if mark == ":" else placed.stretches
    words = heard_words(used)
    if mark == "@":
        words = [w for w in words if w.char_end <= int(place)]
    return Evidence(
        event=event_id, word=len(words) - 1, revealed_s=seconds(words[-1].end, plan.rate)
    )


def _last_frame(plan: Placement) -> Evidence | None:
    """That the motion is over is seen in its last frame; nothing shows it where nothing is seen."""
    if plan.seen_in is None:
        return None
    last = plan.first_step + plan.motion_steps - 1
    return Evidence(event=plan.seen_in, frame_index=last, revealed_s=round(last / plan.fps, 6))


def _agent(plan: Placement, placed: Placed, event_id: str, end: int) -> dict[str, Any]:
    """The fields that every agent event has, but for its start and planned end."""
    fields: dict[str, Any] = {
        "id": event_id,
        "turn_index": getattr(placed.event, "turn_index", None),
        "decided_s": seconds(placed.decided, plan.rate),
        "end_s": seconds(end, plan.rate),
        "evidence": evidence(plan, getattr(placed.event, "evidence", ())),
    }
    if placed.cut is not None and placed.cut_by is not None:
        fields["cut_s"] = seconds(placed.cut, plan.rate)
        fields["cut_by"] = _cut_evidence(plan, placed.cut_by, placed.cut_word)
    return fields


def _cut_evidence(plan: Placement, user_id: str, word: int) -> Evidence:
    """The word of the user's that made it an interruption."""
    end = heard_words(plan.placed[user_id].stretches)[word].end
    return Evidence(event=user_id, word=word, revealed_s=seconds(end, plan.rate))


def _word_times(placed: Placed) -> WordTimes:
    """How the word times are known: as well as the worst of its stretches."""
    worst: tuple[WordTimes, ...] = ("estimated", "aligned", "given")
    found = {s.speech.word_times for s in placed.stretches}
    return next((w for w in worst if w in found), "engine")


def _words(plan: Placement, stretch: Stretch) -> list[TimedWord]:
    return [
        TimedWord(
            text=w.text,
            char_start=stretch.char_start + w.char_start,
            char_end=stretch.char_start + w.char_end,
            start_s=seconds(stretch.start + w.start_sample, plan.rate),
            end_s=seconds(stretch.start + w.end_sample, plan.rate),
        )
        for w in stretch.speech.words
    ]


def _piece(plan: Placement, stretch: Stretch) -> Piece:
    words = stretch.speech.words
    char_end = stretch.char_start + (words[-1].char_end if words else 0)
    return Piece(
        char_start=stretch.char_start,
        char_end=char_end,
        start_s=seconds(stretch.start, plan.rate),
        end_s=seconds(stretch.end, plan.rate),
    )
