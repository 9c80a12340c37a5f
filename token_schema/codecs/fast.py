"""ActionFAST: a chunk of action vectors as a few ids, and back within a stated error.

FAST (Pertsch et al. 2025, arXiv 2501.09747): each dimension is scaled from its 1st..99th percentile
to [-1, 1], a DCT-II along time puts the movement into few coefficients, these are rounded, laid out
frequency by frequency, and BPE joins what often stands together. Here the inputs are rounded to
1/4096 first and the DCT is a whole-number matrix, so that no processor rounds another way, every
coefficient that [-1, 1] can give is in the alphabet, and a wrong number of coefficients is an
error where the original returns zeros.

    codec = ActionFAST.fit(trajectories, ActionSettings(horizon=10))
    ids = codec.encode(chunk)                       # float [T, D], T up to horizon -> list of ids
    codec.decode(ids, len(chunk), chunk.shape[1])   # float32 [T, D], within codec.max_error()
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
from tokenizers import Tokenizer, models, trainers

from schemas import draws
from schemas.errors import StrettoError
from token_schema.codecs import base
from token_schema.codecs.action_rows import checked_chunks, checked_rows
from token_schema.codecs.exact import Reservoir, int_table

VERSION = 1
NAME = "tokenizer.json"
_INPUT, _DCT = 4096, 1 << 16  # steps of a unit: of the scaled action, of the DCT matrix
_FIRST_CHAR = 0x4E00  # coefficient -bound is this character; no space, case or surrogate near it
MAX_BOUND = 10000


@dataclass(frozen=True)
class ActionSettings:
    """`horizon` rows a chunk, `scale` steps per unit of a coefficient (10 coarse, 50 fine)."""

    horizon: int = 10
    scale: int = 20
    vocab_size: int = 1024
    sample_values: int = 2_000_000
    seed: int = 0


@dataclass(frozen=True)
class Shape:
    """What the files' settings hold."""

    horizon: int
    scale: int

    def __post_init__(self) -> None:
        whole = isinstance(self.horizon, int) and isinstance(self.scale, int)
        if not (whole and 1 <= self.horizon <= 512 and self.scale >= 1 and self.bound <= MAX_BOUND):
            raise StrettoError(
                f"horizon {self.horizon}, scale {self.scale} out of range",
                "codec settings",
                "horizon 1-512, scale 1-400, whole numbers",
            )

    @property
    def bound(self) -> int:
        """No coefficient of a chunk in [-1, 1] is larger: sqrt(T) * scale, and 1 for rounding."""
        return math.ceil(math.sqrt(self.horizon) * self.scale) + 1


@lru_cache(maxsize=64)
def dct_matrix(steps: int) -> np.ndarray:
    """Orthonormal DCT-II in whole numbers of 2**-16: float64 [steps, steps], frequency by time."""
    table = [
        [
            math.sqrt((2 if k else 1) / steps) * math.cos(math.pi * (2 * t + 1) * k / (2 * steps))
            for t in range(steps)
        ]
        for k in range(steps)
    ]
    return int_table(np.array(table), _DCT)


