"""Keyed randomness: every draw has its own generator, so no draw can shift another.

`rng(seed, key, event_id, name)` hashes its four parts into the state of a Philox generator. Adding
an event, a worker or a resume therefore never changes what another event drew (promise 1).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np


def digest(*parts: Any, size: int = 16) -> str:
    """Hex BLAKE2b (`size` bytes) of the parts as canonical JSON: sorted keys, no float surprises."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def draw_seed(seed: int, key: str, event_id: str, name: str) -> int:
    """A 64-bit integer that depends on nothing but the four parts."""
    return int(digest(seed, key, event_id, name, size=8), 16)


def rng(seed: int, key: str, event_id: str, name: str) -> np.random.Generator:
    """The generator of one named draw of one event of one record."""
    # Philox is counter-based and specified; its stream is the same on every platform.
    return np.random.Generator(np.random.Philox(key=draw_seed(seed, key, event_id, name)))


def uniform(seed: int, key: str, event_id: str, name: str) -> float:
    """One draw from [0, 1)."""
    return float(rng(seed, key, event_id, name).random())


def from_quantiles(u: float, probs: tuple[float, ...], values: tuple[float, ...]) -> float:
    """The value at probability `u` of a distribution given by some of its quantiles.

    Linear between the given quantiles and clamped to the outermost, so that nothing is invented
    beyond what was measured.
    """
    return float(np.interp(u, probs, values))
