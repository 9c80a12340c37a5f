"""How loud is each speaker? The RMS level of the words, in dBFS, inside bounds.

Where `acoustics` moved the user's level out of bounds, the reason names the effects.
Integer arithmetic: the sum of squares is the same in any order, on any processor.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.checks.base import Check, Finding, Models, Reason
from pipeline.checks.blame import explained
from pipeline.checks.voices import Voice, decibels, voices
from schemas.config.checks import LevelCheck
from schemas.sample import Sample


def _run(samples: Sequence[Sample], bounds: LevelCheck, models: Models) -> list[Finding]:
    return [_finding(sample, bounds) for sample in samples]


def _finding(sample: Sample, bounds: LevelCheck) -> Finding:
    figures: dict[str, float] = {}
    reasons: list[Reason] = []
    for voice in voices(sample):
        spans = voice.speech()
        if not spans:  # says nothing: a listener, a robot's silent user
            continue
        level = level_dbfs(voice, spans)
        figures[f"{voice.who}_dbfs"] = -96.0 if level is None else level  # silence: below all
        reasons += explained(
            _reasons(level, voice, bounds),
            voice,
            sample,
            lambda clean: _reasons(level_dbfs(clean, clean.speech()), clean, bounds),
            raised=level is not None and level > bounds.dbfs[1],
            widen="widen `checks.level.dbfs`",
        )
    return Finding(figures, tuple(reasons))


def _reasons(level: float | None, voice: Voice, bounds: LevelCheck) -> list[Reason]:
    if not (fault := _fault(level, bounds)):
        return []
    spans = voice.speech()
    start_s, end_s = voice.seconds(spans[0][0]), voice.seconds(spans[-1][1])
    return [Reason(what=f"the {voice.who} {fault}", start_s=start_s, end_s=end_s)]


def level_dbfs(voice: Voice, spans: Sequence[tuple[int, int]]) -> float | None:
    """RMS of these spans; None of silence."""
    total, count = 0, 0
    for start, end in spans:
        squares = np.square(voice.pcm[start:end], dtype=np.int32)  # 32,768 squared is 2**30
        total += int(squares.sum(dtype=np.int64))
        count += len(squares)
    return decibels(total, count)


def _fault(level: float | None, bounds: LevelCheck) -> str | None:
    low, high = bounds.dbfs
    if level is None:
        return "is silent where words should be"
    if level < low:
        return f"speaks at {level:.1f} dBFS, below {low:g}"
    return f"speaks at {level:.1f} dBFS, above {high:g}" if level > high else None


CHECK = Check(
    name="level",
    needs="nothing",
    cost="over 10,000 times real time",
    fix="set the gain of that speaker, or widen `checks.level.dbfs`",
    settings=lambda checks: checks.level,
    run=_run,
    shown=("user_dbfs", "assistant_dbfs"),
)
