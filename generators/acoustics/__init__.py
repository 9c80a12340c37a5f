"""Acoustics: from clean stems to what is heard. Docs: docs/acoustics.md.

    listen, effects = apply(stems, speak, 16000, config.acoustics, config.seed, record.draw_key)
    listen = replay(timeline, stems, speak, config.acoustics)       # the effects it has
    listen, effects = redraw(timeline, stems, speak, config)        # effects drawn anew

`stems`: the clean sources of `listen` by name, int16 [n]; `speak`: the assistant's clean track,
int16 [n], the source of the echo. None of them is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from generators.acoustics.noise_files import noise_files, require_noise
from schemas.config import AcousticsConfig, Config
from schemas.errors import StrettoError
from schemas.timeline import Effect, Timeline

__all__ = [
    "apply",
    "input_files",
    "lookahead_s",
    "redraw",
    "replay",
    "require",
    "versions",
]

Stems = Mapping[str, NDArray[np.int16]]
Heard = tuple[NDArray[np.int16], tuple[Effect, ...]]


def apply(
    stems: Stems,
    speak: NDArray[np.int16],
    rate_hz: int,
    config: AcousticsConfig,
    seed: int,
    key: str,
) -> Heard:
    """What is heard, int16 [n], and the effects behind it; the plain sum where there are none."""
    from generators.acoustics.chain import run  # brings scipy: only where there is work for it
    from generators.acoustics.plan import draw_effects

    effects = draw_effects(config, seed, key, sorted(stems), rate_hz)
    return run(stems, speak, rate_hz, effects, _glob(config)), effects


def replay(
    timeline: Timeline, stems: Stems, speak: NDArray[np.int16], config: AcousticsConfig
) -> NDArray[np.int16]:
    """`listen` again from the kept stems and the provenance; of the config only the noise files."""
    from generators.acoustics.chain import run

    effects = timeline.provenance.acoustics
    return run(stems, speak, timeline.listen.sample_rate_hz, effects, _glob(config))


def redraw(timeline: Timeline, stems: Stems, speak: NDArray[np.int16], config: Config) -> Heard:
    """Effects drawn anew by another config or seed. The same config draws what the corpus has: none
    for a clean twin."""
    rate_hz, key = timeline.listen.sample_rate_hz, timeline.pair or timeline.key
    clean = timeline.pair is not None and timeline.key != timeline.pair
    none = AcousticsConfig() if clean else config.acoustics
    return apply(stems, speak, rate_hz, none, config.seed, key)


def require(config: AcousticsConfig, rate_hz: int) -> None:
    """Refuse the run before it starts where an effect can't be had: a library, a noise file."""
    if config.reverb is not None and find_spec("pyroomacoustics") is None:
        raise StrettoError(
            "pyroomacoustics is not installed, so there are no rooms",
            "acoustics.reverb",
            "pip install 'stretto[acoustics]', or take `reverb` out",
        )
    for _, path in input_files(config):
        require_noise(path, rate_hz)


def lookahead_s(effects: Sequence[Effect], rate_hz: int) -> float:
    """What is heard at t may depend on sound up to t + this; 0 but for the line, never above 0.02."""
    from generators.acoustics import chain

    return chain.lookahead_s(effects, rate_hz)


def input_files(config: AcousticsConfig) -> tuple[tuple[str, str], ...]:
    """(name, path) of the noise files, which shape the corpus like its sources."""
    return noise_files(config.noise.files) if config.noise and config.noise.files else ()


def versions(config: AcousticsConfig) -> dict[str, str]:
    """The libraries that shape bytes only where an effect needs them."""
    return {"pyroomacoustics": version("pyroomacoustics")} if config.reverb else {}


def _glob(config: AcousticsConfig) -> str | None:
    return config.noise.files if config.noise else None
