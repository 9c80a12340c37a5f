"""ActionUniform: each number of an action vector as one of 256 equal bins of its dimension's range.

RT-2 (arXiv 2307.15818) writes each dimension as one of 256 uniform bins; OpenVLA (arXiv 2406.09246)
lays them over the 1st to 99th percentile of train and clips the rest, openpi bins states alike.
Here the range is that of the whole train split, so that nothing of train is clipped; `tail: 0.01`
is OpenVLA's range, and then `clipped_share` says how much of train it clips. A row always takes D
ids (`fixed`), which is what one step of the parallel mode needs.

    codec = ActionUniform.fit(trajectories, UniformSettings())
    ids = codec.encode(chunk)                       # float [T, D] -> T * D ids, row by row
    codec.decode(ids, len(chunk), chunk.shape[1])   # float32 [T, D], within codec.max_error()
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from schemas import draws
from schemas.errors import StrettoError
from token_schema.codecs import base
from token_schema.codecs.action_rows import checked_chunk, checked_rows
from token_schema.codecs.exact import Reservoir

VERSION = 1
SAMPLE_ROWS = 200_000  # bounds the memory of a fit with percentiles: 6 MB at D = 8


@dataclass(frozen=True)
class UniformSettings:
    """`bins` a dimension, `horizon` the most rows a chunk may have (rows do not depend on each
    other). `tail` is the share of train beyond each end of the range, which is then clipped (0:
    none; OpenVLA: 0.01)."""

    bins: int = 256
    horizon: int = 512
    tail: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.tail < 0.5):
            raise StrettoError("tail must be 0 to 0.5", "codec settings, tail", "0 or 0.01")
        Bins(self.bins, self.horizon)


@dataclass(frozen=True)
class Bins:
    """What the files' settings hold: the bins, the rows a chunk may have, the share clipped."""

    bins: int
    horizon: int
    clipped_share: float = 0.0

    def __post_init__(self) -> None:
        whole = isinstance(self.bins, int) and isinstance(self.horizon, int)
        if not (whole and 2 <= self.bins <= 65536 and 1 <= self.horizon <= 512):
            raise StrettoError(
                f"bins {self.bins}, horizon {self.horizon} out of range",
                "codec settings",
                "bins 2-65536, horizon 1-512, whole numbers",
            )


