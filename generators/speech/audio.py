"""From the engine's PCM to the corpus's: trim, fixed gain, resample. Pure functions.

The gain is one constant and the trim looks only at its own utterance, so nothing of another
utterance or of a later turn can leak into the audio (promise 2).
"""

from __future__ import annotations

import numpy as np
import soxr

# espeak-ng is synthesized close to full scale (peak 32,767 for some voices); a resampler's
# overshoot stays in range below it.
GAIN = 0.8
# -54 dBFS: the engine's own pauses are exact zeros, its soft fricatives lie above.
SILENCE = 64
MARGIN_S = 0.005


def audible_span(pcm: np.ndarray, sample_rate_hz: int) -> tuple[int, int]:
    """[first, last) sample louder than the threshold, with 5 ms kept; (0, 0) for silence."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > SILENCE)
    if not len(loud):
        return 0, 0
    margin = int(MARGIN_S * sample_rate_hz)
    return max(0, int(loud[0]) - margin), min(len(pcm), int(loud[-1]) + 1 + margin)


def resample(pcm: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """int16 [n] at `from_hz` -> int16 [scaled(n)] at `to_hz`, times GAIN."""
    signal = pcm.astype(np.float32) * np.float32(GAIN)
    if from_hz != to_hz:
        signal = soxr.resample(signal, from_hz, to_hz, quality="HQ")
    wanted = scaled(len(pcm), from_hz, to_hz)
    signal = np.pad(signal, (0, max(0, wanted - len(signal))))[:wanted]
    return np.clip(np.rint(signal), -32768, 32767).astype(np.int16)


def scaled(sample: int, from_hz: int, to_hz: int) -> int:
    """A sample index at another rate, rounded to the nearest."""
    return (2 * sample * to_hz + from_hz) // (2 * from_hz)
