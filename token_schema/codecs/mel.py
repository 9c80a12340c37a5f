"""Causal log-mel levels as small whole numbers, the same on every processor.

A subframe ends where its window ends: level j of a signal rests on samples before (j + 1) * hop
only, with silence before t = 0. int16 samples times a whole-number window, a Fourier transform by
whole-number matrices (folded, so that it costs about what an FFT costs), IEEE square roots rounded
to whole numbers, whole-number mel weights, and exact whole-number thresholds instead of a
logarithm. Every product stays under 2**53, so float64 BLAS is exact in any order.

    spec = MelSpec(16000, 10.0, 4, 40)
    levels = MelTables.of(spec).levels(pcm)     # int16 [n] -> uint8 [n // hop, n_mels]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np

from schemas.errors import StrettoError
from token_schema.codecs.exact import int_table

STEPS_PER_OCTAVE = 8  # a level is 1/8 octave of amplitude, 0.75 dB
TOP_LEVEL = 127  # 16 octaves above the floor: no int16 signal reaches it
_WINDOW, _COS, _MEL, _AMP_SHIFT = 1 << 11, 1 << 14, 1 << 8, 21
_DIRECT = 64  # below this size the transform is one plain product
CHUNK = 128  # subframes at a time: 1 MB of float64, which stays in a core's cache


@dataclass(frozen=True)
class MelSpec:
    """Sample rate, code frames a second, subframes in each, and mel bands."""

    sample_rate_hz: int = 16000
    rate_hz: float = 10.0
    subframes: int = 4
    n_mels: int = 40

    def __post_init__(self) -> None:
        whole = all(isinstance(n, int) for n in (self.sample_rate_hz, self.subframes, self.n_mels))
        if not (
            whole
            and 8000 <= self.sample_rate_hz <= 48000
            and 1 <= self.subframes <= 64
            and 8 <= self.n_mels <= 128
            and 1 <= self.rate_hz <= 100
        ):
            raise StrettoError(
                f"audio codec settings out of range: {self}",
                "codec settings",
                "8000-48000 Hz, rate 1-100, 1-64 subframes, 8-128 mels",
            )
        if self._hop.denominator != 1:
            raise StrettoError(
                f"{self.sample_rate_hz} Hz does not divide into {self.rate_hz:g} frames a second of"
                f" {self.subframes} subframes",
                "codec settings, rate_hz",
                "rates that fit: " + ", ".join(f"{r:g}" for r in self._fitting()),
            )
        if not 64 <= self.hop <= 3000:  # n_fft stays in 256..8192, where every sum is exact
            raise StrettoError(
                f"a subframe of {self.hop} samples is out of range",
                "codec settings, subframes",
                "64 to 3000 samples",
            )

    @property
    def _hop(self) -> Fraction:
        return Fraction(self.sample_rate_hz) / (Fraction(self.rate_hz) * self.subframes)

    def _fitting(self) -> list[float]:
        """The six nearest rates, of those with at most two decimals, that divide the clock."""
        hops = range(
            self.sample_rate_hz // (100 * self.subframes) or 1,
            self.sample_rate_hz // self.subframes + 1,
        )
        rates = [Fraction(self.sample_rate_hz, hop * self.subframes) for hop in hops]
        short = [float(r) for r in rates if (r * 100).denominator == 1]
        return sorted(sorted(short, key=lambda r: abs(r - self.rate_hz))[:6])

    @property
    def hop(self) -> int:
        """Samples in a subframe."""
        return int(self._hop)

    @property
    def frame_samples(self) -> int:
        """Samples in a code frame."""
        return self.hop * self.subframes

    @property
    def n_fft(self) -> int:
        """Window length: the smallest 2**a or 3 * 2**a of at least 2.5 hops (64 ms at 16 kHz)."""
        sizes = sorted([1 << a for a in range(8, 16)] + [3 << a for a in range(7, 15)])
        return next(n for n in sizes if 2 * n >= 5 * self.hop)


def _hz_to_mel(hz: float) -> float:
    return 2595.0 * math.log10(1.0 + hz / 700.0)  # O'Shaughnessy 1987


def _mel_to_hz(mel: float) -> float:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def mel_weights(spec: MelSpec) -> np.ndarray:
    """Triangles as whole numbers of 1/256: float64 [n_fft // 2 + 1, n_mels], from 60 Hz up."""
    top = min(spec.sample_rate_hz / 2, 8000.0) * 0.97
    low, high = _hz_to_mel(60.0), _hz_to_mel(top)
    edges = [_mel_to_hz(low + (high - low) * i / (spec.n_mels + 1)) for i in range(spec.n_mels + 2)]
    bins = np.arange(spec.n_fft // 2 + 1) * spec.sample_rate_hz / spec.n_fft
    out = np.zeros((len(bins), spec.n_mels))
    # a triangle narrower than two bins would miss them all: widened to one bin on each side
    step = spec.sample_rate_hz / spec.n_fft
    for m, (a, b, c) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        rise, fall = max(b - a, step), max(c - b, step)
        out[:, m] = np.clip(np.minimum(1 - (b - bins) / rise, 1 - (bins - b) / fall), 0, None)
    return int_table(out, _MEL)


def hann(n: int) -> np.ndarray:
    """Periodic Hann window, float64 [n]."""
    return np.array([0.5 - 0.5 * math.cos(2 * math.pi * i / n) for i in range(n)])


def _int_cos(n: int) -> np.ndarray:
    """cos(2 pi i / n) for i in 0..n-1 in whole numbers of 2**-14."""
    return int_table(np.array([math.cos(2 * math.pi * i / n) for i in range(n)]), _COS)


def thresholds(spec: MelSpec) -> np.ndarray:
    """The lowest mel amplitude of levels 1..TOP_LEVEL: exact eighth roots of whole numbers.

    The floor is 72 dB under a full-scale sine: below it a band counts as silent.
    """
    floor = spec.n_fft << 13
    return np.array([_eighth_root(floor**8 << j) for j in range(TOP_LEVEL)], np.float64)


def _eighth_root(value: int) -> int:
    """The smallest whole m with m**8 >= value (STEPS_PER_OCTAVE is 8 for this)."""
    below = math.isqrt(math.isqrt(math.isqrt(value)))
    return below if below**8 >= value else below + 1


class MelTables:
    """The tables of one spec. Make them with `MelTables.of(spec)`, which keeps them."""

    def __init__(self, spec: MelSpec) -> None:
        self.spec = spec
        self.window = int_table(hann(spec.n_fft), _WINDOW)
        self.thresholds = thresholds(spec)
        self.stages, bins = _fold_stages(spec.n_fft)
        self.weights = np.ascontiguousarray(mel_weights(spec)[bins])

    @staticmethod
    @lru_cache(maxsize=8)
    def of(spec: MelSpec) -> MelTables:
        return MelTables(spec)

    @cached_property
    def natural_weights(self) -> np.ndarray:
        """Mel weights with the bins in natural order, as amplitudes: [n_fft // 2 + 1, n_mels]."""
        return mel_weights(self.spec) / _MEL

    def levels(self, pcm: np.ndarray) -> np.ndarray:
        """Levels uint8 [n // hop, n_mels] of int16 samples [n]; 0 is silence."""
        hop, n_fft = self.spec.hop, self.spec.n_fft
        count = len(pcm) // hop
        out = np.zeros((count, self.spec.n_mels), np.uint8)
        padded = np.concatenate([np.zeros(n_fft - hop, np.int16), pcm[: count * hop]])
        for start in range(0, count, CHUNK):
            end = min(start + CHUNK, count)
            piece = padded[start * hop : (end - 1) * hop + n_fft]
            if piece.any():
                frames = np.lib.stride_tricks.sliding_window_view(piece, n_fft)[::hop]
                out[start:end] = self._levels(frames)
        return out

    def _levels(self, frames: np.ndarray) -> np.ndarray:
        mel = self.amplitudes(frames) @ self.weights
        return np.searchsorted(self.thresholds, mel.ravel(), side="right").reshape(mel.shape)

    def amplitudes(self, frames: np.ndarray) -> np.ndarray:
        """Whole-number amplitudes [m, n_fft // 2 + 1] of int16 frames [m, n_fft].

        The bins stand in the order that folding leaves them in. |x * window| <= 2**26, its sum
        over the window <= 2**25 * n_fft, times 2**14: under 2**53 up to n_fft = 8192.
        """
        x = frames * self.window
        parts = []
        for cos, sin in self.stages:
            re, im, x = _fold(x, cos, sin)
            re *= re
            im *= im
            re += im
            parts.append(re)
        power = np.concatenate(parts, axis=1)
        np.sqrt(power, out=power)
        power *= 2.0**-_AMP_SHIFT
        return np.rint(power, out=power)


def _fold_stages(n_fft: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Matrices of each folding stage, and the natural bin of each output column.

    The odd bins of a size-N transform come from x[:N/2] - x[N/2:], whose cosine sums are odd and
    sine sums even about N/4: two products of N/4 by N/4. The even bins are a size-N/2 transform of
    x[:N/2] + x[N/2:]. So N = 1024 costs 175 k multiplications, a sixth of the plain product.
    """
    stages, bins, n, stride = [], [], n_fft, 1
    while n > _DIRECT and n % 4 == 0:
        table = _int_cos(n)
        k = 2 * np.arange(n // 4) + 1
        i = np.arange(n // 4)
        cos = table[np.outer(i, k) % n]
        sin = table[(np.outer(i + 1, k) - n // 4) % n]  # sin a = cos(a - quarter turn)
        stages.append((cos, sin))
        bins.append(k * stride)
        n, stride = n // 2, stride * 2
    table, k, i = _int_cos(n), np.arange(n // 2 + 1), np.arange(n)
    stages.append((table[np.outer(i, k) % n], table[(np.outer(i, k) - n // 4) % n]))
    bins.append(k * stride)
    return stages, np.concatenate(bins)


def _fold(
    x: np.ndarray, cos: np.ndarray, sin: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cosine and sine sums of this stage's bins, and the input of the next stage."""
    n = x.shape[1]
    if cos.shape[0] == n:
        return x @ cos, x @ sin, x
    half, quarter = n // 2, n // 4
    odd = x[:, :half] - x[:, half:]
    mirrored = odd[:, : half - quarter : -1]  # odd[half - i] for i = 1..quarter-1
    even_part = odd[:, :quarter].copy()
    even_part[:, 1:] -= mirrored
    odd_part = odd[:, 1 : quarter + 1].copy()
    odd_part[:, :-1] += mirrored
    return even_part @ cos, odd_part @ sin, x[:, :half] + x[:, half:]
