"""What real audio codecs share: an exact causal resampler, and encoding in fixed windows.

A float network gives other last bits for another length, batch or thread count, and a code can
flip. So chunk k of the codes is always computed from the same window, frames
[k * chunk - left, (k + 1) * chunk + right), of the same shape whatever the signal's length, batch 1
and one thread; what lies beyond the signal is zeros. A causal network's outputs in a window of one
shape do not change with what comes later in it (each is its own sum of products), so a prefix has
the same codes as the whole; tests hold this. What it costs: a network that remembers longer than
`left` frames (an LSTM, stacked attention windows) is told only those. What it does not mend: another
kind of processor or another torch rounds its own way, and a code that lies on a tie can flip there.

Audio at another rate than the model's goes through a linear-phase filter in whole numbers, delayed
by its half length (at most 16 samples of the lower rate: 1 ms at 16 kHz) so that nothing of the
future enters; `decode` takes that delay back.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import upfirdn

from schemas.errors import StrettoError
from token_schema.codecs.exact import int_table
from token_schema.codecs.pinned import PinnedCodec

_CROSSINGS, _ROLL, _UNIT = 16, 0.95, 1 << 16  # 2**16 * 2**15 * taps of a phase stays below 2**53


@dataclass(frozen=True)
class AudioFacts:
    """What a layout and the windows need to know of a real audio codec.

    `hop` is model samples a frame. `left` and `right` are context frames around a chunk. `cold`:
    the first windows begin where the signal does, as a stream does; else with `left` frames of
    silence (networks that mirror their first samples would look ahead there).
    `ahead` is how many model samples past a frame's end can change its codes.
    """

    size: int
    codebooks: int
    model_rate_hz: int
    source_rate_hz: int
    hop: int
    chunk: int
    left: int
    right: int = 0
    cold: bool = True
    ahead: int = 0

    def __post_init__(self) -> None:
        low = min(self.size, self.codebooks, self.model_rate_hz, self.source_rate_hz, self.hop)
        if low < 1 or self.chunk < 1 or min(self.left, self.right, self.ahead) < 0:
            raise ValueError("a size, rate or window is out of range")
        if not self.frame.denominator == 1:
            raise StrettoError(
                f"a frame of {self.hop} samples at {self.model_rate_hz} Hz is no whole number of"
                f" samples at {self.source_rate_hz} Hz",
                "audio codec",
                f"make the corpus at {self.model_rate_hz} Hz (`speech: sample_rate_hz`)",
            )

    @property
    def frame(self) -> Fraction:
        """Source samples a frame."""
        return Fraction(self.hop * self.source_rate_hz, self.model_rate_hz)


@dataclass(frozen=True)
class Window:
    """Frames [start, stop) go in; [first, last) of the whole signal are kept."""

    start: int
    stop: int
    first: int
    last: int


def windows(facts: AudioFacts, frames: int) -> Iterator[Window]:
    """The windows of a signal of so many frames; the n-th is the same for every longer one."""
    for first in range(0, frames, facts.chunk):
        start = first - facts.left
        yield Window(
            max(0, start) if facts.cold else start,
            first + facts.chunk + facts.right,
            first,
            min(first + facts.chunk, frames),
        )


def cut(wave: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
    """wave[start:stop] with zeros where the signal has no samples."""
    out = np.zeros(stop - start, wave.dtype)
    first, last = max(start, 0), min(stop, len(wave))
    if last > first:
        out[first - start : last - start] = wave[first:last]
    return out


class WindowedAudio(PinnedCodec):
    """A real audio codec. A class says how one window is encoded and codes become a wave."""

    kind = "audio"
    facts_type = AudioFacts
    facts: AudioFacts
    _silence: NDArray[np.int32] | None = None

    @property
    def size(self) -> int:
        """Ids in each codebook: codes are in 0..size-1."""
        return self.facts.size

    @property
    def codebooks(self) -> int:
        """Codes in a frame."""
        return self.facts.codebooks

    @property
    def rate_hz(self) -> float:
        """Code frames a second."""
        return self.facts.model_rate_hz / self.facts.hop

    @property
    def sample_rate_hz(self) -> int:
        """The sample rate of what it encodes and decodes: the corpus's."""
        return self.facts.source_rate_hz

    @property
    def frame_samples(self) -> int:
        """Samples (at `sample_rate_hz`) in a code frame."""
        return int(self.facts.frame)

    @property
    def lookahead_s(self) -> float:
        """How long after a frame's end audio can still change its codes; 0: causal."""
        return self.facts.ahead / self.facts.model_rate_hz

    def encode(self, pcm: np.ndarray) -> np.ndarray:
        """Codes int32 [n // frame_samples, codebooks] of int16 samples [n].

        Codes of the first k frames are those of the first k + ceil(lookahead) frames alone,
        whatever follows. Raises StrettoError for other audio or when the weights are not there.
        """
        pcm, facts = np.asarray(pcm), self.facts
        if pcm.ndim != 1 or pcm.dtype != np.int16:
            raise StrettoError(
                f"audio must be int16 [n], not {pcm.dtype} {list(pcm.shape)}", self.where
            )
        frames = len(pcm) // self.frame_samples
        wave = resample(
            pcm[: frames * self.frame_samples], facts.source_rate_hz, facts.model_rate_hz
        )
        codes = np.empty((frames, self.codebooks), np.int32)
        for w in windows(facts, frames):
            got = self.encode_window(cut(wave, w.start * facts.hop, w.stop * facts.hop))
            codes[w.first : w.last] = got[w.first - w.start : w.last - w.start]
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """int16 samples [frames * frame_samples] for codes [frames, Q], Q up to `codebooks`."""
        codes, facts = np.asarray(codes), self.facts
        if codes.ndim != 2 or not 1 <= codes.shape[1] <= self.codebooks:
            raise StrettoError(
                f"codes of shape {list(codes.shape)}, not [frames, {self.codebooks}]", self.where
            )
        if codes.size and not (0 <= codes.min() and codes.max() < self.size):
            raise StrettoError(f"audio code outside of 0..{self.size - 1}", self.where)
        count = len(codes) * self.frame_samples
        if not count:
            return np.zeros(0, np.int16)
        wave = cut(self.decode_wave(codes.astype(np.int64)), 0, len(codes) * facts.hop)
        delay = self._delay()
        tail = np.zeros(2 * facts.hop + facts.model_rate_hz // 100, wave.dtype)
        steps = np.clip(np.rint(np.concatenate([wave, tail]) * 32768.0), -32768, 32767)
        back = resample(steps.astype(np.int16), facts.model_rate_hz, facts.source_rate_hz)
        out = cut(back, delay, delay + count)
        return np.clip(np.rint(out * 32768.0), -32768, 32767).astype(np.int16)

    def _delay(self) -> int:
        """Source samples by which resampling there and back is late."""
        facts = self.facts
        if facts.model_rate_hz == facts.source_rate_hz:
            return 0
        low = min(facts.model_rate_hz, facts.source_rate_hz)
        return round(2 * _CROSSINGS * facts.source_rate_hz / low)

    def silence_codes(self, frames: int = 1) -> np.ndarray:
        """Codes of digital silence, int32 [frames, codebooks]: those that a long silence settles
        on, the same in every frame."""
        if self._silence is None:
            quiet = np.zeros(self.facts.chunk * self.frame_samples, np.int16)
            self._silence = self.encode(quiet)[-1:]
        return np.repeat(self._silence, frames, axis=0)

    @abstractmethod
    def encode_window(self, wave: NDArray[np.float32]) -> NDArray[Any]:
        """Codes [frames, codebooks] of model samples float32 [frames * hop] in -1..1."""

    @abstractmethod
    def decode_wave(self, codes: NDArray[np.int64]) -> NDArray[Any]:
        """Model samples float [about frames * hop] of codes [frames, Q]."""


def whole_option(options: Mapping[str, Any], name: str, default: int, where: str) -> int:
    """An option that is a whole number above 0."""
    value = options.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise StrettoError(f"{name} is {value!r}, not a whole number above 0", where)
    return value


# ---- resampling --------------------------------------------------------------------------------


def resample(pcm: NDArray[np.int16], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """float32 [n * to_hz // from_hz] in -1..1, late by 16 samples of the lower rate.

    Sums of whole numbers: no length, order or processor can change a bit, and sample m rests on
    what was heard before it. Equal rates pass through without delay.
    """
    whole = pcm.astype(np.float64)
    if from_hz == to_hz or not len(pcm):
        return (whole / 32768.0).astype(np.float32)
    ratio = Fraction(to_hz, from_hz)
    up, down = ratio.numerator, ratio.denominator
    out = upfirdn(_filter(up, down), whole, up, down)[: len(pcm) * up // down]
    return (out / (_UNIT * 32768.0)).astype(np.float32)


@lru_cache(maxsize=16)
def _filter(up: int, down: int) -> NDArray[np.float64]:
    """Hann-windowed sinc in whole numbers of 2**-16, pass band to 0.95 of the lower Nyquist."""
    wide = max(up, down)
    half = _CROSSINGS * wide
    taps = []
    for t in range(-half, half + 1):
        x = math.pi * _ROLL * t / wide
        sinc = math.sin(x) / x if t else 1.0
        taps.append(up * _ROLL / wide * sinc * (0.5 + 0.5 * math.cos(math.pi * t / (half + 1))))
    return int_table(np.array(taps), _UNIT)
