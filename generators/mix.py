"""The two audio tracks of a placed scene: int16 mono, integer arithmetic, no gain that looks ahead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from generators.place import Placed, Placement
from schemas.scene import Utterance


def mix(plan: Placement, speaker: str) -> NDArray[np.int16]:
    """The track of one speaker: int16 [sample_count]; a cut utterance fades and is then silent."""
    track = np.zeros(plan.sample_count, np.int16)
    for placed in plan.placed.values():
        if isinstance(placed.event, Utterance) and placed.event.speaker == speaker:
            _add(track, placed, plan.samples(plan.config.scene.fade_s))
    return track


def _add(track: NDArray[np.int16], placed: Placed, fade: int) -> None:
    for stretch in placed.stretches:
        pcm = stretch.speech.pcm
        if placed.cut is not None:
            if stretch.start >= placed.cut:
                break  # what would begin during the fade is not begun
            pcm = faded(pcm, placed.cut - stretch.start, fade)
        # stretches of one channel do not overlap, so this is a copy and cannot clip
        track[stretch.start : stretch.start + len(pcm)] = pcm


def faded(pcm: NDArray[np.int16], cut: int, fade: int) -> NDArray[np.int16]:
    """`pcm` up to sample `cut`, then `fade` samples falling linearly to nothing, then no more."""
    if cut >= len(pcm):
        return pcm
    start = max(cut, 0)
    kept = pcm[: max(cut + fade, 0)].astype(np.int32)
    tail = kept[start:]
    weight = fade - (np.arange(len(tail)) + start - cut)
    kept[start:] = tail * weight // fade
    return kept.astype(np.int16)
