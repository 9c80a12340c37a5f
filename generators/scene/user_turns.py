"""The user's turns: sentences and clauses with human pauses, human offsets, and barging in.

The user is the world: it may know what the assistant is going to say. It must not go on later than
the assistant would have answered (timing.py).
"""

from __future__ import annotations

from generators.scene.backchannel import backchannel_after
from generators.scene.plan import Plan, last_stretch, spoken
from generators.scene.timing import RESUME_MARGIN_S
from generators.scene.voices import user_voice
from generators.text_split import clauses, is_complete, sentences
from schemas.records import Turn
from schemas.scene import Anchor, Span, Utterance

# a sentence of more words is spoken in clauses, with a pause between them
CLAUSE_WORDS = 8


def add_user(plan: Plan, index: int, turn: Turn) -> None:
    event_id = f"u{index:03d}"
    text = spoken(turn, plan.record.language, index)
    spans = _user_spans(plan, event_id, text)
    barges_in = _barges_in(plan, event_id, turn)
    utterance = Utterance(
        id=event_id,
        speaker="user",
        behaviour="barge_in" if barges_in else "turn",
        turn_index=index,
        text=text,
        language=plan.record.language,
        voice=user_voice(plan.record, turn.speaker, plan.config),
        spans=spans,
        anchor=_user_anchor(plan, event_id, barges_in),
        reaction_s=plan.timing.between(event_id, "reaction", plan.config.scene.reaction_s),
    )
    plan.add(utterance)
    plan.evidence = (event_id,)
    if barges_in:
        plan.behaviours.add("barge_in")
    _add_backchannels(plan, utterance)


def _user_spans(plan: Plan, event_id: str, text: str) -> tuple[Span, ...]:
    """Sentences and clauses, with the pause that stands before each."""
    language = plan.record.language
    spans: list[Span] = []
    for sentence in sentences(text, language):
        for clause in clauses(sentence.of(text), CLAUSE_WORDS):
            start, end = sentence.start + clause.start, sentence.start + clause.end
            pause_s = 0.0
            if spans:
                complete = is_complete(text[spans[-1].char_start : spans[-1].char_end], language)
                pause_s = plan.timing.user_pause_s(f"{event_id}:{len(spans) - 1}", complete)
            spans.append(Span(char_start=start, char_end=end, pause_before_s=pause_s))
    return tuple(spans)


def _user_anchor(plan: Plan, event_id: str, barges_in: bool) -> Anchor:
    scene, last = plan.config.scene, plan.last
    if last is None:
        return Anchor(offset_s=plan.timing.between(event_id, "start", scene.start_s))
    if barges_in:
        at = plan.timing.between(event_id, "barge_in_at", scene.barge_in_at)
        return Anchor(of=last.id, edge="fraction", at=at)
    if isinstance(last, Utterance) and last.speaker == "user":
        # the same person goes on: before the assistant would have answered
        stretch, complete = last_stretch(last)
        return Anchor(of=last.id, offset_s=plan.timing.user_pause_s(stretch, complete))
    if (gap_s := plan.answer_gap_s()) is not None:
        offset_s = max(0.0, plan.timing.user_offset_s(event_id))
        return Anchor(of=last.id, offset_s=min(offset_s, gap_s - RESUME_MARGIN_S))
    return Anchor(of=last.id, edge="settled", offset_s=plan.timing.user_offset_s(event_id))


def _barges_in(plan: Plan, event_id: str, turn: Turn) -> bool:
    last = plan.last_utterance
    if last is None or last.speaker != "assistant":
        return False
    scene = plan.config.scene
    long_enough = len(last.text.split()) >= scene.barge_in_min_words
    drawn = long_enough and plan.timing.chance(event_id, "barge_in", scene.barge_in_rate)
    return turn.interrupts or drawn


def _add_backchannels(plan: Plan, utterance: Utterance) -> None:
    last = plan.last
    for number in range(len(utterance.spans)):
        if event := backchannel_after(utterance, number, plan.timing, plan.config):
            plan.events.append(event)
            plan.behaviours.add("backchannel")
    plan.last = last
