"""The assistant's turns: planned whole, decided a drawn gap after what they rest on.

What it does after a stretch of the user's speech is drawn under that stretch's id and depends only
on the words up to its end.
"""

from __future__ import annotations

from generators.scene.asides import background_speech
from generators.scene.plan import Plan, spoken
from generators.scene.voices import assistant_voice
from generators.text_split import sentences
from schemas.records import Turn
from schemas.scene import Anchor, Span, TextEvent, Utterance


def add_assistant(plan: Plan, index: int, turn: Turn) -> None:
    if turn.text.strip() or turn.say:
        _add_reply(plan, index, turn)
    if turn.tool_calls:
        _add_call(plan, index, turn.tool_calls)


def _add_call(plan: Plan, index: int, calls: str) -> None:
    """A call of a tool, decided like a reply and made at once."""
    event_id = f"c{index:03d}"
    _, anchor = _reply_anchor(plan, event_id)
    plan.add(
        TextEvent(
            id=event_id,
            role="tool_call",
            turn_index=index,
            text=calls,
            anchor=anchor,
            evidence=plan.evidence,
        )
    )


def _add_reply(plan: Plan, index: int, turn: Turn) -> None:
    event_id, language = f"a{index:03d}", plan.record.language
    text = spoken(turn, language, index)
    gap_s, anchor = _reply_anchor(plan, event_id)
    lead_s = min(plan.config.scene.speak_lead_s, gap_s)
    reply = Utterance(
        id=event_id,
        speaker="assistant",
        turn_index=index,
        text=text,
        write=turn.text,
        think=turn.think,
        language=language,
        voice=assistant_voice(language, plan.config),
        spans=_reply_spans(plan, event_id, text),
        anchor=anchor,
        lead_s=lead_s,
        evidence=plan.evidence,
    )
    plan.add(reply)
    plan.also(background_speech(plan, reply))


def _reply_anchor(plan: Plan, event_id: str) -> tuple[float, Anchor]:
    """How long after its evidence the reply starts to sound, and the anchor that says so."""
    scene, last, timing = plan.config.scene, plan.last, plan.timing
    if last is None:
        start_s = timing.between(event_id, "start", scene.start_s)
        return start_s, Anchor(offset_s=start_s)
    answer_gap_s = plan.answer_gap_s()
    if answer_gap_s is None:
        gap_s = timing.human_pause_s(event_id)
        return gap_s, Anchor(of=last.id, edge="settled", offset_s=gap_s)
    gap_s = answer_gap_s + scene.speak_lead_s
    return gap_s, Anchor(of=last.id, offset_s=round(gap_s, 6))


def _reply_spans(plan: Plan, event_id: str, text: str) -> tuple[Span, ...]:
    spans = []
    for number, s in enumerate(sentences(text, plan.record.language)):
        pause_s = plan.timing.human_pause_s(f"{event_id}:{number}") if number else 0.0
        spans.append(Span(char_start=s.start, char_end=s.end, pause_before_s=pause_s))
    return tuple(spans)
