"""The forced aligner: a CTC model says how each frame sounds, the best path says when each word is.

A word starts with the first frame of its first letter and ends with the last of its last one. CTC
models answer in peaks, so the sound between two words belongs to the first of them up to where it
falls quiet, and after a silence the sound before a peak to its word (`closed`). Silence, or a text
with more letters than frames, is a StrettoError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import Any

import numpy as np
import soxr

from generators.align import model
from generators.align.base import Aligned, Alignment, Unaligned, refusal, sounding, spoken_words
from generators.align.emissions import Emitter
from generators.align.labels import Labels, Speller, romaniser, spelled
from generators.align.silence import energies, frame_size, quiet_level
from generators.align.viterbi import UNITS_PER_NAT, ctc_spans, frames_needed
from generators.speech.tokens import Token
from schemas.config.align import AlignConfig
from schemas.errors import StrettoError

# Counts up when the times of the same emissions change.
REVISION = 1
# The sound around a peak that is its word's. What lasts longer is something else.
REACH_S = 0.25


@dataclass(frozen=True)
class _Job:
    """An item that can be aligned, and what it is aligned with."""

    words: tuple[Token, ...]
    labels: Labels


class CtcAligner:
    """`align` a batch with the config's model, loaded on first use."""

    name = "ctc"

    def __init__(self, config: AlignConfig) -> None:
        self._config = config
        self._opened: tuple[Emitter, str] | None = None
        self._speller: Speller | None = None

    def version(self) -> str:
        """The model's files, the libraries and our own revision. Opens the model."""
        _, identity = self._open()
        parts = [
            f"ctc {identity}",
            *(f"{n} {installed_version(n)}" for n in ("torch", "transformers")),
        ]
        # what was good enough for one bound is not for another: kept answers are of one bound
        parts.append(f"min_score {self._config.min_score:g}")
        if self._config.romanise:
            parts.append(f"uroman {installed_version('uroman')}")
        return ", ".join([*parts, f"soxr {installed_version('soxr')}", f"stretto-ctc {REVISION}"])

    def check(self) -> None:
        """Open the model. StrettoError when it, its libraries or its device aren't there."""
        self._open()

    def close(self) -> None:
        """Free the model."""
        self._opened = None

    def align(self, items: Sequence[Unaligned]) -> list[Aligned]:
        """Words of each item with scores, or the StrettoError why not."""
        emitter, _ = self._open()
        jobs = [self._job(item, emitter) for item in items]
        todo = [index for index, job in enumerate(jobs) if isinstance(job, _Job)]
        heard = dict(
            zip(
                todo,
                emitter.emissions([_signal(items[i], emitter.rate_hz) for i in todo]),
                strict=True,
            )
        )
        found: list[Aligned] = []
        for index, job in enumerate(jobs):
            if isinstance(job, StrettoError):
                found.append(job)
            else:
                found.append(self._aligned(items[index], job, heard[index], emitter))
        return found

    def _open(self) -> tuple[Emitter, str]:
        if self._opened is None:
            if self._config.romanise and self._speller is None:
                self._speller = _romaniser()
            assert self._config.model is not None
            self._opened = model.open_model(
                self._config.model, self._config.revision, self._config.device
            )
        return self._opened

    def _job(self, item: Unaligned, emitter: Emitter) -> _Job | StrettoError:
        """The words and labels of an item, or why it can't be aligned."""
        words = sounding(item.text)
        if refused := refusal(item, words):
            return refused
        if not (energies(item.pcm, item.sample_rate_hz) > 0).any():
            return StrettoError("nothing sounds in this audio", item.where, "speak it again")
        labels = spelled(item.text, words, emitter.vocabulary, self._speller)
        if set(labels.ids) <= {emitter.vocabulary.wildcard, emitter.vocabulary.delimiter}:
            return StrettoError(
                "the model can write no letter of this text", item.where,
                "use a model for its language, or `romanise`",
            )  # fmt: skip
        return _Job(tuple(words), labels)

    def _aligned(self, item: Unaligned, job: _Job, units: np.ndarray, emitter: Emitter) -> Aligned:
        ids = job.labels.ids
        if len(units) < frames_needed(ids):
            return StrettoError(
                f"its text has {len(ids)} letters, its sound only {len(units)} frames",
                item.where, "the text is not what was said: mend it, or speak it again",
            )  # fmt: skip
        spans = ctc_spans(units, ids, emitter.vocabulary.blank)
        scores = word_scores(units, spans, job.labels, emitter.vocabulary.wildcard)
        known = [score for score in scores if score is not None]
        score = round(sum(known) / len(known), 4)
        if score < self._config.min_score:
            return StrettoError(
                f"its sound fits its text with a score of {score}, below {self._config.min_score:g}",
                item.where, "the text is not what was said, or lower `align.min_score`",
            )  # fmt: skip
        frames = word_frames(spans, job.labels.words, len(job.words))
        cuts = [_samples(pair, emitter, item) for pair in frames]
        words = spoken_words(item, job.words, closed(cuts, item))
        return Alignment(words, "aligned", tuple(score if s is None else s for s in scores))


