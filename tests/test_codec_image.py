"""ImagePatchVQ: whole-number resize, codes and pictures."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from schemas.errors import StrettoError
from token_schema.codecs import load
from token_schema.codecs.fit import ImageSettings, fit_image
from token_schema.codecs.patch_vq import Grid, ImagePatchVQ, resize

SETTINGS = ImageSettings(entries=64, iterations=5)


def scene(seed: int, height: int = 90, width: int = 120) -> np.ndarray:
    """A table, a coloured block at a drawn place, and a little noise."""
    rng = np.random.default_rng(seed)
    frame = np.full((height, width, 3), (90, 110, 130), np.float64)
    frame[height // 2 :] = (160, 120, 70)
    y, x = rng.integers(0, height - 30), rng.integers(0, width - 30)
    frame[y : y + 30, x : x + 30] = ((220, 40, 40), (40, 200, 60), (50, 60, 210))[seed % 3]
    return np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def codec() -> ImagePatchVQ:
    return fit_image([scene(seed) for seed in range(60)], SETTINGS)


@pytest.mark.parametrize("shape", [(7, 5), (3, 3), (8, 13), (16, 16)])
def test_resize_is_the_exact_area_mean(shape: tuple[int, int]) -> None:
    size, (h, w) = 4, shape
    frame = np.random.default_rng(1).integers(0, 256, (h, w, 3)).astype(np.uint8)

    def overlap(o: int, i: int, n: int) -> Fraction:
        step = Fraction(n, size)
        start, end = max(o * step, Fraction(i)), min((o + 1) * step, Fraction(i + 1))
        return max(end - start, Fraction(0))

    got = resize(frame, size)
    for y, x, c in np.ndindex(size, size, 3):
        total = sum(
            (
                overlap(y, i, h) * overlap(x, j, w) * int(frame[i, j, c])
                for i in range(h)
                for j in range(w)
            ),
            Fraction(0),
        )
        mean = total / (Fraction(h, size) * Fraction(w, size))
        assert got[y, x, c] == int(mean + Fraction(1, 2))


def test_patches_join_again() -> None:
    grid = Grid(64, 16)
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    patches = grid.cut(picture)
    assert np.array_equal(patches[1].reshape(16, 16, 3), picture[:16, 16:32])
    assert np.array_equal(grid.join(patches), picture)


@pytest.mark.parametrize("shape", [(90, 120), (64, 64), (1, 1), (33, 257), (480, 640)])
def test_any_size_encodes_and_decodes(codec: ImagePatchVQ, shape: tuple[int, int]) -> None:
    codes = codec.encode(scene(3, *shape) if min(shape) > 32 else np.zeros((*shape, 3), np.uint8))
    assert codes.shape == (16,) and codes.dtype == np.int32 and codes.max() < codec.size == 64
    assert codec.decode(codes).shape == (64, 64, 3)


def test_pictures_come_back_much_closer_than_the_mean(codec: ImagePatchVQ) -> None:
    seen = np.stack([resize(scene(seed), 64) for seed in range(60)]).astype(float)
    back = np.stack([codec.decode(codec.encode(scene(seed))) for seed in range(60)])
    error = ((seen - back) ** 2).mean()
    assert error < 0.25 * ((seen - seen.mean(axis=(0, 1, 2))) ** 2).mean()


def test_decode_then_encode_is_stable(codec: ImagePatchVQ) -> None:
    codes = codec.encode(scene(5))
    assert np.array_equal(codec.decode(codec.encode(codec.decode(codes))), codec.decode(codes))


def test_batch_and_fit_repeat(codec: ImagePatchVQ) -> None:
    frames = [scene(seed, 64 + seed, 64) for seed in range(9)]
    assert np.array_equal(codec.encode_batch(frames), [codec.encode(frame) for frame in frames])
    assert codec.encode_batch([]).shape == (0, 16)
    again = fit_image((scene(seed) for seed in range(60)), SETTINGS)
    assert again.to_files() == codec.to_files()
    back = load(codec.to_files())
    assert back.hash == codec.hash
    assert np.array_equal(back.encode(frames[0]), codec.encode(frames[0]))  # type: ignore


def test_bad_input_is_refused(codec: ImagePatchVQ) -> None:
    for bad in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(StrettoError, match="uint8"):
            codec.encode(bad)
    with pytest.raises(StrettoError, match="not 16"):
        codec.decode(np.zeros(15, np.int32))
    with pytest.raises(StrettoError, match="outside of"):
        codec.decode(np.full(16, 64))
    with pytest.raises(StrettoError, match="does not divide"):
        fit_image([scene(0)], ImageSettings(size_px=64, patch_px=15))
    with pytest.raises(StrettoError, match="no frame"):
        fit_image([])
