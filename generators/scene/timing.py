"""How long people wait: the timing draws of a Scene, each keyed by the event it belongs to.

The user is timed like a person: floor-transfer offsets and pauses have the quantiles of 2,438
two-channel telephone conversations (Switchboard, word alignments; aggregate numbers). The assistant
cannot be: it needs the last word before it may answer (promise 2).

**Who may speak when.** After a stretch of the user's speech the assistant waits `reply_gap_s` where
the words sound finished, `patience_s` where they do not, and then speaks. A user who goes on does so
before that moment. So at any time the assistant's choice rests on what it has heard, never on
whether the user is going to continue.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.config import Config
from schemas.draws import from_quantiles, uniform

PROBS = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
HUMAN_OFFSET_S = (-0.524, -0.355, -0.103, 0.131, 0.348, 0.65, 0.92)
HUMAN_PAUSE_S = (0.222, 0.249, 0.328, 0.476, 0.705, 1.022, 1.276)
# the user resumes at least this long before the assistant would have spoken
RESUME_MARGIN_S = 0.05
# between two sentences of one speaker who holds the floor for a planned reply
SENTENCE_PAUSE_S = (0.12, 0.35)


@dataclass(frozen=True)
class Timing:
    """The draws of one record."""

    config: Config
    key: str

    def _uniform(self, event_id: str, name: str) -> float:
        return uniform(self.config.seed, self.key, event_id, name)

    def between(self, event_id: str, name: str, bounds_s: tuple[float, float]) -> float:
        """Uniform in [low, high), seconds."""
        low, high = bounds_s
        return round(low + (high - low) * self._uniform(event_id, name), 6)

    def chance(self, event_id: str, name: str, rate: float) -> bool:
        """True for a share `rate` of events."""
        return self._uniform(event_id, name) < rate

    def user_offset_s(self, event_id: str) -> float:
        """Floor-transfer offset of a turn the user takes; negative is overlap."""
        return round(from_quantiles(self._uniform(event_id, "offset"), PROBS, HUMAN_OFFSET_S), 6)

    def reply_gap_s(self, stretch_id: str, complete: bool) -> float:
        """How long the assistant waits after this stretch of the user's speech before it answers."""
        scene = self.config.scene
        return self.between(stretch_id, "gap", scene.reply_gap_s if complete else scene.patience_s)

    def user_pause_s(self, stretch_id: str, complete: bool) -> float:
        """The user's pause after a stretch that is not the last of a turn."""
        pause = from_quantiles(self._uniform(stretch_id, "pause"), PROBS, HUMAN_PAUSE_S)
        latest = self.reply_gap_s(stretch_id, complete) - RESUME_MARGIN_S
        return round(min(pause, latest), 6)

    def sentence_pause_s(self, stretch_id: str) -> float:
        """The assistant's pause between two sentences of its reply."""
        return self.between(stretch_id, "pause", SENTENCE_PAUSE_S)
