"""Which effects a sample gets and how strong: keyed draws, before any audio is looked at.

    effects = draw_effects(config.acoustics, config.seed, record.draw_key, ("user",), 16000)

The effects are plain numbers in their physical order: room (one effect a source), echo, noise,
gain, clip, line. They stand in the Timeline's provenance, and `chain.run` makes them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from generators.acoustics.noise_files import noise_files
from generators.acoustics.room import room_settings
from schemas.config import AcousticsConfig
from schemas.draws import draw_seed, uniform
from schemas.timeline import Effect

Settings = dict[str, float | int | str | bool]


class Draws:
    """The draws of one sample by name."""

    def __init__(self, seed: int, key: str) -> None:
        self.seed, self._key = seed, key

    def unit(self, name: str) -> float:
        """[0, 1)"""
        return uniform(self.seed, self._key, "acoustics", name)

    def between(self, name: str, bounds: tuple[float, float]) -> float:
        """Uniform, with four digits behind the point: what is used is what is written down."""
        return round(bounds[0] + self.unit(name) * (bounds[1] - bounds[0]), 4)

    def one_of(self, name: str, among: Sequence[Any]) -> Any:
        """One of them, with equal shares."""
        return among[int(self.unit(name) * len(among))]

    def state(self, name: str) -> int:
        """A generator's key; 32 bits, which every reader of JSON keeps exactly."""
        return draw_seed(self.seed, self._key, "acoustics", name) >> 32


def draw_effects(
    config: AcousticsConfig, seed: int, key: str, sources: Sequence[str], rate_hz: int
) -> tuple[Effect, ...]:
    """The effects of one sample. `sources` are the stems of `listen`."""
    draws = Draws(seed, key)
    if draws.unit("share") >= config.share:
        return ()

    def on(name: str) -> bool:
        effect = getattr(config, name)
        return effect is not None and draws.unit(f"{name}.on") < effect.rate

    found: list[Effect] = []
    heard = [*sources, *(["speak"] if on("echo") else [])]
    if on("reverb"):
        found += _reverb(config, draws, heard)
    for name, settings in _SINGLE.items():
        if on(name) and not (name == "codec" and on("telephone")):
            source = {"echo": "speak", "noise": "noise"}.get(name, "listen")
            found.append(
                Effect(name=name, source=source, settings=settings(config, draws, rate_hz))
            )
    return tuple(found)


def _reverb(config: AcousticsConfig, draws: Draws, sources: Sequence[str]) -> Iterator[Effect]:
    """One room for all; each source has its own place in it."""
    assert config.reverb is not None
    number = int(draws.unit("reverb.room") * config.reverb.rooms)
    for source in sources:
        settings = room_settings(config.reverb, draws.seed, number, source)
        yield Effect(name="reverb", source=source, settings=settings)


def _echo(config: AcousticsConfig, draws: Draws, rate_hz: int) -> Settings:
    assert config.echo is not None
    delay_s = draws.between("echo.delay_s", config.echo.delay_s)
    gain_db = draws.between("echo.gain_db", config.echo.gain_db)
    return {"gain_db": gain_db, "delay_samples": round(delay_s * rate_hz)}


def _noise(config: AcousticsConfig, draws: Draws, rate_hz: int) -> Settings:
    """`dbfs` is the noise's level: that of speech by the config, less the SNR."""
    assert config.noise is not None
    kind = draws.one_of("noise.kind", config.noise.drawn)
    snr_db = draws.between("noise.snr_db", config.noise.snr_db)
    found: Settings = {"kind": kind, "snr_db": snr_db}
    found["dbfs"] = round(config.speech_dbfs - snr_db, 4)
    if kind == "file":
        assert config.noise.files is not None
        found["file"] = draws.one_of("noise.file", noise_files(config.noise.files))[0]
        found["start"] = draws.state("noise.start")
    elif kind == "hum":
        found["hum_hz"] = draws.one_of("noise.hum_hz", (50, 60))
        found["start"] = draws.state("noise.start")
    else:
        found["seed"] = draws.state("noise.seed")
    return found


def _gain(config: AcousticsConfig, draws: Draws, rate_hz: int) -> Settings:
    assert config.gain is not None
    return {"db": draws.between("gain.db", config.gain.db)}


def _clip(config: AcousticsConfig, draws: Draws, rate_hz: int) -> Settings:
    assert config.clip is not None
    return {"dbfs": draws.between("clip.dbfs", config.clip.dbfs)}


def _telephone(config: AcousticsConfig, draws: Draws, rate_hz: int) -> Settings:
    assert config.telephone is not None
    return {"law": draws.one_of("telephone.law", config.telephone.laws)}


def _codec(config: AcousticsConfig, draws: Draws, rate_hz: int) -> Settings:
    assert config.codec is not None
    name = draws.one_of("codec.name", config.codec.names)
    kbps = 64.0 if name == "g722" else draws.between("codec.kbps", config.codec.kbps)
    return {"name": name, "kbps": kbps}


def _loss(config: AcousticsConfig, draws: Draws, rate_hz: int) -> Settings:
    assert config.loss is not None
    share = draws.between("loss.share", config.loss.share)
    state = draws.state("loss.seed")
    return {"share": share, "burst_packets": config.loss.burst_packets, "seed": state}


_SINGLE: dict[str, Callable[[AcousticsConfig, Draws, int], Settings]] = {
    "echo": _echo,
    "noise": _noise,
    "gain": _gain,
    "clip": _clip,
    "telephone": _telephone,
    "codec": _codec,
    "loss": _loss,
}
