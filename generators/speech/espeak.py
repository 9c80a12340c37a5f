"""Speech through espeak-ng: the embedded default, without weights, about 140 languages.

Each utterance is a pure function of its text, voice and seed: a child forked from an untouched
server speaks it (`espeak_server.py`). The engine is GPL-3.0-or-later and runs as a separate
program (docs/speech.md).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from typing import Any

import numpy as np

from generators.speech.audio import audible_span, resample, scaled
from generators.speech.backend import Speech, SpeechRequest, Spoken, SpokenWord
from generators.speech.espeak_process import EspeakProcess
from generators.speech.tokens import check_text, readable, tokens
from generators.speech.voices import check_variant, languages
from generators.speech.words import Timed, word_times
from schemas.errors import StrettoError

# Counts up when trimming, gain or word times change: it is part of the fingerprint.
REVISION = 1


class EspeakBackend:
    """`say` speaks a batch; `sample_rate_hz` is the rate of the answers (8,000 to 48,000)."""

    name = "espeak"

    def __init__(self, sample_rate_hz: int, deadline_s: float = 30.0) -> None:
        if not 8000 <= sample_rate_hz <= 48000:
            raise StrettoError(
                f"a speech sample rate of {sample_rate_hz} Hz", fix="use 8000 to 48000, e.g. 16000"
            )
        self.sample_rate_hz = sample_rate_hz
        self._process = EspeakProcess(deadline_s)
        self._lock = threading.Lock()

    def version(self) -> str:
        """Engine, wheel (its data shapes the audio), resampler and our own revision."""
        self.check()
        parts = [f"espeak-ng {self._process.version}"]
        parts += [f"{name} {installed_version(name)}" for name in ("espeakng-loader", "soxr")]
        return ", ".join([*parts, f"stretto-espeak {REVISION}"])

    def check(self) -> None:
        """Start the server. StrettoError when the library is missing or broken."""
        with self._lock:
            self._process.start()

    def close(self) -> None:
        """End the server; the next use starts it again."""
        with self._lock:
            self._process.stop()

    def say(self, requests: Sequence[SpeechRequest]) -> list[Spoken]:
        """Speech per request, in order, or the StrettoError of an utterance that failed."""
        spoken: list[Spoken | None] = [_refusal(request) for request in requests]
        todo = [index for index, refused in enumerate(spoken) if refused is None]
        with self._lock:
            answers = self._process.exchange([_message(requests[index]) for index in todo])
            for index, (header, pcm) in zip(todo, answers, strict=True):
                spoken[index] = self._speech(requests[index], header, pcm)
        return [item for item in spoken if item is not None]

    def _speech(self, request: SpeechRequest, header: dict[str, Any], raw: bytes) -> Spoken:
        """The server's answer as Speech at the wanted rate."""
        if "error" in header:
            return StrettoError(header["error"], where=_where(request))
        pcm = np.frombuffer(raw, dtype="<i2")
        timed = word_times(
            tokens(readable(request.text)), header["words"], header["phonemes"], len(pcm)
        )
        first, last = audible_span(pcm, self._process.sample_rate_hz)
        if not timed or last == 0:
            return _nothing(request)
        # A word that is softer than the threshold keeps a sample, so that none is empty.
        first, last = min(first, timed[0][2] - 1), max(last, timed[-1][1] + 1)
        engine_hz = self._process.sample_rate_hz
        audio = resample(pcm[first:last], engine_hz, self.sample_rate_hz)
        return Speech(audio, self.sample_rate_hz, self._words(request.text, timed, first, last))

    def _words(
        self, text: str, timed: list[Timed], first: int, last: int
    ) -> tuple[SpokenWord, ...]:
        """Engine samples -> samples of the trimmed, resampled audio."""

        def at(sample: int) -> int:
            inside = min(max(sample, first), last) - first
            return scaled(inside, self._process.sample_rate_hz, self.sample_rate_hz)

        return tuple(
            SpokenWord(text[token.start : token.end], token.start, token.end, at(start), at(end))
            for token, start, end in timed
        )


def _refusal(request: SpeechRequest) -> StrettoError | None:
    """Why this text can't be spoken, found without the engine."""
    text, language = readable(request.text), request.voice.language
    if language not in languages():
        return StrettoError(
            f"espeak-ng has no voice file {language!r}",
            _where(request),
            "use pick_voice",
        )
    try:
        check_variant(request.voice.variant, _where(request))
        check_text(text, language)
    except StrettoError as refused:
        return StrettoError(refused.what, _where(request), refused.fix)
    return None if any(token.may_sound for token in tokens(text)) else _nothing(request)


def _nothing(request: SpeechRequest) -> StrettoError:
    return StrettoError("nothing to speak", _where(request), "leave the turn out or give it words")


def _where(request: SpeechRequest) -> str:
    """The voice and the head of the text."""
    return f"speech {request.voice.language} {request.text[:40]!r}"


def _message(request: SpeechRequest) -> dict[str, Any]:
    """What the server needs, as JSON."""
    voice = request.voice
    return {
        "text": readable(request.text),
        "language": voice.language,
        "variant": voice.variant,
        "rate_wpm": voice.rate_wpm,
        "pitch": voice.pitch,
        "pitch_range": voice.pitch_range,
        "seed": request.seed & 0x7FFFFFFF,
    }
