"""Each effect by itself: is it as strong as it says, does it keep the time, is it the standard's?"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from generators.acoustics import chain, line
from generators.acoustics.codecs import code_table
from generators.acoustics.noise import noise_blocks
from generators.acoustics.noise_files import loop, noise_files, require_noise
from generators.acoustics.room import response, room_settings
from schemas.config.acoustics import SYNTHETIC, ReverbConfig
from schemas.errors import StrettoError
from schemas.timeline import Effect

RATE_HZ = 16000


def effect(name: str, source: str = "listen", **settings: float | int | str) -> Effect:
    return Effect(name=name, source=source, settings=dict(settings))


def noise(count: int, seed: int = 0, level: float = 3000.0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).normal(0.0, level, count).astype(np.int16)


def speechlike(count: int, rate_hz: int, seed: int = 0) -> NDArray[np.int16]:
    """Syllables of low-passed noise: energy where speech has it, with onsets."""
    raw = np.random.default_rng(seed).normal(0.0, 1.0, count)
    voiced = np.convolve(raw, np.hanning(max(3, rate_hz // 1500)), "same")
    beat = np.maximum(0.0, np.sin(2 * np.pi * 3.0 * np.arange(count) / rate_hz))
    return (voiced / np.abs(voiced).max() * beat * 20000).astype(np.int16)


def lag(heard: NDArray[np.int16], clean: NDArray[np.int16]) -> int:
    """Where the cross-correlation peaks, in samples; positive is late."""
    size = 1 << (2 * len(clean) - 1).bit_length()
    spectra = [np.fft.rfft(x.astype(float), size) for x in (heard, clean)]
    peak = int(np.fft.irfft(spectra[0] * np.conj(spectra[1])).argmax())
    return peak - size if peak > size // 2 else peak


def rms_db(x: NDArray[np.int16] | NDArray[np.float64]) -> float:
    return 10 * np.log10((x.astype(float) ** 2).mean() / 32768**2)


def run(pcm: NDArray[np.int16], *effects: Effect, rate_hz: int = RATE_HZ) -> NDArray[np.int16]:
    return chain.run({"user": pcm}, np.zeros_like(pcm), rate_hz, effects)


# ---- rooms ---------------------------------------------------------------------------------------


def t20_s(taps: NDArray[np.float64], rate_hz: int) -> float:
    """Schroeder's backward integral from -5 to -25 dB, times three."""
    left = np.cumsum(taps[::-1] ** 2)[::-1]
    level = 10 * np.log10(left / left[0] + 1e-30)
    return 3.0 * float(np.argmax(level < -25) - np.argmax(level < -5)) / rate_hz


@pytest.mark.parametrize("rt60_s", (0.2, 0.35, 0.5))
def test_rooms_reverberate_as_long_as_they_say(rt60_s: float) -> None:
    pytest.importorskip("pyroomacoustics", reason="pyroomacoustics is absent: rooms are not tested")
    config = ReverbConfig(rt60_s=(rt60_s, rt60_s), distance_m=(1.0, 1.2))
    found = [
        t20_s(response(room_settings(config, 3, n, "user"), RATE_HZ)[1:], RATE_HZ) for n in range(6)
    ]
    assert found == pytest.approx([rt60_s] * 6, rel=0.1)


@pytest.mark.parametrize("rate_hz", (8000, 16000, 48000))
def test_the_direct_path_is_tap_0_and_the_loudest(rate_hz: int) -> None:
    pytest.importorskip("pyroomacoustics", reason="pyroomacoustics is absent: rooms are not tested")
    config = ReverbConfig(rt60_s=(0.15, 0.3), distance_m=(0.1, 2.0))
    for number in range(8):
        for source in ("user", "bystander", "sounds", "speak"):
            settings = room_settings(config, 1, number, source)
            assert settings["distance_m"] < max(settings["size_x_m"], settings["size_y_m"])
            taps = response(settings, rate_hz)
            assert np.abs(taps).argmax() == 0
            assert np.array_equal(taps, np.rint(taps))
            assert (taps**2).sum() / 2**40 == pytest.approx(1.0, abs=1e-4)


def test_a_room_is_one_for_all_sources_and_adds_only_a_tail() -> None:
    pytest.importorskip("pyroomacoustics", reason="pyroomacoustics is absent: rooms are not tested")
    config = ReverbConfig()
    user, other = (room_settings(config, 1, 2, s) for s in ("user", "bystander"))
    same = {k for k in user if user[k] == other[k]}
    assert same == set(user) - {"azimuth_deg", "distance_m"}
    assert room_settings(config, 1, 3, "user") != user
    pcm = np.zeros(RATE_HZ, np.int16)
    pcm[4000:8000] = speechlike(4000, RATE_HZ)
    wet = run(pcm, Effect(name="reverb", source="user", settings=user))
    assert not wet[:4000].any() and wet[8000:8500].any()
    assert lag(wet, pcm) == 0
    assert rms_db(wet) == pytest.approx(rms_db(pcm), abs=3.0)