class ActionFAST(base.StoredCodec):
    """DCT and BPE over action chunks of one embodiment."""

    kind = "action"
    fixed: int | None = None  # ids a row: a chunk is coded whole

    def __init__(
        self, shape: Shape, low: np.ndarray, high: np.ndarray, tokenizer: Tokenizer
    ) -> None:
        """`low`, `high` float64 [D]: what -1 and 1 stand for; equal where nothing moves."""
        self.shape, self.low, self.high, self.tokenizer = shape, low, high, tokenizer
        self._pieces = [tokenizer.id_to_token(i) or "" for i in range(tokenizer.get_vocab_size())]
        self._moves = high > low

    @property
    def size(self) -> int:
        """Ids are in 0..size-1."""
        return len(self._pieces)

    @property
    def horizon(self) -> int:
        """The most rows a chunk may have."""
        return self.shape.horizon

    @property
    def dims(self) -> int:
        """D, the length of an action vector."""
        return len(self.low)

    def least_tokens(self, steps: int) -> int:
        """The fewest ids that a chunk of `steps` rows can have: all of them the longest piece."""
        longest = max(map(len, self._pieces), default=1)
        return -(-steps * self.dims // max(1, longest))

    def most_tokens(self, steps: int) -> int:
        """The most ids that a chunk of `steps` rows can have: one for each coefficient."""
        return steps * self.dims

    def encode(self, chunk: np.ndarray) -> list[int]:
        """Ids of float [T, D], 1 <= T <= horizon. Values outside of the fitted range are clipped.

        StrettoError for another shape or a value that is not finite.
        """
        return self.encode_batch([chunk])[0]

    def encode_batch(self, chunks: Sequence[np.ndarray]) -> list[list[int]]:
        """Ids of each chunk: the same as one by one, and faster."""
        alike = [np.stack(list(same)) for _, same in groupby(chunks, np.shape)]
        texts = [text for stacked in alike for text in self._texts(self._coefficients(stacked))]
        return [e.ids for e in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def coefficients(self, chunk: np.ndarray) -> np.ndarray:
        """Rounded DCT coefficients int64 [T, D], frequency by dimension."""
        return self._coefficients(np.asarray(chunk)[None])[0]

    def _coefficients(self, chunks: np.ndarray) -> np.ndarray:
        """The same of n chunks of one length: int64 [n, T, D]."""
        chunks = checked_chunks(chunks, self.horizon, self.dims)
        span = np.where(self._moves, self.high - self.low, 1.0)
        unit = np.where(self._moves, (np.clip(chunks, self.low, self.high) - self.low) / span, 0.5)
        whole = np.rint((2.0 * unit - 1.0) * _INPUT)
        # under 2**16 * 2**12 * 512 = 2**37: exact in whatever order it is summed
        exact = dct_matrix(chunks.shape[1]) @ whole
        return np.rint(exact * self.shape.scale / (_INPUT * _DCT)).astype(np.int64)

    def _texts(self, coefficients: np.ndarray) -> list[str]:
        """A character for each coefficient: a text for each chunk of int64 [n, T, D]."""
        codes = (coefficients + (self.shape.bound + _FIRST_CHAR)).astype("<u4")
        size = codes[0].size
        text = codes.tobytes().decode("utf-32-le")
        return [text[at : at + size] for at in range(0, len(text), size)]

    def decode(self, ids: Iterable[int], steps: int, dims: int) -> np.ndarray:
        """Actions float32 [steps, dims] of the ids, each within `max_error(steps)` when in range.

        StrettoError when the ids do not hold exactly steps * dims coefficients.
        """
        if dims != self.dims or not 1 <= steps <= self.horizon:
            raise StrettoError(
                f"cannot decode [{steps}, {dims}]: the codec's chunks are"
                f" [1..{self.horizon}, {self.dims}]",
                "action codec",
            )
        text = "".join(self.piece(int(i)) for i in ids)
        if len(text) != steps * dims:
            raise StrettoError(
                f"action ids hold {len(text)} coefficients, not {steps} * {dims}", "action codec"
            )
        flat = np.array([ord(c) for c in text]) - _FIRST_CHAR - self.shape.bound
        exact = dct_matrix(steps).T @ flat.reshape(steps, dims).astype(np.float64)
        unit = np.clip(exact / (_DCT * self.shape.scale), -1.0, 1.0)
        value = self.low + (unit + 1.0) / 2.0 * (self.high - self.low)
        return np.where(self._moves, value, self.low).astype(np.float32)

    def piece(self, token_id: int) -> str:
        """The coefficients of one id, as characters: its length is how many it holds."""
        if not 0 <= token_id < self.size:
            raise StrettoError(
                f"action id {token_id} outside of 0..{self.size - 1}", "action codec"
            )
        return self._pieces[token_id]

    def max_error(self, steps: int | None = None) -> np.ndarray:
        """The stated bound, float64 [D], in action units, for values inside [low, high].

        Half a coefficient step through the inverse DCT, the whole-number matrix's distance from
        an orthonormal one, half an input step, and float32 rounding.
        """
        dct = dct_matrix(steps or self.horizon) / _DCT
        rounding = np.abs(dct).sum(axis=0).max() * 0.5 / self.shape.scale
        skew = np.abs(np.eye(len(dct)) - dct.T @ dct).sum(axis=1).max()
        unit = rounding + skew + 0.5 / _INPUT + 1e-9
        largest = np.maximum(np.abs(self.low), np.abs(self.high))
        moving = np.where(self._moves, unit * (self.high - self.low) / 2, 0.0)
        return moving + largest * np.finfo(np.float32).eps

    def to_files(self) -> dict[str, bytes]:
        settings = {"horizon": self.shape.horizon, "scale": self.shape.scale}
        ranges = np.stack([self.low, self.high])
        return base.pack(
            self.kind,
            "fast",
            VERSION,
            settings,
            {
                "range.npy": base.npy_bytes(ranges),
                NAME: self.tokenizer.to_str(pretty=False).encode(),
            },
        )

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], where: str = "codec") -> ActionFAST:
        """The codec of these files; StrettoError when they are not whole."""
        shape = base.build(Shape, base.unpack(files, "fast", VERSION, where), where)
        ranges = base.read_array(files, "range.npy", "<f8", (2, None), where)
        if not np.isfinite(ranges).all() or (ranges[0] > ranges[1]).any():
            raise StrettoError("range.npy is no range", where, base.FIX)
        tokenizer = base.build(_tokenizer, {"data": files.get(NAME, b"")}, where)
        if set(alphabet(shape)) - set(tokenizer.get_vocab()):
            raise StrettoError("tokenizer lacks some coefficients", where, base.FIX)
        return cls(shape, ranges[0], ranges[1], tokenizer)

    @classmethod
    def fit(
        cls, trajectories: Iterable[np.ndarray], settings: ActionSettings | None = None
    ) -> ActionFAST:
        """Fit on trajectories (or chunks) float [n, D], cut into chunks; memory bounded."""
        settings = settings or ActionSettings()
        letters = letters_of(settings)
        shape = Shape(settings.horizon, settings.scale)
        chunks, low, high = _sample(trajectories, settings)
        codec = cls(shape, low, high, Tokenizer(models.BPE()))
        texts = (
            text for chunk in chunks for text in codec._texts(codec._coefficients(chunk[None]))
        )
        trainer = trainers.BpeTrainer(
            vocab_size=settings.vocab_size,
            show_progress=False,
            special_tokens=[],
            initial_alphabet=letters,
        )
        codec.tokenizer.train_from_iterator(texts, trainer)
        return cls(shape, low, high, codec.tokenizer)


