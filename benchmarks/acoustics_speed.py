"""What does each acoustic effect cost on one core? `python -m benchmarks.acoustics_speed [RATE_HZ]`

Ten samples of a minute, half of it speech. CPU time, so that neighbours on the machine do not
count: "x real time" is seconds of audio a CPU second. Rooms are computed once and counted apart.
Then the SNR that speech gets: the nominal level of the config against what espeak's voices have.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.acoustics import apply
from generators.acoustics.room import response, room_settings
from generators.speech import SpeechRequest, open_backend, pick_voice
from schemas.config import AcousticsConfig
from schemas.config.acoustics import ReverbConfig

SAMPLES, SECONDS = 10, 60
ON: dict[str, Any] = {"rate": 1.0}
CASES: dict[str, dict[str, Any]] = {
    "reverb (room known)": {"reverb": ON | {"rooms": 1}},
    "echo": {"echo": ON},
    **{f"noise {k}": {"noise": ON | {"kinds": [k]}} for k in ("white", "pink", "speech", "hum")},
    "gain": {"gain": ON},
    "clip": {"clip": ON},
    "telephone": {"telephone": ON},
    "codec opus": {"codec": ON | {"names": ["opus"]}},
    "codec g722": {"codec": ON | {"names": ["g722"]}},
    "loss": {"loss": ON},
    "all but a codec": dict.fromkeys(("echo", "noise", "gain", "clip", "telephone", "loss"), ON)
    | {"reverb": ON | {"rooms": 1}},
    "default rates, no codec": {n: {} for n in ("echo", "noise", "gain", "clip", "telephone")}
    | {"reverb": {"rooms": 1}},
    "default rates, all": {
        n: {} for n in ("echo", "noise", "gain", "clip", "telephone", "codec", "loss")
    }
    | {"reverb": {"rooms": 1}},
}
TEXTS = ("Could you tell me how to get to the station, please?", "I would like a table for four.")


def spoken(rate_hz: int, role: str) -> list[NDArray[np.int16]]:
    """Utterances of 30 voices."""
    backend = open_backend("espeak", rate_hz, None)
    voices = [pick_voice(role, "en", 7, f"k{n}", role) for n in range(30)]
    answers = backend.say([SpeechRequest(TEXTS[n % 2], v, 1) for n, v in enumerate(voices)])
    backend.close()
    return [a.pcm for a in answers if not isinstance(a, Exception)]


def track(utterances: list[NDArray[np.int16]], rate_hz: int) -> NDArray[np.int16]:
    """A minute that is half speech."""
    out = np.zeros(SECONDS * rate_hz, np.int16)
    at = rate_hz
    for pcm in utterances * 3:
        part = out[at : at + len(pcm)]
        part[:] = pcm[: len(part)]
        at += 2 * len(pcm)
    return out


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def active_dbfs(pcm: NDArray[np.int16], rate_hz: int) -> float:
    """The level of the 20 ms frames within 30 dB of the loudest."""
    frame = rate_hz // 50
    power = (pcm[: len(pcm) // frame * frame].reshape(-1, frame).astype(float) ** 2).mean(1)
    return float(10 * np.log10(power[power > power.max() * 1e-3].mean() / 32768**2))


def main() -> None:
    rate_hz = int(sys.argv[1]) if len(sys.argv) > 1 else 16000
    voices = spoken(rate_hz, "user")
    stems = {"user": track(voices, rate_hz), "bystander": np.zeros(SECONDS * rate_hz, np.int16)}
    speak = track(spoken(rate_hz, "assistant"), rate_hz)
    for name, settings in CASES.items():
        config = AcousticsConfig.model_validate(settings)

        def one(number: int, config: AcousticsConfig = config) -> None:
            apply(stems, speak, rate_hz, config, 1, f"k{number}")

        one(0)  # tables and rooms
        took = cpu_s(lambda one=one: [one(n) for n in range(SAMPLES)])  # type: ignore[misc]
        print(f"{name:26} {SAMPLES * SECONDS / took:9,.0f} x real time")
    for rt60_s in (0.2, 0.35, 0.5, 1.0):
        rooms = ReverbConfig(rt60_s=(rt60_s, rt60_s))
        took = cpu_s(
            lambda r=rooms: [response(room_settings(r, 9, n, "user"), rate_hz) for n in range(4)]
        )  # type: ignore[misc]
        print(f"a place in a room, RT60 {rt60_s:4} s  {took / 4:6.3f} s, once in a process")
    levels = [active_dbfs(pcm, rate_hz) for pcm in voices]
    nominal = AcousticsConfig().speech_dbfs
    print(f"users' speech: {np.mean(levels):.1f} dBFS, sd {np.std(levels):.1f}, nominal {nominal}")
    print(f"so an SNR of 15 dB comes out at {15 + np.mean(levels) - nominal:.1f} on average")
    print(f"most memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
