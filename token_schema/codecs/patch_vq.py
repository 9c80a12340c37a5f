"""ImagePatchVQ: a frame as one whole number per patch, and back to a picture.

A frame of any size is area-resized to `size_px` square by whole-number weights, cut into patches,
and each patch takes the nearest entry of one codebook. Whole numbers throughout: the codes do not
depend on batch, threads or processor.

    codec = ImagePatchVQ.fit(frames, ImageSettings())
    codes = codec.encode(frame)       # uint8 [H, W, 3] -> int32 [(size_px // patch_px) ** 2]
    picture = codec.decode(codes)     # uint8 [size_px, size_px, 3]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from schemas import draws
from schemas.errors import StrettoError
from token_schema.codecs import base
from token_schema.codecs.exact import Reservoir, kmeans, nearest

VERSION = 1
MAX_SIDE = 16384  # 255 * H * W stays far below 2**53


@dataclass(frozen=True)
class ImageSettings:
    """Size and fitting of an ImagePatchVQ; `sample_patches` bounds the memory of a fit."""

    size_px: int = 64
    patch_px: int = 16
    entries: int = 512
    sample_patches: int = 12000
    iterations: int = 10
    seed: int = 0


@dataclass(frozen=True)
class Grid:
    """The square that frames become, and its patches."""

    size_px: int
    patch_px: int

    def __post_init__(self) -> None:
        whole = isinstance(self.size_px, int) and isinstance(self.patch_px, int)
        if (
            not (whole and 1 <= self.patch_px <= self.size_px <= 1024)
            or self.size_px % self.patch_px
        ):
            raise StrettoError(
                f"patch_px {self.patch_px} does not divide size_px {self.size_px}",
                "codec settings",
                "for example size_px 64, patch_px 16",
            )

    @property
    def side(self) -> int:
        """Patches along an edge."""
        return self.size_px // self.patch_px

    def cut(self, picture: np.ndarray) -> np.ndarray:
        """Patches uint8 [side * side, patch_px * patch_px * 3], row by row."""
        s, p = self.side, self.patch_px
        return picture.reshape(s, p, s, p, 3).swapaxes(1, 2).reshape(s * s, p * p * 3)

    def join(self, patches: np.ndarray) -> np.ndarray:
        """The inverse of `cut`."""
        s, p = self.side, self.patch_px
        return patches.reshape(s, s, p, p, 3).swapaxes(1, 2).reshape(s * p, s * p, 3)


@lru_cache(maxsize=64)
def _area(source: int, target: int) -> np.ndarray:
    """Overlap of each target pixel with each source pixel, in 1/target of a source pixel."""
    out = np.arange(target)[:, None]
    here = np.arange(source)[None, :]
    start = np.maximum(out * source, here * target)
    end = np.minimum((out + 1) * source, (here + 1) * target)
    return np.maximum(end - start, 0).astype(np.float64)


def resize(frame: np.ndarray, size_px: int) -> np.ndarray:
    """uint8 [size_px, size_px, 3] of uint8 [H, W, 3]: area means, halves rounded up, no crop."""
    frame = np.asarray(frame)
    if (
        frame.ndim != 3
        or frame.shape[2] != 3
        or frame.dtype != np.uint8
        or not all(1 <= n <= MAX_SIDE for n in frame.shape[:2])
    ):
        raise StrettoError(
            f"frame must be uint8 [H, W, 3], not {frame.dtype} {list(frame.shape)}", "image codec"
        )
    height, width = frame.shape[:2]
    if height == width == size_px:
        return frame
    rows = _area(height, size_px) @ frame.reshape(height, -1).astype(np.float64)
    rows = rows.reshape(size_px, width, 3).swapaxes(0, 1).reshape(width, -1)
    total = (_area(width, size_px) @ rows).reshape(size_px, size_px, 3).swapaxes(0, 1)
    area = height * width
    return ((2 * total.astype(np.int64) + area) // (2 * area)).astype(np.uint8)


class ImagePatchVQ(base.StoredCodec):
    """Vector quantiser of image patches with a whole-number codebook."""

    kind = "image"

    def __init__(self, grid: Grid, book: np.ndarray) -> None:
        """`book` uint8 [entries, patch_px * patch_px * 3]."""
        self.grid, self.book = grid, book

    @property
    def size(self) -> int:
        """Codes are in 0..size-1."""
        return len(self.book)

    @property
    def tokens(self) -> int:
        """Codes in a frame."""
        return self.grid.side**2

    def encode(self, frame: np.ndarray) -> np.ndarray:
        """Codes int32 [tokens] of a frame uint8 [H, W, 3], patches row by row."""
        return nearest(self.grid.cut(resize(frame, self.grid.size_px)), self.book)

    def encode_batch(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Codes int32 [n, tokens] of n frames: the same as one by one, and faster."""
        cut = [self.grid.cut(resize(frame, self.grid.size_px)) for frame in frames]
        if not cut:
            return np.zeros((0, self.tokens), np.int32)
        return nearest(np.concatenate(cut), self.book).reshape(len(cut), self.tokens)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Picture uint8 [size_px, size_px, 3] of codes [tokens]."""
        codes = np.asarray(codes)
        if codes.shape != (self.tokens,):
            raise StrettoError(f"{codes.size} image codes, not {self.tokens}", "image codec")
        if not (0 <= codes.min() and codes.max() < self.size):
            raise StrettoError(f"image code outside of 0..{self.size - 1}", "image codec")
        return self.grid.join(self.book[codes])

    def to_files(self) -> dict[str, bytes]:
        settings = {"size_px": self.grid.size_px, "patch_px": self.grid.patch_px}
        return base.pack(
            self.kind, "patch_vq", VERSION, settings, {"codebook.npy": base.npy_bytes(self.book)}
        )

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], where: str = "codec") -> ImagePatchVQ:
        """The codec of these files; StrettoError when they are not whole."""
        grid = base.build(Grid, base.unpack(files, "patch_vq", VERSION, where), where)
        width = grid.patch_px**2 * 3
        return cls(grid, base.read_array(files, "codebook.npy", "|u1", (None, width), where))

    @classmethod
    def fit(
        cls, frames: Iterable[np.ndarray], settings: ImageSettings | None = None
    ) -> ImagePatchVQ:
        """Fit on frames uint8 [H, W, 3] of any sizes, memory bounded."""
        settings = settings or ImageSettings()
        grid = Grid(settings.size_px, settings.patch_px)
        if not 2 <= settings.entries <= 65536:
            raise StrettoError("entries must be 2-65536", "codec settings")
        rng = draws.rng(settings.seed, "fit", "image", "sample")
        keep = Reservoir(settings.sample_patches, rng)
        for frame in frames:
            keep.add(grid.cut(resize(frame, grid.size_px)))
        rows = keep.rows()
        if rows is None:
            raise StrettoError(
                "no frame to fit the image codec on", "fit image", "give a corpus with look frames"
            )
        rng = draws.rng(settings.seed, "fit", "image", "codebook")
        book = kmeans(rows, settings.entries, rng, settings.iterations)
        return cls(grid, book.astype(np.uint8))
