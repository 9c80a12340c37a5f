"""`scene:` of a config: behaviours, their rates and their times.

Each behaviour is a small record: its fields are its parameters, its name in `SceneConfig` is its tag
in the index, its docstring says what happens. `rate` 0, or `false` for it all, turns it off.
docs/behaviours.md shows each.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from schemas.base import Record
from schemas.config.bounds import Bounds, Patience, Rate, RateBounds, SofterBounds


class BargeIn(Record):
    """A user turn starts inside a long assistant turn. `rate`: share of user turns after one of at
    least `min_words` words; `at`: where in its sound. A turn that the record marks with `interrupts`
    always does. The default makes these the earliest of human floor transfers."""

    rate: Rate = 0.04
    at: RateBounds = (0.25, 0.75)
    min_words: int = Field(default=8, gt=0)


class FailedBargeIn(Record):
    """The user begins to interrupt and gives up; the assistant goes on. `rate`: share of assistant
    turns of at least `min_words` words."""

    rate: Rate = 0.02
    min_words: int = Field(default=12, gt=0)


class Cough(Record):
    """A cough, a bang or the like while the assistant speaks; it goes on. `rate`: share of assistant
    turns of at least `min_words` words."""

    rate: Rate = 0.02
    min_words: int = Field(default=8, gt=0)
    duration_s: Bounds = (0.15, 0.5)
    gain_db: SofterBounds = (-12.0, 0.0)


class UserBackchannel(Record):
    """The user says "mm-hmm" while the assistant speaks. `per_min` of the assistant's speech."""

    per_min: float = Field(default=6.0, ge=0, le=400)


class Backchannel(Record):
    """The assistant says "mm-hmm" while the user speaks, whether or not the user goes on. `per_min`
    of the user's speech, after a word that ends no sentence."""

    per_min: float = Field(default=6.0, ge=0, le=400)


class DeadAir(Record):
    """Nobody speaks for `silence_s` before the user goes on. `rate`: share of user turns."""

    rate: Rate = 0.02
    silence_s: Bounds = (2.0, 6.0)


class Proactive(Record):
    """The assistant speaks up unasked once it has been silent for `after_s`. `rate`: share of its
    turns after which it would."""

    rate: Rate = 0.5
    after_s: Bounds = (2.5, 4.0)

    @field_validator("after_s")
    @classmethod
    def after_people_would(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[0] < 1.2:
            raise ValueError(
                "a remark after less than 1.2 s would meet users who just take their time"
            )
        return bounds


class SideSpeech(Record):
    """The user says something to somebody else, which the assistant leaves alone. `rate`: share of
    user turns that begin so."""

    rate: Rate = 0.01


class BackgroundSpeech(Record):
    """Somebody else speaks in the background, `gain_db` softer, to nobody here. `rate`: share of
    turns of either side during which it begins."""

    rate: Rate = 0.01
    gain_db: SofterBounds = (-24.0, -12.0)


class Filler(Record):
    """ "um," before a word of the user's. `rate`: share of user sentences."""

    rate: Rate = 0.04


class FalseStart(Record):
    """The user begins a sentence twice: "I'd like, I'd like to ...". `rate`: of user sentences."""

    rate: Rate = 0.02


class SelfCorrection(Record):
    """The user names another number or day first: "at five, no, six". `rate`: share of user
    sentences that hold one."""

    rate: Rate = 0.05


class Hesitation(Record):
    """The user stops for `pause_s` in the middle of a sentence, after a word such as "the" that ends
    none; the assistant waits. `rate`: share of user sentences of at least `min_words` words."""

    rate: Rate = 0.04
    pause_s: Bounds = (0.7, 1.5)
    min_words: int = Field(default=8, ge=4)


class EarlyAnswer(Record):
    """An opener ("Okay,") right after a finished sentence of the user's, before the assistant can
    know whether more follows; it needs no evidence. `rate`: share of finished sentences."""

    rate: Rate = 0.12
    gap_s: Bounds = (0.06, 0.22)


class WaitForMore(Record):
    """After a finished sentence the assistant waits longer, and the user may go on. `rate`: share of
    finished sentences; `wait_s` stands for `reply_gap_s` then."""

    rate: Rate = 0.1
    wait_s: Patience = (1.1, 1.9)


class PartialThoughts(Record):
    """While the user is still speaking the assistant notes what it has understood (`think`). `rate`:
    share of the user's finished sentences from stretch `from_stretch` of a turn on (0 is the first)."""

    rate: Rate = 0.25
    from_stretch: int = Field(default=2, ge=0)


class SceneConfig(Record):
    """Behaviours and their rates; `false` switches one off. Times in seconds; `docs/scenes.md` has
    the reasons.

    `pairs`: share of dialogues that are also written as a clean twin, without any behaviour that
    the world adds (`pair` in the index names the two).
    """

    barge_in: BargeIn = BargeIn()
    failed_barge_in: FailedBargeIn = FailedBargeIn()
    cough: Cough = Cough()
    user_backchannel: UserBackchannel = UserBackchannel()
    backchannel: Backchannel = Backchannel()
    dead_air: DeadAir = DeadAir()
    proactive: Proactive = Proactive()
    side_speech: SideSpeech = SideSpeech()
    background_speech: BackgroundSpeech = BackgroundSpeech()
    filler: Filler = Filler()
    false_start: FalseStart = FalseStart()
    self_correction: SelfCorrection = SelfCorrection()
    hesitation: Hesitation = Hesitation()
    early_answer: EarlyAnswer = EarlyAnswer()
    wait_for_more: WaitForMore = WaitForMore()
    partial_thoughts: PartialThoughts = PartialThoughts()
    pairs: Rate = 0.0
    reaction_s: Bounds = (0.2, 0.4)
    fade_s: float = Field(default=0.15, ge=0.001, le=5)
    reply_gap_s: Patience = (0.2, 0.6)
    patience_s: Patience = (1.6, 2.2)
    speak_lead_s: float = Field(default=0.1, ge=0, le=5)
    write_chars_per_s: float = Field(default=24.0, gt=0)
    start_s: Bounds = (0.3, 1.0)
    max_turn_chars: int = Field(default=4000, gt=0)
    max_duration_s: float = Field(default=600.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def false_is_off(cls, data: Any) -> Any:
        """`cough: false` for `cough: {rate: 0}`."""
        if not isinstance(data, dict):
            return data
        return {name: _off(name) if value is False else value for name, value in data.items()}


def behaviours() -> dict[str, type[Record]]:
    """Tag -> its record, in the order of the config."""
    kinds = {name: field.annotation for name, field in SceneConfig.model_fields.items()}
    return {n: k for n, k in kinds.items() if isinstance(k, type) and issubclass(k, Record)}


def _off(name: str) -> Any:
    kind = behaviours().get(name)
    return False if kind is None else {"per_min" if "per_min" in kind.model_fields else "rate": 0}
