"""Fitting of the embedded codecs: pure functions from an iterator of the corpus to a codec.

The caller gives the train split alone (a codec fitted on the test split has seen it). Each fit
streams once and keeps a keyed sample of bounded size, so memory does not grow with the corpus and
the same stream gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from schemas.errors import StrettoError
from token_schema.codecs.bpe import TextBPE, TextSettings
from token_schema.codecs.fast import ActionFAST, ActionSettings
from token_schema.codecs.patch_vq import ImagePatchVQ, ImageSettings
from token_schema.codecs.rvq import AudioRVQ, AudioSettings
from token_schema.codecs.uniform import ActionUniform, UniformSettings
from token_schema.codecs.voice import VoiceClips, VoiceSettings

__all__ = [
    "EMBEDDED",
    "ActionSettings",
    "AudioSettings",
    "ImageSettings",
    "TextSettings",
    "UniformSettings",
    "VoiceSettings",
    "fit_action",
    "fit_audio",
    "fit_image",
    "fit_text",
    "fit_uniform",
    "fit_voice",
    "with_options",
]
S = TypeVar("S")
# the types of each kind that are fitted, the default one first
EMBEDDED: dict[str, tuple[str, ...]] = {
    "text": ("bpe",),
    "audio": ("rvq",),
    "image": ("patch_vq",),
    "action": ("fast", "uniform"),
    "voice": ("voice",),
}


def with_options(settings: S, options: Mapping[str, Any], where: str) -> S:
    """The settings with a schema's `options` instead. Raises StrettoError for an unknown one."""
    known = [f.name for f in fields(settings)]  # type: ignore[arg-type]
    if unknown := sorted(set(options) - set(known)):
        raise StrettoError(f"unknown option {unknown[0]!r}", where, "known: " + ", ".join(known))
    for name, value in options.items():
        own = getattr(settings, name)
        fits = type(value) is type(own) or (isinstance(own, float) and type(value) is int)
        if not fits:
            raise StrettoError(f"{value!r} is no {type(own).__name__}", f"{where}.{name}")
    return replace(settings, **options)  # type: ignore[type-var]


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


def fit_uniform(
    trajectories: Iterable[np.ndarray], settings: UniformSettings | None = None
) -> ActionUniform:
    """Uniform bins of trajectories or chunks float [n, D], one embodiment."""
    return ActionUniform.fit(trajectories, settings)


def fit_voice(
    speech: Iterable[tuple[str, np.ndarray]], settings: VoiceSettings | None = None
) -> VoiceClips:
    """A clip of each assistant voice, from (voice name, int16 [n])."""
    return VoiceClips.fit(speech, settings)
