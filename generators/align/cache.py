"""Alignments kept by content, write-once: who aligned first is right for all who come later.

A GPU may round another way than a CPU, so a model's times are an artefact that is made once and
shared, never a thing to be made again. `CachedAligner(aligner, folder)` answers from `folder`; with
None it only avoids aligning twice in a batch. The key is a hash of sound, text, language and the
aligner's version; an entry is one JSON file, linked into place only if there is none yet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

from generators.align.base import Aligned, Aligner, Alignment, Unaligned
from generators.speech.backend import SpokenWord
from schemas import draws
from schemas.errors import MachineError, StrettoError


class CachedAligner:
    """An aligner with a memory. Same interface, same answers; errors are not kept."""

    def __init__(self, aligner: Aligner, folder: Path | None) -> None:
        self.name = aligner.name
        self.aligned_count = 0
        self._aligner, self._folder = aligner, folder
        self._version: str | None = None

    def version(self) -> str:
        """The aligner's version; asked once."""
        if self._version is None:
            self._version = self._aligner.version()
        return self._version

    def check(self) -> None:
        """StrettoError when the aligner can't run."""
        self._aligner.check()

    def close(self) -> None:
        """Close the aligner; entries stay."""
        self._aligner.close()

    def align(self, items: Sequence[Unaligned]) -> list[Aligned]:
        """An answer per item, from the folder where it is there."""
        if not items:
            return []
        keys = [self.key(item) for item in items]
        known: dict[str, Aligned] = {}
        missing: dict[str, Unaligned] = {}
        for key, item in zip(keys, items, strict=True):
            if key in known or key in missing:
                continue
            kept = _read(self._path(key)) if self._folder else None
            if kept:
                known[key] = kept
            else:
                missing[key] = item
        fresh = self._aligner.align(list(missing.values()))
        self.aligned_count += len(fresh)
        for key, answer in zip(missing, fresh, strict=True):
            known[key] = answer
            if self._folder and not isinstance(answer, StrettoError):
                known[key] = _put(self._path(key), answer)
        return [known[key] for key in keys]

    def key(self, item: Unaligned) -> str:
        """Hex hash of all that shapes the words and their times."""
        sound = blake2b(item.pcm.astype("<i2").tobytes(), digest_size=16).hexdigest()
        return draws.digest(
            sound, item.sample_rate_hz, item.text, item.language, self.name, self.version()
        )

    def _path(self, key: str) -> Path:
        assert self._folder
        return self._folder / key[:2] / f"{key}.words.json"


def _put(path: Path, answer: Alignment) -> Alignment:
    """Keep the answer unless there is one already: then that is the answer."""
    words = [[w.char_start, w.char_end, w.start_sample, w.end_sample, w.text] for w in answer.words]
    entry = {"word_times": answer.word_times, "scores": answer.scores, "words": words}
    beside = path.with_name(f".{path.stem}.{os.getpid()}.{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(entry), encoding="utf-8")
        try:
            os.link(beside, path)
        except FileExistsError:
            kept = _read(path)
            if kept:
                return kept
            os.replace(beside, path)  # a broken entry
            return answer
        beside.unlink()
    except OSError as problem:
        beside.unlink(missing_ok=True)
        raise MachineError(
            f"the cache of alignments can't be written: {problem.strerror}",
            str(path),
            "free some space, or leave `speech.cache` out",
        ) from problem
    return answer


def _read(path: Path) -> Alignment | None:
    """The entry; None when it is absent or broken."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        words = tuple(SpokenWord(word[4], *map(int, word[:4])) for word in entry["words"])
        return Alignment(words, entry["word_times"], tuple(map(float, entry["scores"])))
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None
