"""MelSlots: what a lane `as: slots` hears and a lane `as: mel` says, as rows of numbers, no codec.

A row is `subframes` log-mel level vectors side by side (see mel.py), each level / 64 - 1: digital
silence is -1, the loudest sound below 1. The levels are whole numbers and the scale is fixed, so
rows are exact, causal (row i rests on samples before (i + 1) * frame_samples) and need no fitting.

    slots = MelSlots.of(16000, 5.0, 8, 40)
    rows = slots.encode(pcm)          # int16 [n] -> float32 [n // frame_samples, slots.dim]
    pcm = slots.decode(rows)          # for listening: int16 [frames * frame_samples]
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from schemas.errors import StrettoError
from token_schema.codecs.griffin_lim import levels_to_pcm
from token_schema.codecs.mel import TOP_LEVEL, MelSpec, MelTables
from token_schema.codecs.rvq import frames_of

HALF = 64  # level 64 is 0: a power of two, so that every row is exact in float32


class MelSlots:
    """Rows of log-mel levels at `rate_hz`. `lookahead_s` is 0: row i ends where it ends."""

    lookahead_s = 0.0

    def __init__(self, sample_rate_hz: int, rate_hz: float, subframes: int, n_mels: int) -> None:
        """Raises StrettoError when the rates do not divide, with those that do."""
        self.spec = MelSpec(sample_rate_hz, rate_hz, subframes, n_mels)
        self._tables = MelTables.of(self.spec)

    @staticmethod
    @lru_cache(maxsize=32)
    def of(sample_rate_hz: int, rate_hz: float, subframes: int, n_mels: int) -> MelSlots:
        """One for each setting, kept: the tables cost 50 ms."""
        return MelSlots(sample_rate_hz, rate_hz, subframes, n_mels)

    @property
    def dim(self) -> int:
        """Numbers in a row: subframes * n_mels."""
        return self.spec.subframes * self.spec.n_mels

    @property
    def rate_hz(self) -> float:
        """Rows a second."""
        return self.spec.rate_hz

    @property
    def sample_rate_hz(self) -> int:
        """The sample rate of what it encodes and decodes."""
        return self.spec.sample_rate_hz

    @property
    def frame_samples(self) -> int:
        """Samples in a row."""
        return self.spec.frame_samples

    def encode(self, pcm: np.ndarray) -> np.ndarray:
        """float32 [n // frame_samples, dim] of int16 samples [n]; a last part row is left out."""
        return frames_of(pcm, self._tables).astype(np.float32) / HALF - np.float32(1)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """int16 samples [frames * frame_samples] for rows [frames, dim], rounded to levels."""
        rows = np.asarray(rows, np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise StrettoError(f"rows of shape {list(rows.shape)}, not [n, {self.dim}]", "mel")
        if not np.isfinite(rows).all():
            raise StrettoError("a mel value is not a finite number", "mel")
        levels = np.clip(np.rint((rows + 1) * HALF), 0, TOP_LEVEL).astype(np.int16)
        return levels_to_pcm(levels.reshape(-1, self.spec.n_mels), self._tables)

    def silence(self, frames: int = 1) -> np.ndarray:
        """Rows of digital silence, float32 [frames, dim]."""
        return np.full((frames, self.dim), -1, np.float32)