# ---- noise, gain, clipping, echo -----------------------------------------------------------------


@pytest.mark.parametrize("kind", SYNTHETIC)
@pytest.mark.parametrize("rate_hz", (8000, 16000, 48000))
def test_noise_has_its_level_and_a_longer_one_begins_alike(kind: str, rate_hz: int) -> None:
    given = {"kind": kind, "dbfs": -36.0, "seed": 7, "hum_hz": 50, "start": 4_000_000_000}
    count = 30 * rate_hz
    whole = np.concatenate([part for _, part in noise_blocks(given, count, rate_hz, None)])
    # brown noise moves so slowly that half a minute has a level of its own
    assert rms_db(whole) == pytest.approx(-36.0, abs=1.0 if kind == "brown" else 0.3)
    short = np.concatenate([part for _, part in noise_blocks(given, 5000, rate_hz, None)])
    assert np.array_equal(short, whole[:5000])
    other = next(noise_blocks(given | {"seed": 8, "hum_hz": 60}, 5000, rate_hz, None))[1]
    assert not np.array_equal(other, short)


def test_colours_fall_as_they_should() -> None:
    """Power of two octaves an octave apart: 0 dB white, -3 pink, -6 brown; speech falls above 500."""

    def slope(kind: str, low_hz: float, high_hz: float) -> float:
        given = {"kind": kind, "dbfs": -30.0, "seed": 1}
        whole = np.concatenate([p for _, p in noise_blocks(given, 40 * RATE_HZ, RATE_HZ, None)])
        power = (np.abs(np.fft.rfft(whole)) ** 2) / len(whole)
        at = lambda hz: power[int(hz * 38) : int(hz * 42)].mean()  # noqa: E731
        return 10 * np.log10(at(high_hz) / at(low_hz)) / np.log2(high_hz / low_hz)

    assert slope("white", 300, 4800) == pytest.approx(0.0, abs=0.3)
    assert slope("pink", 300, 4800) == pytest.approx(-3.0, abs=0.4)
    assert slope("brown", 300, 4800) == pytest.approx(-6.0, abs=0.8)
    assert slope("speech", 1000, 4000) < -6.0 < slope("speech", 250, 500)


def test_recorded_noise_is_a_loop_of_its_file(tmp_path: Path) -> None:
    for name, level in (("a/fan.wav", 0.01), ("b/street.flac", 0.3)):
        (tmp_path / name).parent.mkdir()
        sound = np.random.default_rng(1).normal(0, level, (24000, 2))
        soundfile.write(tmp_path / name, sound, 24000)
    pattern = str(tmp_path / "**" / "*.*")
    assert [n for n, _ in noise_files(pattern)] == ["a/fan.wav", "b/street.flac"]
    for name, _ in noise_files(pattern):
        given = {"kind": "file", "dbfs": -40.0, "file": name, "start": 123_456}
        heard = np.concatenate([p for _, p in noise_blocks(given, 40000, RATE_HZ, pattern)])
        assert rms_db(heard) == pytest.approx(-40.0, abs=0.3)
        table = loop(pattern, name, RATE_HZ)
        assert len(table) == 16000 and np.array_equal(heard[:16000], heard[16000:32000])


def test_noise_files_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "quiet.wav", np.zeros(100), 16000)
    with pytest.raises(StrettoError, match="cannot read this noise file"):
        require_noise(str(tmp_path / "text.wav"), RATE_HZ)
    with pytest.raises(StrettoError, match="the noise file is empty"):
        require_noise(str(tmp_path / "empty.wav"), RATE_HZ)
    with pytest.raises(StrettoError, match="silent"):
        loop(str(tmp_path / "*.wav"), "quiet.wav", 16000)
    with pytest.raises(StrettoError, match="no noise file 'gone.wav'"):
        loop(str(tmp_path / "*.wav"), "gone.wav", 16000)
    with pytest.raises(StrettoError, match="no such file"):
        noise_files(str(tmp_path / "*.ogg"))


def test_gain_clipping_and_echo_are_what_they_say() -> None:
    pcm = speechlike(RATE_HZ, RATE_HZ)
    assert rms_db(run(pcm, effect("gain", db=-12.0))) == pytest.approx(rms_db(pcm) - 12.0, abs=0.05)
    clipped = run(pcm, effect("clip", dbfs=-12.0))
    limit = round(32768 * 10 ** (-12 / 20))
    assert clipped.max() == limit and clipped.min() == -limit
    assert np.array_equal(clipped, np.clip(pcm, -limit, limit))
    loud = run(pcm, effect("gain", db=30.0))
    assert (loud.max(), loud.min()) == (32767, -32768)
    speak = noise(RATE_HZ)
    echo = effect("echo", "speak", gain_db=-20.0, delay_samples=1600)
    heard = chain.run({"user": pcm * 0}, speak, RATE_HZ, [echo])
    assert not heard[:1600].any()
    assert np.abs(heard[1600:] - speak[:-1600] * 0.1).max() <= 0.5 + 1e-3
    late = effect("echo", "speak", gain_db=0.0, delay_samples=99999)
    assert not chain.run({"user": pcm * 0}, speak, RATE_HZ, [late]).any()


