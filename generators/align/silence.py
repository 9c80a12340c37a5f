"""Where an utterance sounds: its silence trimmed, its pauses found. Integers, so no platform differs.

The level is the energy of 10 ms frames. `trimmed` compares it with a fixed threshold in dBFS, so the
answer for one utterance never rests on another; `voiced` also knows the utterance's own loudness,
for recordings whose room is louder than any fixed threshold.
"""

from __future__ import annotations

import numpy as np

FRAME_S = 0.01
THRESHOLD_DBFS = -54.0
MARGIN_S = 0.005
# Quieter than the utterance's loud frames by this much is a pause in a noisy room too.
BELOW_LOUD_DB = 35.0
# The closure of a stop consonant is shorter; a pause at a comma is longer.
PAUSE_S = 0.12


def trimmed(
    pcm: np.ndarray,
    sample_rate_hz: int,
    threshold_dbfs: float = THRESHOLD_DBFS,
    margin_s: float = MARGIN_S,
) -> tuple[int, int]:
    """[first, last) sample without the silence at both ends, `margin_s` kept; (0, 0) for silence."""
    size = frame_size(sample_rate_hz)
    loud = np.flatnonzero(energies(pcm, sample_rate_hz) > _power(threshold_dbfs))
    if not len(loud):
        return 0, 0
    margin = int(margin_s * sample_rate_hz)
    return (
        max(0, int(loud[0]) * size - margin),
        min(len(pcm), (int(loud[-1]) + 1) * size + margin),
    )


def voiced(pcm: np.ndarray, sample_rate_hz: int, pause_s: float = PAUSE_S) -> list[tuple[int, int]]:
    """[start, end) samples of the stretches that sound, split at pauses; [] for silence."""
    size = frame_size(sample_rate_hz)
    level = energies(pcm, sample_rate_hz)
    loud = np.flatnonzero(level > quiet_level(level))
    if not len(loud):
        return []
    least = max(1, round(pause_s * sample_rate_hz) // size)
    breaks = np.flatnonzero(np.diff(loud) > least)
    starts = loud[np.concatenate(([0], breaks + 1))]
    ends = loud[np.concatenate((breaks, [len(loud) - 1]))] + 1
    return [
        (int(start) * size, min(len(pcm), int(end) * size))
        for start, end in zip(starts, ends, strict=True)
    ]


def frame_size(sample_rate_hz: int) -> int:
    """Samples of a frame."""
    return max(1, round(FRAME_S * sample_rate_hz))


def energies(pcm: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Mean square of each frame, int64 [ceil(n / frame)]; the last frame may be a part."""
    size = frame_size(sample_rate_hz)
    if not len(pcm):
        return np.zeros(0, dtype=np.int64)
    squares = pcm.astype(np.int64) ** 2
    starts = np.arange(0, len(pcm), size)
    counts = np.minimum(size, len(pcm) - starts)
    return np.add.reduceat(squares, starts) // counts


def quiet_level(level: np.ndarray) -> int:
    """The energy up to which a frame is quiet: the fixed threshold, or one below its loud frames."""
    if not len(level):
        return _power(THRESHOLD_DBFS)
    loud = int(np.sort(level)[(len(level) * 9) // 10])  # the frame that nine tenths don't exceed
    below = loud * 1000 // round(1000 * 10 ** (BELOW_LOUD_DB / 10))
    return max(_power(THRESHOLD_DBFS), below)


def _power(dbfs: float) -> int:
    """A level in dBFS as a mean square of int16."""
    return round(32768**2 * 10 ** (dbfs / 10))
