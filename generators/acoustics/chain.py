"""From clean stems and a list of effects to what is heard. A pure function of the two.

    listen = run(stems, speak, 16000, effects, noise_files=None)

Sound adds up in the air (float64: rooms, echo, noise), is amplified, clipped and rounded once by the
microphone, and then passes the line. No gain is measured, no effect moves a sound, and what is heard
at a time depends on nothing later than `lookahead_s(effects, rate)`, 20 ms at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from generators.acoustics import line
from generators.acoustics.exact import add_convolved, linear, to_pcm
from generators.acoustics.noise import FULL_SCALE, noise_blocks
from generators.acoustics.room import response
from schemas.timeline import Effect

Settings = Mapping[str, float | int | str | bool]
Stems = Mapping[str, NDArray[np.int16]]


def run(
    stems: Stems,
    speak: NDArray[np.int16],
    rate_hz: int,
    effects: Sequence[Effect],
    noise_files: str | None = None,
) -> NDArray[np.int16]:
    """int16 [n]: the stems (int16 [n] each) with the effects. `noise_files` is the config's glob."""
    pcm = to_pcm(_at_microphone(stems, speak, rate_hz, effects, noise_files))
    by_name = {effect.name: effect.settings for effect in effects}
    lose = _loss(by_name["loss"]) if "loss" in by_name else line.whole_line
    if "telephone" in by_name:
        return line.telephone(pcm, rate_hz, str(by_name["telephone"]["law"]), lose)
    if "codec" in by_name:
        given = by_name["codec"]
        return line.codec(pcm, rate_hz, str(given["name"]), float(given["kbps"]), lose)
    return lose(pcm, rate_hz)


def _loss(given: Settings) -> line.Lose:
    share, burst = float(given["share"]), float(given["burst_packets"])
    return partial(line.loss, share=share, burst_packets=burst, seed=int(given["seed"]))


def lookahead_s(effects: Sequence[Effect], rate_hz: int) -> float:
    """What is heard at t may depend on sound up to t + this; 0 but for the line."""
    total = 0.0
    for effect in effects:
        if effect.name == "telephone":
            total += line.telephone_lookahead_s(rate_hz)
        elif effect.name == "codec":
            total += line.codec_lookahead_s(rate_hz, str(effect.settings["name"]))
    return total


def _at_microphone(
    stems: Stems,
    speak: NDArray[np.int16],
    rate_hz: int,
    effects: Sequence[Effect],
    noise_files: str | None,
) -> NDArray[np.float64]:
    """The sum of all that sounds, amplified and clipped: float64 [n] on the scale of int16."""
    bus = np.zeros(len(speak))
    rooms = {e.source: e for e in effects if e.name == "reverb"}
    for name in sorted(stems):
        _add(bus, stems[name], rooms.get(name), rate_hz)
    for effect in effects:
        given = effect.settings
        if effect.name == "echo":
            late = bus[int(given["delay_samples"]) :]
            gain = linear(float(given["gain_db"]))
            _add(late, speak[: len(late)], rooms.get("speak"), rate_hz, gain)
        elif effect.name == "noise":
            for start, part in noise_blocks(given, len(bus), rate_hz, noise_files):
                bus[start : start + len(part)] += part
        elif effect.name == "gain":
            bus *= linear(float(given["db"]))
        elif effect.name == "clip":
            limit = linear(float(given["dbfs"])) * FULL_SCALE
            np.clip(bus, -limit, limit, out=bus)
    return bus


def _add(
    bus: NDArray[np.float64],
    pcm: NDArray[np.int16],
    room: Effect | None,
    rate_hz: int,
    gain: float = 1.0,
) -> None:
    """Add a source to the bus, through its room if it is in one."""
    if room is not None:
        add_convolved(bus, pcm, response(room.settings, rate_hz), gain)
    elif pcm.any():
        bus += pcm * gain
