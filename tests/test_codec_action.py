"""ActionFAST: within its stated error, never a silent wrong length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from schemas.errors import StrettoError
from token_schema.codecs import load
from token_schema.codecs.fast import ActionFAST, dct_matrix
from token_schema.codecs.fit import ActionSettings, fit_action


def trajectory(seed: int, steps: int = 120) -> np.ndarray:
    """Seven dims: smooth motion, tiny and huge ranges, a constant, a gripper that closes once."""
    rng = np.random.default_rng(seed)
    t = np.arange(steps)[:, None] / 20
    out = np.sin(t * rng.uniform(0.5, 2, 7) + rng.uniform(0, 6, 7)).astype(np.float32)
    out[:, 1] *= 1e-4
    out[:, 2] = 5000 + 300 * out[:, 2]
    out[:, 5] = 2.5
    out[:, 6] = -1.0
    if seed == 3:
        out[-1, 6] = 1.0  # one row in thousands: both percentiles are -1
    return out


CODEC = fit_action([trajectory(seed) for seed in range(20)], ActionSettings())


@given(
    arrays(np.float64, st.tuples(st.integers(1, 10), st.just(7)), elements=st.floats(0, 1)),
    st.sampled_from([1, 8, 20, 100]),
)
@settings(max_examples=150, deadline=None)
def test_any_chunk_in_range_comes_back_within_the_stated_error(
    unit: np.ndarray, scale: int
) -> None:
    codec = BY_SCALE[scale]
    chunk = codec.low + unit * (codec.high - codec.low)
    back = codec.decode(codec.encode(chunk), len(chunk), 7)
    assert back.dtype == np.float32
    assert (np.abs(back - chunk) <= codec.max_error(len(chunk))).all()


BY_SCALE = {
    scale: fit_action([trajectory(3), trajectory(4)], ActionSettings(scale=scale, vocab_size=1024))
    for scale in (1, 8, 20, 100)
}


def test_the_worst_corners_stay_in_the_alphabet_and_the_bound() -> None:
    rng = np.random.default_rng(0)
    signs = [np.sign(dct_matrix(10)[k])[:, None] * np.ones(7) for k in range(10)]
    signs += [rng.choice([-1.0, 1.0], (10, 7)) for _ in range(200)]
    for sign in signs:
        chunk = np.where(sign > 0, CODEC.high, CODEC.low)
        assert np.abs(CODEC.coefficients(chunk)).max() <= CODEC.shape.bound
        back = CODEC.decode(CODEC.encode(chunk), 10, 7)
        assert (np.abs(back - chunk) <= CODEC.max_error()).all()


def test_the_stated_error_is_of_use_and_falls_with_scale() -> None:
    span = CODEC.high - CODEC.low
    moves = span > 0
    assert (CODEC.max_error()[moves] < 0.05 * span[moves] + 0.001).all()
    assert BY_SCALE[100].max_error()[0] < 0.3 * BY_SCALE[20].max_error()[0]


def test_constant_dims_and_rare_grippers() -> None:
    assert CODEC.low[5] == CODEC.high[5] == 2.5
    assert (CODEC.low[6], CODEC.high[6]) == (-1.0, 1.0)
    chunk = trajectory(3)[-10:]
    back = CODEC.decode(CODEC.encode(chunk), 10, 7)
    assert (back[:, 5] == 2.5).all()
    assert back[-1, 6] > 0.5 and (back[:-1, 6] < -0.5).all()
    chunk[:, 5] = 99  # a constant dim codes nothing, whatever comes
    assert CODEC.encode(chunk) == CODEC.encode(trajectory(3)[-10:])


def test_out_of_range_is_clipped() -> None:
    far = np.full((10, 7), 1e9)
    assert np.abs(CODEC.decode(CODEC.encode(far), 10, 7) - CODEC.high).max() <= (
        CODEC.max_error().max()
    )


def test_smooth_motion_takes_few_ids() -> None:
    chunks = [trajectory(30)[i : i + 10] for i in range(0, 120, 10)]
    ids = CODEC.encode_batch(chunks)
    assert ids == [CODEC.encode(chunk) for chunk in chunks]
    assert np.mean([len(i) for i in ids]) < 35  # of 70 values


def test_a_wrong_length_is_an_error() -> None:
    ids = CODEC.encode(trajectory(0)[:10])
    for bad in (ids[:-1], ids + ids[:1], []):
        with pytest.raises(StrettoError, match="coefficients, not 10"):
            CODEC.decode(bad, 10, 7)
    with pytest.raises(StrettoError, match="coefficients, not 9"):
        CODEC.decode(ids, 9, 7)
    for steps, dims in ((11, 7), (0, 7), (10, 6)):
        with pytest.raises(StrettoError, match="cannot decode"):
            CODEC.decode(ids, steps, dims)
    for bad_id in (-1, CODEC.size):
        with pytest.raises(StrettoError, match="outside of"):
            CODEC.decode([bad_id], 10, 7)


def test_bad_actions_are_refused() -> None:
    for bad in (np.zeros((11, 7)), np.zeros((0, 7)), np.zeros((10, 6)), np.zeros(7)):
        with pytest.raises(StrettoError, match="shape"):
            CODEC.encode(bad)
    with pytest.raises(StrettoError, match="finite"):
        CODEC.encode(np.full((2, 7), np.nan))
    with pytest.raises(StrettoError, match="trajectory 1.*finite"):
        fit_action([trajectory(0), np.full((5, 7), np.inf)])
    with pytest.raises(StrettoError, match="each embodiment"):
        fit_action([trajectory(0), np.zeros((5, 6))])
    with pytest.raises(StrettoError, match="no action"):
        fit_action([np.zeros((0, 7))])
    with pytest.raises(StrettoError, match="vocab_size"):
        fit_action([trajectory(0)], ActionSettings(scale=300))
    with pytest.raises(StrettoError, match="out of range"):
        fit_action([trajectory(0)], ActionSettings(horizon=0))


def test_fit_twice_gives_the_same_bytes_and_survives_the_files() -> None:
    again = fit_action((trajectory(seed) for seed in range(20)), ActionSettings())
    assert again.to_files() == CODEC.to_files()
    back = load(CODEC.to_files())
    assert isinstance(back, ActionFAST) and back.hash == CODEC.hash
    chunk = trajectory(7)[:10]
    assert back.encode(chunk) == CODEC.encode(chunk)
    assert np.array_equal(
        back.decode(back.encode(chunk), 10, 7), CODEC.decode(CODEC.encode(chunk), 10, 7)
    )
