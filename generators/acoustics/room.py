"""Impulse responses of shoebox rooms by the image source method (pyroomacoustics).

    effects = settings_of(room)                  # plain numbers, kept in provenance
    taps = response(settings, 16000)             # [length], whole multiples of 2**-20

The direct path is tap 0, whatever the distance: a room adds what comes after a sound and moves
nothing. The response has unit energy, so speech keeps its level about, without a look at the audio.
Where reflections would coincide in a tap louder than the direct path, all of them are lowered, as for
somebody who faces the microphone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.acoustics.exact import whole
from schemas.config.acoustics import ReverbConfig
from schemas.draws import uniform

SOUND_M_PER_S = 343.0
# Floors of 3 by 3 to 8 by 8 m under 2.4 to 3.2 m, the microphone at the height of a table or a head.
FLOOR_M, HEIGHT_M, MIC_M = (3.0, 8.0), (2.4, 3.2), (0.8, 1.5)
# Who else is in the room, in metres from the microphone; the user's distance is in the config.
DISTANCE_M = {"bystander": (1.0, 2.5), "sounds": (0.5, 2.5), "speak": (0.2, 1.0)}
# Images sum to a positive mean, which no room has; the library's own filter is not causal.
HIGH_PASS_HZ = 20.0
WALL_M = 0.2
LOUDEST_REFLECTION = 0.9


def room_settings(config: ReverbConfig, seed: int, number: int, source: str) -> dict[str, Any]:
    """Room `number` of the corpus and the place of one source in it: plain numbers."""

    def draw(name: str, bounds: tuple[float, float], digits: int = 3) -> float:
        u = uniform(seed, f"room-{number}", source if name in _PLACE else "", f"acoustics.{name}")
        return round(bounds[0] + u * (bounds[1] - bounds[0]), digits)

    size = [draw("x", FLOOR_M), draw("y", FLOOR_M), draw("z", HEIGHT_M)]
    rt60_s = draw("rt60_s", config.rt60_s)
    distance = draw("distance", DISTANCE_M.get(source, config.distance_m))
    azimuth = draw("azimuth", (0.0, 360.0), 1)
    # off the middle, where reflections of opposite walls would coincide
    mic = [draw("mic_x", (0.35, 0.48)) * size[0], draw("mic_y", (0.35, 0.48)) * size[1]]
    return {
        "room": number,
        "rt60_s": rt60_s,
        **{f"size_{axis}_m": value for axis, value in zip("xyz", size, strict=True)},
        **{f"mic_{axis}_m": round(value, 3) for axis, value in zip("xy", mic, strict=True)},
        "mic_z_m": draw("mic_z", MIC_M),
        "azimuth_deg": azimuth,
        "distance_m": _inside(mic, size, azimuth, distance),
    }


_PLACE = {"distance", "azimuth"}


def _inside(mic: list[float], size: list[float], azimuth_deg: float, distance_m: float) -> float:
    """The distance, shortened where the source would stand in a wall."""
    angle = math.radians(azimuth_deg)
    for at, length, step in zip(mic, size, (math.cos(angle), math.sin(angle)), strict=False):
        room = (length - WALL_M - at) if step > 0 else (at - WALL_M)
        if abs(step) * distance_m > room:
            distance_m = room / abs(step)
    return round(distance_m, 3)


def response(settings: Mapping[str, Any], sample_rate_hz: int) -> NDArray[np.float64]:
    """[length] taps of `exact.whole` for a source in a room; tap 0 is the direct path."""
    return _response(tuple(sorted(settings.items())), sample_rate_hz)


@lru_cache(maxsize=256)
def _response(settings: tuple[tuple[str, Any], ...], rate_hz: int) -> NDArray[np.float64]:
    given = dict(settings)
    mic = [given[f"mic_{axis}_m"] for axis in "xyz"]
    # a whole number of samples away, so that the direct path is one tap and not a ripple
    delay = max(1, round(given["distance_m"] / SOUND_M_PER_S * rate_hz))
    away = delay * SOUND_M_PER_S / rate_hz
    angle = math.radians(given["azimuth_deg"])
    source = [mic[0] + away * math.cos(angle), mic[1] + away * math.sin(angle), mic[2]]
    size = [given[f"size_{axis}_m"] for axis in "xyz"]
    raw, first = _images(size, mic, source, given["rt60_s"], rate_hz)
    taps = raw[first + delay : first + delay + math.ceil(1.2 * given["rt60_s"] * rate_hz)]
    decaying = _decaying(_high_passed(taps, rate_hz), given["rt60_s"] * rate_hz)
    return whole(_unit_energy(_direct_loudest(decaying)))


def _images(
    size: list[float], mic: list[float], source: list[float], rt60_s: float, rate_hz: int
) -> tuple[NDArray[np.float64], int]:
    """The library's response and the tap that stands for time 0.

    One thread: several add float32 in an order of their own, and the response differs in its bits.
    """
    import pyroomacoustics as rooms

    rooms.constants.set("num_threads", 1)
    rooms.constants.set("rir_hpf_enable", False)
    absorption, order = rooms.inverse_sabine(rt60_s, size)
    room = rooms.ShoeBox(size, fs=rate_hz, materials=rooms.Material(absorption), max_order=order)
    room.add_source(source)
    room.add_microphone(mic)
    room.compute_rir()
    return room.rir[0][0].astype(np.float64), rooms.constants.get("frac_delay_length") // 2


def _high_passed(taps: NDArray[np.float64], rate_hz: int) -> NDArray[np.float64]:
    """First order and causal: tap 0 stays the direct path."""
    from scipy.signal import lfilter

    pole = round(math.exp(-2 * math.pi * HIGH_PASS_HZ / rate_hz), 12)
    return lfilter([1.0, -1.0], [1.0, -pole], taps)


def _decaying(taps: NDArray[np.float64], rt60: float) -> NDArray[np.float64]:
    """The reflections with a decay of 60 dB in `rt60` taps, as asked.

    Sabine's formula, from which the walls follow, is some 15 % off in a long or a low room.
    """
    found = decay(taps[1:])
    ratio = 10.0 ** (-3.0 * (1.0 / rt60 - 1.0 / found)) if found else 1.0
    weights = np.cumprod(np.full(len(taps), round(ratio, 12)))
    return np.concatenate([taps[:1], taps[1:] * weights[1:]])


def decay(taps: NDArray[np.float64]) -> float:
    """The taps in which the energy left falls by 60 dB: Schroeder's integral, -5 to -25 dB, times 3.

    0 where it never falls so far.
    """
    left = np.cumsum(taps[::-1] ** 2)[::-1]
    if not len(left) or not left[0]:
        return 0.0
    first, last = (int(np.argmax(left < left[0] * share)) for share in (10**-0.5, 10**-2.5))
    return 3.0 * (last - first)


def _direct_loudest(taps: NDArray[np.float64]) -> NDArray[np.float64]:
    most = float(np.abs(taps[1:]).max(initial=0.0)) / abs(float(taps[0]))
    if most > LOUDEST_REFLECTION:
        taps[1:] *= LOUDEST_REFLECTION / most
    return taps


def _unit_energy(taps: NDArray[np.float64]) -> NDArray[np.float64]:
    return taps / math.sqrt(math.fsum((taps * taps).tolist()))
