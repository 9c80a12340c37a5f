"""How long people wait: the timing draws of a Scene, each keyed by the event it belongs to.

The user is timed like a person: floor-transfer offsets and pauses have the quantiles of 2,438
two-channel telephone conversations (Switchboard, word alignments; aggregate numbers). The assistant
cannot be: it needs the last word before it may answer (promise 2). Its own pauses are its plan, so
they have human quantiles too.

**Who may speak when.** After a stretch of the user's speech the assistant waits `reply_gap_s` where
the words sound finished (or `wait_for_more.wait_s`, a draw of that stretch), `patience_s` where they
do not, and then speaks. A user who goes on does so before that moment. So at any time the
assistant's choice rests on what it has heard, never on whether the user is going to continue.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.config import Config
from schemas.draws import from_quantiles, uniform

PROBS = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
# the same quantiles and two shares: 34.11 % come in overlap, another 25.13 % within 0.2 s
OFFSET_PROBS = (0.05, 0.10, 0.25, 0.3411, 0.50, 0.5924, 0.75, 0.90, 0.95)
HUMAN_OFFSET_S = (-0.524, -0.355, -0.103, 0.0, 0.131, 0.2, 0.348, 0.65, 0.92)
HUMAN_PAUSE_S = (0.222, 0.249, 0.328, 0.476, 0.705, 1.022, 1.276)
# the user resumes at least this long before the assistant would have spoken
RESUME_MARGIN_S = 0.05
# After a finished sentence a pause is cut short by the answer that it must forestall, so where the
# sentence is unfinished the shorter half of human pauses is left out: together they are human.
UNFINISHED_FROM = 0.5


@dataclass(frozen=True)
class Timing:
    """The draws of one record."""

    config: Config
    key: str

    def uniform(self, event_id: str, name: str) -> float:
        """One draw from [0, 1)."""
        return uniform(self.config.seed, self.key, event_id, name)

    def between(self, event_id: str, name: str, bounds: tuple[float, float]) -> float:
        """Uniform in [low, high)."""
        low, high = bounds
        return round(low + (high - low) * self.uniform(event_id, name), 6)

    def chance(self, event_id: str, name: str, rate: float) -> bool:
        """True for a share `rate` of events."""
        return self.uniform(event_id, name) < rate

    def offset_s(self, event_id: str) -> float:
        """Floor-transfer offset of a turn the user takes; negative is overlap."""
        return round(
            from_quantiles(self.uniform(event_id, "offset"), OFFSET_PROBS, HUMAN_OFFSET_S), 6
        )

    def reply_gap_s(self, stretch_id: str, complete: bool) -> float:
        """How long the assistant waits after this stretch of the user's speech before it answers."""
        scene = self.config.scene
        if not complete:
            return self.between(stretch_id, "gap", scene.patience_s)
        waits = self.waits_for_more(stretch_id)
        return self.between(
            stretch_id, "gap", scene.wait_for_more.wait_s if waits else scene.reply_gap_s
        )

    def waits_for_more(self, stretch_id: str) -> bool:
        """Does the assistant wait longer than usual after this finished stretch?"""
        return self.chance(stretch_id, "wait_for_more", self.config.scene.wait_for_more.rate)

    def user_pause_s(self, stretch_id: str, complete: bool) -> float:
        """The user's pause after a stretch that is not the last of a turn."""
        latest = self.reply_gap_s(stretch_id, complete) - RESUME_MARGIN_S
        shortest = 0.0 if complete else UNFINISHED_FROM
        return round(min(self.human_pause_s(stretch_id, shortest), latest), 6)

    def human_pause_s(self, stretch_id: str, from_share: float = 0.0) -> float:
        """A pause within a turn, with the quantiles of people, or of their longest 1 - from_share."""
        share = from_share + (1 - from_share) * self.uniform(stretch_id, "pause")
        return round(from_quantiles(share, PROBS, HUMAN_PAUSE_S), 6)