class ActionUniform(base.StoredCodec):
    """Uniform bins over the action vectors of one embodiment; all dimensions share the ids."""

    kind = "action"

    def __init__(self, settings: Bins, low: np.ndarray, high: np.ndarray) -> None:
        """`low`, `high` float64 [D]: the ends of the range; equal where nothing moves."""
        self.settings, self.low, self.high = settings, low, high
        self._moves = high > low

    @property
    def size(self) -> int:
        """Ids are in 0..size-1."""
        return self.settings.bins

    @property
    def horizon(self) -> int:
        """The most rows a chunk may have."""
        return self.settings.horizon

    @property
    def dims(self) -> int:
        """D, the length of an action vector."""
        return len(self.low)

    @property
    def fixed(self) -> int:
        """Ids of a row: always D."""
        return self.dims

    @property
    def clipped_share(self) -> float:
        """The share of train's numbers that lie outside of the range (0 unless `tail` was set)."""
        return self.settings.clipped_share

    def least_tokens(self, steps: int) -> int:
        """The fewest ids of a chunk of `steps` rows: all chunks have as many."""
        return steps * self.dims

    most_tokens = least_tokens

    def encode(self, chunk: np.ndarray) -> list[int]:
        """Ids [T * D] of float [T, D], 1 <= T <= horizon, row by row. Values out of range clip.

        StrettoError for another shape or a value that is not finite.
        """
        return self.encode_batch([chunk])[0]

    def encode_batch(self, chunks: Sequence[np.ndarray]) -> list[list[int]]:
        """Ids of each chunk: the same as one by one, and faster."""
        checked = [checked_chunk(chunk, self.horizon, self.dims) for chunk in chunks]
        if not checked:
            return []
        flat = self._bins(np.concatenate(checked)).ravel().tolist()
        ends = np.cumsum([chunk.size for chunk in checked]).tolist()
        return [flat[a:b] for a, b in zip([0, *ends], ends, strict=False)]

    def _bins(self, rows: np.ndarray) -> np.ndarray:
        """Bins int64 [n, D] of float64 [n, D].

        Each operation is rounded once, as IEEE 754 says: no processor can choose another bin.
        """
        span = np.where(self._moves, self.high - self.low, 1.0)
        unit = np.where(self._moves, (np.clip(rows, self.low, self.high) - self.low) / span, 0.5)
        return np.minimum(np.floor(unit * self.size).astype(np.int64), self.size - 1)

    def decode(self, ids: Iterable[int], steps: int, dims: int) -> np.ndarray:
        """Actions float32 [steps, dims]: the middles of the bins, constant dims as they were.

        StrettoError when the ids are not exactly steps * dims.
        """
        flat = np.fromiter(ids, np.int64)
        if dims != self.dims or not 1 <= steps <= self.horizon:
            raise StrettoError(
                f"cannot decode [{steps}, {dims}]: the codec's chunks are"
                f" [1..{self.horizon}, {self.dims}]",
                "action codec",
            )
        if len(flat) != steps * dims:
            raise StrettoError(
                f"{len(flat)} action ids, not {steps} * {dims} coefficients", "action codec"
            )
        for token_id in flat[(flat < 0) | (flat >= self.size)][:1].tolist():
            self.piece(token_id)
        unit = (flat.reshape(steps, dims) + 0.5) / self.size
        value = self.low + unit * (self.high - self.low)
        return np.where(self._moves, value, self.low).astype(np.float32)

    def piece(self, token_id: int) -> str:
        """One id holds one number: a text of length 1, as `ActionFAST.piece` has it."""
        if not 0 <= token_id < self.size:
            raise StrettoError(
                f"action id {token_id} outside of 0..{self.size - 1}", "action codec"
            )
        return "x"

    def max_error(self, steps: int | None = None) -> np.ndarray:
        """The stated bound, float64 [D], in action units, for values inside [low, high].

        Half a bin, and the rounding of float64 sums and of the float32 result.
        """
        span, largest = self.high - self.low, np.maximum(np.abs(self.low), np.abs(self.high))
        moving = np.where(self._moves, span * (0.5 / self.size + 1e-12), 0.0)
        return moving + largest * np.finfo(np.float32).eps

    def to_files(self) -> dict[str, bytes]:
        s = self.settings
        settings = {"bins": s.bins, "horizon": s.horizon, "clipped_share": s.clipped_share}
        ranges = base.npy_bytes(np.stack([self.low, self.high]))
        return base.pack(self.kind, "uniform", VERSION, settings, {"range.npy": ranges})

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], where: str = "codec") -> ActionUniform:
        """The codec of these files; StrettoError when they are not whole."""
        settings = base.build(Bins, base.unpack(files, "uniform", VERSION, where), where)
        ranges = base.read_array(files, "range.npy", "<f8", (2, None), where)
        if not np.isfinite(ranges).all() or (ranges[0] > ranges[1]).any():
            raise StrettoError("range.npy is no range", where, base.FIX)
        return cls(settings, ranges[0], ranges[1])

    @classmethod
    def fit(
        cls, trajectories: Iterable[np.ndarray], settings: UniformSettings | None = None
    ) -> ActionUniform:
        """Fit on trajectories (or chunks) float [n, D]; memory bounded."""
        settings = settings or UniformSettings()
        keep = Reservoir(SAMPLE_ROWS, draws.rng(settings.seed, "fit", "action", "uniform"))
        least = most = np.zeros(0, np.float32)
        for i, trajectory in enumerate(trajectories):
            rows = checked_rows(trajectory, i, len(least) or None)
            if not len(rows):
                continue
            ends = [rows] if not len(least) else [rows, least[None], most[None]]
            every = np.concatenate(ends)
            least, most = every.min(axis=0), every.max(axis=0)
            if settings.tail:
                keep.add(rows)
        if not len(least):
            raise StrettoError(
                "no action to fit the action codec on",
                "fit action",
                "give a corpus with trajectories",
            )
        low, high, clipped = least.astype(np.float64), most.astype(np.float64), 0.0
        if settings.tail:
            low, high, clipped = _percentiles(keep.rows(), low, high, settings.tail)
        return cls(Bins(settings.bins, settings.horizon, clipped), low, high)


def _percentiles(
    rows: np.ndarray | None, least: np.ndarray, most: np.ndarray, tail: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """The range without its tails, and the share of the sampled numbers that it clips.

    A dimension that moves less often than `tail` (a gripper) keeps its whole range.
    """
    assert rows is not None
    wide = rows.astype(np.float64)
    low, high = np.quantile(wide, [tail, 1 - tail], axis=0, method="inverted_cdf")
    rare = low == high
    low, high = np.where(rare, least, low), np.where(rare, most, high)
    return low, high, round(float(((wide < low) | (wide > high)).mean()), 6)
