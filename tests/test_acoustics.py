"""Effects on a whole sample: drawn by key, on time, blind to the future, made again from provenance."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_corpus import REPO, environment
from test_acoustics_effects import RATE_HZ, lag, rms_db, speechlike

from generators.acoustics import apply, lookahead_s
from generators.acoustics.chain import run
from generators.acoustics.plan import draw_effects
from schemas.config import AcousticsConfig, Config
from schemas.errors import StrettoError
from schemas.timeline import Effect

ON: dict[str, Any] = {"rate": 1.0}
EVERYTHING = dict.fromkeys(("echo", "noise", "gain", "clip", "loss"), ON)
LINES = (
    {"telephone": ON},
    {"codec": ON | {"names": ["g722"]}},
    {"codec": ON | {"names": ["opus"]}},
)


def config(**settings: Any) -> AcousticsConfig:
    return AcousticsConfig.model_validate(settings)


def everything(*more: dict[str, Any]) -> AcousticsConfig:
    """All effects that need no further package, with `more`; rooms too where they can be had."""
    found: dict[str, Any] = dict(EVERYTHING)
    try:
        import pyroomacoustics  # noqa: F401

        found["reverb"] = ON | {"rooms": 2, "rt60_s": [0.15, 0.25]}
    except ImportError:
        pass
    for part in more:
        found |= part
    return config(**found)


def stems(seconds: float, rate_hz: int = RATE_HZ) -> dict[str, NDArray[np.int16]]:
    count = int(seconds * rate_hz)
    quiet = (speechlike(count, rate_hz, 5) // 8).astype(np.int16)
    return {"user": speechlike(count, rate_hz), "bystander": quiet, "sounds": np.zeros_like(quiet)}


def speech(seconds: float, rate_hz: int = RATE_HZ) -> NDArray[np.int16]:
    return speechlike(int(seconds * rate_hz), rate_hz, 9)


# ---- nothing moves, nothing looks ahead ----------------------------------------------------------


@pytest.mark.parametrize("line", LINES, ids=("telephone", "g722", "opus"))
@pytest.mark.parametrize("rate_hz", (8000, 16000, 22050, 48000))
def test_nothing_depends_on_what_comes_later(line: dict[str, Any], rate_hz: int) -> None:
    """Another future from T on, and a longer one: the same to the bit until T less the lookahead."""
    acoustics = everything(line)
    first, speak = stems(3.0, rate_hz), speech(3.0, rate_hz)
    for at_s in (0.7, 1.5 + 1 / 3):
        at = int(at_s * rate_hz)
        longer = stems(4.0, rate_hz)
        second = {n: np.concatenate([first[n][:at], longer[n][at:][::-1]]) for n in first}
        other = np.concatenate([speak[:at], speech(4.0, rate_hz)[at:][::-1]])
        heard, effects = apply(first, speak, rate_hz, acoustics, 1, "k")
        again, same = apply(second, other, rate_hz, acoustics, 1, "k")
        assert effects == same and len(again) == 4 * rate_hz
        ahead_s = lookahead_s(effects, rate_hz)
        assert 0.0 <= ahead_s <= 0.02
        safe = at - int(np.ceil(ahead_s * rate_hz))
        assert np.array_equal(heard[:safe], again[:safe])
        assert not np.array_equal(heard[safe : 3 * rate_hz], again[safe : 3 * rate_hz])


def test_the_lookahead_is_the_lines_alone() -> None:
    """Rooms, noise, echo, gain, clipping and loss have none; Opus at 16 kHz has 17.75 ms."""
    assert lookahead_s(draw_effects(everything(), 1, "k", ["user"], RATE_HZ), RATE_HZ) == 0.0
    opus = draw_effects(config(codec=ON | {"names": ["opus"]}), 1, "k", ["user"], RATE_HZ)
    assert lookahead_s(opus, RATE_HZ) == pytest.approx(0.01775)
    phone = draw_effects(config(telephone=ON), 1, "k", ["user"], 8000)
    assert lookahead_s(phone, 8000) == 0.0


@pytest.mark.parametrize("rate_hz", (8000, 16000, 48000))
def test_what_is_heard_is_on_time(rate_hz: int) -> None:
    """A word after silence, through everything but noise: onset and correlation where they were."""
    for line in ({}, *LINES):
        settings = everything(line).model_copy(update={"noise": None, "echo": None, "loss": None})
        user = stems(2.0, rate_hz)["user"]
        user[: rate_hz // 2] = 0
        quiet = np.zeros_like(user)
        heard, effects = apply({"user": user}, quiet, rate_hz, settings, 3, "k")
        assert abs(lag(heard, user)) <= rate_hz * 1e-4, line
        loud = np.flatnonzero(np.abs(heard) > np.abs(heard).max() * 0.05)
        spoken = np.flatnonzero(np.abs(user) > np.abs(user).max() * 0.05)
        assert abs(loud[0] - spoken[0]) < 0.02 * rate_hz


# ---- keyed draws ---------------------------------------------------------------------------------


def test_draws_hang_on_seed_and_key_alone() -> None:
    acoustics = config(**EVERYTHING, telephone={"rate": 0.5}, codec=ON)
    keys = [f"d-{n:04}" for n in range(300)]
    there = {k: draw_effects(acoustics, 1, k, ["user"], RATE_HZ) for k in keys}
    back = {k: draw_effects(acoustics, 1, k, ["user"], RATE_HZ) for k in reversed(keys)}
    assert there == back
    assert there != {k: draw_effects(acoustics, 2, k, ["user"], RATE_HZ) for k in keys}
    assert len({e[1].settings["seed"] for e in there.values() if "seed" in e[1].settings}) > 200
    # one effect more changes no draw of another
    quieter = config(**EVERYTHING | {"gain": None}, telephone={"rate": 0.5}, codec=ON)
    for key in keys[:20]:
        less = draw_effects(quieter, 1, key, ["user"], RATE_HZ)
        assert [e for e in there[key] if e.name != "gain"] == list(less)


def test_rates_and_bounds_are_kept() -> None:
    acoustics = config(
        share=0.5, noise={"rate": 0.4, "snr_db": [5, 10]}, telephone={"rate": 0.5}, codec=ON
    )
    found = [draw_effects(acoustics, 1, f"d-{n}", ["user"], RATE_HZ) for n in range(2000)]
    share = lambda name: np.mean([any(e.name == name for e in f) for f in found])  # noqa: E731
    assert share("noise") == pytest.approx(0.2, abs=0.03)
    assert share("telephone") == pytest.approx(0.25, abs=0.03)
    assert share("codec") == pytest.approx(0.25, abs=0.03)  # never on top of the telephone
    assert np.mean([f == () for f in found]) == pytest.approx(0.5, abs=0.03)
    snr = [e.settings["snr_db"] for f in found for e in f if e.name == "noise"]
    assert min(snr) >= 5.0 and max(snr) <= 10.0 and np.std(snr) > 1.0


def test_effects_come_in_physical_order_and_rooms_before() -> None:
    effects = draw_effects(everything({"telephone": ON}), 1, "k", ["sounds", "user"], RATE_HZ)
    names = [e.name for e in effects if e.name != "reverb"]
    assert names == ["echo", "noise", "gain", "clip", "telephone", "loss"]
    rooms = [e.source for e in effects if e.name == "reverb"]
    assert rooms in ([], ["sounds", "user", "speak"])


# ---- the same again ------------------------------------------------------------------------------


def test_provenance_alone_makes_it_again() -> None:
    for line in LINES:
        heard, effects = apply(stems(1.5), speech(1.5), RATE_HZ, everything(line), 4, "k")
        told = [Effect.model_validate_json(e.to_json()) for e in effects]
        assert np.array_equal(run(stems(1.5), speech(1.5), RATE_HZ, told), heard)


SCRIPT = """
import hashlib, sys
sys.path.insert(0, "tests")
from test_acoustics import LINES, RATE_HZ, apply, everything, speech, stems
print(*(hashlib.sha256(apply(stems(2.0), speech(2.0), RATE_HZ, everything(l), 4, "k")[0].tobytes())
        .hexdigest()[:16] for l in LINES))
