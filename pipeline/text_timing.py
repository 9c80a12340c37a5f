"""Text beside sound in a finished Timeline: how long turns are, how far writing leads speech.

- `turn_lengths`: words and seconds of each spoken turn, as it sounded;
- `leads`: how long before the voice the visible text begins, and each word is written;
- `word_steps`: steps of 80 ms in which a word of the assistant's begins. In all others a text stream
  of Moshi's kind has padding or the rest of a word's pieces; it is about 65 % padding there.
"""

from __future__ import annotations

from dataclasses import dataclass

from generators.consistency import written_and_said
from pipeline.exchange import ASKS, says
from pipeline.turn_taking import heard_of_user
from schemas.timeline import AgentEvent, Say, Timeline, Write

STEP_S = 0.08  # a frame of Mimi's: 12.5 a second


@dataclass(frozen=True)
class Lead:
    """`text_s`: from the first of the text to the first of the voice. `words_s`: of each word said.

    A word's lead is from its first letter to its first sound; negative: said before it was written.
    A text streams evenly from its start to its planned end, so a word is taken to begin there where
    it begins in the spoken text, as a share of the whole.
    """

    text_s: float
    words_s: tuple[float, ...]


def turn_lengths(timeline: Timeline, side: str) -> list[tuple[int, float]]:
    """(words, seconds) of each turn of the `user` or the `assistant`; pauses in it count."""
    user = [e.words for e in heard_of_user(timeline) if e.behaviour in ASKS and e.words]
    assistant = [e.words for e in says(timeline) if e.takes_turn]
    found = user if side == "user" else assistant
    return [(len(words), round(words[-1].end_s - words[0].start_s, 6)) for words in found]


def leads(timeline: Timeline) -> list[Lead]:
    """One for each Say that sounded and whose visible text stands on the Timeline."""
    return [_lead(write, say) for write, say in written_and_said(timeline) if say.words]


def _lead(write: Write, say: Say) -> Lead:
    chars = max(1, len(say.text))
    words_s = (w.start_s - written_s(write, w.char_start / chars) for w in say.words)
    text_s = say.words[0].start_s - write.start_s
    return Lead(round(text_s, 6), tuple(round(s, 6) for s in words_s))


def written_s(event: AgentEvent, share: float) -> float:
    """When this share of a text is out."""
    return event.start_s + share * (event.planned_end_s - event.start_s)


def word_steps(timeline: Timeline) -> tuple[int, int]:
    """(steps in which a word of the assistant's begins, all steps), steps of 80 ms."""
    begun = {int(w.start_s / STEP_S + 1e-6) for e in says(timeline) for w in e.words}
    return len(begun), int(timeline.duration_s / STEP_S + 1e-6)


def chars_by_cut(event: AgentEvent, chars: int) -> int:
    """Characters of a text that streams evenly to `planned_end_s` which are out before the cut."""
    if event.cut_s is None or event.planned_end_s <= event.start_s:
        return chars
    share = (event.cut_s - event.start_s) / (event.planned_end_s - event.start_s)
    return max(0, min(chars, int(chars * share)))
