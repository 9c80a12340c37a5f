"""Is there sound where words are? Dead audio at the edges of a piece, inside a word, or all along.

A speech engine that pads its output, a recording with dropouts, audio that is shifted against its
words or muted: all leave stretches in which no sample rises above a floor, though the Timeline says
that somebody speaks. Comparisons of integers only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.checks.base import Check, Finding, Models, Reason
from pipeline.checks.voices import Utterance, Voice, amplitude, voices
from schemas.config.checks import SilenceCheck
from schemas.sample import Sample
from schemas.timeline import Piece

SHORT_GAP_S = 0.05  # shorter stillness is part of speech: the closure of a stop


@dataclass(frozen=True)
class _Sound:
    """The samples of a voice that are above the floor, and the stretches [start, end) between."""

    voice: Voice
    loud: NDArray[np.int64]
    gap_starts: NDArray[np.int64]
    gap_ends: NDArray[np.int64]

    def within(self, start: int, end: int) -> NDArray[np.int64]:
        """The first and the last loud sample of [start, end); empty when there is none."""
        low, high = np.searchsorted(self.loud, (start, end))
        return self.loud[[low, high - 1]] if high > low else self.loud[:0]

    def longest_gaps(self, starts: list[int], ends: list[int]) -> list[int]:
        """The longest still stretch inside each [start, end), samples."""
        first = np.searchsorted(self.gap_ends, starts, "right")
        last = np.searchsorted(self.gap_starts, ends)
        found = [0] * len(starts)
        for n in np.flatnonzero(last > first):  # few words have one
            gaps = slice(first[n], last[n])
            begun = np.maximum(self.gap_starts[gaps], starts[n])
            found[n] = int((np.minimum(self.gap_ends[gaps], ends[n]) - begun).max())
        return found


def _run(samples: Sequence[Sample], bounds: SilenceCheck, models: Models) -> list[Finding]:
    return [_finding(sample, bounds) for sample in samples]


def _finding(sample: Sample, bounds: SilenceCheck) -> Finding:
    figures: dict[str, float] = {}
    reasons: list[Reason] = []
    for voice in voices(sample):
        if not voice.utterances:
            continue
        sound = _sound(voice, amplitude(bounds.floor_dbfs))
        edges = [(e, p, _edges_s(sound, p)) for e, p in voice.pieces()]
        inside, dead = _words(sound)
        figures |= {
            f"{voice.who}_edge_s": max((max(s) for _, _, s in edges), default=0.0),
            f"{voice.who}_inside_s": max((s for _, _, _, s in inside), default=0.0),
            f"{voice.who}_dead_words": dead,
        }
        reasons += _edge_reasons(edges, bounds)
        reasons += _inside_reasons(inside, bounds)
        if dead > bounds.max_words:
            what = f"{dead:.0%} of the {voice.who}'s words have no sound"
            reasons.append(Reason(what=f"{what}, more than {bounds.max_words:.0%}"))
    return Finding(figures, tuple(reasons))


def _sound(voice: Voice, floor: int) -> _Sound:
    loud = np.flatnonzero((voice.pcm > floor) | (voice.pcm < -floor))
    bounded = np.concatenate(([-1], loud, [len(voice.pcm)]))
    long = np.flatnonzero(np.diff(bounded) - 1 > voice.at(SHORT_GAP_S))
    return _Sound(voice, loud, bounded[long] + 1, bounded[long + 1])


def _edges_s(sound: _Sound, piece: Piece) -> tuple[float, float]:
    """Dead audio before the first and after the last sound of a piece; all of it when it is dead."""
    voice = sound.voice
    start, end = voice.at(piece.start_s), voice.at(piece.end_s)
    found = sound.within(start, end)
    if not len(found):
        return voice.seconds(end - start), voice.seconds(end - start)
    return voice.seconds(found[0] - start), voice.seconds(end - 1 - found[-1])


def _words(sound: _Sound) -> tuple[list[tuple[str, float, float, float]], float]:
    """(event, start, end, longest still stretch) of each word that has one; share of dead words."""
    voice = sound.voice
    words = [(e.id, w.start_s, w.end_s) for e in voice.utterances for w in e.words if not w.cut]
    starts = [voice.at(start_s) for _, start_s, _ in words]
    ends = [voice.at(end_s) for _, _, end_s in words]
    gaps = sound.longest_gaps(starts, ends)
    found = [(*w, voice.seconds(gap)) for w, gap in zip(words, gaps, strict=True) if gap]
    dead = sum(0 < b - a <= gap for a, b, gap in zip(starts, ends, gaps, strict=True))
    return found, round(dead / max(1, len(words)), 4)


def _edge_reasons(
    edges: list[tuple[Utterance, Piece, tuple[float, float]]], bounds: SilenceCheck
) -> Iterator[Reason]:
    for event, piece, silent_s in edges:
        for name, value in zip(("begins", "ends"), silent_s, strict=True):
            if value > bounds.max_edge_s:
                text = f"{name} with {value:g} s of dead audio, more than {bounds.max_edge_s:g} s"
                yield Reason(what=text, event=event.id, start_s=piece.start_s, end_s=piece.end_s)


def _inside_reasons(
    words: list[tuple[str, float, float, float]], bounds: SilenceCheck
) -> Iterator[Reason]:
    for event, start_s, end_s, gap_s in words:
        if gap_s > bounds.max_inside_s:
            text = f"{gap_s:g} s of dead audio inside a word, more than {bounds.max_inside_s:g} s"
            yield Reason(what=text, event=event, start_s=start_s, end_s=end_s)


CHECK = Check(
    name="silence",
    needs="nothing",
    cost="over 5,000 times real time",
    fix="trim the speech or mend its word times, or widen `checks.silence`",
    settings=lambda checks: checks.silence,
    run=_run,
    shown=("user_edge_s", "assistant_edge_s"),
)
