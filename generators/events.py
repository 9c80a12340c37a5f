"""Timeline events from placed ones: words and pieces on the sample's clock, evidence, cuts."""

from __future__ import annotations

from typing import Any, cast

from generators.place import Placed, Placement, Stretch, settled
from schemas.base import seconds
from schemas.label import Evidence
from schemas.scene import Motion, TextEvent, Utterance
from schemas.timeline import (
    Hear,
    HearBehaviour,
    Piece,
    Say,
    SayBehaviour,
    Think,
    TimedWord,
    ToolCall,
    TypedInput,
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
        behaviour=cast(HearBehaviour, event.behaviour),
        turn_index=event.turn_index,
        text=event.text,
        language=event.language,
        voice=event.voice,
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
        chars_s = len(text) / plan.config.scene.write_chars_per_s
        planned_end = placed.decided + plan.samples(chars_s)
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


def evidence(plan: Placement, cited: tuple[str, ...]) -> tuple[Evidence, ...]:
    """Scene evidence ("u000", or "u000:2" up to the end of span 2) as Timeline evidence."""
    found = [_evidence(plan, *c.partition(":")[::2]) for c in cited]
    return tuple(e for e in found if e is not None)


def _evidence(plan: Placement, event_id: str, span: str) -> Evidence | None:
    placed = plan.placed[event_id]
    if isinstance(placed.event, Motion):
        return _last_frame(plan)
    if not placed.stretches:
        return Evidence(event=event_id, revealed_s=seconds(placed.end, plan.rate))
    used = placed.stretches[: int(span) + 1] if span else placed.stretches
    words = [s.start + w.end_sample for s in used for w in s.speech.words]
    return Evidence(event=event_id, word=len(words) - 1, revealed_s=seconds(words[-1], plan.rate))


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
        "evidence": evidence(plan, placed.event.evidence),
    }
    if placed.cut is not None and placed.cut_by is not None:
        fields["cut_s"] = seconds(placed.cut, plan.rate)
        fields["cut_by"] = _cut_evidence(plan, placed.cut_by)
    return fields


def _cut_evidence(plan: Placement, user_id: str) -> Evidence:
    """The word of the user's that was plain to hear."""
    user = plan.placed[user_id]
    ends = [s.start + w.end_sample for s in user.stretches for w in s.speech.words]
    return Evidence(
        event=user_id, word=ends.index(user.plain), revealed_s=seconds(user.plain, plan.rate)
    )


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
