"""The voices of a Scene, as names: a Scene is plain data and knows no speech engine.

A name such as `espeak:en-US+m3-170-50-50` says all that shapes the voice; `voice_of` reads it back.
"""

from __future__ import annotations

from generators.speech.voices import Voice, pick_voice
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.records import Dialogue, Trajectory


def assistant_voice(language: str, config: Config) -> str:
    """The corpus's one assistant voice in this language."""
    return pick_voice("assistant", language, config.seed, "", "assistant").name


def user_voice(record: Dialogue | Trajectory, speaker: str | None, config: Config) -> str:
    """The voice of a user of this record; another named speaker has another voice."""
    key = record.draw_key if isinstance(record, Dialogue) else record.key
    return pick_voice("user", record.language, config.seed, key, speaker or "user").name


def voice_of(name: str, config: Config) -> Voice:
    """The Voice that a name stands for."""
    try:
        engine, rest = name.split(":", 1)
        timbre, rate_wpm, pitch, pitch_range = rest.rsplit("-", 3)
        language, variant = timbre.split("+", 1)
        if engine != "espeak":
            raise ValueError(engine)
        return Voice(name, language, variant, int(rate_wpm), int(pitch), int(pitch_range))
    except ValueError:
        raise StrettoError(f"{name!r} is no voice", fix="use a name made by pick_voice") from None
