"""Speech through the real espeak-ng: purity, word times, odd text, isolation of faults."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest

from generators.speech import Speech, SpeechRequest, Spoken, Voice, open_backend, pick_voice
from generators.speech.espeak import EspeakBackend
from generators.speech.tokens import readable, tokens
from generators.speech.voices import languages
from schemas.errors import StrettoError

REPO = Path(__file__).resolve().parent.parent
AMERICAN = Voice("test", "en-US", "m3")


@pytest.fixture(scope="module")
def backend() -> Iterator[EspeakBackend]:
    opened = EspeakBackend(16000, deadline_s=60.0)
    yield opened
    opened.close()


def say(backend: EspeakBackend, text: str, language: str = "en-US") -> Spoken:
    return backend.say([SpeechRequest(text, Voice("test", language), 1)])[0]


def spoken(backend: EspeakBackend, text: str, language: str = "en-US") -> Speech:
    speech = say(backend, text, language)
    assert isinstance(speech, Speech), speech
    return speech


def error(backend: EspeakBackend, text: str, language: str = "en-US") -> str:
    refused = say(backend, text, language)
    assert isinstance(refused, StrettoError)
    return str(refused)


def fingerprint(speech: Spoken) -> str:
    assert isinstance(speech, Speech), speech
    return hashlib.sha256(speech.pcm.tobytes() + repr(speech.words).encode()).hexdigest()


def assert_words_fit(speech: Speech, text: str) -> None:
    """Every word with a letter or digit is there, in order, apart, inside the audio."""
    wanted = [token for token in tokens(readable(text)) if token.must_sound]
    spans = [(word.char_start, word.char_end) for word in speech.words]
    assert [(t.start, t.end) for t in wanted if (t.start, t.end) not in spans] == []
    at = 0
    for word in speech.words:
        assert at <= word.start_sample < word.end_sample <= len(speech.pcm), word
        assert word.text == text[word.char_start : word.char_end]
        at = word.end_sample
    assert spans == sorted(spans)


PURE = [
    SpeechRequest("Hello there, this is a longer test of what is carried over.", AMERICAN, 3),
    SpeechRequest("Ich hätte gern einen Kaffee mit Milch.", Voice("t", "de", "f1", 160, 55), 3),
    SpeechRequest("你好，我想要一杯咖啡", Voice("t", "cmn", "Andrea"), 3),
]


def test_an_utterance_is_the_same_first_last_and_after_others(backend: EspeakBackend) -> None:
    others = [
        SpeechRequest(f"Something else, {index}.", pick_voice("user", "en", 1, str(index), "u"), 9)
        for index in range(6)
    ]
    fresh = EspeakBackend(16000)
    first = [fingerprint(speech) for speech in fresh.say(PURE)]
    fresh.close()
    mixed = backend.say(others[:3] + PURE + others[3:] + PURE[::-1])
    assert [fingerprint(speech) for speech in mixed[3:6]] == first
    assert [fingerprint(speech) for speech in mixed[-3:][::-1]] == first


def test_another_process_speaks_the_same(backend: EspeakBackend) -> None:
    code = (
        "import sys, tests.test_speech_espeak as t\n"
        "b = t.EspeakBackend(16000)\n"
        "print(*[t.fingerprint(s) for s in b.say(t.PURE[::-1])[::-1]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=REPO,
    )
    assert done.stdout.split() == [fingerprint(speech) for speech in backend.say(PURE)]


@pytest.mark.parametrize(
    "text, language, count",
    [
        ("Hello, world! How are you?", "en-US", 5),
        ("I am going to go to the store and buy some coffee.", "en-US", 12),
        ("of the in the to the", "en-US", 6),
        ("It costs $42.50, or 1,234 dollars.", "en-US", 6),
        ("Call 555-0199 at 3:30pm.", "en-US", 4),
        ("See https://example.com/a?b=1 for more.", "en-US", 4),
        ("twenty-one", "en-US", 1),
        ("Dr. Smith's e-mail is bob@example.com, isn't it?", "en-US", 7),
        ("wait -- what", "en-US", 2),
        ("2 + 2 = 4", "en-US", 5),
        ("Guten Tag, ich hätte gern zwei Brötchen für 3,50 Euro.", "de", 10),
        ("مرحبا، كيف حالك اليوم؟", "ar", 4),
        ("नमस्ते, आप कैसे हैं?", "hi", 4),
        ("Привет, как у тебя дела сегодня?", "ru", 6),
        ("안녕하세요 저는 커피를 한 잔 주세요", "ko", 6),
        ("สวัสดี ครับผม", "th", 2),
        ("你好，我想要一杯咖啡，谢谢。", "cmn", 11),
        ("こんにちは、コーヒーください", "ja", 2),
    ],
)
def test_every_word_gets_a_time(
    backend: EspeakBackend, text: str, language: str, count: int
) -> None:
    speech = spoken(backend, text, language)
    assert len(speech.words) == count
    assert_words_fit(speech, text)


def test_words_stand_where_the_sound_is(backend: EspeakBackend) -> None:
    speech = spoken(backend, "Hello, world! How are you?")
    world, how = speech.words[1], speech.words[2]
    pause = np.abs(speech.pcm[world.end_sample + 800 : how.start_sample].astype(int))
    assert len(pause) > 3000 and pause.max() < 300
    for word in speech.words:
        assert np.abs(speech.pcm[word.start_sample : word.end_sample].astype(int)).max() > 2000


@pytest.mark.parametrize("text", ["", " \t\n", "...", "- - -", "!!!", "\x00\x01", "🍎", "\ud800"])
def test_nothing_to_speak(backend: EspeakBackend, text: str) -> None:
    assert "nothing to speak" in error(backend, text)


def test_control_characters_do_not_steer_and_nul_does_not_cut(backend: EspeakBackend) -> None:
    plain = spoken(backend, "I said  now please stay.")
    for odd in ("I said \x01now please stay.", "I said\x00 now please stay."):
        assert len(spoken(backend, odd).words) == 5
        assert np.array_equal(spoken(backend, odd).pcm, plain.pcm)
    slowed = spoken(backend, "\x0180S Hello there")
    assert [word.text for word in slowed.words] == ["80S", "Hello", "there"]


def test_emoji_and_surrogates_keep_the_positions_of_words(backend: EspeakBackend) -> None:
    text = "Nice 🍎👍🏽 tea \ud800 for 👨‍👩‍👧 us"
    speech = spoken(backend, text)
    assert [word.text for word in speech.words] == ["Nice", "tea", "for", "us"]
    assert_words_fit(speech, text)


def test_too_long_and_unreadable_text_is_refused_in_one_line(backend: EspeakBackend) -> None:
    long = error(backend, "word " * 20_000)
    assert "100000 characters" in long and "split the turn" in long and len(long) < 300
    kanji = error(backend, "日本", "ja")
    assert "can't read '日' in Japanese: it reads kana only; write it in kana" in kanji
    assert "cmn" not in kanji and "to ko" in error(backend, "한", "ja")
    assert "can't read '你'" in error(backend, "Hello 你", "en-US")
    assert "no voice file 'xx'" in error(backend, "Hello", "xx")


def test_an_unknown_variant_is_refused_not_spoken_by_another_voice(backend: EspeakBackend) -> None:
    [refused] = backend.say([SpeechRequest("Hello", Voice("t", "en-US", "nobody"), 1)])
    assert isinstance(refused, StrettoError) and "no variant 'nobody'" in str(refused)


def test_a_bad_utterance_leaves_its_neighbours_alone(backend: EspeakBackend) -> None:
    alone = fingerprint(backend.say([PURE[0]])[0])
    answers = backend.say([PURE[0], SpeechRequest("...", AMERICAN, 1), PURE[0]])
    assert isinstance(answers[1], StrettoError)
    assert fingerprint(answers[0]) == fingerprint(answers[2]) == alone


def test_silence_is_trimmed_and_the_level_never_clips(backend: EspeakBackend) -> None:
    speech = spoken(backend, "Hello there. ")
    loud = np.flatnonzero(np.abs(speech.pcm.astype(int)) > 64)
    assert loud[0] < 0.02 * 16000 and len(speech.pcm) - loud[-1] < 0.02 * 16000
    assert 3000 < np.abs(speech.pcm.astype(int)).max() < 30000


def test_other_rates_have_the_same_words_at_the_same_times(backend: EspeakBackend) -> None:
    text = "The same words at every rate."
    base = spoken(backend, text)
    for rate_hz in (8000, 22050, 24000):
        other = EspeakBackend(rate_hz)
        speech = spoken(other, text)
        other.close()
        assert speech.sample_rate_hz == rate_hz and speech.pcm.dtype == np.int16
        assert abs(speech.duration_s - base.duration_s) < 1e-3
        for ours, theirs in zip(base.words, speech.words, strict=True):
            assert abs(ours.start_sample / 16000 - theirs.start_sample / rate_hz) < 2e-4
    with pytest.raises(StrettoError, match="sample rate"):
        EspeakBackend(4000)


SAMPLE = ["en-US", "de", "fr", "es-419", "pt-BR", "it", "ru", "ar", "hi", "cmn", "tr", "vi", "chr"]


def test_a_sample_of_languages_speaks(backend: EspeakBackend) -> None:
    assert set(SAMPLE) <= set(languages())
    requests = [SpeechRequest("Hotel 5 taxi", Voice("t", name), 1) for name in SAMPLE]
    for speech in backend.say(requests):
        assert isinstance(speech, Speech), speech
        assert [word.text for word in speech.words] == ["Hotel", "5", "taxi"]
        assert 0.4 < speech.duration_s < 6


def test_listed_languages_are_exactly_those_with_data() -> None:
    lang = Path(espeakng_loader.get_data_path()) / "lang"
    files = {file.name for file in lang.rglob("*") if file.is_file()}
    assert set(languages()) == files - {"fo", "kaa", "xex"}


def messages(*faults: str | None) -> list[dict]:
    plain = {"text": "Hello", "language": "en", "variant": "", "rate_wpm": 175, "pitch": 50}
    plain |= {"pitch_range": 50, "seed": 1}
    return [{**plain, "test_fault": fault} if fault else plain for fault in faults]


def test_a_crash_or_a_hang_costs_one_utterance() -> None:
    backend = EspeakBackend(16000, deadline_s=3.0)
    answers = list(backend._process.exchange(messages(None, "crash", None, "hang", None)))
    backend.close()
    errors = [header.get("error") for header, _ in answers]
    assert errors == [None, "espeak-ng died (signal 11)", None, "no speech within 3 s", None]
    assert answers[0] == answers[2] == answers[4]


def test_a_killed_server_is_started_again(backend: EspeakBackend) -> None:
    before = fingerprint(backend.say([PURE[0]])[0])
    process = backend._process._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert fingerprint(backend.say([PURE[0]])[0]) == before


def test_a_server_killed_amid_a_batch_loses_nothing(backend: EspeakBackend) -> None:
    alone = fingerprint(backend.say([PURE[0]])[0])
    answers = backend._process.exchange(messages(*[None] * 6))
    first = next(answers)
    process = backend._process._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    assert list(answers) == [first] * 5
    # An exchange that is given up leaves no stale answer behind.
    abandoned = backend._process.exchange(messages(*[None] * 6))
    next(abandoned)
    abandoned.close()
    assert fingerprint(backend.say([PURE[0]])[0]) == alone


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_the_server_ends_with_its_parent() -> None:
    code = (
        "import os, sys, time, tests.test_speech_espeak as t\n"
        "b = t.EspeakBackend(16000); b.check()\n"
        "print(b._process._process.pid, flush=True)\n"
        "list(b._process.exchange(t.messages('hang')))"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=REPO
    )
    assert parent.stdout is not None
    server = int(parent.stdout.readline())
    assert alive(server)
    time.sleep(0.5)  # let the utterance hang, the hardest case
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 15
    while alive(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(server)


def test_the_registry_names_the_known_backends() -> None:
    with pytest.raises(StrettoError, match="use espeak"):
        open_backend("festival", 16000)
    backend = open_backend("espeak", 16000)
    assert backend.name == "espeak"
    assert "espeak-ng 1.5" in backend.version() and "soxr" in backend.version()
    backend.close()
