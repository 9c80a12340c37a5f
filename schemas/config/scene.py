"""`scene:` of a config: behaviours, their rates and their times."""

from __future__ import annotations

from pydantic import Field

from schemas.base import Record
from schemas.config.bounds import Bounds, Patience, Rate, RateBounds


class SceneConfig(Record):
    """Behaviours and their rates. Times in seconds; defaults from `docs/scenes.md`.

    `barge_in_rate`: share of user turns after a long assistant turn that barge in on it (a turn the
    record marks with `interrupts` always does). `backchannel_rate`: share of unfinished stretches of
    a user turn that the assistant answers with a backchannel.
    """

    barge_in_rate: Rate = 0.1
    barge_in_at: RateBounds = (0.25, 0.75)
    barge_in_min_words: int = Field(default=8, gt=0)
    reaction_s: Bounds = (0.2, 0.4)
    fade_s: float = Field(default=0.15, ge=0.001, le=5)
    backchannel_rate: Rate = 0.3
    reply_gap_s: Patience = (0.25, 0.7)
    patience_s: Patience = (1.6, 2.2)
    speak_lead_s: float = Field(default=0.1, ge=0, le=5)
    write_chars_per_s: float = Field(default=24.0, gt=0)
    start_s: Bounds = (0.3, 1.0)
    max_turn_chars: int = Field(default=4000, gt=0)
    max_duration_s: float = Field(default=600.0, gt=0)
