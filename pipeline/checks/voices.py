"""Who speaks in a sample, in which track, and where: what the exact checks look at.

`voices(sample)` gives the user (in `listen`) and the assistant (in `speak`). Speech of others in
`listen` is nobody's: it may be as quiet or as noisy as it likes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from pipeline.vad import by_user
from schemas.sample import Sample
from schemas.timeline import Hear, Piece, Say, TimedWord

JOIN_GAP_S = 0.2  # words closer than this are one stretch of speech
FULL_SCALE = 32768

Utterance = Hear | Say
Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class Voice:
    """One speaker: int16 [sample_count] of the track, and the utterances in it."""

    who: str
    pcm: NDArray[np.int16]
    sample_rate_hz: int
    utterances: tuple[Utterance, ...]

    def at(self, second: float) -> int:
        """The sample index of a time, inside the track."""
        return min(max(0, round(second * self.sample_rate_hz)), len(self.pcm))

    def seconds(self, samples: int) -> float:
        """A length in samples as seconds, to the millisecond."""
        return round(int(samples) / self.sample_rate_hz, 3)

    def pieces(self) -> Iterator[tuple[Utterance, Piece]]:
        """Every piece that sounded."""
        for event in self.utterances:
            for piece in event.pieces:
                yield event, piece

    def speech(self) -> Spans:
        """[start, end) samples of speech: words, joined over short gaps."""
        gap, joined = self.at(JOIN_GAP_S), []  # type: ignore[var-annotated]
        words = sorted(
            (self.at(w.start_s), self.at(w.end_s))
            for event in self.utterances
            for w in event.words
            if not w.cut
        )
        for start, end in words:
            if joined and start - joined[-1][1] < gap:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return joined

    def event_at(self, sample: int) -> str | None:
        """The utterance that sounds at this sample."""
        at_s = sample / self.sample_rate_hz
        return next((e.id for e in self.utterances if e.start_s <= at_s <= e.end_s), None)


def voices(sample: Sample) -> tuple[Voice, Voice]:
    """The user and the assistant."""
    timeline = sample.timeline
    heard = tuple(e for e in timeline.world if isinstance(e, Hear) and by_user(e))
    said = tuple(e for e in timeline.agent if isinstance(e, Say))
    return (
        Voice("user", sample.listen, timeline.listen.sample_rate_hz, heard),
        Voice("assistant", sample.speak, timeline.speak.sample_rate_hz, said),
    )


def words_of(event: Utterance, piece: Piece) -> list[TimedWord]:
    """The words of a piece that were said to their end."""
    inside = (w for w in event.words if piece.char_start <= w.char_start < piece.char_end)
    return [w for w in inside if not w.cut]


def amplitude(dbfs: float) -> int:
    """The sample value at a level; in decimal arithmetic, so the same on every machine."""
    return int(FULL_SCALE * Decimal(10) ** (Decimal(str(dbfs)) / 20))


def decibels(square_sum: int, samples: int) -> float | None:
    """The RMS level, dBFS to the hundredth; None of silence. Decimal, for the same reason."""
    if not square_sum or not samples:
        return None
    ratio = Decimal(square_sum) / (Decimal(samples) * FULL_SCALE**2)
    return float(round(10 * ratio.log10(), 2))