def word_frames(spans: np.ndarray, owners: Sequence[int], count: int) -> list[tuple[int, int]]:
    """Frames [start, end) of each word: of its first label and its last."""
    owned = np.asarray(owners)
    frames = []
    for word in range(count):
        mine = spans[owned == word]
        frames.append((int(mine[0, 0]), int(mine[-1, 1])))
    return frames


def word_scores(
    units: np.ndarray, spans: np.ndarray, labels: Labels, wildcard: int
) -> list[float | None]:
    """The mean probability (geometric) of a word's letters in their frames; None for a wildcard."""
    sums: dict[int, list[int]] = {}
    for (start, end), label, word in zip(spans, labels.ids, labels.words, strict=True):
        if label != wildcard and word >= 0:
            sums.setdefault(word, []).extend(units[start:end, label].tolist())
    found: list[float | None] = []
    for word in range(max(labels.words) + 1):
        frames = sums.get(word)
        mean = sum(frames) / len(frames) / UNITS_PER_NAT if frames else None
        found.append(None if mean is None else round(float(np.exp(mean)), 4))
    return found


def closed(cuts: Sequence[tuple[int, int]], item: Unaligned) -> list[tuple[int, int]]:
    """The words with the sound around their peaks, by `REACH_S` at most.

    An end moves on to where it falls quiet, or to the next word; a start after a silence back to
    where the sound began.
    """
    size, reach = frame_size(item.sample_rate_hz), int(REACH_S * item.sample_rate_hz)
    level = energies(item.pcm, item.sample_rate_hz)
    quiet = np.flatnonzero(level <= quiet_level(level))
    found, free = [], 0
    for index, (start, end) in enumerate(cuts):
        last = cuts[index + 1][0] if index + 1 < len(cuts) else len(item.pcm)
        at = int(np.searchsorted(quiet, start // size))
        sound = (int(quiet[at - 1]) + 1) * size if at else 0
        start = min(start, max(free, sound, start - reach))
        at = int(np.searchsorted(quiet, -(-end // size)))
        silent = int(quiet[at]) * size if at < len(quiet) else last
        free = max(end, min(last, silent, end + reach))
        found.append((start, free))
    return found


def _samples(frames: tuple[int, int], emitter: Emitter, item: Unaligned) -> tuple[int, int]:
    """Frames [start, end) -> samples of the item, rounded down."""

    def at(frame: int) -> int:
        sample = (frame * emitter.stride + emitter.offset) * item.sample_rate_hz // emitter.rate_hz
        return min(sample, len(item.pcm))

    return at(frames[0]), at(frames[1])


def _signal(item: Unaligned, rate_hz: int) -> np.ndarray:
    """float32 at the model's rate, full scale 1."""
    signal = item.pcm.astype(np.float32) / np.float32(32768)
    if item.sample_rate_hz == rate_hz:
        return signal
    resampled: Any = soxr.resample(signal, item.sample_rate_hz, rate_hz, quality="HQ")
    return np.asarray(resampled, dtype=np.float32)


def _romaniser() -> Speller:
    try:
        return romaniser()
    except ImportError as error:
        raise StrettoError(
            "uroman is not installed, so the text can't be romanised", "align.romanise",
            "pip install 'stretto[align]'",
        ) from error  # fmt: skip
