"""What the turns planned so far leave behind for the next one, and what both sides need of a turn."""

from __future__ import annotations

from dataclasses import dataclass, field

from generators.scene.timing import Timing
from generators.speakable import speakable
from generators.text_split import is_complete
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.records import Dialogue, Turn
from schemas.scene import SceneEvent, TextEvent, Utterance


@dataclass
class Plan:
    """What the turns planned so far leave behind for the next one. `user` is who spoke last."""

    record: Dialogue
    config: Config
    timing: Timing
    events: list[SceneEvent] = field(default_factory=list)
    behaviours: set[str] = field(default_factory=set)
    evidence: tuple[str, ...] = ()
    last: Utterance | TextEvent | None = None
    user: str | None = None
    last_index: int = -1

    @property
    def perturb(self) -> bool:
        """False in a clean twin: then the world does nothing but take its turns."""
        return self.record.perturb

    def add(self, event: Utterance | TextEvent) -> None:
        """The next turn, from which later ones count."""
        self.events.append(event)
        self.last = event

    def also(self, *events: SceneEvent | None) -> None:
        """What happens beside the turns."""
        self.events += [event for event in events if event is not None]

    @property
    def last_reply(self) -> Utterance | None:
        """The assistant's turn, where that was the last one."""
        last = self.last
        return last if isinstance(last, Utterance) and last.speaker == "assistant" else None

    def answer_gap_s(self) -> float | None:
        """How long after the last event the assistant would answer it; None where it has the floor.

        Drawn under that event's id: whatever the world does next comes before it (see timing.py).
        """
        last = self.last
        if isinstance(last, Utterance):
            return (
                None
                if last.speaker == "assistant"
                else self.timing.reply_gap_s(*last_stretch(last))
            )
        if last is None or last.role == "tool_call":
            return None
        return self.timing.between(last.id, "gap", self.config.scene.reply_gap_s)


def spoken(turn: Turn, language: str, index: int) -> str:
    """The words of a turn. A user's that ends without a mark gets a full stop: it is heard as over."""
    text = turn.say if turn.say is not None else speakable(turn.text, language, turn.role)
    if not text.strip():
        raise StrettoError(
            f"turn {index + 1} ({turn.role}) has nothing that can be spoken",
            fix="give it a `say` text or leave the turn out",
        )
    if turn.role == "user" and text.rstrip()[-1].isalnum():
        stop = {"zh": "。", "ja": "。", "hi": "।"}.get(language.split("-")[0], ".")
        text = text.rstrip() + stop
    return text


def last_stretch(utterance: Utterance) -> tuple[str, bool]:
    """The id of an utterance's last stretch, and whether its words sound finished."""
    span = utterance.spans[-1]
    text = utterance.text[span.char_start : span.char_end]
    return f"{utterance.id}:{len(utterance.spans) - 1}", is_complete(text, utterance.language)
