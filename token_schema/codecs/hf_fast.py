"""The FAST universal tokenizer from its files: `processor_config.json` and `tokenizer.json`.

    options = fit_options(trajectories, horizon=10)         # {"horizon", "low", "high"}
    codec = pin("action", "hf_fast", "physical-intelligence/fast", None, options)
    codec.encode_batch([chunk])       # the ids of upstream's processor for the scaled chunk

The files alone are read, none of the repository's code is run: DCT-II along time (ortho), times
`scale`, rounded, less `min_token`, as characters, frequency by frequency, then byte-level BPE
(Pertsch et al. 2025, arXiv 2501.09747; facts in the published processing_action_tokenizer.py).

FAST wants values of about -1..1. `low` and `high` (the 1st and 99th percentile of the train split)
are pinned with the codec and map to -1 and 1, values outside are clipped, a dimension that does not
move is 0; without them values are taken as they are and `dims` must be given.
Unlike upstream, a coefficient below `min_token` is an error where theirs is clipped in silence, and
so is a wrong number of coefficients where theirs gives zeros.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.fft import dct, idct
from tokenizers import Tokenizer

from schemas.errors import StrettoError
from token_schema.codecs import pinned
from token_schema.codecs.action_rows import checked_chunk, checked_rows
from token_schema.codecs.bpe import byte_of_char
from token_schema.codecs.windows import whole_option

_CONFIG, _TOKENIZER = "processor_config.json", "tokenizer.json"
_TWO_BYTES = 0x800  # characters below it have at most two UTF-8 bytes


@dataclass(frozen=True)
class FastFacts:
    """`low` and `high` are per dimension, empty where values are taken as they are."""

    size: int
    scale: float
    min_token: int
    horizon: int
    dims: int
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
        ranged = len(self.low) == len(self.high) == self.dims
        if not (ranged or not self.low + self.high) or any(
            not lo <= hi for lo, hi in zip(self.low, self.high, strict=True)
        ):
            raise ValueError("low and high are one number a dimension each, low not above high")
        if min(self.size, self.scale, self.horizon, self.dims) <= 0 or self.horizon > 512:
            raise ValueError("size, scale, horizon (1-512) or dims out of range")
        if self.top >= _TWO_BYTES or (self.low and self.bound > -self.min_token):
            raise StrettoError(
                f"chunks of {self.horizon} rows have coefficients up to {self.bound}, the tokenizer"
                f" begins at {self.min_token}",
                "action codec",
                "use a shorter horizon or another tokenizer",
            )

    @property
    def bound(self) -> int:
        """No coefficient of a chunk in -1..1 is larger: sqrt(T) * scale, rounded."""
        return int(np.rint(np.sqrt(self.horizon) * self.scale))

    @property
    def top(self) -> int:
        """The largest character of such a chunk."""
        return self.bound - self.min_token


class HFFast(pinned.PinnedCodec):
    """FAST by a published tokenizer, for one embodiment. The `Tokenizer` is `model`."""

    kind = "action"
    type_ = "hf_fast"
    weight_files = (_CONFIG, _TOKENIZER)
    options_known = ("horizon", "low", "high", "dims")
    facts_type = FastFacts
    facts: FastFacts
    fixed: int | None = None  # ids a row: a chunk is coded whole

    @property
    def size(self) -> int:
        """Ids are in 0..size-1."""
        return self.facts.size

    @property
    def horizon(self) -> int:
        """The most rows a chunk may have."""
        return self.facts.horizon

    @property
    def dims(self) -> int:
        """D, the length of an action vector."""
        return self.facts.dims

    def least_tokens(self, steps: int) -> int:
        """The fewest ids that a chunk of `steps` rows can have: all of them the longest piece."""
        longest = max(map(len, self._texts), default=1)
        return -(-steps * self.dims // max(1, longest))

    def most_tokens(self, steps: int) -> int:
        """The most ids that a chunk of `steps` rows can have: two bytes for each coefficient."""
        return 2 * steps * self.dims

    def encode(self, chunk: np.ndarray) -> list[int]:
        """Ids of float [T, D], 1 <= T <= horizon. StrettoError for other shapes and values."""
        return self.encode_batch([chunk])[0]

    def encode_batch(self, chunks: Sequence[np.ndarray]) -> list[list[int]]:
        """Ids of each chunk: the same as one by one, and faster."""
        texts = ["".join(map(chr, self._letters(chunk))) for chunk in chunks]
        encoded = self.model.encode_batch(texts, add_special_tokens=False)
        for text, encoding in zip(texts, encoded, strict=True):
            if sum(len(self._texts[i]) for i in encoding.ids) != len(text):
                raise StrettoError("the tokenizer has no id for a coefficient", self.where)
        return [encoding.ids for encoding in encoded]

    def _letters(self, chunk: np.ndarray) -> list[int]:
        """The characters [T * D] of a chunk's coefficients, frequency by dimension."""
        values = self._scaled(checked_chunk(chunk, self.horizon, self.dims))
        whole = np.around(dct(values, axis=0, norm="ortho") * self.facts.scale)
        letters = whole.astype(np.int64).ravel() - self.facts.min_token
        if letters.min() < 0 or letters.max() >= _TWO_BYTES:
            raise StrettoError(
                "action too large for the tokenizer", self.where, "pin it with `low` and `high`"
            )
        return letters.tolist()

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        if not self.facts.low:
            return values
        low, span, moves = self._range
        unit = np.clip((values - low) / span, 0.0, 1.0)
        return np.where(moves, 2.0 * unit - 1.0, 0.0)

    @cached_property
    def _range(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """low, span (1 where nothing moves) and where it moves, each [D]."""
        low, high = np.array(self.facts.low), np.array(self.facts.high)
        moves = high > low
        return low, np.where(moves, high - low, 1.0), moves

    def decode(self, ids: Iterable[int], steps: int, dims: int) -> np.ndarray:
        """Actions float32 [steps, dims] of the ids, each within `max_error(steps)` when in range.

        StrettoError when the ids do not hold exactly steps * dims coefficients.
        """
        if dims != self.dims or not 1 <= steps <= self.horizon:
            raise StrettoError(
                f"cannot decode [{steps}, {dims}]: the codec's chunks are"
                f" [1..{self.horizon}, {self.dims}]",
                self.where,
            )
        data = b"".join(self._bytes[self._checked(int(i))] for i in ids)
        try:
            letters = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise StrettoError("action ids cut through a coefficient", self.where) from error
        if len(letters) != steps * dims:
            raise StrettoError(
                f"action ids hold {len(letters)} coefficients, not {steps} * {dims}", self.where
            )
        whole = np.array([ord(c) for c in letters], np.float64) + self.facts.min_token
        values = idct(whole.reshape(steps, dims) / self.facts.scale, axis=0, norm="ortho")
        if self.facts.low:
            low, span, moves = self._range
            unit = (np.clip(values, -1.0, 1.0) + 1.0) / 2.0
            values = np.where(moves, low + unit * span, low)
        return values.astype(np.float32)

    def piece(self, token_id: int) -> str:
        """The coefficients that end in one id, as characters: its length is how many they are.

        A character of two bytes can be cut by ids: it counts where it ends, as U+FFFD.
        """
        return self._texts[self._checked(token_id)]

    def _checked(self, token_id: int) -> int:
        if not 0 <= token_id < self.size:
            raise StrettoError(f"action id {token_id} outside of 0..{self.size - 1}", self.where)
        return token_id

    def max_error(self, steps: int | None = None) -> np.ndarray:
        """The stated bound, float64 [D], in action units, for values inside [low, high].

        Half a coefficient step through the inverse DCT, and float32 rounding.
        """
        inverse = np.abs(idct(np.eye(steps or self.horizon), axis=0, norm="ortho"))
        unit = np.full(self.dims, inverse.sum(axis=1).max() * 0.5 / self.facts.scale + 1e-9)
        if not self.facts.low:
            return unit * (1 + np.finfo(np.float32).eps) + 1e-6
        low, span, moves = self._range
        largest = np.maximum(np.abs(low), np.abs(low + np.where(moves, span, 0.0)))
        return np.where(moves, unit * span / 2, 0.0) + largest * np.finfo(np.float32).eps

    @cached_property
    def _bytes(self) -> list[bytes]:
        """The bytes of each id; none for an id that no text can give."""
        table = byte_of_char()
        tokens = [self.model.id_to_token(i) or "" for i in range(self.size)]
        return [bytes(table[c] for c in t) if set(t) <= set(table) else b"" for t in tokens]

    @cached_property
    def _texts(self) -> list[str]:
        return [_ends(data) for data in self._bytes]

    def __getstate__(self) -> dict[str, Any]:
        dropped = ("_bytes", "_texts")
        return {k: v for k, v in super().__getstate__().items() if k not in dropped}

    @classmethod
    def describe(
        cls, folder: Path, options: Mapping[str, Any], source_rate_hz: int | None, where: str
    ) -> FastFacts:
        """Facts from the processor's file and the options."""
        tokenizer = _read(folder, where)
        try:
            config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
            low, high = tuple(options.get("low", ())), tuple(options.get("high", ()))
            dims = len(low) or options.get("dims") or config.get("action_dim")
            if not dims:
                raise StrettoError("give `low` and `high`, or `dims`", where)
            horizon = options.get("horizon") or config.get("time_horizon")
            return FastFacts(
                size=tokenizer.get_vocab_size(),
                scale=float(config["scale"]),
                min_token=int(config["min_token"]),
                horizon=whole_option({"horizon": horizon}, "horizon", 0, where),
                dims=whole_option({"dims": dims}, "dims", 0, where),
                low=low,
                high=high,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StrettoError(f"{_CONFIG} or options do not fit ({error})", where) from error

    def load_model(self, folder: Path) -> Tokenizer:
        return _read(folder, self.where)


def _read(folder: Path, where: str) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
    except Exception as error:  # `tokenizers` raises bare Exceptions
        raise StrettoError(f"{_TOKENIZER} cannot be read ({error})", where) from error
    if json.loads(tokenizer.to_str())["normalizer"] or not isinstance(
        (json.loads(tokenizer.to_str())["pre_tokenizer"] or {}).get("type"), str
    ):
        raise StrettoError(f"{_TOKENIZER} is not FAST's (byte-level, no normaliser)", where)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _ends(data: bytes) -> str:
    """The characters that end in these bytes: U+FFFD for one that began in an id before."""
    out, open_ = [], 0
    for byte in data:
        if byte < 0x80:
            out.append(chr(byte))
        elif byte >= 0xC0:
            open_ = byte
        else:
            out.append(bytes([open_, byte]).decode("utf-8", "replace")[:1] if open_ else "\ufffd")
            open_ = 0
    return "".join(out)


def fit_options(trajectories: Iterable[np.ndarray], horizon: int) -> dict[str, Any]:
    """The options that scale one embodiment: 1st and 99th percentile of float [n, D] each.

    A dimension that moves in fewer rows than that (a gripper) keeps its whole range.
    """
    parts: list[np.ndarray] = []
    for i, trajectory in enumerate(trajectories):
        parts.append(checked_rows(trajectory, i, parts[0].shape[1] if parts else None))
    rows = np.concatenate(parts).astype(np.float64) if parts else np.zeros((0, 0))
    if not len(rows):
        raise StrettoError("no action to scale by", "fit action", "give a corpus with trajectories")
    low, high = np.quantile(rows, [0.01, 0.99], axis=0, method="inverted_cdf")
    rare = low == high
    low, high = np.where(rare, rows.min(axis=0), low), np.where(rare, rows.max(axis=0), high)
    return {"horizon": horizon, "low": low.tolist(), "high": high.tolist()}
