"""The assistant's backchannel: a short "mm-hm" where the user has stopped but is not finished.

It is drawn under the id of the stretch it follows and looks at nothing later, so it comes whether
or not the user goes on. It never claims the floor and stops nobody.
"""

from __future__ import annotations

from generators.scene.timing import Timing
from generators.scene.voices import assistant_voice
from generators.text_split import is_complete
from schemas.config import Config
from schemas.draws import rng
from schemas.scene import Anchor, Span, Utterance

# Spellings that espeak-ng speaks as the sound people make. Languages without an entry have none.
BACKCHANNELS: dict[str, tuple[str, ...]] = {
    "en": ("mm-hmm", "right", "okay", "yeah", "I see"),
    "de": ("mhm", "ja", "genau", "okay"),
    "es": ("ajá", "sí", "claro", "vale"),
    "fr": ("mmh", "oui", "d'accord", "ok"),
    "it": ("mmh", "sì", "certo", "ok"),
    "pt": ("aham", "sim", "certo", "tá"),
}
DELAY_S = (0.12, 0.3)
# a decision is seen one frame later: in steps of 80 ms it must come this early, or speech waits
LEAD_S = 0.1
# a shorter stretch gives nothing to acknowledge
MIN_WORDS = 3


def backchannel_after(
    utterance: Utterance, number: int, timing: Timing, config: Config
) -> Utterance | None:
    """The backchannel after span `number` of a user's utterance, or None."""
    words = BACKCHANNELS.get(utterance.language.split("-")[0], ())
    span = utterance.spans[number]
    text = utterance.text[span.char_start : span.char_end]
    if not words or is_complete(text, utterance.language) or len(text.split()) < MIN_WORDS:
        return None
    stretch_id = f"{utterance.id}:{number}"
    if not timing.chance(stretch_id, "backchannel", config.scene.backchannel_rate):
        return None
    choice = int(rng(config.seed, timing.key, stretch_id, "backchannel_word").integers(len(words)))
    offset_s = timing.between(stretch_id, "backchannel_delay", DELAY_S)
    return Utterance(
        id=f"b{utterance.id[1:]}-{number}",
        speaker="assistant",
        behaviour="backchannel",
        turn_index=utterance.turn_index,
        text=words[choice],
        language=utterance.language,
        voice=assistant_voice(utterance.language, config),
        spans=(Span(char_start=0, char_end=len(words[choice])),),
        anchor=Anchor(of=utterance.id, span=number, offset_s=offset_s),
        lead_s=LEAD_S,
        evidence=(stretch_id,),
    )
