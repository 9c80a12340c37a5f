"""Background noise: white, pink, brown, speech-shaped, mains hum, or a recording in a loop.

    for start, part in noise_blocks(settings, count, rate_hz, files): ...

A longer sample begins with the noise of a shorter one, block by block: noise that was made in one
piece by a Fourier transform would depend on the sample's length, and so on what comes later. Each
kind has unit power by its own definition; `dbfs` sets the level.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from generators.acoustics.exact import linear
from generators.acoustics.noise_files import loop

BLOCK = 1 << 18
FULL_SCALE = 32768.0
# J. O. Smith, Spectral Audio Signal Processing: -3 dB an octave within 0.3 dB over the band.
PINK = (
    (0.049922035, -0.095993537, 0.050612699, -0.004408786),
    (1.0, -2.494956002, 2.017265875, -0.522189400),
)
# Poles in Hz. Speech: Byrne et al. 1994, flat to 500 Hz, then about -9 dB an octave; no rumble.
BROWN_HZ, SPEECH_HZ, RUMBLE_HZ = 20.0, (500.0, 1500.0), 100.0
# Mains hum: the odd harmonics are strong, the even ones come from rectifiers.
HARMONICS = {1: 1.0, 2: 0.6, 3: 0.5, 4: 0.2, 5: 0.25, 7: 0.12, 9: 0.06}
Filter = tuple[tuple[float, ...], tuple[float, ...]]


def noise_blocks(
    settings: Mapping[str, Any], count: int, rate_hz: int, files: str | None
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """(start, float64 [<= 2**18]) of `count` samples in all, on the scale of int16."""
    level = linear(settings["dbfs"]) * FULL_SCALE
    make = _source(settings, rate_hz, files)
    for start in range(0, count, BLOCK):
        yield start, make(start, min(BLOCK, count - start)) * level


def _source(settings: Mapping[str, Any], rate_hz: int, files: str | None) -> Any:
    """A function (start, count) -> unit noise; called for rising starts."""
    if settings["kind"] == "hum":
        return _looped(_hum(int(settings["hum_hz"]), rate_hz), int(settings["start"]))
    if settings["kind"] == "file":
        return _looped(loop(files, settings["file"], rate_hz), int(settings["start"]))
    return _filtered(settings["kind"], int(settings["seed"]), rate_hz)


def _looped(table: NDArray[np.float64], first: int) -> Any:
    def make(start: int, count: int) -> NDArray[np.float64]:
        return table[(np.arange(start, start + count) + first) % len(table)]

    return make


def _filtered(kind: str, seed: int, rate_hz: int) -> Any:
    """Gaussian noise through a causal filter that keeps its state from block to block."""
    draws = np.random.Generator(np.random.Philox(key=seed))
    (above, below), gain = shape(kind, rate_hz)
    state = np.zeros(max(len(above), len(below)) - 1)

    def make(start: int, count: int) -> NDArray[np.float64]:
        nonlocal state
        white = draws.standard_normal(count)
        if len(below) == 1:
            return white
        shaped, state = lfilter(above, below, white, zi=state)
        return shaped * gain

    return make


@lru_cache(maxsize=64)
def shape(kind: str, rate_hz: int) -> tuple[Filter, float]:
    """The filter of a kind, (numerator, denominator), and the gain that gives it unit power."""
    filter_: Filter = ((1.0,), (1.0,))
    if kind == "pink":
        filter_ = PINK
    elif kind == "brown":
        filter_ = _poles(rate_hz, (BROWN_HZ,))
    elif kind == "speech":
        filter_ = _poles(rate_hz, (*SPEECH_HZ, RUMBLE_HZ), zero_at_dc=True)
    pulse = np.zeros(1 << 16)
    pulse[0] = 1.0
    answer = lfilter(*filter_, pulse)
    # rounded: the same gain whatever the last bit of the filter's coefficients
    return filter_, round(1.0 / math.sqrt(math.fsum((answer * answer).tolist())), 9)


def _poles(rate_hz: int, poles_hz: tuple[float, ...], zero_at_dc: bool = False) -> Filter:
    below = np.ones(1)
    for pole_hz in poles_hz:
        below = np.convolve(below, (1.0, -round(math.exp(-2 * math.pi * pole_hz / rate_hz), 9)))
    return ((1.0, -1.0) if zero_at_dc else (1.0,)), tuple(below.tolist())


@lru_cache(maxsize=8)
def _hum(hum_hz: int, rate_hz: int) -> NDArray[np.float64]:
    """One second, in which every harmonic has whole periods. `math.sin`: numpy's differs by CPU."""
    period = [math.sin(2 * math.pi * n / rate_hz) for n in range(rate_hz)]
    sine = np.array(period)
    turns = np.arange(rate_hz) * hum_hz
    table = sum(a * sine[turns * k % rate_hz] for k, a in HARMONICS.items())
    return np.asarray(table) / math.sqrt(sum(a * a for a in HARMONICS.values()) / 2)
