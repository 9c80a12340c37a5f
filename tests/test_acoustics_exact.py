"""Exact filters: integers all the way, the same whatever comes later, on one clock at any rate."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from generators.acoustics import exact

RATES_HZ = (8000, 16000, 22050, 24000, 44100, 48000)


def noise(count: int, seed: int = 0, level: float = 8000.0) -> NDArray[np.int16]:
    return exact.to_pcm(np.random.default_rng(seed).normal(0.0, level, count))


def decaying(length: int, seed: int = 1) -> NDArray[np.float64]:
    """A response of unit energy, as rooms have."""
    taps = np.random.default_rng(seed).normal(size=length) * 0.999 ** np.arange(length)
    return exact.whole(taps / np.sqrt((taps * taps).sum()))


def test_convolution_is_the_integer_sum() -> None:
    pcm, taps = noise(3000), decaying(700)
    bus = np.zeros(3000)
    exact.add_convolved(bus, pcm, taps)
    integers = [int(t) for t in taps]
    for at in (0, 1, 699, 1500, 2999):
        terms = range(max(0, at - 699), at + 1)
        wanted = sum(int(pcm[k]) * integers[at - k] for k in terms)
        assert bus[at] * exact.SCALE == wanted


def test_the_transform_is_far_from_rounding_wrong() -> None:
    """Full-scale noise through the longest response (48 kHz, 1.2 s): the error stays below 0.1."""
    taps, pcm = decaying(57600), noise(1 << 17, level=30000.0)
    size = 1 << (2 * len(taps) - 1).bit_length()
    block = pcm[: size - len(taps) + 1].astype(np.float64)
    raw = np.fft.irfft(np.fft.rfft(block, size) * np.fft.rfft(taps, size), size)
    assert np.abs(raw - np.rint(raw)).max() < 0.1


def test_blocks_are_joined_without_a_seam() -> None:
    """A sound longer than several blocks, with silence between: the same as one transform of all."""
    pcm, taps = noise(3 * exact.MIN_BLOCK), decaying(5000)
    pcm[exact.MIN_BLOCK : 2 * exact.MIN_BLOCK] = 0
    bus = np.zeros(len(pcm))
    exact.add_convolved(bus, pcm, taps)
    size = 1 << 18
    whole = np.fft.irfft(np.fft.rfft(pcm.astype(float), size) * np.fft.rfft(taps, size), size)
    assert np.array_equal(bus * exact.SCALE, np.rint(whole)[: len(pcm)])


def test_a_later_sound_moves_no_earlier_bit() -> None:
    pcm, taps = noise(200_000), decaying(3000)
    other = pcm.copy()
    other[90_000:] = noise(110_000, seed=5)
    first, second = np.zeros(200_000), np.zeros(200_000)
    exact.add_convolved(first, pcm, taps)
    exact.add_convolved(second, other, taps)
    assert np.array_equal(first[:90_000], second[:90_000])
    assert not np.array_equal(first[90_000:], second[90_000:])


@pytest.mark.parametrize("from_hz", RATES_HZ)
@pytest.mark.parametrize("to_hz", (8000, 16000, 48000))
def test_resampling_keeps_the_clock_and_looks_ahead_as_it_says(from_hz: int, to_hz: int) -> None:
    """Noise up to 3 kHz at another rate and back is where it was."""
    taps = np.sinc(np.arange(-200, 201) * 6000 / from_hz) * np.hanning(401) * 6000 / from_hz
    pcm = exact.to_pcm(np.convolve(noise(from_hz), taps, "same"))
    there = exact.resample(pcm, from_hz, to_hz)
    assert len(there) == -(-len(pcm) * to_hz // from_hz)
    back = exact.resample(there, to_hz, from_hz)[: len(pcm)].astype(float)
    inner = slice(500, -500)
    error = back[inner] - pcm[: len(back)][inner]
    assert (error**2).mean() < 1e-3 * (pcm.astype(float) ** 2).mean()
    changed = pcm.copy()
    changed[from_hz // 2 :] = 20000
    safe = int((0.5 - exact.lookahead_s(from_hz, to_hz)) * to_hz)
    assert np.array_equal(exact.resample(changed, from_hz, to_hz)[:safe], there[:safe])


def test_levels_are_rounded_and_right() -> None:
    assert exact.linear(0.0) == 1.0
    assert exact.linear(-20.0) == pytest.approx(0.1, abs=1e-9)
    assert exact.linear(6.0) * (1 << 30) == int(exact.linear(6.0) * (1 << 30))
    assert exact.to_pcm(np.array([-1e6, -0.5, 0.5, 1.5, 1e6])).tolist() == [-32768, 0, 0, 2, 32767]
