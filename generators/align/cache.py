"""Alignments kept by content, write-once: who aligned first is right for all who come later.

A GPU may round another way than a CPU, so a model's times are an artefact that is made once and
shared, never a thing to be made again. `CachedAligner(aligner, kept)` answers from `kept`; with
None it only avoids aligning twice in a batch. The key is a hash of sound, text, language and the
aligner's version; an entry is one line of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b

from generators.align.base import Aligned, Aligner, Alignment, Unaligned
from generators.speech.artefacts import Artefacts
from generators.speech.backend import SpokenWord
from generators.speech.cache import threads
from schemas import draws
from schemas.errors import StrettoError


class CachedAligner:
    """An aligner with a memory. Same interface, same answers; errors are not kept."""

    def __init__(self, aligner: Aligner, kept: Artefacts | None) -> None:
        self.name = aligner.name
        self.aligned_count = 0
        self._aligner, self._kept = aligner, kept
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
        """An answer per item, from what is kept where it is there."""
        keys = [self.key(item) for item in items]
        wanted = dict(zip(keys, items, strict=True))
        known: dict[str, Aligned] = {**self._read_all(list(wanted))}
        missing = {key: item for key, item in wanted.items() if key not in known}
        fresh = self._aligner.align(list(missing.values())) if missing else []
        self.aligned_count += len(fresh)
        known |= self._keep_all(dict(zip(missing, fresh, strict=True)))
        return [known[key] for key in keys]

    def key(self, item: Unaligned) -> str:
        """Hex hash of all that shapes the words and their times."""
        sound = blake2b(item.pcm.astype("<i2").tobytes(), digest_size=16).hexdigest()
        return draws.digest(
            sound, item.sample_rate_hz, item.text, item.language, self.name, self.version()
        )

    def _read_all(self, keys: list[str]) -> dict[str, Alignment]:
        kept = self._kept
        if kept is None:
            return {}
        with threads(kept) as map_:
            entries = map_(lambda key: unpacked(kept.get(_name(key))), keys)
            return {k: entry for k, entry in zip(keys, entries, strict=True) if entry}

    def _keep_all(self, fresh: dict[str, Aligned]) -> dict[str, Aligned]:
        """What everybody uses from now on: the entry that was first, or the error."""
        kept = self._kept
        if kept is None:
            return fresh
        with threads(kept) as map_:
            stored = map_(lambda item: _keep(kept, *item), fresh.items())
            return dict(zip(fresh, stored, strict=True))


def _name(key: str) -> str:
    return f"{key[:2]}/{key}.words.json"


def _keep(kept: Artefacts, key: str, answer: Aligned) -> Aligned:
    """Store it unless another was first; the alignment that is stored now."""
    if isinstance(answer, StrettoError):
        return answer
    stored = unpacked(kept.put_if_absent(_name(key), packed(answer)))
    if stored is None:  # the entry there was broken
        kept.replace(_name(key), packed(answer))
    return stored or answer


def packed(answer: Alignment) -> bytes:
    """An alignment as an entry."""
    words = [[w.char_start, w.char_end, w.start_sample, w.end_sample, w.text] for w in answer.words]
    entry = {"word_times": answer.word_times, "scores": answer.scores, "words": words}
    return json.dumps(entry).encode() + b"\n"


def unpacked(data: bytes | None) -> Alignment | None:
    """The entry; None when it is absent or broken."""
    try:
        entry = json.loads(data or b"")
        words = tuple(SpokenWord(word[4], *map(int, word[:4])) for word in entry["words"])
        return Alignment(words, entry["word_times"], tuple(map(float, entry["scores"])))
    except (ValueError, KeyError, IndexError, TypeError):
        return None
