"""Recorded noise: the files of a glob, and one of them as a loop of unit power.

`noise_files(pattern)` lists them by name; `loop(pattern, name, rate_hz)` reads one, and
`require_noise(path, rate_hz)` refuses one that can't be used before work begins. Files are named
by their path below the folder that the glob starts in, so a corpus does not depend on where it lies.
"""

from __future__ import annotations

import glob
import math
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.errors import StrettoError

LONGEST_S = 120.0
# Samples as whole multiples of 2**-18: the squares of two minutes at 48 kHz fit in 64 bits.
SCALE = 1 << 18


@lru_cache(maxsize=8)
def noise_files(pattern: str) -> tuple[tuple[str, str], ...]:
    """(name, path) of every file of a glob, by name. StrettoError when there is none."""
    paths = [p for p in glob.glob(os.path.expanduser(pattern), recursive=True) if Path(p).is_file()]
    if not paths:
        raise StrettoError("no such file", pattern, "`acoustics.noise.files` is a glob of sounds")
    base = os.path.commonpath([os.path.dirname(p) or "." for p in paths])
    return tuple(sorted((Path(os.path.relpath(p, base)).as_posix(), p) for p in paths))


def require_noise(path: str, rate_hz: int) -> None:
    """StrettoError for a file that `loop` could not use. Decodes what it would: only that tells."""
    _unit_power(path, rate_hz)


@lru_cache(maxsize=4)
def loop(pattern: str | None, name: str, rate_hz: int) -> NDArray[np.float64]:
    """float64 [n] of unit power: the first two minutes of a file, its channels averaged.

    Its level is measured on the file, which is known before the sample begins. Raises StrettoError
    for a file that is not there, is no sound, or is silent.
    """
    path = dict(noise_files(pattern)).get(name) if pattern else None
    if path is None:
        raise StrettoError(f"no noise file {name!r}", str(pattern), "put it back")
    return _unit_power(path, rate_hz)


def _unit_power(path: str, rate_hz: int) -> NDArray[np.float64]:
    sound = _read(path, rate_hz)
    # integers: their sum of squares is the same on every processor
    whole = np.rint(sound * SCALE).astype(np.int64)
    power = int((whole * whole).sum()) / max(1, len(whole))
    if power < 64:
        raise StrettoError("the noise file is silent", path, "take it out")
    return whole / math.sqrt(power)


def _read(path: str, rate_hz: int) -> NDArray[np.float64]:
    import soundfile
    import soxr

    try:
        with soundfile.SoundFile(path) as file:
            frames = min(len(file), int(LONGEST_S * file.samplerate))
            sound = file.read(frames, dtype="float64", always_2d=True).mean(axis=1)
            from_hz = file.samplerate
    except (soundfile.SoundFileError, OSError) as error:
        raise _unreadable(error, path) from None
    if not len(sound):
        raise StrettoError("the noise file is empty", path, "take it out")
    if not np.isfinite(sound).all():
        raise StrettoError("the noise file holds numbers that are not finite", path, "take it out")
    return sound if from_hz == rate_hz else soxr.resample(sound, from_hz, rate_hz, quality="HQ")


def _unreadable(error: Exception, path: str) -> StrettoError:
    text = " ".join(str(error).split())
    return StrettoError(f"cannot read this noise file: {text}", path, "take it out of the glob")
