"""The utterance cache: same answers with and without, broken entries spoken again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from generators.speech import Speech, SpeechRequest, Spoken, Voice
from generators.speech.cache import CachedBackend
from generators.speech.espeak import EspeakBackend
from schemas.errors import StrettoError

VOICE = Voice("a", "en-US")
REQUESTS = [SpeechRequest(text, VOICE, 1) for text in ("One.", "Two!", "One.", "...")]


@pytest.fixture(scope="module")
def espeak() -> Iterator[EspeakBackend]:
    backend = EspeakBackend(16000)
    yield backend
    backend.close()


def same(left: list[Spoken], right: list[Spoken]) -> bool:
    for one, two in zip(left, right, strict=True):
        if isinstance(one, Speech) and isinstance(two, Speech):
            if not np.array_equal(one.pcm, two.pcm) or one.words != two.words:
                return False
        elif str(one) != str(two):
            return False
    return True


def test_answers_are_the_same_and_spoken_once(espeak: EspeakBackend, tmp_path: Path) -> None:
    bare = espeak.say(REQUESTS)
    none = CachedBackend(espeak, 16000, None)
    cold = CachedBackend(espeak, 16000, tmp_path / "cache")
    assert same(bare, none.say(REQUESTS)) and same(bare, cold.say(REQUESTS))
    assert none.spoken_count == cold.spoken_count == 3
    warm = CachedBackend(espeak, 16000, tmp_path / "cache")
    assert same(bare, warm.say(REQUESTS))
    assert warm.spoken_count == 1  # the error is not kept
    assert isinstance(bare[3], StrettoError)
    assert not list((tmp_path / "cache").rglob(".*"))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_broken_entry_is_spoken_again(espeak: EspeakBackend, tmp_path: Path, damage: str) -> None:
    cache = CachedBackend(espeak, 16000, tmp_path)
    good = cache.say(REQUESTS[:1])
    [entry] = tmp_path.rglob("*.utt")
    data = entry.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) * 2 // 3] ^= 0x55
    broken = {"cut": data[:-200], "flip": bytes(flipped), "empty": b"", "text": b"[]\nx"}[damage]
    entry.write_bytes(broken)
    assert same(good, cache.say(REQUESTS[:1])) and cache.spoken_count == 2
    assert entry.read_bytes() == data


def test_the_key_takes_all_that_shapes_the_audio(espeak: EspeakBackend) -> None:
    cache = CachedBackend(espeak, 16000, None)
    base = cache.key(REQUESTS[0])
    assert base == cache.key(SpeechRequest("One.", Voice("other name", "en-US"), 1))
    others = [
        SpeechRequest("One", VOICE, 1),
        SpeechRequest("One.", VOICE, 2),
        SpeechRequest("One.", Voice("a", "en-US", "m3"), 1),
        SpeechRequest("One.", Voice("a", "en-US", "", 180), 1),
    ]
    keys = {cache.key(request) for request in others}
    keys.add(CachedBackend(espeak, 24000, None).key(REQUESTS[0]))
    assert len(keys) == 5 and base not in keys


def test_a_folder_that_cannot_be_made_is_one_line(espeak: EspeakBackend, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StrettoError, match="a cache"):
        CachedBackend(espeak, 16000, tmp_path / "file" / "cache")
    assert os.listdir(tmp_path) == ["file"]
