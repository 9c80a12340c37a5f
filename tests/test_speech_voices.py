"""Language tags and the draw of voices."""

from __future__ import annotations

import pytest

from generators.speech.voices import espeak_language, licence_note, pick_voice
from schemas.errors import StrettoError


@pytest.mark.parametrize(
    "tag, file",
    [
        ("en", "en-US"),
        ("en-US", "en-US"),
        ("en_us", "en-US"),
        ("en-GB", "en"),
        ("en-ZA", "en-US"),
        ("zh", "cmn"),
        ("zh-Hans-CN", "cmn"),
        ("zh-HK", "yue"),
        ("fr-FR", "fr"),
        ("fr-be", "fr-BE"),
        ("nb", "nb"),
        ("no", "nb"),
        ("pt-BR", "pt-BR"),
        ("es-MX", "es-419"),
        ("chr-US-Qaaa-x-west", "chr"),
        ("iw", "he"),
    ],
)
def test_tags_map_to_voice_files(tag: str, file: str) -> None:
    assert espeak_language(tag) == file


@pytest.mark.parametrize("tag", ["fo", "kaa", "xex", "klingonese", "", "../../etc"])
def test_an_unspeakable_language_is_one_clear_line(tag: str) -> None:
    with pytest.raises(StrettoError, match="use a language tag such as"):
        espeak_language(tag)


def test_the_assistant_is_one_voice_and_users_are_many() -> None:
    assistants = {pick_voice("assistant", "en", 7, f"d{i}", "assistant") for i in range(20)}
    users = [pick_voice("user", "en", 7, f"d{i}", "user") for i in range(400)]
    assert len(assistants) == 1
    assert len({voice.variant for voice in users}) > 33
    assert {voice.variant for voice in users}.isdisjoint(a.variant for a in assistants)
    assert len({(voice.rate_wpm, voice.pitch) for voice in users}) > 250
    children = [voice for voice in users if voice.pitch > 64]
    old = [voice for voice in users if voice.rate_wpm < 135 and voice.pitch <= 64]
    assert 8 < len(children) < 50 and 10 < len(old) < 60  # 6 % and 8 % by the shares
    assert all(120 <= v.rate_wpm <= 190 and 42 <= v.pitch <= 74 for v in users)


def test_a_draw_hangs_on_seed_record_and_speaker_only() -> None:
    one = pick_voice("user", "de", 7, "d1", "anna")
    assert one == pick_voice("user", "de", 7, "d1", "anna")
    others = [("d1", "bert", 7), ("d2", "anna", 7), ("d1", "anna", 8)]
    assert all(pick_voice("user", "de", seed, key, who) != one for key, who, seed in others)
    # The language changes the language and nothing else of the speaker.
    french = pick_voice("user", "fr", 7, "d1", "anna")
    assert (french.variant, french.rate_wpm) == (one.variant, one.rate_wpm)


def test_licence_and_consent_are_stated() -> None:
    assert "GPL-3.0-or-later" in licence_note()["licence"]
    assert "consent" in licence_note()["consent"].lower()
