"""Checks of action vectors, the same for every action codec."""

from __future__ import annotations

import numpy as np

from schemas.errors import StrettoError


def checked_chunk(chunk: np.ndarray, horizon: int, dims: int) -> np.ndarray:
    """float64 [T, dims] of a chunk to encode: 1 <= T <= horizon, finite. Raises StrettoError."""
    return checked_chunks(np.asarray(chunk)[None], horizon, dims)[0]


def checked_chunks(chunks: np.ndarray, horizon: int, dims: int) -> np.ndarray:
    """float64 [n, T, dims] of n chunks of one length. Raises StrettoError."""
    chunks = np.asarray(chunks, np.float64)
    one = list(chunks.shape[1:])
    if len(one) != 2 or one[1] != dims or not 1 <= one[0] <= horizon:
        raise StrettoError(
            f"action chunk of shape {one}, not [1..{horizon}, {dims}]", "action codec"
        )
    if not np.isfinite(chunks).all():
        raise StrettoError("action is not a finite number", "action codec")
    return chunks


def checked_rows(trajectory: np.ndarray, index: int, dims: int | None) -> np.ndarray:
    """float32 [n, D] of a trajectory to fit on: one D for all, finite. Raises StrettoError."""
    rows = np.asarray(trajectory, np.float32)
    where = f"fit action, trajectory {index}"
    if rows.ndim != 2 or not rows.shape[1] or (dims is not None and rows.shape[1] != dims):
        raise StrettoError(
            f"actions of shape {list(rows.shape)}, not [n, {dims or 'D'}]",
            where,
            "fit one codec for each embodiment",
        )
    if not np.isfinite(rows).all():
        raise StrettoError("action is not a finite number", where)
    return rows
