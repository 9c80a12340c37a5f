"""Short noises that are no speech: a cough, a knock, a clatter. Made by rule, nothing recorded.

    pcm = sound("cough", duration_s, 16000, seed, key, event_id)      # int16 [n]

Noise from a keyed generator through fixed filters: a pure function of its arguments. Only sums and
products of float64 are used (no exp or log, whose last bit differs between processors).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from schemas.draws import rng

# peak of each sound before its gain: speech of the voices here peaks at about 20,000
PEAK = 16000
# (pole radius, pole angle as a share of the sampling rate at 16 kHz) of the resonance, bursts
_KINDS: dict[str, tuple[float, float, int]] = {
    "cough": (0.94, 0.05, 2),
    "knock": (0.985, 0.012, 3),
    "clatter": (0.90, 0.20, 5),
}


def names() -> tuple[str, ...]:
    """The sounds there are."""
    return tuple(_KINDS)


def sound(
    name: str, duration_s: float, sample_rate_hz: int, seed: int, key: str, event_id: str
) -> NDArray[np.int16]:
    """int16 [duration_s * sample_rate_hz] of one sound at PEAK; another event sounds otherwise."""
    radius, angle, bursts = _KINDS[name]
    n = max(16, round(duration_s * sample_rate_hz))
    noise = rng(seed, key, event_id, "sound").standard_normal(n)
    shaped = lfilter([1.0], _resonance(radius, angle * 16000 / sample_rate_hz), noise)
    shaped = shaped * _bursts(n, bursts)
    loudest = float(np.abs(shaped).max())
    return np.rint(shaped * (PEAK / loudest)).astype(np.int16)


def _resonance(radius: float, turn: float) -> list[float]:
    """Denominator of a two-pole resonator at `turn` of the sampling rate."""
    # the cosine of a fixed angle, rounded: the same on every processor
    cosine = round(float(np.cos(2 * np.pi * min(turn, 0.45))), 9)
    return [1.0, -2 * radius * cosine, radius * radius]


def _bursts(n: int, count: int) -> NDArray[np.float64]:
    """An envelope of `count` bursts, each a quick rise and a cubic fall, each softer than the last."""
    envelope = np.zeros(n)
    length = n // count
    rise = max(1, length // 20)
    fall = 1 - np.arange(length - rise) / max(1, length - rise)
    one = np.concatenate([np.arange(rise) / rise, fall * fall * fall])
    for index in range(count):
        envelope[index * length : index * length + length] = one * (1 - 0.5 * index / count)
    return envelope
