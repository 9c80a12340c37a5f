"""Does anybody speak too fast or too slowly to be true? Characters a second, by script.

A runaway engine babbles on after its text; a squeezed or truncated one gives a sentence half a second.
Too slow counts every visible character over the length of the piece (signs may be read aloud); too
fast counts letters and digits over its words. Times are the Timeline's, so this costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.checks.base import Check, Finding, Models, Reason
from pipeline.checks.scripts import syllabic
from pipeline.checks.voices import Utterance, voices, words_of
from schemas.config.checks import RateCheck
from schemas.sample import Sample
from schemas.timeline import Piece, TimedWord

MIN_SLOW_S = 1.5  # a drawn-out "I." is no runaway
MIN_FAST_CHARACTERS = 10


def _run(samples: Sequence[Sample], bounds: RateCheck, models: Models) -> list[Finding]:
    return [_finding(sample, bounds) for sample in samples]


def _finding(sample: Sample, bounds: RateCheck) -> Finding:
    figures: dict[str, float] = {}
    reasons: list[Reason] = []
    for voice in voices(sample):
        said = [(e, p, words) for e, p in voice.pieces() if (words := words_of(e, p))]
        if not said:
            continue
        letters = sum(_letters(words) for _, _, words in said)
        spoken_s = sum(w.end_s - w.start_s for _, _, words in said for w in words)
        figures[f"{voice.who}_characters_per_s"] = round(letters / max(spoken_s, 1e-3), 2)
        for event, piece, words in said:
            reasons += _reasons(event, piece, words, bounds)
    return Finding(figures, tuple(reasons))


def _reasons(
    event: Utterance, piece: Piece, words: list[TimedWord], bounds: RateCheck
) -> Iterator[Reason]:
    text = event.text[piece.char_start : piece.char_end]
    low, high = bounds.syllables if syllabic(text) else bounds.letters
    where: dict[str, Any] = {"event": event.id, "start_s": piece.start_s, "end_s": piece.end_s}
    whole_s = piece.end_s - piece.start_s
    cut = len(words) < sum(piece.char_start <= w.char_start < piece.char_end for w in event.words)
    slow = sum(not c.isspace() for c in text) / max(whole_s, 1e-3)
    if slow < low and whole_s >= MIN_SLOW_S and not cut:
        what = f"{slow:.1f} characters a second, below {low:g}"
        yield Reason(what=what, **where)
    letters = _letters(words)
    fast = letters / max(words[-1].end_s - words[0].start_s, 1e-3)
    if fast > high and letters >= MIN_FAST_CHARACTERS:
        what = f"{fast:.1f} characters a second, above {high:g}"
        yield Reason(what=what, **where)


def _letters(words: Sequence[TimedWord]) -> int:
    return sum(c.isalnum() for w in words for c in w.text)


CHECK = Check(
    name="rate",
    needs="nothing",
    cost="over 10,000 times real time",
    fix="speak it again or drop the record, or widen `checks.rate`",
    settings=lambda checks: checks.rate,
    run=_run,
    shown=("user_characters_per_s", "assistant_characters_per_s"),
)