def letters_of(settings: ActionSettings) -> list[str]:
    """The alphabet of these settings. StrettoError for settings that can't be fitted on anything."""
    letters = alphabet(Shape(settings.horizon, settings.scale))
    if settings.vocab_size < len(letters):
        raise StrettoError(
            f"vocab_size {settings.vocab_size} is below the {len(letters)} possible coefficients",
            "codec settings, vocab_size",
            "raise vocab_size or lower scale",
        )
    return letters


def alphabet(shape: Shape) -> list[str]:
    """One character for each coefficient from -bound to bound."""
    return [chr(_FIRST_CHAR + i) for i in range(2 * shape.bound + 1)]


def _tokenizer(data: bytes) -> Tokenizer:
    try:
        return Tokenizer.from_str(data.decode())
    except Exception as error:  # `tokenizers` raises bare Exceptions
        raise ValueError(f"{NAME}: {type(error).__name__} {error}") from error


def _chunks(trajectory: np.ndarray, horizon: int) -> Iterator[np.ndarray]:
    """Chunks float32 [horizon, D]; the last one holds its last row to the end."""
    for start in range(0, len(trajectory), horizon):
        part = trajectory[start : start + horizon]
        yield np.concatenate([part, np.repeat(part[-1:], horizon - len(part), axis=0)])


def _sample(
    trajectories: Iterable[np.ndarray], settings: ActionSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sampled chunks [n, horizon, D] and the range [D] of each dimension."""
    rng = draws.rng(settings.seed, "fit", "action", "sample")
    keep: Reservoir | None = None
    least = most = np.zeros(0)
    for i, trajectory in enumerate(trajectories):
        rows = checked_rows(trajectory, i, len(least) if keep else None)
        if not len(rows):
            continue
        if keep is None:
            per_chunk = settings.horizon * rows.shape[1]
            keep = Reservoir(max(64, settings.sample_values // per_chunk), rng)
            least = most = rows[0]
        least, most = np.minimum(least, rows.min(axis=0)), np.maximum(most, rows.max(axis=0))
        keep.add(np.stack(list(_chunks(rows, settings.horizon))))
    chunks = keep.rows() if keep else None
    if chunks is None:
        raise StrettoError(
            "no action to fit the action codec on", "fit action", "give a corpus with trajectories"
        )
    return chunks, *_range(chunks.reshape(-1, chunks.shape[2]), least, most)


def _range(rows: np.ndarray, least: np.ndarray, most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1st and 99th percentile, or the whole range of a dimension that moves less often than that.

    A gripper that closes in one step of 200 has equal percentiles: scaled by them it would be lost.
    """
    q01, q99 = np.quantile(rows.astype(np.float64), [0.01, 0.99], axis=0, method="inverted_cdf")
    rare = q01 == q99
    return np.where(rare, least, q01).astype(np.float64), np.where(rare, most, q99)
