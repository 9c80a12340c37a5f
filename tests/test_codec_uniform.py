"""ActionUniform: within half a bin for all of train, a fixed number of ids a row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from schemas.errors import StrettoError
from token_schema.codecs import load
from token_schema.codecs.fast import ActionFAST
from token_schema.codecs.fit import ActionSettings, UniformSettings, fit_action, fit_uniform
from token_schema.codecs.uniform import ActionUniform


def trajectory(seed: int, steps: int = 130) -> np.ndarray:
    """Tiny, huge and one-sided ranges, a constant, a gripper that closes in the last row."""
    rng = np.random.default_rng(seed)
    t = np.arange(steps)[:, None] / 20
    out = np.sin(t * rng.uniform(0.5, 2, 6) + rng.uniform(0, 6, 6)).astype(np.float32)
    out[:, 1] *= 1e-6
    out[:, 2] = 5000 + 300 * out[:, 2]
    out[:, 3] = rng.standard_cauchy(steps)
    out[:, 4] = 2.5
    out[:, 5] = -1.0
    out[-1, 5] = 1.0
    return out


TRAIN = [trajectory(seed) for seed in range(8)]
CODEC = fit_uniform(TRAIN, UniformSettings(horizon=10))
COARSE = fit_uniform(TRAIN, UniformSettings(bins=7, horizon=3))


@given(
    arrays(np.float64, st.tuples(st.integers(1, 10), st.just(6)), elements=st.floats(0, 1)),
)
@settings(max_examples=150, deadline=None)
def test_any_chunk_in_range_comes_back_within_the_stated_error(unit: np.ndarray) -> None:
    chunk = CODEC.low + unit * (CODEC.high - CODEC.low)
    ids = CODEC.encode(chunk)
    assert len(ids) == len(chunk) * CODEC.fixed and set(ids) <= set(range(256))
    back = CODEC.decode(ids, len(chunk), 6)
    assert back.dtype == np.float32
    assert (np.abs(back - chunk) <= CODEC.max_error(len(chunk))).all()
    # what was decoded is the middle of its bin: coding it again says the same
    assert CODEC.encode(CODEC.low + (CODEC.high - CODEC.low) * _middle(ids)) == ids


def _middle(ids: list[int]) -> np.ndarray:
    return (np.array(ids).reshape(-1, 6) + 0.5) / 256


def test_nothing_of_train_is_clipped() -> None:
    rows = np.concatenate(TRAIN)
    assert CODEC.clipped_share == 0
    for at in range(0, len(rows), 10):
        chunk = rows[at : at + 10]
        back = CODEC.decode(CODEC.encode(chunk), len(chunk), 6)
        assert (np.abs(back - chunk) <= CODEC.max_error()).all()


def test_a_tail_is_clipped_and_said() -> None:
    codec = fit_uniform(TRAIN, UniformSettings(tail=0.01))
    assert codec.high[3] < CODEC.high[3] / 3  # a Cauchy draw's extremes
    assert (codec.low[5], codec.high[5]) == (-1.0, 1.0)  # a rare gripper keeps its range
    rows = np.concatenate(TRAIN).astype(np.float64)
    share = ((rows < codec.low) | (rows > codec.high)).mean()
    assert codec.clipped_share == pytest.approx(share, abs=1e-6) and 0.001 < share < 0.02
    assert ActionUniform.from_files(codec.to_files()).clipped_share == codec.clipped_share


def test_bins_are_equal_and_rise() -> None:
    grid = np.linspace(0, 1, 701)[:, None] * (COARSE.high - COARSE.low) + COARSE.low
    ids = np.array(COARSE.encode_batch([grid[i : i + 1] for i in range(701)]))
    for d in (0, 2, 5):
        counts = np.bincount(ids[:, d], minlength=7)
        assert (np.diff(ids[:, d]) >= 0).all() and counts.min() >= 99 and len(counts) == 7
    assert (ids[:, 4] == 3).all()  # a constant is the middle bin
    outside = COARSE.encode(np.full((1, 6), 1e9)) + COARSE.encode(np.full((1, 6), -1e9))
    assert outside == [6, 6, 6, 6, 3, 6, 0, 0, 0, 0, 3, 0]


def test_batches_change_nothing() -> None:
    chunks = [trajectory(9)[a:b] for a, b in ((0, 10), (10, 11), (11, 18), (18, 28))]
    assert CODEC.encode_batch(chunks) == [CODEC.encode(chunk) for chunk in chunks]
    assert CODEC.encode_batch([]) == []


def test_bounds_of_both_action_codecs() -> None:
    assert CODEC.least_tokens(10) == CODEC.most_tokens(10) == len(CODEC.encode(TRAIN[0][:10]))
    fast = fit_action([t[:, :3] for t in TRAIN], ActionSettings(scale=8))
    assert isinstance(fast, ActionFAST) and fast.fixed is None
    longest = max(len(fast.piece(i)) for i in range(fast.size))
    for rows in (np.zeros((10, 3)), TRAIN[1][:10, :3], TRAIN[2][:1, :3]):
        count = len(fast.encode(rows))
        assert fast.least_tokens(len(rows)) <= count <= fast.most_tokens(len(rows))
    assert longest > 1 and fast.least_tokens(10) == -(-30 // longest)
    assert fast.most_tokens(10) == 30


def test_wrong_ids_and_shapes_are_refused() -> None:
    ids = CODEC.encode(TRAIN[0][:10])
    for bad in (ids[:-1], ids + ids[:1], []):
        with pytest.raises(StrettoError, match="not 10 . 6 coefficients"):
            CODEC.decode(bad, 10, 6)
    for steps, dims in ((11, 6), (0, 6), (10, 5)):
        with pytest.raises(StrettoError, match="cannot decode"):
            CODEC.decode(ids, steps, dims)
    for bad_id in (-1, 256):
        with pytest.raises(StrettoError, match="outside of 0..255"):
            CODEC.decode([bad_id, *ids[1:]], 10, 6)
    for wrong in (np.zeros((11, 6)), np.zeros((0, 6)), np.zeros((10, 5)), np.zeros(6)):
        with pytest.raises(StrettoError, match="shape"):
            CODEC.encode(wrong)
    with pytest.raises(StrettoError, match="finite"):
        CODEC.encode(np.full((2, 6), np.nan))
    with pytest.raises(StrettoError, match="no action"):
        fit_uniform([np.zeros((0, 6))])
    with pytest.raises(StrettoError, match="each embodiment"):
        fit_uniform([TRAIN[0], np.zeros((5, 5))])
    for settings_ in ({"bins": 1}, {"horizon": 0}, {"tail": 0.5}, {"bins": 2.5}):
        with pytest.raises(StrettoError, match="tail must be|out of range"):
            UniformSettings(**settings_)  # type: ignore[arg-type]


def test_files_come_back_and_the_order_of_train_does_not_matter() -> None:
    again = fit_uniform(reversed(TRAIN), UniformSettings(horizon=10))
    assert again.to_files() == CODEC.to_files()
    back = load(CODEC.to_files())
    assert isinstance(back, ActionUniform)
    assert back.hash == CODEC.hash and back.encode(TRAIN[3][:10]) == CODEC.encode(TRAIN[3][:10])
    files = CODEC.to_files()
    broken = {**files, "range.npy": files["range.npy"][:-1] + b"\x7f"}
    with pytest.raises(StrettoError, match="corrupted: range.npy"):
        ActionUniform.from_files(broken)
