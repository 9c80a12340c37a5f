"""Was it the voice, or what `acoustics` did to it? Reasons that tell the two apart.

    reasons = explained(found, voice, sample, judge, raised=True, widen="raise `checks.clipping`")

A fault that is in `listen` and not in the sum of its clean stems was made by the effects: mending
the voice would not help, so the reason names them and what to do. The sample is as broken as before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from pipeline.checks.base import Reason
from pipeline.checks.voices import Voice
from schemas.sample import Sample
from schemas.timeline import Effect

RAISING = ("gain", "echo", "noise")
LOWERING = ("gain", "clip", "telephone", "codec", "loss")


def explained(
    reasons: Sequence[Reason],
    voice: Voice,
    sample: Sample,
    judge: Callable[[Voice], Sequence[Reason]],
    raised: bool,
    widen: str,
) -> list[Reason]:
    """The reasons, with the effects' names where clean sound gives none.

    `raised`: the fault is too much sound; else it is too little.
    """
    effects = sample.timeline.provenance.acoustics
    if not reasons or voice.who != "user" or not effects or not sample.stems:
        return list(reasons)
    clean = np.sum([stem.astype(np.int32) for stem in sample.stems.values()], axis=0)
    if judge(replace(voice, pcm=np.clip(clean, -32768, 32767).astype(np.int16))):
        return list(reasons)  # the voice's own fault, whatever came on top
    named = ", ".join(f"acoustics.{name}" for name in _names(effects, raised)) or "acoustics"
    fix = f"{'lower' if raised else 'soften'} {named} in the config, or {widen}"
    return [
        r.model_copy(update={"what": f"{r.what}: by {named}, not the voice", "fix": fix})
        for r in reasons
    ]


def _names(effects: Sequence[Effect], raised: bool) -> list[str]:
    """The effects that can have done it, in the order in which sound meets them."""
    among = RAISING if raised else LOWERING
    return [
        e.name
        for e in effects
        if e.name in among and (e.name != "gain" or (float(e.settings.get("db", 0)) > 0) == raised)
    ]
