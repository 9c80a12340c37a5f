"""The estimate without a model, silence and pauses: what any speech must come out as."""

from __future__ import annotations

import numpy as np
import pytest

from generators.align import Alignment, Unaligned, open_aligner, trimmed, voiced
from generators.align.base import sounding
from generators.align.duration import DurationAligner
from generators.speech import SpeechRequest, open_backend, pick_voice
from generators.speech.backend import Speech
from schemas.config import AlignConfig, Config
from schemas.errors import StrettoError

RATE = 16000
TEXTS = [
    ("en", "Well, it costs $42.50, doesn't it?"),
    ("de", "Über die Brücke, dann links; schönen Tag!"),
    ("zh", "你好，今天天气很好。"),
    ("hi", "नमस्ते, आप कैसे हैं?"),
    ("ar", "مرحبا، كيف حالك؟"),
    ("en", "7"),
    ("en", "so \U0001f34e ... that's it"),
]


def tone(seconds: float, level: int = 8000) -> np.ndarray:
    """A buzz, which no frame of 10 ms finds quiet."""
    t = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sign(np.sin(2 * np.pi * 200 * t))).astype(np.int16)


def hush(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), dtype=np.int16)


def estimated(text: str, pcm: np.ndarray, rate: int = RATE) -> Alignment:
    [found] = DurationAligner().align([Unaligned(text, "en", pcm, rate)])
    assert isinstance(found, Alignment), found
    assert found.word_times == "estimated" and found.scores == ()
    return found


def spans(found: Alignment) -> list[tuple[int, int]]:
    return [(w.start_sample, w.end_sample) for w in found.words]


def test_words_share_the_sound_and_no_word_spans_a_pause() -> None:
    pcm = np.concatenate([hush(0.3), tone(0.5), hush(0.4), tone(1.0), hush(0.2)])
    found = estimated("Yes, that will be fine.", pcm)
    marks = spans(found)
    assert marks[0] == (4800, 12800)  # "Yes," has the first stretch to itself
    assert marks[1][0] == 19200 and marks[-1][1] == 35200
    assert all(a[1] == b[0] for a, b in zip(marks[1:], marks[2:], strict=False))


def test_a_pause_falls_at_the_comma_where_lengths_leave_it_open() -> None:
    pcm = np.concatenate([tone(0.55), hush(0.4), tone(0.55)])
    for text, before in (("aaa, bbb ccc ddd", 1), ("aaa bbb, ccc ddd", 2), ("aaa bbb ccc, ddd", 3)):
        first = [s for s, _ in spans(estimated(text, pcm)) if s < 0.6 * RATE]
        assert len(first) == before, text


def test_more_pauses_than_words_join_at_the_shortest() -> None:
    pcm = np.concatenate([tone(0.3), hush(0.5), tone(0.3), hush(0.2), tone(0.3)])
    assert spans(estimated("aaa bbb", pcm)) == [(0, 4800), (12800, 25600)]
    assert spans(estimated("aaa", pcm)) == [(0, 25600)]


@pytest.mark.parametrize(("language", "text"), TEXTS)
def test_every_language_has_the_words_that_an_engine_would_give(language: str, text: str) -> None:
    backend = open_backend("espeak", RATE)
    [speech] = backend.say([SpeechRequest(text, pick_voice("user", language, 1, "k", "user"), 1)])
    backend.close()
    assert isinstance(speech, Speech)
    found = estimated(text, speech.pcm)
    assert [(w.text, w.char_start) for w in found.words] == [
        (w.text, w.char_start) for w in speech.words
    ]
    marks = spans(found)
    assert all(0 <= s < e <= len(speech.pcm) for s, e in marks)
    assert all(a[1] <= b[0] for a, b in zip(marks, marks[1:], strict=False))


def test_a_noisy_room_has_pauses_too() -> None:
    rng = np.random.default_rng(0)
    quiet = np.concatenate([tone(0.5), hush(0.4), tone(0.5)])
    noisy = (quiet + rng.normal(0, 90, len(quiet))).astype(np.int16)  # -51 dBFS, over the threshold
    assert voiced(noisy, RATE) == voiced(quiet, RATE) == [(0, 8000), (14400, 22400)]


def test_trimming_has_a_threshold_and_a_margin_and_knows_only_its_own_sound() -> None:
    pcm = np.concatenate([hush(0.3), tone(0.5), hush(0.2)])
    assert trimmed(pcm, RATE) == (4720, 12880)
    assert trimmed(pcm, RATE, margin_s=0) == (4800, 12800)
    assert trimmed(tone(0.1, level=20), RATE) == (0, 0)  # -64 dBFS
    assert trimmed(tone(0.1, level=20), RATE, threshold_dbfs=-70) == (0, 1600)
    assert trimmed(hush(0), RATE) == trimmed(hush(1), RATE) == (0, 0)
    # a louder end of the same utterance moves no earlier edge
    assert trimmed(np.concatenate([pcm, tone(0.2, 32000)]), RATE)[0] == 4720


@pytest.mark.parametrize(
    ("text", "pcm", "said"),
    [
        ("Hello", hush(1), "nothing sounds"),
        ("Hello", hush(0), "0 samples of sound for 1 words"),
        ("", tone(1), "no word to align"),
        (" ... \U0001f600 --", tone(1), "no word to align"),
        ("a b c d e", tone(0.0002), "3 samples of sound for 5 words"),
    ],
)
def test_what_has_no_words_or_no_sound_is_one_line(text: str, pcm: np.ndarray, said: str) -> None:
    [error] = DurationAligner().align([Unaligned(text, "en", pcm, RATE)])
    assert isinstance(error, StrettoError) and said in str(error) and "\n" not in str(error)


def test_a_crowd_of_words_still_rises() -> None:
    text = " ".join("abcdefghij" * 20)
    pcm = tone(0.02)
    marks = spans(estimated(text, pcm))
    assert len(marks) == len(sounding(text)) == 200
    assert all(s < e for s, e in marks) and marks[-1][1] <= len(pcm)
    assert all(a[1] <= b[0] for a, b in zip(marks, marks[1:], strict=False))


@pytest.mark.parametrize(
    ("align", "said"),
    [
        ({"backend": "ctc"}, "needs a `model`"),
        ({"backend": "duration", "model": "x"}, "are for `backend: ctc`"),
        ({"revision": "main"}, "are for `backend: ctc`"),
        ({"device": "gpu"}, "align.device"),
        ({"min_score": 2}, "align.min_score"),
        ({"modle": "x"}, "did you mean `model`"),
        ({"fallback": "espeak"}, "align.fallback"),
    ],
)
def test_a_wrong_section_is_refused_by_name(align: dict[str, object], said: str) -> None:
    data = {"name": "x", "sources": [{"dialogues": {"path": "x"}}], "align": align}
    with pytest.raises(StrettoError, match=said):
        Config.from_mapping(data, "x.yaml")


def test_auto_is_the_estimate_until_a_model_is_named() -> None:
    assert open_aligner(AlignConfig()).name == "duration"
    assert open_aligner(AlignConfig(model="some/model")).name == "ctc"
