"""Tiny fitted codecs for every preset: all names that they use, at the rates that they use them."""

from __future__ import annotations

from functools import lru_cache

from schema_samples import TEXT, fitted, path, sound

from token_schema.codec_set import CodecSet
from token_schema.codecs.fit import AudioSettings, TextSettings, fit_audio, fit_text
from token_schema.codecs.uniform import ActionUniform, UniformSettings
from token_schema.codecs.voice import VoiceClips, VoiceSettings
from token_schema.language import load_schema

VOICES = ("v", "espeak:en-US+f4-170-50-50")


@lru_cache
def all_codecs() -> dict[str, object]:
    """As `schema_samples.fitted`, and what the presets need besides."""
    sounds = [sound(8.0, s) for s in range(3)]
    small = {"entries": 16, "sample_frames": 400, "iterations": 3}
    return {
        **fitted(),
        "text": fit_text([TEXT * 3], TextSettings(vocab_size=320)),
        "audio-12hz5": fit_audio(sounds, AudioSettings(rate_hz=12.5, codebooks=8, **small)),  # type: ignore[arg-type]
        "audio-25hz": fit_audio(sounds, AudioSettings(rate_hz=25.0, codebooks=1, **small)),  # type: ignore[arg-type]
        "uniform.arm": ActionUniform.fit([path(200)], UniformSettings(horizon=10)),
        "voice": VoiceClips.fit([(v, sound(5.0, 7)) for v in VOICES], VoiceSettings(seconds=4.0)),
    }


@lru_cache
def preset_set(name: str) -> CodecSet:
    """The codecs of a preset (or a schema file)."""
    return CodecSet(load_schema(name), all_codecs())
