"""What the assistant does while the user speaks: openers, and thoughts noted down.

Both are drawn under the id of the stretch they follow and rest on nothing later, so they come
whether or not the user goes on. An opener fits before any answer ("Okay,"); where the user goes on
after it, the assistant began early and waits for more.
"""

from __future__ import annotations

from collections.abc import Iterator

from generators.scene.plan import Plan
from generators.scene.pools import choose
from generators.scene.voices import assistant_voice
from generators.text_split import is_complete
from schemas.scene import Anchor, Thought, Utterance, one_breath

# A thought is noted this long after the stretch it rests on.
THOUGHT_DELAY_S = (0.1, 0.3)


def openers(plan: Plan, utterance: Utterance) -> Iterator[Utterance]:
    """The assistant's openers after the finished sentences of a user's turn."""
    early, timing = plan.config.scene.early_answer, plan.timing
    for number, _ in _finished(utterance):
        stretch_id = f"{utterance.id}:{number}"
        if not timing.chance(stretch_id, "early_answer", early.rate):
            continue
        said = choose(timing, stretch_id, "opener", utterance.language)
        if said is None:
            return
        goes_on = number < len(utterance.spans) - 1
        plan.behaviours.add("early_answer" if goes_on else "opener")
        gap_s = timing.between(stretch_id, "early_answer_gap", early.gap_s)
        yield Utterance(
            id=f"o{utterance.id[1:]}-{number}",
            speaker="assistant",
            behaviour="opener",
            turn_index=utterance.turn_index,
            text=said,
            language=utterance.language,
            voice=assistant_voice(utterance.language, plan.config),
            spans=one_breath(said),
            anchor=Anchor(of=utterance.id, span=number, offset_s=gap_s),
            lead_s=min(gap_s, plan.config.scene.speak_lead_s),
            evidence=(stretch_id,),
        )


def _finished(utterance: Utterance) -> Iterator[tuple[int, str]]:
    """Number and text of each stretch that ends a sentence."""
    for number, span in enumerate(utterance.spans):
        text = utterance.text[span.char_start : span.char_end]
        if is_complete(text, utterance.language):
            yield number, text


def thoughts(plan: Plan, utterance: Utterance) -> Iterator[Thought]:
    """Notes of what has been understood so far, during a long turn of the user's."""
    partial, timing = plan.config.scene.partial_thoughts, plan.timing
    # only whole sentences: where a clause is cut off depends on the words after it
    for number, heard in _finished(utterance):
        stretch_id = f"{utterance.id}:{number}"
        if number < partial.from_stretch:
            continue
        if not timing.chance(stretch_id, "partial_thoughts", partial.rate):
            continue
        template = choose(timing, stretch_id, "thought", utterance.language)
        if template is None:
            return
        plan.behaviours.add("partial_thoughts")
        delay_s = timing.between(stretch_id, "thought_delay", THOUGHT_DELAY_S)
        yield Thought(
            id=f"t{utterance.id[1:]}-{number}",
            turn_index=utterance.turn_index,
            text=template.replace("{text}", heard),
            anchor=Anchor(of=utterance.id, span=number, offset_s=delay_s),
            evidence=(stretch_id,),
        )
