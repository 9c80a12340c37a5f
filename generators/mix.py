"""The audio tracks of a placed scene: int16 mono, fixed gains, nothing that looks ahead.

`speak` is the assistant; `listen` is the sum of its stems: the user, bystanders, and other sounds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from generators.place import Placed, Placement
from schemas.scene import Noise, Utterance

Track = NDArray[np.int16]


def mix(plan: Placement, speaker: str) -> Track:
    """The track of one speaker: int16 [sample_count]; a cut utterance fades and is then silent."""
    track = np.zeros(plan.sample_count, np.int16)
    for placed in plan.placed.values():
        event = placed.event
        if isinstance(event, Utterance) and event.speaker == speaker:
            _add(track, placed, plan.samples(plan.config.scene.fade_s), event.gain_db)
    return track


def stems(plan: Placement) -> dict[str, Track]:
    """The sources of `listen`, each int16 [sample_count]."""
    noises = np.zeros(plan.sample_count, np.int16)
    for placed in plan.placed.values():
        if isinstance(placed.event, Noise) and placed.pcm is not None:
            pcm = scaled(placed.pcm, placed.event.gain_db)[: plan.sample_count - placed.start]
            noises[placed.start : placed.start + len(pcm)] = pcm
    return {"user": mix(plan, "user"), "bystander": mix(plan, "bystander"), "sounds": noises}


def together(parts: dict[str, Track]) -> Track:
    """The sum of stems, held at full scale."""
    total = np.zeros(len(parts["user"]), np.int32)
    for part in parts.values():
        total += part
    return np.clip(total, -32768, 32767).astype(np.int16)


def _add(track: Track, placed: Placed, fade: int, gain_db: float) -> None:
    for stretch in placed.stretches:
        pcm = stretch.speech.pcm
        if placed.cut is not None:
            if stretch.start >= placed.cut:
                break  # what would begin during the fade is not begun
            pcm = faded(pcm, placed.cut - stretch.start, fade)
        # stretches of one channel do not overlap, so this is a copy and cannot clip
        track[stretch.start : stretch.start + len(pcm)] = scaled(pcm, gain_db)


def scaled(pcm: Track, gain_db: float) -> Track:
    """`pcm` times a fixed gain of at most 0 dB, in whole 1/65,536ths."""
    if gain_db == 0:
        return pcm
    factor = round(10 ** (gain_db / 20) * 65536)
    return (pcm.astype(np.int64) * factor >> 16).clip(-32768, 32767).astype(np.int16)


def faded(pcm: Track, cut: int, fade: int) -> Track:
    """`pcm` up to sample `cut`, then `fade` samples falling linearly to nothing, then no more."""
    if cut >= len(pcm):
        return pcm
    start = max(cut, 0)
    kept = pcm[: max(cut + fade, 0)].astype(np.int32)
    tail = kept[start:]
    weight = fade - (np.arange(len(tail)) + start - cut)
    kept[start:] = tail * weight // fade
    return kept.astype(np.int16)