# ---- the line ------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", ("mu", "a"))
def test_g711_is_the_standards(law: str) -> None:
    """Every 16-bit sample against the C library's table (Python's audioop, where it still is)."""
    table = code_table(law)
    every = np.arange(65536, dtype=np.uint16).view(np.int16)
    assert len(set(table.tolist())) in (255, 256)
    assert np.array_equal(
        code_table(law)[table.view(np.uint16)], table
    )  # coded twice is coded once
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop", reason="audioop is absent: G.711 has no oracle")
    letter = {"mu": "u", "a": "a"}[law]
    there, back = getattr(audioop, f"lin2{letter}law"), getattr(audioop, f"{letter}law2lin")
    known = np.frombuffer(back(there(every.tobytes(), 2), 2), dtype=np.int16)
    levels = np.unique(known)
    assert np.array_equal(np.unique(table), levels)
    # FFmpeg takes the nearer level where a segment ends: a neighbour, for few values
    assert np.abs(np.searchsorted(levels, table) - np.searchsorted(levels, known)).max() == 1
    assert (table == known).mean() > 0.98


@pytest.mark.parametrize("rate_hz", (8000, 16000, 22050, 24000, 44100, 48000))
def test_the_line_keeps_length_and_time(rate_hz: int) -> None:
    pcm = speechlike(2 * rate_hz, rate_hz)
    early = rate_hz * 1e-4  # a causal high-pass leads in phase, by less than 0.1 ms here
    for law in ("mu", "a"):
        heard = line.telephone(pcm, rate_hz, law)
        assert len(heard) == len(pcm)
        assert abs(lag(heard, pcm)) <= early, law
    click = np.zeros(rate_hz, np.int16)
    click[rate_hz // 2] = 20000
    peak = np.abs(line.telephone(click, rate_hz, "a").astype(int)).argmax()
    assert abs(peak - rate_hz // 2) <= rate_hz // 40000
    for name, kbps in (("g722", 64.0), ("opus", 8.0), ("opus", 24.0), ("opus", 64.0)):
        heard = line.codec(pcm, rate_hz, name, kbps)
        assert len(heard) == len(pcm)
        assert abs(lag(heard, pcm)) <= (early if name == "opus" else 0), (name, kbps)
        # noise is no speech: of its wave Opus keeps little at 8 kbit/s
        assert 0.3 < np.corrcoef(heard, pcm)[0, 1] < 1.0


def test_a_telephone_has_its_band() -> None:
    def passed_db(hz: float) -> float:
        tone = (8000 * np.sin(2 * np.pi * hz * np.arange(RATE_HZ) / RATE_HZ)).astype(np.int16)
        return rms_db(line.telephone(tone, RATE_HZ, "mu")[2000:-2000]) - rms_db(tone[2000:-2000])

    assert passed_db(1000) == pytest.approx(0.0, abs=0.5)
    assert passed_db(300) == pytest.approx(-3.0, abs=1.0)
    assert passed_db(3300) > -3.0
    assert passed_db(50) < -25.0 and passed_db(5000) < -30.0


def test_lost_packets_are_as_many_as_they_say_and_never_many_in_a_row() -> None:
    pcm = noise(200 * RATE_HZ) | 1  # no sample is 0
    packet = RATE_HZ // 50
    heard = line.loss(pcm, RATE_HZ, 0.08, 1.5, seed=3)
    # the first 2.5 ms of what arrives after a loss are faded in
    gone = (heard != pcm).reshape(-1, packet)[:, packet // 8 :].any(axis=1)
    assert gone.mean() == pytest.approx(0.08, abs=0.01)
    runs = "".join("x" if g else " " for g in gone).split()
    assert 1.2 < np.mean([len(r) for r in runs]) < 1.6 and max(len(r) for r in runs) <= 3
    first = int(np.flatnonzero(gone)[0])
    made_up = heard[first * packet : (first + 1) * packet].astype(int)
    before = pcm[(first - 1) * packet : first * packet][::-1].astype(int)
    assert abs(made_up[0] - before[0]) <= 1 and abs(made_up[-1] - before[-1] / 2) <= 10
    # nothing of the packet that was lost, nor of a later one, is in what stands for it
    other = pcm.copy()
    other[first * packet :] = 5
    again = line.loss(other, RATE_HZ, 0.08, 1.5, seed=3)
    assert np.array_equal(again[: (first + 1) * packet], heard[: (first + 1) * packet])
    assert np.array_equal(line.loss(pcm, RATE_HZ, 0.0, 1.5, seed=3), pcm)
    assert np.array_equal(line.loss(pcm[:8000], RATE_HZ, 0.08, 1.5, seed=3), heard[:8000])
