"""Real espeak samples, broken in ways that a check must find."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from worlds import config, dialogue, sample_of

from pipeline.checks import CHECKS, Check, Finding
from schemas.config import ChecksConfig
from schemas.sample import Sample

Pcm = NDArray[np.int16]
TIMES = {"start_s", "end_s", "plain_s", "revealed_s", "decided_s", "planned_end_s", "duration_s"}


@functools.cache
def clean() -> Sample:
    """Two turns of each side, in plain English."""
    return sample_of(
        dialogue(
            "Could you tell me where the station is, please?",
            "It is behind the old market, about ten minutes on foot from here.",
            "And when does the last train leave tonight?",
            "The last one leaves at half past eleven. Do not be late.",
        ),
        config(),
    )


def check_named(name: str) -> Check:
    return next(check for check in CHECKS if check.name == name)


def found(name: str, sample: Sample, models: Any = None, **checks: Any) -> Finding:
    """What the check says of a sample under these settings."""
    check = check_named(name)
    settings = check.settings(ChecksConfig.model_validate(checks))
    assert settings is not None, f"{name} is turned off"
    return check.run([sample], settings, models)[0]


def both(sample: Sample, change: Callable[[Pcm], Pcm]) -> Sample:
    """The sample with both tracks changed, as 16-bit audio."""
    listen, speak = change(sample.listen), change(sample.speak)
    assert listen.dtype == speak.dtype == np.int16
    return replace(sample, listen=listen, speak=speak)


def louder(factor: float) -> Callable[[Pcm], Pcm]:
    return lambda pcm: np.clip(pcm.astype(float) * factor, -32768, 32767).astype(np.int16)


def later(seconds: float, rate_hz: int = 16000) -> Callable[[Pcm], Pcm]:
    """The sound comes late; the Timeline does not know it."""
    shift = round(seconds * rate_hz)
    return lambda pcm: np.concatenate((np.zeros(shift, np.int16), pcm[:-shift]))


def slower(sample: Sample, factor: int) -> Sample:
    """Sound and Timeline stretched alike: only the speaking rate is wrong."""
    stretched = both(sample, lambda pcm: np.repeat(pcm, factor))
    return replace(stretched, timeline=_timed(sample, factor))


def faster(sample: Sample, factor: int) -> Sample:
    """Sound and Timeline squeezed alike."""
    return replace(both(sample, lambda pcm: pcm[::factor]), timeline=_timed(sample, 1 / factor))


def _timed(sample: Sample, factor: float) -> Any:
    data = _scaled(sample.timeline.model_dump(), factor)
    data["listen"]["sample_count"] = data["speak"]["sample_count"] = round(
        sample.timeline.listen.sample_count * factor
    )
    return type(sample.timeline).model_validate(data)


def _scaled(data: Any, factor: float) -> Any:
    if isinstance(data, dict):
        return {
            k: v * factor if k in TIMES and v is not None else _scaled(v, factor)
            for k, v in data.items()
        }
    if isinstance(data, list | tuple):
        return [_scaled(value, factor) for value in data]
    return data
