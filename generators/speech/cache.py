"""Utterances kept by content: what was spoken once is not spoken again.

`CachedBackend(backend, folder)` answers from `folder` and speaks only what is missing; with
`folder=None` it only avoids speaking twice within a batch. The key is a hash of everything that
shapes the audio, so answers are the same with and without a cache. An entry is one file: a line of
JSON (words, rate, hash of the PCM), then FLAC. It is written beside and renamed, and read back only
if the hash still holds. No pickle.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from dataclasses import astuple
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

import numpy as np
import soundfile

from generators.speech.backend import Speech, SpeechBackend, SpeechRequest, Spoken, SpokenWord
from schemas import draws
from schemas.errors import StrettoError


class CachedBackend:
    """A speech backend with a memory. Same interface, same answers."""

    def __init__(self, backend: SpeechBackend, sample_rate_hz: int, folder: Path | None) -> None:
        self.name = backend.name
        self.sample_rate_hz = sample_rate_hz
        self.spoken_count = 0
        self._backend, self._folder = backend, folder
        self._version: str | None = None
        if folder:
            _make(folder)

    def version(self) -> str:
        """The backend's version; asked once."""
        if self._version is None:
            self._version = self._backend.version()
        return self._version

    def check(self) -> None:
        """StrettoError when the backend can't run."""
        self._backend.check()

    def close(self) -> None:
        """Close the backend; entries stay."""
        self._backend.close()

    def say(self, requests: Sequence[SpeechRequest]) -> list[Spoken]:
        """Speech per request, from the folder where it is there. Errors are not kept."""
        keys = [self.key(request) for request in requests]
        known: dict[str, Spoken] = {}
        missing: dict[str, SpeechRequest] = {}
        for key, request in zip(keys, requests, strict=True):
            if key in known or key in missing:
                continue
            kept = _read(self._path(key)) if self._folder else None
            if kept:
                known[key] = kept
            else:
                missing[key] = request
        fresh = self._backend.say(list(missing.values()))
        self.spoken_count += len(fresh)
        for key, speech in zip(missing, fresh, strict=True):
            known[key] = speech
            if self._folder and isinstance(speech, Speech):
                _write(self._path(key), speech)
        return [known[key] for key in keys]

    def key(self, request: SpeechRequest) -> str:
        """Hex hash of all that shapes the audio: text, voice, seed, engine, versions, rate."""
        voice = astuple(request.voice)[1:]  # the name shapes nothing
        return draws.digest(
            request.text, voice, request.seed, self.name, self.version(), self.sample_rate_hz
        )

    def _path(self, key: str) -> Path:
        assert self._folder
        return self._folder / key[:2] / f"{key}.utt"


def _write(path: Path, speech: Speech) -> None:
    """Put an entry; a reader sees all of it or nothing."""
    flac = io.BytesIO()
    soundfile.write(flac, speech.pcm, speech.sample_rate_hz, format="FLAC", subtype="PCM_16")
    words = [[word.char_start, word.char_end, word.start_sample, word.end_sample, word.text]
             for word in speech.words]  # fmt: skip
    head = {"hash": _hash(speech.pcm), "sample_rate_hz": speech.sample_rate_hz, "words": words}
    _make(path.parent)
    beside = path.with_name(f".{path.stem}.{os.getpid()}.{uuid4().hex}")
    try:
        beside.write_bytes(json.dumps(head).encode() + b"\n" + flac.getvalue())
        os.replace(beside, path)
    except OSError as problem:
        beside.unlink(missing_ok=True)
        raise StrettoError(
            f"the speech cache can't be written: {problem.strerror}", str(path), "free some space"
        ) from problem


def _read(path: Path) -> Speech | None:
    """The entry, or None when it is absent or broken (then it is spoken and written again)."""
    try:
        head_line, _, flac = path.read_bytes().partition(b"\n")
        head = json.loads(head_line)
        pcm, rate_hz = soundfile.read(io.BytesIO(flac), dtype="int16")
        if _hash(pcm) != head["hash"] or rate_hz != head["sample_rate_hz"]:
            return None
        words = tuple(SpokenWord(word[4], *word[:4]) for word in head["words"])
    except (OSError, ValueError, KeyError, IndexError, TypeError, soundfile.SoundFileError):
        return None
    return Speech(pcm, rate_hz, words)


def _hash(pcm: np.ndarray) -> str:
    return blake2b(pcm.astype("<i2").tobytes(), digest_size=16).hexdigest()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise StrettoError(
            f"the speech cache's folder can't be made: {problem.strerror}", str(folder)
        ) from problem
