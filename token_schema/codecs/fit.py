"""Fitting of the four embedded codecs: pure functions from an iterator of the corpus to a codec.

The caller gives the train split alone (a codec fitted on the test split has seen it). Each fit
streams once and keeps a keyed sample of bounded size, so memory does not grow with the corpus and
the same stream gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from token_schema.codecs.bpe import TextBPE, TextSettings
from token_schema.codecs.fast import ActionFAST, ActionSettings
from token_schema.codecs.patch_vq import ImagePatchVQ, ImageSettings
from token_schema.codecs.rvq import AudioRVQ, AudioSettings

__all__ = [
    "ActionSettings",
    "AudioSettings",
    "ImageSettings",
    "TextSettings",
    "fit_action",
    "fit_audio",
    "fit_image",
    "fit_text",
]


def fit_text(texts: Iterable[str], settings: TextSettings | None = None) -> TextBPE:
    """Byte-level BPE of texts: the write, say and hear texts and the prompts of the corpus."""
    return TextBPE.fit(texts, settings)


def fit_audio(waveforms: Iterable[np.ndarray], settings: AudioSettings | None = None) -> AudioRVQ:
    """Residual VQ of int16 waveforms [n] at the settings' sample rate."""
    return AudioRVQ.fit(waveforms, settings)


def fit_image(frames: Iterable[np.ndarray], settings: ImageSettings | None = None) -> ImagePatchVQ:
    """Patch VQ of frames uint8 [H, W, 3]."""
    return ImagePatchVQ.fit(frames, settings)


def fit_action(
    trajectories: Iterable[np.ndarray], settings: ActionSettings | None = None
) -> ActionFAST:
    """FAST of trajectories or chunks float [n, D], one embodiment."""
    return ActionFAST.fit(trajectories, settings)
