"""The user's turns: human pauses and offsets, barging in, silence, and what goes on beside them.

The user is the world: it may know what the assistant is going to say. It must not go on later than
the assistant would have answered (timing.py).
"""

from __future__ import annotations

from generators.scene.asides import AFTER_S, background_speech, side_speech
from generators.scene.disfluency import disfluent
from generators.scene.interjections import interjections
from generators.scene.listening import backchannels_in
from generators.scene.plan import Plan, last_stretch, spoken
from generators.scene.remarks import remark_in
from generators.scene.spans import user_spans
from generators.scene.timing import RESUME_MARGIN_S
from generators.scene.voices import user_voice
from generators.scene.while_listening import openers, thoughts
from schemas.records import Turn
from schemas.scene import Anchor, Thought, Utterance

# A user who comes in early does so after the assistant has begun: before that it would have waited.
AFTER_START_S = 0.3


def add_user(plan: Plan, index: int, turn: Turn) -> None:
    """The turn, what the world does during the assistant's turn before it, and what it sets off."""
    event_id = f"u{index:03d}"
    barges_in = _barges_in(plan, event_id, turn)
    at = plan.timing.between(event_id, "barge_in_at", plan.config.scene.barge_in.at)
    if reply := plan.last_reply:
        plan.also(*interjections(plan, reply, at if barges_in else 1.0))
    plan.user = turn.speaker
    anchor = (
        Anchor(of=plan.last.id, edge="fraction", at=at)
        if barges_in and plan.last
        else _anchor(plan, event_id, index)
    )
    utterance = _utterance(plan, event_id, index, turn, anchor, barges_in)
    plan.add(utterance)
    plan.evidence = (event_id,)
    if barges_in:
        plan.behaviours.add("barge_in")
    plan.also(*_set_off(plan, utterance))
    if index != plan.last_index:  # a sample ends where an answer to its last words would begin
        plan.also(background_speech(plan, utterance))


def _set_off(plan: Plan, utterance: Utterance) -> list[Utterance | Thought]:
    """What the assistant does meanwhile, in the order of the words it follows: what comes later in
    the turn must not move what came before."""
    listening = list(backchannels_in(utterance, plan.timing, plan.config))
    if listening:
        plan.behaviours.add("backchannel")
    found: list[Utterance | Thought] = [*listening, *openers(plan, utterance)]
    found += thoughts(plan, utterance)
    return sorted(found, key=lambda e: (_place(utterance, e), e.anchor.offset_s, e.id))


def _place(utterance: Utterance, event: Utterance | Thought) -> int:
    """The character of the turn after which an event comes."""
    anchor = event.anchor
    return anchor.char if anchor.span is None else utterance.spans[anchor.span].char_end


def _utterance(
    plan: Plan, event_id: str, index: int, turn: Turn, anchor: Anchor, barges_in: bool
) -> Utterance:
    language, text = plan.record.language, spoken(turn, plan.record.language, index)
    if plan.perturb:
        said = disfluent(text, language, plan.timing, event_id)
        text = said.text
        plan.behaviours.update(said.tags)
    spans, tags = user_spans(text, language, plan.timing, event_id, plan.perturb)
    plan.behaviours.update(tags)
    return Utterance(
        id=event_id,
        speaker="user",
        behaviour="barge_in" if barges_in else "turn",
        turn_index=index,
        text=text,
        language=language,
        voice=user_voice(plan.record, turn.speaker, plan.config),
        spans=spans,
        anchor=anchor,
        reaction_s=plan.timing.between(event_id, "reaction", plan.config.scene.reaction_s),
    )


def _anchor(plan: Plan, event_id: str, index: int) -> Anchor:
    last = plan.last
    if last is None:
        return Anchor(offset_s=plan.timing.between(event_id, "start", plan.config.scene.start_s))
    if isinstance(last, Utterance) and last.speaker == "user":
        # the same person goes on: before the assistant would have answered
        stretch, complete = last_stretch(last)
        return Anchor(of=last.id, offset_s=plan.timing.user_pause_s(stretch, complete))
    if (gap_s := plan.answer_gap_s()) is not None:
        offset_s = max(0.0, plan.timing.offset_s(event_id))
        return Anchor(of=last.id, offset_s=min(offset_s, gap_s - RESUME_MARGIN_S))
    return _after_reply(plan, event_id, index)


def _after_reply(plan: Plan, event_id: str, index: int) -> Anchor:
    """The user takes the floor from the assistant: like people do, or after more or less silence."""
    timing, scene, last = plan.timing, plan.config.scene, plan.last
    assert last is not None
    offset_s = timing.offset_s(event_id)
    if aside := side_speech(plan, event_id, index):
        plan.also(aside)
        return Anchor(of=aside.id, offset_s=timing.between(event_id, "side_speech_after", AFTER_S))
    # one draw decides: the latest of the floor transfers are dead air, the earliest are barge-ins
    if plan.perturb and timing.uniform(event_id, "offset") >= 1 - scene.dead_air.rate:
        plan.behaviours.add("dead_air")
        offset_s = timing.between(event_id, "dead_air", scene.dead_air.silence_s)
        if remark := remark_in(plan, offset_s):
            plan.also(remark)
            return Anchor(of=remark.id, offset_s=max(0.1, timing.offset_s(f"{event_id}:again")))
    after_start_s = AFTER_START_S if isinstance(last, Utterance) else 0.0
    return Anchor(of=last.id, edge="settled", offset_s=offset_s, after_start_s=after_start_s)


def _barges_in(plan: Plan, event_id: str, turn: Turn) -> bool:
    """Marked in the record, or one of the earliest floor transfers after a long enough turn."""
    reply, barge_in = plan.last_reply, plan.config.scene.barge_in
    if reply is None or not plan.perturb:
        return False
    long_enough = len(reply.text.split()) >= barge_in.min_words
    drawn = long_enough and plan.timing.chance(event_id, "offset", barge_in.rate)
    return turn.interrupts or drawn
