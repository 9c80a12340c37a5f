"""The sound of a Recording, read when its shard is made: int16 at the corpus's rate.

audio = open_recording(record, 16000)      # audio.user, audio.assistant: int16 [n]

Nothing is done to it but resampling (soxr, where the rates differ): breaths, noise and level stay.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from generators.speech.audio import scaled
from schemas import StrettoError
from schemas.errors import MachineError
from schemas.records import ChannelRange, Recording


@dataclass(frozen=True, eq=False)
class RecordedAudio:
    """Both channels of a recording, int16 [n] of equal length; `assistant` is silent without one."""

    sample_rate_hz: int
    user: NDArray[np.int16]
    assistant: NDArray[np.int16]

    def of(self, speaker: str) -> NDArray[np.int16]:
        """The channel of `user` or `assistant`."""
        return self.user if speaker == "user" else self.assistant


def open_recording(record: Recording, sample_rate_hz: int) -> RecordedAudio:
    """Decode and resample. Raises StrettoError for audio that is damaged or not as planned."""
    ranges = [r for r in (record.user, record.assistant) if r is not None]
    for part in ranges:
        _require_file(part.path, record.where)
    floats = _channels(ranges, record)
    if len(floats) == 2 and np.array_equal(floats[0], floats[1]):
        raise StrettoError(
            "both channels hold the same sound, so the speakers can't be told apart",
            record.where,
            "give true two-channel audio, or map both speakers to `user`",
        )
    count = round(record.duration_s * sample_rate_hz)
    pcm = [_pcm(f, r, sample_rate_hz, count) for f, r in zip(floats, ranges, strict=True)]
    return RecordedAudio(
        sample_rate_hz, pcm[0], pcm[1] if len(pcm) == 2 else np.zeros(count, np.int16)
    )


def _require_file(path: str, where: str) -> None:
    """A file that the plan found and this machine has not: a missing mount, not a bad record."""
    try:
        os.stat(path)
    except OSError as error:
        fix = "make it readable on every machine that runs, then run again"
        raise MachineError(f"{path} can't be read ({error.strerror})", where, fix) from None


def _channels(ranges: list[ChannelRange], record: Recording) -> list[NDArray[np.float32]]:
    """float32 [frames] of each range; a file that holds both is decoded once."""
    decoded: dict[tuple[str, int, int], NDArray[np.float32]] = {}
    found = []
    for part in ranges:
        place = (part.path, part.frame_start, part.frame_count)
        if place not in decoded:
            decoded[place] = _decode(part, record.where)
        frames = decoded[place]
        if part.channel >= frames.shape[1]:
            raise StrettoError(f"{part.path} has no channel {part.channel}", record.where)
        found.append(frames[:, part.channel])
    return found


def _decode(part: ChannelRange, where: str) -> NDArray[np.float32]:
    """float32 [frames, channels]. Raises StrettoError for what can't be decoded whole."""
    try:
        with soundfile.SoundFile(part.path) as file:
            rate = file.samplerate
            file.seek(part.frame_start)
            frames: NDArray[np.float32] = file.read(
                part.frame_count, dtype="float32", always_2d=True
            )
    except (soundfile.SoundFileError, RuntimeError) as error:
        text = getattr(error, "error_string", None) or str(error)
        raise StrettoError(
            f"{part.path} can't be decoded: {text}", where, "copy it again"
        ) from None
    if rate != part.sample_rate_hz:
        raise StrettoError(f"{part.path} is not the file that was planned", where, "plan again")
    if len(frames) < part.frame_count:
        got_s, wanted_s = len(frames) / rate, part.frame_count / rate
        what = f"{part.path} is truncated: {got_s:.3f} of {wanted_s:.3f} s can be decoded"
        raise StrettoError(what, where, "copy it again")
    if not np.isfinite(frames).all():
        raise StrettoError(f"{part.path} holds NaN or infinity", where, "write it anew")
    return frames


def _pcm(
    signal: NDArray[np.float32], part: ChannelRange, sample_rate_hz: int, count: int
) -> NDArray[np.int16]:
    """int16 [count] at the corpus's rate, padded with silence where the other channel is longer."""
    wanted = min(count, scaled(len(signal), part.sample_rate_hz, sample_rate_hz))
    if part.sample_rate_hz != sample_rate_hz:
        signal = soxr.resample(signal, part.sample_rate_hz, sample_rate_hz, quality="HQ")
    signal = signal[:wanted]
    out = np.zeros(count, np.int16)
    # 16-bit sources at the corpus's rate come through bit by bit
    out[: len(signal)] = np.clip(np.rint(signal * np.float32(32768)), -32768, 32767)
    return out
