"""MelSlots and VoiceClips: numbers of lanes without codes, and the voices of prompts."""

from __future__ import annotations

import numpy as np
import pytest
from test_codec_audio import speech_like

from schemas.errors import StrettoError
from token_schema.codecs import load
from token_schema.codecs.fit import VoiceSettings, fit_voice
from token_schema.codecs.mel_slots import MelSlots
from token_schema.codecs.voice import VoiceClips

SLOTS = MelSlots.of(16000, 5.0, 8, 40)


def test_rows_are_exact_causal_and_in_range() -> None:
    pcm = speech_like(4, 1)
    rows = SLOTS.encode(pcm)
    assert rows.dtype == np.float32 and rows.shape == (20, SLOTS.dim) == (20, 320)
    assert -1 <= rows.min() and rows.max() < 1 and rows.max() > 0
    assert np.array_equal(rows * 64, np.rint(rows * 64))
    for frames in (1, 7, 19):
        n = frames * SLOTS.frame_samples
        assert np.array_equal(SLOTS.encode(pcm[: n + 100]), rows[:frames])
        other = np.concatenate([pcm[:n], pcm[::-1]])
        assert np.array_equal(SLOTS.encode(other)[:frames], rows[:frames])
    assert np.array_equal(SLOTS.encode(np.zeros(9600, np.int16)), SLOTS.silence(3))
    assert SLOTS.encode(pcm[:10]).shape == (0, SLOTS.dim)


def test_rows_come_back_as_sound_of_the_same_levels() -> None:
    pcm = speech_like(4, 2)
    back = SLOTS.decode(SLOTS.encode(pcm))
    assert back.dtype == np.int16 and len(back) == 20 * SLOTS.frame_samples
    heard, made = SLOTS.encode(pcm), SLOTS.encode(back)
    loud = heard > 0
    assert np.abs(heard[loud] - made[loud]).mean() < 0.15  # 10 levels of 0.75 dB
    assert not SLOTS.decode(SLOTS.silence(4)).any()


def test_settings_and_bad_rows() -> None:
    assert MelSlots.of(16000, 5.0, 8, 40) is SLOTS
    assert MelSlots.of(24000, 12.5, 2, 128).dim == 256
    assert MelSlots.of(16000, 12.5, 16, 8).frame_samples == 1280
    with pytest.raises(StrettoError, match="rates that fit"):
        MelSlots.of(16000, 7.3, 4, 40)
    with pytest.raises(StrettoError, match=r"not \[n, 320\]"):
        SLOTS.decode(np.zeros((2, 3)))
    with pytest.raises(StrettoError, match="finite"):
        SLOTS.decode(np.full((1, 320), np.inf))


def clip(clips: VoiceClips, name: str) -> np.ndarray:
    found = clips.clip(name)
    assert found is not None
    return found


def test_a_clip_is_the_first_speech_of_its_voice() -> None:
    settings = VoiceSettings(sample_rate_hz=16000, seconds=0.5)
    a1, a2, b = (np.arange(1, n, dtype=np.int16) for n in (3001, 7001, 2001))
    pairs = [("b", np.zeros(500, np.int16)), ("a", a1), ("b", b), ("a", a2), ("a", a1)]
    clips = fit_voice(pairs, settings)
    assert clips.names == ("a", "b") and clips.size == 2 and clips.seconds == 0.5
    assert np.array_equal(clip(clips, "a"), np.concatenate([a1, a2[:5000]]))
    assert np.array_equal(clip(clips, "b"), np.concatenate([b, np.zeros(6000, np.int16)]))
    assert clips.clip("c") is None and clips.clip(None) is None
    back = load(clips.to_files())
    assert isinstance(back, VoiceClips)
    assert back.hash == clips.hash and np.array_equal(clip(back, "b"), clip(clips, "b"))
    assert fit_voice(pairs, settings).to_files() == clips.to_files()


def test_bad_voices_are_refused() -> None:
    with pytest.raises(StrettoError, match="no speech"):
        fit_voice([("a", np.zeros(10, np.int16))])
    with pytest.raises(StrettoError, match="int16"):
        fit_voice([("a", np.zeros(10))])
    with pytest.raises(StrettoError, match="out of range"):
        VoiceSettings(seconds=0)
    files = fit_voice([("a", np.ones(10, np.int16))]).to_files()
    with pytest.raises(StrettoError, match="corrupted: names.json"):
        VoiceClips.from_files({**files, "names.json": b'["b"]'})
