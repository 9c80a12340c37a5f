"""Mel levels back to sound, for a person to listen to (Griffin and Lim 1984, with momentum).

Not part of what decides a code. The phases start from a keyed draw, so the same codes on the same
machine sound the same.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from schemas import draws
from token_schema.codecs.mel import STEPS_PER_OCTAVE, MelTables, hann

ITERATIONS = 24
MOMENTUM = 0.9  # Perraudin, Balazs and Sondergaard 2013 use 0.99; 0.9 is steadier on short clips
# a band's amplitude spread evenly has less energy than the harmonics it came from (speech: 3.8 dB)
GAIN = 1.5


PIECE, FADE = 1024, 8  # subframes at a time (26 s, 40 MB of spectra), faded into one another


def levels_to_pcm(levels: np.ndarray, tables: MelTables) -> np.ndarray:
    """int16 [m * hop] for levels [m, n_mels]. Level 0 is silence: such stretches come out as 0."""
    hop = tables.spec.hop
    out = np.zeros(len(levels) * hop)
    for start in range(0, len(levels), PIECE):
        lead = min(FADE, start)
        piece = _piece(levels[start - lead : start + PIECE], tables)
        if lead:
            rise = np.arange(lead * hop) / (lead * hop)
            piece[: lead * hop] *= rise
            out[(start - lead) * hop : start * hop] *= 1 - rise
        out[(start - lead) * hop : (start - lead) * hop + len(piece)] += piece
    out[np.repeat(~levels.any(axis=1), hop)] = 0
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)


def _piece(levels: np.ndarray, tables: MelTables) -> np.ndarray:
    """float64 [m * hop] for levels [m, n_mels]."""
    spec = tables.spec
    if not levels.any():
        return np.zeros(len(levels) * spec.hop)
    magnitude = GAIN * _linear(levels, tables)
    step = spec.hop
    if step % 2 == 0:  # twice the frames: phases can only agree where windows overlap well
        between = (magnitude + np.concatenate([magnitude[:1] * 0, magnitude[:-1]])) / 2
        magnitude = np.stack([between, magnitude], axis=1).reshape(-1, magnitude.shape[1])
        step //= 2
    signal = _phases(magnitude, hann(spec.n_fft), step)
    return signal[spec.n_fft - step :][: len(levels) * spec.hop]


def _linear(levels: np.ndarray, tables: MelTables) -> np.ndarray:
    """Amplitudes [m, bins] whose mel bands have these levels: each band spread over its bins."""
    floor = tables.thresholds[0] / (1 << 12)  # 8 bits of mel weight, 4 of amplitude
    mel = np.where(levels > 0, floor * 2.0 ** ((levels - 0.5) / STEPS_PER_OCTAVE), 0.0)
    weights = tables.natural_weights
    share = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    return (mel / weights.sum(axis=0)) @ share.T


def _phases(magnitude: np.ndarray, window: np.ndarray, step: int) -> np.ndarray:
    """A signal whose transform has nearly these amplitudes."""
    rng = draws.rng(0, "griffin-lim", str(len(magnitude)), "phase")
    angles = np.exp(2j * np.pi * rng.random(magnitude.shape))
    before = np.zeros_like(angles)
    for _ in range(ITERATIONS):
        spectrum = _analyse(_overlap(magnitude * angles, window, step), window, step)
        angles = spectrum + MOMENTUM * (spectrum - before)
        angles /= np.maximum(np.abs(angles), 1e-12)
        before = spectrum
    return _overlap(magnitude * angles, window, step)


def _analyse(signal: np.ndarray, window: np.ndarray, step: int) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(signal, len(window))[::step]
    return fft.rfft(frames * window, axis=1)


def _overlap(spectrum: np.ndarray, window: np.ndarray, step: int) -> np.ndarray:
    """Least-squares overlap-add: signal [(m - 1) * step + n] of spectra [m, n // 2 + 1]."""
    count, n = len(spectrum), len(window)
    frames = fft.irfft(spectrum, n, axis=1) * window
    total = _add_up(frames, step)
    weight = _add_up(np.broadcast_to(window**2, frames.shape), step)
    return (total / np.maximum(weight, 0.05))[: (count - 1) * step + n]


def _add_up(frames: np.ndarray, step: int) -> np.ndarray:
    """Frames laid `step` apart and summed, by blocks of `step` samples at once."""
    count, n = frames.shape
    blocks = -(-n // step)
    out = np.zeros((count + blocks - 1, step))
    for b in range(blocks):
        piece = frames[:, b * step : (b + 1) * step]
        out[b : b + count, : piece.shape[1]] += piece
    return out.reshape(-1)
