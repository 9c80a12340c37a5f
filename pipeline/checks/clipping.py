"""Is the sound cut off at full scale? The share of such samples, and their longest run.

Speech that was recorded too loud, or amplified beyond 16 bits, sits at the ends of the range for
many samples in a row. Single peaks there are no fault. Where the config clips `listen` on purpose
(`acoustics`), the user is measured in the clean stem where that was kept, and not at all otherwise.
Where only other effects made the user too loud, the reasons name them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.checks.base import Check, Finding, Models, Reason
from pipeline.checks.blame import explained
from pipeline.checks.voices import Voice, voices
from schemas.config.checks import ClippingCheck
from schemas.sample import Sample

# 0.02 dB below full scale: a resampler leaves a clipped top uneven
TOP = 32700


def _run(samples: Sequence[Sample], bounds: ClippingCheck, models: Models) -> list[Finding]:
    return [_finding(sample, bounds) for sample in samples]


def _finding(sample: Sample, bounds: ClippingCheck) -> Finding:
    figures: dict[str, float] = {}
    reasons: list[Reason] = []
    for heard in voices(sample):
        if (voice := _unclipped(heard, sample)) is None:
            continue
        own, found = _judged(voice, bounds)
        figures |= own
        reasons += explained(
            found,
            voice,
            sample,
            lambda clean: _judged(clean, bounds)[1],
            raised=True,
            widen="raise `checks.clipping`",
        )
    return Finding(figures, tuple(reasons))


def _judged(voice: Voice, bounds: ClippingCheck) -> tuple[dict[str, float], list[Reason]]:
    """The figures of one speaker, and what is wrong with them."""
    share, (start, end) = _measured(voice)
    run_s = voice.seconds(end - start)
    where: dict[str, Any] = {
        "event": voice.event_at(start),
        "start_s": voice.seconds(start),
        "end_s": voice.seconds(end),
    }
    reasons = []
    if share > bounds.max_share:
        text = f"{share:.1%} of the {voice.who}'s speech is at full scale"
        reasons.append(Reason(what=f"{text}, more than {bounds.max_share:.1%}", **where))
    if run_s > bounds.max_run_s:
        text = f"{run_s:g} s at full scale without a break"
        reasons.append(Reason(what=f"{text}, more than {bounds.max_run_s:g} s", **where))
    return {f"{voice.who}_share": share, f"{voice.who}_run_s": run_s}, reasons


def _unclipped(voice: Voice, sample: Sample) -> Voice | None:
    """The voice before a clipping that was asked for; None where that is not kept."""
    asked = any("clip" in effect.name for effect in sample.timeline.provenance.acoustics)
    if voice.who == "assistant" or not asked:
        return voice
    stem = sample.stems.get("user")
    return None if stem is None else replace(voice, pcm=stem)


def _measured(voice: Voice) -> tuple[float, tuple[int, int]]:
    """Share of the speech at full scale, and the longest run of such samples anywhere."""
    pcm = voice.pcm
    if not len(pcm) or (pcm.max() < TOP and pcm.min() > -TOP):
        return 0.0, (0, 0)
    full = (pcm >= TOP) | (pcm <= -TOP)
    speech = voice.speech() or [(0, len(pcm))]
    count = sum(int(np.count_nonzero(full[a:b])) for a, b in speech)
    share = round(count / max(1, sum(b - a for a, b in speech)), 4)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], full.astype(np.int8), [0]))))
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    return share, (int(starts[longest]), int(ends[longest]))


CHECK = Check(
    name="clipping",
    needs="nothing",
    cost="over 10,000 times real time",
    fix="lower the gain of the recording or the voice, or raise `checks.clipping`",
    settings=lambda checks: checks.clipping,
    run=_run,
    shown=("user_share", "assistant_share"),
)
