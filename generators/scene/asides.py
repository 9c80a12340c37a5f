"""Speech that is not meant for the assistant: the user's to somebody else, and somebody else's.

Neither is answered and neither stops the assistant: `addressed_to` is `other`.
"""

from __future__ import annotations

from generators.scene.plan import Plan
from generators.scene.pools import choose
from generators.scene.voices import user_voice
from schemas.errors import StrettoError
from schemas.scene import Anchor, Utterance, one_breath

# The user takes a breath before and after speaking to somebody else.
BEFORE_S, AFTER_S = (0.3, 1.0), (0.6, 1.5)
# Background speech begins this long after the start of the turn that it falls into.
INTO_TURN_S = (0.2, 1.5)


def side_speech(plan: Plan, turn_id: str, index: int) -> Utterance | None:
    """What the user says to somebody else before the turn `turn_id`; None for most turns."""
    last, timing = plan.last, plan.timing
    rate = plan.config.scene.side_speech.rate
    if last is None or not plan.perturb or not timing.chance(turn_id, "side_speech", rate):
        return None
    text = choose(timing, turn_id, "aside", plan.record.language)
    if text is None:
        return None
    offset_s = timing.between(turn_id, "side_speech_before", BEFORE_S)
    plan.behaviours.add("side_speech")
    return Utterance(
        id=f"s{index:03d}",
        speaker="user",
        behaviour="side_speech",
        addressed_to="other",
        turn_index=index,
        text=text,
        language=plan.record.language,
        voice=user_voice(plan.record, plan.user, plan.config),
        spans=one_breath(text),
        anchor=Anchor(of=last.id, edge="settled", offset_s=offset_s),
    )


def background_speech(plan: Plan, turn: Utterance) -> Utterance | None:
    """What somebody far off says during `turn`; None for most turns."""
    background, timing = plan.config.scene.background_speech, plan.timing
    if not plan.perturb or not timing.chance(turn.id, "background_speech", background.rate):
        return None
    event_id = f"g{turn.id}"
    text = choose(timing, event_id, "background", plan.record.language)
    try:
        voice = user_voice(plan.record, "bystander", plan.config)
    except StrettoError:  # nobody else has a voice here
        return None
    if text is None:
        return None
    plan.behaviours.add("background_speech")
    return Utterance(
        id=event_id,
        speaker="bystander",
        behaviour="background",
        addressed_to="other",
        text=text,
        language=plan.record.language,
        voice=voice,
        spans=one_breath(text),
        anchor=Anchor(
            of=turn.id, edge="start", offset_s=timing.between(event_id, "into_turn", INTO_TURN_S)
        ),
        gain_db=timing.between(event_id, "gain", background.gain_db),
    )
