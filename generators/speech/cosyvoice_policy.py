"""Is what CosyVoice returned the sentence? Length, silence and truncation, judged without a model.

CosyVoice returns a runaway, a truncated and a silent waveform as success. `fault(take, piece, ...)`
says in words what is wrong with one, or None. `speakable_text` blanks what must not reach its
tokenizer and refuses what has no words.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np

from generators.speech.tokens import MAX_CHARACTERS, readable
from schemas.config.cosyvoice import CosyVoiceConfig
from schemas.errors import StrettoError

# A special token inside a text would steer the model and switch off CosyVoice's normaliser.
_SPECIAL = re.compile(r"<\|[^|<>]*\|>|<\||\|>")
# Chinese, Japanese and Korean characters are syllables: about three letters' time each.
WIDE_WEIGHT = 3
# A one-letter answer takes half a second: the upper bound of the pace allows this much more.
SLACK_S = 1.0
FRAME_S = 0.02
# -50 dBFS: a neural vocoder's silence is not zero, its soft speech lies above.
LOUD_RMS = 10 ** (-50 / 20)
# The least share of frames with sound in it. Real sentences have over half.
MIN_LOUD_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Take:
    """One sentence as CosyVoice returned it.

    `wave` is float32 [n] at `sample_rate_hz`, `tokens` what the LLM made, `token_limit` where it is
    stopped by force (20 times the text's tokens), `expected_samples` what the tokens amount to.
    """

    wave: np.ndarray
    sample_rate_hz: int
    tokens: int
    token_limit: int
    expected_samples: int


def speakable_text(text: str) -> str:
    """`text` with control characters, emoji and special tokens blanked.

    StrettoError without `where` when nothing in it can be spoken or it is too long.
    """
    # two spaces in a row make wetext 0.1.8 fail
    clean = " ".join(_SPECIAL.sub(" ", readable(text)).split())
    if len(clean) > MAX_CHARACTERS:
        raise StrettoError(
            f"an utterance of {len(clean)} characters, over the {MAX_CHARACTERS} spoken at once",
            fix="split the turn into shorter sentences",
        )
    if not any(char.isalnum() for char in clean):
        raise StrettoError("nothing to speak", fix="leave the turn out or give it words")
    return clean


def weight(piece: str) -> int:
    """How much there is to say: letters and digits, wide characters three times."""
    return sum(_width(char) for char in piece if char.isalnum())


def fault(take: Take, piece: str, options: CosyVoiceConfig, speed: float = 1.0) -> str | None:
    """What is wrong with a take of the sentence `piece`; None when it may be kept."""
    duration_s = len(take.wave) / take.sample_rate_hz
    pace_s = duration_s * speed
    least_s = options.min_s_per_char * weight(piece)
    most_s = options.max_s_per_char * weight(piece) + SLACK_S
    if take.tokens == 0 or not len(take.wave):
        return "no speech: the model stopped at once"
    if take.tokens >= take.token_limit:
        return f"runaway: not finished after {take.tokens} tokens ({duration_s:.1f} s)"
    if len(take.wave) < take.expected_samples:
        return f"truncated: {len(take.wave)} of {take.expected_samples} samples"
    if pace_s > most_s:
        return f"runaway: {duration_s:.1f} s for {len(piece)} characters"
    if pace_s < least_s:
        return f"cut short: {duration_s:.2f} s for {len(piece)} characters"
    if not np.isfinite(take.wave).all():
        return "broken samples (not a number)"
    if _loud_share(take.wave, take.sample_rate_hz) < MIN_LOUD_SHARE:
        return "silence"
    return None


def to_int16(wave: np.ndarray) -> np.ndarray:
    """float32 [n] in -1..1 -> int16 [n], with one fixed gain for all audio."""
    return np.clip(np.rint(wave * 32767.0), -32768, 32767).astype(np.int16)


def _loud_share(wave: np.ndarray, sample_rate_hz: int) -> float:
    """The share of 20 ms frames above the threshold."""
    size = int(FRAME_S * sample_rate_hz)
    frames = wave[: max(1, len(wave) // size) * size]
    if len(frames) < size:
        frames = np.pad(frames, (0, size - len(frames)))
    rms = np.sqrt(np.mean(np.square(frames.reshape(-1, size), dtype=np.float64), axis=1))
    return float(np.mean(rms > LOUD_RMS))


def _width(char: str) -> int:
    return WIDE_WEIGHT if unicodedata.east_asian_width(char) in "WF" else 1
