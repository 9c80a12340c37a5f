"""Utterances kept by content: what was spoken once is not spoken again.

`CachedBackend(backend, sample_rate_hz, kept)` answers from `kept` and speaks only what is missing;
with `kept=None` it only avoids speaking twice within a batch. The key is a hash of everything that
shapes the audio: text, voice settings, seed, engine, versions, rate.

Entries are write-once: the first that is stored wins and everybody reads that one, so two workers
that speak the same utterance at once go on with the same audio, even where the engine is not pure.
An entry is a line of JSON (words, rate, hash of the PCM), then FLAC, and is used only if the hash
still holds. No pickle.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from generators.speech.artefacts import Artefacts, FolderArtefacts
from generators.speech.backend import Speech, SpeechBackend, SpeechRequest, Spoken, SpokenWord
from schemas import draws

# An object store answers one read in 20 to 50 ms; files don't care.
THREADS = 16


@dataclass(frozen=True)
class Counts:
    """Different utterances that were asked for, and those of them that had to be spoken."""

    asked: int = 0
    spoken: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.asked + other.asked, self.spoken + other.spoken)

    def __sub__(self, other: Counts) -> Counts:
        return Counts(self.asked - other.asked, self.spoken - other.spoken)


class CachedBackend:
    """A speech backend with a memory. Same interface, same answers."""

    def __init__(
        self, backend: SpeechBackend, sample_rate_hz: int, kept: Artefacts | Path | None
    ) -> None:
        self.name = backend.name
        self.sample_rate_hz = sample_rate_hz
        self.counts = Counts()
        self.kept = FolderArtefacts(kept) if isinstance(kept, Path) else kept
        self._backend = backend
        self._version: str | None = None

    @property
    def spoken_count(self) -> int:
        """How many utterances the engine was asked for."""
        return self.counts.spoken

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
        """Speech per request, from what is kept where it is there. Errors are not kept."""
        keys = [self.key(request) for request in requests]
        wanted = dict(zip(keys, requests, strict=True))
        known = self._read_all(list(wanted))
        missing = {key: request for key, request in wanted.items() if key not in known}
        fresh = self._backend.say(list(missing.values())) if missing else []
        known |= self._keep_all(dict(zip(missing, fresh, strict=True)))
        self.counts += Counts(len(wanted), len(missing))
        return [known[key] for key in keys]

    def key(self, request: SpeechRequest) -> str:
        """Hex hash of all that shapes the audio."""
        shape = request.voice.shape()
        return draws.digest(
            request.text, shape, request.seed, self.name, self.version(), self.sample_rate_hz
        )

    def _read_all(self, keys: list[str]) -> dict[str, Spoken]:
        """The speech of each key that is kept whole."""
        kept = self.kept
        if kept is None:
            return {}
        with threads(kept) as map_:
            found = map_(lambda key: _read(kept, key), keys)
            return {k: speech for k, speech in zip(keys, found, strict=True) if speech}

    def _keep_all(self, fresh: dict[str, Spoken]) -> dict[str, Spoken]:
        """What everybody hears from now on: the entry that was first, or the error."""
        kept = self.kept
        if kept is None:
            return fresh
        with threads(kept) as map_:
            stored = map_(lambda item: _keep(kept, *item), fresh.items())
            return dict(zip(fresh, stored, strict=True))


@contextmanager
def threads(kept: Artefacts) -> Iterator[Callable[..., Iterator[Any]]]:
    """`map`, with threads where each call waits for a network."""
    if not kept.remote:
        yield map
        return
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool.map


def _name(key: str) -> str:
    return f"{key[:2]}/{key}.utt"


def _read(kept: Artefacts, key: str) -> Speech | None:
    data = kept.get(_name(key))
    return unpacked(data) if data is not None else None


def _keep(kept: Artefacts, key: str, spoken: Spoken) -> Spoken:
    """Store it unless another was first; the speech that is stored now."""
    if not isinstance(spoken, Speech):
        return spoken
    stored = unpacked(kept.put_if_absent(_name(key), packed(spoken)))
    if stored is None:  # what lay there is broken: ours takes its place
        kept.replace(_name(key), packed(spoken))
        stored = unpacked(kept.get(_name(key)) or b"")
    return stored or spoken


def packed(speech: Speech) -> bytes:
    """An entry: a line of JSON, then FLAC."""
    flac = io.BytesIO()
    soundfile.write(flac, speech.pcm, speech.sample_rate_hz, format="FLAC", subtype="PCM_16")
    words = [[word.char_start, word.char_end, word.start_sample, word.end_sample, word.text]
             for word in speech.words]  # fmt: skip
    head = {"hash": _hash(speech.pcm), "sample_rate_hz": speech.sample_rate_hz, "words": words}
    return json.dumps(head).encode() + b"\n" + flac.getvalue()


def unpacked(data: bytes) -> Speech | None:
    """The entry's speech, or None when it is broken (then it is spoken and written again)."""
    try:
        head_line, _, flac = data.partition(b"\n")
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
