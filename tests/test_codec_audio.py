"""AudioRVQ: causal, exact, decodable."""

from __future__ import annotations

import math

import numpy as np
import pytest

from schemas.errors import StrettoError
from token_schema.codecs import load
from token_schema.codecs.exact import Reservoir, kmeans, nearest
from token_schema.codecs.fit import AudioSettings, fit_audio
from token_schema.codecs.mel import TOP_LEVEL, MelSpec, MelTables, _fold_stages, hann
from token_schema.codecs.rvq import AudioRVQ, frames_of

SMALL = AudioSettings(codebooks=3, entries=32, iterations=6)


def speech_like(seconds: float, seed: int, sample_rate_hz: int = 16000) -> np.ndarray:
    """Harmonics with a moving pitch and syllable envelopes, noise bursts, and pauses of zeros."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * sample_rate_hz)) / sample_rate_hz
    pitch = 120 + 40 * np.sin(2 * np.pi * 0.7 * t + seed)
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate_hz
    voice = sum(np.sin(k * phase) / k for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * t), 0, 1) ** 2
    hiss = rng.normal(size=len(t)) * np.clip(np.sin(2 * np.pi * 1.3 * t + 1), 0, 1) ** 8
    spoken = np.sin(2 * np.pi * 0.4 * t) > -0.5
    return np.rint((5000 * voice * syllables + 1500 * hiss) * spoken).astype(np.int16)


@pytest.fixture(scope="module")
def codec() -> AudioRVQ:
    return fit_audio([speech_like(6, seed) for seed in range(5)], SMALL)


@pytest.mark.parametrize("spec", [MelSpec(), MelSpec(24000, 12.5, 4, 64), MelSpec(16000, 5.0, 8)])
def test_folded_transform_is_the_fourier_transform(spec: MelSpec) -> None:
    frames = np.random.default_rng(0).integers(-32768, 32768, (3, spec.n_fft)).astype(np.int16)
    bins = _fold_stages(spec.n_fft)[1]
    assert sorted(bins) == list(range(spec.n_fft // 2 + 1))
    want = 16 * np.abs(np.fft.rfft(frames * hann(spec.n_fft)))[:, bins]
    got = MelTables.of(spec).amplitudes(frames)
    assert np.array_equal(got, np.rint(got))
    assert np.abs(got - want).max() < 4e-4 * want.max()  # an 11-bit window is -70 dB off


def test_no_partial_sum_reaches_the_limit_of_exactness() -> None:
    # the worst signal for a bin is full scale with the sign of that bin's own basis function
    for spec in (MelSpec(), MelSpec(48000, 2.0, 8)):
        tables = MelTables.of(spec)
        total = 2**15 * tables.window.sum() * 2**14
        assert total < 2**53
        amplitude = total * math.sqrt(2) * 2**-21
        assert amplitude * tables.weights.sum(axis=0).max() < 2**53


def test_levels_are_an_eighth_of_an_octave_and_never_clip() -> None:
    spec, t = MelSpec(), np.arange(16000)
    tables = MelTables.of(spec)
    sine = np.sin(2 * np.pi * 1000 * t / 16000)
    loud = tables.levels(np.rint(32767 * sine).astype(np.int16))[10].astype(int)
    soft = tables.levels(np.rint(32767 / 4 * sine).astype(np.int16))[10].astype(int)
    assert loud.max() - soft.max() == 16
    square = np.where(sine >= 0, 32767, -32768).astype(np.int16)
    noise = np.random.default_rng(0).choice([-32768, 32767], 16000).astype(np.int16)
    assert max(tables.levels(square).max(), tables.levels(noise).max()) < TOP_LEVEL
    assert not tables.levels(np.zeros(16000, np.int16)).any()


def test_a_rate_that_does_not_divide_names_those_that_do() -> None:
    with pytest.raises(StrettoError, match="rates that fit: .*12.5"):
        MelSpec(22050, 12.0, 4)
    for rate in (8.75, 10.5, 12.5):
        MelSpec(22050, rate, 4)


@pytest.mark.parametrize(
    "settings",
    [{"subframes": 0}, {"n_mels": 4}, {"rate_hz": float("nan")}, {"sample_rate_hz": 16000.0}],
)
def test_bad_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(StrettoError, match="out of range"):
        MelSpec(48000, 1.0, 8)
    with pytest.raises(StrettoError, match="out of range"):
        MelSpec(**settings)  # type: ignore[arg-type]


def test_codes_of_a_prefix_are_a_prefix_of_the_codes(codec: AudioRVQ) -> None:
    pcm = speech_like(5, 50)
    codes = codec.encode(pcm)
    assert codes.shape == (50, 3) and codes.dtype == np.int32
    assert len(np.unique(codes[:, 0])) > 8
    for frames in (1, 2, 13, 32, 49):
        cut = frames * codec.frame_samples
        assert np.array_equal(codec.encode(pcm[:cut]), codes[:frames])
        assert np.array_equal(codec.encode(pcm[: cut + 700]), codes[:frames])


def test_the_future_cannot_change_a_code(codec: AudioRVQ) -> None:
    one, two = speech_like(4, 60), speech_like(4, 61)
    for frame in (1, 7, 20):
        cut = frame * codec.frame_samples
        other = np.concatenate([one[:cut], two[cut:]])
        same = (codec.encode(one) == codec.encode(other)).all(axis=1)
        assert same[:frame].all() and not same.all()


def test_one_frame_alone_and_in_a_batch_take_the_same_code(codec: AudioRVQ) -> None:
    rows = frames_of(speech_like(30, 70), MelTables.of(codec.spec))
    whole = nearest(rows, codec.books[0])
    for chunk in (1, 7, 100):
        assert np.array_equal(nearest(rows, codec.books[0], chunk), whole)


def test_silence_is_code_zero_and_silent_again(codec: AudioRVQ) -> None:
    silence = np.zeros(16000, np.int16)
    assert np.array_equal(codec.encode(silence), codec.silence_codes(10))
    assert not codec.decode(codec.silence_codes(10)).any()
    assert codec.encode(silence[:100]).shape == (0, 3)
    assert codec.decode(codec.silence_codes(0)).shape == (0,)


def test_each_codebook_lowers_the_error(codec: AudioRVQ) -> None:
    pcm = np.concatenate([speech_like(6, seed) for seed in range(5)])
    want = frames_of(pcm, MelTables.of(codec.spec)).reshape(-1, 40).astype(float)
    codes = codec.encode(pcm)
    errors = [np.sqrt(((codec.levels(codes[:, :q]) - want) ** 2).mean()) for q in range(4)]
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[3] < 0.2 * errors[0]


def test_decoded_sound_keeps_rhythm_and_energy(codec: AudioRVQ) -> None:
    pcm = speech_like(6, 3)
    heard = codec.decode(codec.encode(pcm))
    assert heard.shape == pcm.shape and heard.dtype == np.int16

    def energy(x: np.ndarray) -> np.ndarray:
        return np.sqrt((x.reshape(-1, 400).astype(float) ** 2).mean(axis=1))

    assert np.corrcoef(energy(pcm), energy(heard))[0, 1] > 0.85
    assert 0.5 < energy(heard).sum() / energy(pcm).sum() < 2


def test_long_sound_is_decoded_in_pieces_without_a_seam(codec: AudioRVQ) -> None:
    pcm = np.tile(speech_like(10, 3), 7)  # 70 s: three pieces, seams near 25.6 and 51.2 s
    heard = codec.decode(codec.encode(pcm)).astype(float)
    assert heard.shape == pcm.shape
    jump = np.abs(np.diff(heard))
    for seam in (1016, 1024, 2040, 2048):
        assert jump[seam * 400 - 3 : seam * 400 + 3].max() <= np.quantile(jump, 0.999)
    energy = np.sqrt((heard.reshape(7, -1) ** 2).mean(axis=1))
    assert energy.max() < 1.2 * energy.min()


def test_real_speech_keeps_its_rhythm(shared_dir) -> None:  # type: ignore[no-untyped-def]
    soundfile = pytest.importorskip("soundfile")
    folder = shared_dir / "data" / "asr_reference_en"
    if not folder.is_dir():
        pytest.skip("no reference speech here")
    read = [soundfile.read(path, dtype="int16") for path in sorted(folder.glob("*-*.flac"))]
    fit_on = [pcm for pcm, rate in read[1:] if rate == 16000]
    codec = fit_audio(fit_on, AudioSettings(entries=64))
    pcm = read[0][0][:160000]
    heard = codec.decode(codec.encode(pcm))

    def energy(x: np.ndarray) -> np.ndarray:
        return np.log(30 + np.sqrt((x.reshape(-1, 800).astype(float) ** 2).mean(axis=1)))

    assert np.corrcoef(energy(pcm), energy(heard))[0, 1] > 0.8  # held-out speech of other voices


def test_fit_twice_gives_the_same_bytes_and_survives_the_files(codec: AudioRVQ) -> None:
    again = fit_audio((speech_like(6, seed) for seed in range(5)), SMALL)
    assert again.to_files() == codec.to_files() and again.hash == codec.hash
    other = fit_audio([speech_like(6, seed) for seed in range(6)], SMALL)
    assert other.hash != codec.hash
    back = load(codec.to_files(), codec.hash)
    pcm = speech_like(2, 80)
    assert np.array_equal(back.encode(pcm), codec.encode(pcm))  # type: ignore[attr-defined]


def test_24_khz_and_fractional_rates() -> None:
    settings = AudioSettings(sample_rate_hz=24000, rate_hz=12.5, codebooks=2, entries=16)
    codec = fit_audio([speech_like(4, 1, 24000)], settings)
    assert codec.encode(speech_like(2, 2, 24000)).shape == (25, 2)
    assert codec.frame_samples == 1920


def test_bad_audio_and_codes_are_refused(codec: AudioRVQ) -> None:
    with pytest.raises(StrettoError, match="int16"):
        codec.encode(np.zeros(16000, np.float32))
    with pytest.raises(StrettoError, match="int16"):
        codec.encode(np.zeros((2, 16000), np.int16))
    with pytest.raises(StrettoError, match="outside of 0..31"):
        codec.decode(np.full((2, 3), 32))
    with pytest.raises(StrettoError, match="outside of 0..31"):
        codec.decode(np.full((2, 3), -1))
    with pytest.raises(StrettoError, match="no audible frame"):
        fit_audio([np.zeros(16000, np.int16)], SMALL)


def test_kmeans_reseeds_and_stays_whole() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.integers(-3, 4, (500, 4)) + c for c in (0, 40, -90, 200)])
    book = kmeans(rows, 8, np.random.Generator(np.random.Philox(1)), zero_entry=True)
    assert not book[0].any() and book.dtype == np.int32
    assert np.abs(rows - book[nearest(rows, book)]).max() <= 8
    few = kmeans(np.repeat(rows[:2], 5, axis=0), 6, np.random.Generator(np.random.Philox(1)))
    assert few.shape == (6, 4)
    assert nearest(np.zeros((1, 4)), np.ones((3, 4)))[0] == 0  # lowest index wins a tie


def test_reservoir_is_bounded_fair_and_repeatable() -> None:
    def draw(batch: int) -> Reservoir:
        kept = Reservoir(100, np.random.Generator(np.random.Philox(5)))
        for start in range(0, 10000, batch):
            kept.add(np.arange(start, start + batch))
            assert kept._held <= 200 + batch
        return kept

    rows = draw(10).rows()
    assert rows is not None and len(rows) == 100 and draw(10).seen == 10000
    other = draw(1000).rows()
    # how the stream was cut does not matter
    assert other is not None and np.array_equal(rows, other)
    assert 3500 < rows.mean() < 6500
