"""Arithmetic whose result no processor, thread count or batch size can change.

Integer-valued float64 products are exact in any order as long as every partial sum stays under
2**53, and numpy's +, -, *, / and sqrt are correctly rounded by IEEE 754. So: integers in, integers
out, and tables from cos or log are rounded to integers only where no libm could round otherwise
(measured: np.log differs between AVX2 and AVX-512, float matrix products with the batch).
"""

from __future__ import annotations

import numpy as np

from schemas.errors import StrettoError

TIE = 1e-9  # libm is right to about 1e-16 of the value; a table entry this close to .5 is refused


def int_table(values: np.ndarray, scale: int) -> np.ndarray:
    """`values * scale` rounded to whole numbers, as float64; refuses a tie that libm could tip."""
    scaled = np.asarray(values, np.float64) * scale
    if np.any(np.abs(scaled - np.floor(scaled) - 0.5) < TIE):
        raise StrettoError(
            "a table entry lies on a rounding tie",
            "codec settings",
            "change the scale or the rate a little",
        )
    return np.rint(scaled)


def nearest(rows: np.ndarray, codebook: np.ndarray, chunk: int = 2048) -> np.ndarray:
    """Index of each row's nearest entry: int32 [N] for integer rows [N, D] and codebook [K, D].

    Squared distance less |row|^2, in whole numbers; the lowest index wins a tie.
    """
    transposed = np.ascontiguousarray(codebook.T, np.float64)
    norm2 = np.einsum("dk,dk->k", transposed, transposed)
    out = np.empty(len(rows), np.int32)
    for start in range(0, len(rows), chunk):
        score = rows[start : start + chunk].astype(np.float64) @ transposed
        score *= -2.0
        score += norm2
        out[start : start + chunk] = score.argmin(axis=1)
    return out


def kmeans(
    rows: np.ndarray,
    entries: int,
    rng: np.random.Generator,
    iterations: int = 12,
    zero_entry: bool = False,
) -> np.ndarray:
    """Integer codebook int32 [entries, D] for integer rows [N, D] (Lloyd, whole-number means).

    `zero_entry` holds entry 0 at the zero vector. Clusters that become empty move to the rows
    that are served worst, the first of equals. With fewer distinct rows than entries the rest of
    the book repeats its last entry, which no row then chooses.
    """
    rows = np.ascontiguousarray(rows, np.int32)
    keep = 1 if zero_entry else 0
    book = _start(rows, entries - keep, rng)
    if zero_entry:
        book = np.concatenate([np.zeros_like(book[:1]), book])
    before: np.ndarray | None = None
    for _ in range(iterations):
        owner = nearest(rows, book)
        if before is not None and np.array_equal(owner, before):
            break
        before = owner
        book = _means(rows, owner, book, keep)
    return book


def _start(rows: np.ndarray, entries: int, rng: np.random.Generator) -> np.ndarray:
    """`entries` distinct rows in a drawn order, the last repeated when there are too few."""
    shuffled = rows[rng.permutation(len(rows))]
    _, first = np.unique(shuffled, axis=0, return_index=True)
    picked = shuffled[np.sort(first)[:entries]]
    if len(picked) < entries:
        picked = np.concatenate([picked, np.repeat(picked[-1:], entries - len(picked), axis=0)])
    return picked


def _means(rows: np.ndarray, owner: np.ndarray, book: np.ndarray, keep: int) -> np.ndarray:
    """Means rounded to whole numbers; empty clusters reseeded from the worst-served rows."""
    order = np.argsort(owner, kind="stable")
    used, starts, counts = np.unique(owner[order], return_index=True, return_counts=True)
    sums = np.add.reduceat(rows[order].astype(np.int64), starts, axis=0)
    book = book.copy()
    book[used] = (2 * sums + counts[:, None]) // (2 * counts[:, None])
    book[:keep] = 0
    empty = np.setdiff1d(np.arange(keep, len(book)), used)
    if len(empty):
        error = ((rows - book[owner]).astype(np.int64) ** 2).sum(axis=1)
        worst = np.argsort(-error, kind="stable")[: len(empty)]
        worst = worst[error[worst] > 0]
        book[empty[: len(worst)]] = rows[worst]
    return book


class Reservoir:
    """A uniform sample of at most `capacity` rows of a stream, in stream order, memory bounded.

    Each row draws a number; the smallest ones stay. `rng` is keyed, so the same stream gives the
    same sample.
    """

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        self.capacity, self.rng = capacity, rng
        self.seen = 0
        self._rows: list[np.ndarray] = []
        self._keys: list[np.ndarray] = []
        self._held = 0

    def add(self, rows: np.ndarray) -> None:
        """Offer rows [N, ...] of one dtype and shape."""
        if not len(rows):
            return
        self.seen += len(rows)
        self._rows.append(np.array(rows))
        self._keys.append(self.rng.random(len(rows)))
        self._held += len(rows)
        if self._held > 2 * self.capacity:
            self._shrink()

    def _shrink(self) -> None:
        rows, keys = np.concatenate(self._rows), np.concatenate(self._keys)
        if len(rows) > self.capacity:
            stay = np.sort(np.argsort(keys, kind="stable")[: self.capacity])
            rows, keys = rows[stay], keys[stay]
        self._rows, self._keys, self._held = [rows], [keys], len(rows)

    def rows(self) -> np.ndarray | None:
        """The sample [<= capacity, ...], or None when nothing was offered."""
        if not self._rows:
            return None
        self._shrink()
        return self._rows[0]
