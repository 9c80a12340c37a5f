"""Filters whose result is exact: the same bits on every processor, and blind to what comes later.

Floats that are added in another order differ in the last bit; a Fourier transform of the whole
would let a late sample move an early one by that bit. So taps are whole numbers of 2**-20, as audio
is of 1: then every sum is an integer that float64 holds exactly, in any order, and rounding takes
away what the transform adds.

    wet = convolve(pcm, whole(response))     # float64 [n], exact multiples of 2**-20
    low = resample(pcm, 16000, 8000)         # int16 [ceil(n / 2)], on the same clock
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

SCALE = 1 << 20
# A resampler's taps are finer: it sums few of them, and 2**15 * 2**30 is far below 2**53.
FINE = 1 << 30
# Taps on each side of the resampler, in samples of the lower rate: 2.5 ms at 8 kHz.
HALF_TAPS = 20
MIN_BLOCK = 1 << 16


def whole(taps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The taps as whole multiples of 2**-20, times 2**20."""
    return np.rint(taps * SCALE)


def linear(decibels: float) -> float:
    """10 ** (dB / 20), rounded to 2**-30: C libraries differ in the last bit of a power."""
    return round(10.0 ** (decibels / 20.0) * (1 << 30)) / (1 << 30)


def to_pcm(signal_: NDArray[np.float64]) -> NDArray[np.int16]:
    """Rounded and kept within 16 bits, as an analogue-to-digital converter does."""
    return np.clip(np.rint(signal_), -32768, 32767).astype(np.int16)


def add_convolved(
    bus: NDArray[np.float64], pcm: NDArray[np.int16], taps: NDArray[np.float64], gain: float = 1.0
) -> None:
    """bus += gain * (pcm convolved with `taps`); `taps` from `whole`. In blocks, silent ones skipped.

    Exact while |pcm| and |taps| keep the error of the transform below one half: for a response of
    unit energy in blocks of 2**18 it is below 0.05 (tests/test_acoustics_exact.py).
    """
    size = max(MIN_BLOCK, 1 << (2 * len(taps) - 1).bit_length())
    step = size - len(taps) + 1
    spectrum = fft.rfft(taps, size)
    for start in range(0, len(pcm), step):
        block = pcm[start : start + step]
        if not block.any():
            continue
        sums = np.rint(fft.irfft(fft.rfft(block.astype(np.float64), size) * spectrum, size))
        part = bus[start : start + len(block) + len(taps) - 1]
        part += sums[: len(part)] * (gain / SCALE)


def resample(pcm: NDArray[np.int16], from_hz: int, to_hz: int) -> NDArray[np.int16]:
    """int16 [n] at another rate on the same clock: sample k stands at k / to_hz. Zero phase.

    It looks `lookahead_s(from_hz, to_hz)` ahead. The answer has ceil(n * to_hz / from_hz) samples.
    """
    if from_hz == to_hz:
        return pcm
    up, down = _ratio(from_hz, to_hz)
    sums = signal.resample_poly(pcm.astype(np.float64), up, down, window=_low_pass(up, down))
    return to_pcm(sums)


def lookahead_s(from_hz: int, to_hz: int) -> float:
    """How far `resample` looks ahead: 20 samples of the lower rate, 2.5 ms at 8 kHz."""
    return 0.0 if from_hz == to_hz else HALF_TAPS / min(from_hz, to_hz)


def _ratio(from_hz: int, to_hz: int) -> tuple[int, int]:
    common = math.gcd(from_hz, to_hz)
    return to_hz // common, from_hz // common


@lru_cache(maxsize=32)
def _low_pass(up: int, down: int) -> NDArray[np.float64]:
    """Half the level at 92 % of the lower Nyquist frequency, -53 dB above it."""
    widest = max(up, down)
    taps = signal.firwin(2 * HALF_TAPS * widest + 1, 0.92 / widest, window=("kaiser", 5.0))
    return np.rint(taps * FINE) / FINE
