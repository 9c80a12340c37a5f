"""Remarks that nobody asked for: the assistant speaks up when it has been quiet for long.

Whether it would, and after how long, is drawn under the id of its own last turn; the remark rests on
nothing but that silence. It is said only where the user really stays silent for so long.
"""

from __future__ import annotations

from generators.scene.plan import Plan
from generators.scene.pools import choose
from generators.scene.voices import assistant_voice
from schemas.scene import Anchor, Utterance, one_breath


def remark_in(plan: Plan, silence_s: float) -> Utterance | None:
    """The remark into `silence_s` of silence after the assistant's last turn, if it would make one."""
    reply, proactive, timing = plan.last_reply, plan.config.scene.proactive, plan.timing
    if reply is None or not timing.chance(reply.id, "proactive", proactive.rate):
        return None
    after_s = timing.between(reply.id, "proactive_after", proactive.after_s)
    text = choose(timing, reply.id, "proactive", plan.record.language)
    # decided a moment before it is said: from then on it is said, whatever the user does
    if text is None or after_s - plan.config.scene.speak_lead_s >= silence_s:
        return None
    plan.behaviours.add("proactive")
    return Utterance(
        id=f"p{reply.id[1:]}",
        speaker="assistant",
        behaviour="proactive",
        text=text,
        write=text,
        language=plan.record.language,
        voice=assistant_voice(plan.record.language, plan.config),
        spans=one_breath(text),
        anchor=Anchor(of=reply.id, edge="settled", offset_s=after_s),
        lead_s=plan.config.scene.speak_lead_s,
        evidence=plan.evidence,
    )