"""


def test_two_processes_and_any_number_of_threads_hear_the_same() -> None:
    found = set()
    for threads in ("1", "2"):
        env = environment(OMP_NUM_THREADS=threads, PRA_NUM_THREADS=threads)
        run_ = subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=REPO, env=env
        )
        assert run_.returncode == 0, run_.stderr
        found.add(run_.stdout)
    assert len(found) == 1 and len(found.pop().split()) == 3


def test_speak_and_stems_are_never_changed() -> None:
    given, speak = stems(1.0), speech(1.0)
    before = {n: p.copy() for n, p in given.items()}
    apply(given, speak, RATE_HZ, everything({"telephone": ON}), 1, "k")
    assert np.array_equal(speak, speech(1.0))
    assert all(np.array_equal(given[n], before[n]) for n in given)


# ---- levels --------------------------------------------------------------------------------------


def test_the_snr_is_what_was_drawn() -> None:
    """Speech at the nominal level, noise alone beside it: the SNR of the config within 0.5 dB."""
    acoustics = config(noise=ON | {"snr_db": [12, 12], "kinds": ["pink"]}, speech_dbfs=-26.0)
    rng = np.random.default_rng(0)
    user = rng.normal(0, 32768 * 10 ** (-26 / 20), 20 * RATE_HZ).astype(np.int16)
    heard, _ = apply({"user": user}, user * 0, RATE_HZ, acoustics, 1, "k")
    assert rms_db(user) - rms_db(heard.astype(float) - user) == pytest.approx(12.0, abs=0.5)


def test_without_effects_the_stems_are_summed_and_kept_in_range() -> None:
    given = {"user": np.array([30000, -30000, 5], np.int16), "sounds": np.array([9000, -9000, 1])}
    given["sounds"] = given["sounds"].astype(np.int16)
    heard, effects = apply(given, np.zeros(3, np.int16), RATE_HZ, config(), 1, "k")
    assert effects == () and heard.tolist() == [32767, -32768, 6]


# ---- odd inputs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", (1, 2, 159, 321))
@pytest.mark.parametrize("rate_hz", (8000, 16000, 44100, 48000))
def test_silence_and_very_short_samples(count: int, rate_hz: int) -> None:
    silence = np.zeros(count, np.int16)
    click = silence.copy()
    click[0] = 9000
    for line in LINES:
        for pcm in (silence, click):
            acoustics = everything(line).model_copy(update={"noise": None})
            heard, _ = apply({"user": pcm}, silence, rate_hz, acoustics, 1, "k")
            assert heard.dtype == np.int16 and heard.shape == (count,)
            # Opus and A-law have a floor of their own: 8 of 32,768 is silence there
            assert pcm.any() or np.abs(heard).max() <= 8


@pytest.mark.slow
@pytest.mark.parametrize("line", (0, 2), ids=("telephone", "opus"))
def test_ten_minutes_fit_in_memory(line: int) -> None:
    """10 minutes at 16 kHz through rooms, noise and a line: below 500 MB beside the libraries."""
    script = (
        "import resource, sys; sys.path.insert(0, 'tests')\n"
        "from test_acoustics import *\n"
        f"a = everything(LINES[{line}])\n"
        "s, k = {'user': np.zeros(9_600_000, np.int16)}, np.zeros(9_600_000, np.int16)\n"
        "s['user'][:] = np.arange(9_600_000) % 977 * 9\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "apply(s, k, RATE_HZ, a, 1, 'k')\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=REPO, env=environment()
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 500.0


# ---- the config ----------------------------------------------------------------------------------

BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"noise": {"snr_db": [30, 5]}}, "low bound 30 is above the high bound 5"),
    ({"reverb": {"rt60_s": [0.05, 0.2]}}, "0.15"),
    ({"reverb": {"rt60_s": [0.2, 9]}}, "less than or equal to 1"),
    ({"noize": {}}, "did you mean `noise`?"),
    ({"noise": {"snr": 5}}, "did you mean `snr_db`?"),
    ({"telephone": {"laws": ["x"]}}, "laws"),
    ({"telephone": {"laws": []}}, "laws"),
    ({"codec": {"names": ["mp3"]}}, "names"),
    ({"noise": {"kinds": ["file"]}}, "needs `files`"),
    ({"noise": {"kinds": ["hum"], "files": "x/*.wav"}}, "not among the `kinds`"),
    ({"noise": {"files": ""}}, "files"),
    ({"gain": {"db": [float("nan"), 3]}}, "db"),
    ({"share": 1.5}, "share"),
    ({"loss": {"share": [0, 0.9]}}, "share"),
)


@pytest.mark.parametrize("settings,said", BAD, ids=[str(b[0]) for b in BAD])
def test_a_wrong_config_is_refused_in_one_line(settings: dict[str, Any], said: str) -> None:
    data = {"name": "x", "sources": [{"dialogues": {"path": "x"}}], "acoustics": settings}
    with pytest.raises(StrettoError) as error:
        Config.from_mapping(data, "x.yaml")
    assert said in str(error.value) and "\n" not in str(error.value)
    assert "acoustics" in str(error.value)


def test_an_effect_that_is_named_is_on_at_its_rate() -> None:
    assert config().noise is None
    named: Callable[[str], Any] = lambda name: getattr(config(**{name: {}}), name)  # noqa: E731
    for name in AcousticsConfig.model_fields.keys() - {"share", "speech_dbfs", "keep_stems"}:
        assert 0.0 < named(name).rate <= 0.5
