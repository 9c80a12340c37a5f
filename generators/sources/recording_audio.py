"""Where a recording's audio lies, and what its header says. Nothing is decoded here.

A manifest is somebody else's text: its paths stay below `audio_root` (else the manifest's folder).
`..` never leaves it; an absolute path may where the config says `audio_outside: true`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import soundfile

from generators.sources.paths import files_below
from generators.sources.refusal import Refused, short
from schemas import StrettoError
from schemas.config import RecordingSource

RATES_HZ = (8000, 192000)
MAX_FRAMES = 1 << 40
# libsndfile's log of a WAV whose data chunk claims more than the file holds
_SHORT = "(should be"


@dataclass(frozen=True)
class Header:
    """What an audio file says of itself."""

    sample_rate_hz: int
    channels: int
    frames: int

    @property
    def duration_s(self) -> float:
        return self.frames / self.sample_rate_hz


class Places:
    """Finds the audio files that one manifest names."""

    def __init__(self, source: RecordingSource, manifest: Path) -> None:
        self.source = source
        self.root = source.audio_root or str(manifest.parent)
        if source.audio_root and not os.path.isdir(source.audio_root):
            raise StrettoError("no folder here", source.audio_root, "check `audio_root`")

    def find(self, path: str) -> str:
        """The file that a manifest's path means. Raises Refused when it may not or is not there."""
        if "\0" in path or "://" in path:
            raise Refused(f"{short(path)} is not the path of a file", "give a local copy")
        path = path.removeprefix(self.source.audio_prefix or "")
        found = self._by_name(path) if self.source.audio_by == "name" else self._inside(path)
        if os.path.isdir(found):
            raise Refused(f"the path {short(path, 200)} names a folder", "name the audio file")
        if not os.path.isfile(found):
            raise Refused(
                f"the audio {found} is not there", "check `audio_root`, or try `audio_by: name`"
            )
        return found

    def _inside(self, path: str) -> str:
        found = os.path.normpath(os.path.join(self.root, path))
        root, there = os.path.abspath(self.root), os.path.abspath(found)
        if there == root or there.startswith(root.rstrip(os.sep) + os.sep):
            return found
        if os.path.isabs(path):
            if self.source.audio_outside and ".." not in Path(path).parts:
                return found
            fix = "set `audio_root`, or `audio_outside: true` if you trust the manifest"
            raise Refused(f"the audio {short(path, 200)} lies outside of {self.root}", fix)
        raise Refused(
            f"the path {short(path, 200)} leaves {self.root}", "set `audio_root` above it"
        )

    def _by_name(self, path: str) -> str:
        name = os.path.basename(path.replace("\\", "/"))
        found = _names(self.root).get(name, ())
        if len(found) > 1:
            raise Refused(
                f"{len(found)} files named {name} below {self.root}", "use `audio_by: path`"
            )
        return found[0] if found else os.path.join(self.root, name)


@lru_cache(maxsize=4)
def _names(root: str) -> dict[str, tuple[str, ...]]:
    """The files below a folder by their names; read once."""
    found: dict[str, tuple[str, ...]] = {}
    for path in files_below(Path(root)):
        found[path.name] = (*found.get(path.name, ()), str(path))
    return found


def probe(path: str) -> Header:
    """The header of an audio file. Raises Refused for one that can't be used."""
    try:
        stat = os.stat(path)
        return _probe(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None


@lru_cache(maxsize=4096)
def _probe(path: str, size: int, mtime_ns: int) -> Header:
    if not size:
        raise Refused(f"the audio {path} is empty")
    try:
        info = soundfile.info(path, verbose=True)
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
        raise Refused(f"{path} is no readable audio: {_words(error)}") from None
    if info.format == "RAW":
        raise Refused(f"{path} is raw audio without a header", "save it as WAV or FLAC")
    if info.frames > MAX_FRAMES:  # a stream that was never closed
        raise Refused(f"the header of {path} does not say how long it is", "write it anew")
    if not info.frames:
        raise Refused(f"the audio {path} holds no sample")
    if _SHORT in info.extra_info.split("data :")[-1].split("\n")[0]:
        raise Refused(f"the audio {path} is truncated: its header claims more", "copy it again")
    if info.subtype in ("PCM_U8", "PCM_S8"):
        raise Refused(f"the audio {path} is 8-bit PCM: its noise is in every pause", "leave it out")
    if not RATES_HZ[0] <= info.samplerate <= RATES_HZ[1]:
        raise Refused(
            f"the audio {path} is sampled at {info.samplerate} Hz, not {RATES_HZ[0]} or more"
        )
    return Header(info.samplerate, info.channels, info.frames)


def _words(error: Exception) -> str:
    return getattr(error, "error_string", None) or str(error)
