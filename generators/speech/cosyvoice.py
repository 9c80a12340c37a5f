"""Speech through CosyVoice 2 or 3: FunAudioLLM's code in a checkout, called as it is.

CosyVoiceBackend(16000, CosyVoiceConfig(model_dir="...", home="...")).say(requests)

A voice's settings choose zero_shot, cross_lingual, instruct2 or sft (docs/cosyvoice.md). It gives no
word times: the align stage finds them. Its environment differs from ours (transformers 4.51.3), so
it is meant to be hosted; this module needs only numpy, soundfile, soxr and pydantic there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

import numpy as np

from generators.speech.audio import audible_span, resample
from generators.speech.backend import Speech, SpeechRequest, Spoken
from generators.speech.cosyvoice_engine import Engine, is_machine_fault, is_unlucky
from generators.speech.cosyvoice_home import (
    check_packages,
    code_version,
    find_home,
    model_hash,
    package_versions,
)
from generators.speech.cosyvoice_policy import fault, speakable_text, to_int16
from generators.speech.cosyvoice_voice import Style, check_style, prompt_of, style_of
from generators.speech.voices import Voice
from schemas import draws
from schemas.config.cosyvoice import CosyVoiceConfig
from schemas.errors import MachineError, StrettoError

# Counts up when trimming, gain, seeding or the retries change: it is part of the fingerprint.
REVISION = 1
# Upstream draws from torch's global generator: two models in one process would disturb each other.
_ONE_CALL = threading.RLock()
# Upstream's own warning: under this share of the prompt's length a sentence goes wrong.
SHORT_SHARE = 0.5


class CosyVoiceBackend:
    """`say` speaks a batch at `sample_rate_hz`; `voices` are checked by `check` if given.

    One call at a time in a process. Several streams on a GPU are several processes.
    """

    name = "cosyvoice"

    def __init__(
        self, sample_rate_hz: int, options: CosyVoiceConfig, voices: Sequence[Voice] = ()
    ) -> None:
        self.sample_rate_hz, self.options, self.voices = sample_rate_hz, options, tuple(voices)
        self._engine: Engine | None = None
        self._owner_pid = 0

    def version(self) -> str:
        """Checkout, model, libraries and options that shape the audio. Loads no model."""
        home = find_home(self.options)
        packages = [f"{name} {version}" for name, version in package_versions().items()]
        options = self.options.model_dump(exclude={"home", "model_dir"})
        shaping = draws.digest(options, size=4)
        parts = [f"cosyvoice{home.version} {code_version(home)}", f"model {model_hash(home)}"]
        parts += [*packages, f"options {shaping}", f"stretto-cosyvoice {REVISION}"]
        return ", ".join(parts)

    def check(self) -> None:
        """Load the model, test its decoding, look at the voices. StrettoError when it can't run."""
        home = find_home(self.options)
        styles = [style_of(voice) for voice in self.voices]
        for style in styles:
            check_style(style, home.version)
        with _ONE_CALL:
            engine = self._loaded()
            for style in styles:
                _check_speaker(style, engine)

    def close(self) -> None:
        """Let the model go; the next use loads it again."""
        with _ONE_CALL:
            self._engine = None

    def say(self, requests: Sequence[SpeechRequest]) -> list[Spoken]:
        """Speech per request, in order, or the StrettoError of an utterance that failed.

        StrettoError when the model does not load, MachineError when the GPU itself failed.
        """
        with _ONE_CALL:
            engine = self._loaded() if requests else None
            return [self._say_one(request, engine) for request in requests if engine]

    def _say_one(self, request: SpeechRequest, engine: Engine) -> Spoken:
        try:
            text = speakable_text(request.text)
            style = style_of(request.voice)
            check_style(style, engine.home.version)
            _check_speaker(style, engine)
            waves = self._waves(engine, text, style, request.seed)
        except MachineError:
            raise
        except StrettoError as refused:
            return StrettoError(refused.what, refused.where or _where(request), refused.fix)
        return self._speech(waves, engine.sample_rate_hz, request)

    def _waves(self, engine: Engine, text: str, style: Style, seed: int) -> list[np.ndarray]:
        """Each sentence of a text, kept only if it sounds like one."""
        try:
            pieces = engine.pieces(text)
        except Exception as failure:
            raise _as_error(failure) from failure
        if not pieces:
            raise StrettoError("nothing to speak", fix="leave the turn out or give it words")
        return [
            self._sentence(engine, piece, self._fitting(style, piece), seed, index)
            for index, piece in enumerate(pieces)
        ]

    def _sentence(
        self, engine: Engine, piece: str, style: Style, seed: int, index: int
    ) -> np.ndarray:
        """One sentence, spoken again with another seed while something is wrong with it."""
        problem = ""
        for attempt in range(self.options.max_retries + 1):
            drawn = draws.draw_seed(seed, f"sentence:{index}", f"try:{attempt}", "cosyvoice")
            try:
                take = engine.take(piece, style, drawn & 0x7FFFFFFF)
            except Exception as failure:
                if not is_unlucky(failure):
                    raise _as_error(failure) from failure
                problem = str(failure)
                continue
            problem = fault(take, piece, self.options, style.speed) or ""
            if not problem:
                return take.wave
        tries = self.options.max_retries + 1
        raise StrettoError(f"{problem}, in each of {tries} tries", fix="reword or shorten the text")

    def _fitting(self, style: Style, piece: str) -> Style:
        """The style for one sentence: a long prompt makes the LLM fail on a short sentence."""
        short = len(piece) < SHORT_SHARE * len(prompt_of(style, 2))
        if style.mode == "zero_shot" and short and self.options.short_text == "cross_lingual":
            return Style("cross_lingual", style.language, style.prompt_wav, speed=style.speed)
        return style

    def _speech(self, waves: list[np.ndarray], rate_hz: int, request: SpeechRequest) -> Spoken:
        """Sentences -> one utterance at the wanted rate: fixed gain, trimmed, without word times."""
        pcm = to_int16(np.concatenate(waves))
        first, last = audible_span(pcm, rate_hz)
        if last == 0:
            return StrettoError("silence", _where(request))
        return Speech(resample(pcm[first:last], rate_hz, self.sample_rate_hz),
                      self.sample_rate_hz, ())  # fmt: skip

    def _loaded(self) -> Engine:
        """The model of this process; a fork's copy is not used."""
        if self._engine is None or self._owner_pid != os.getpid():
            home = find_home(self.options)
            check_packages(home.version)
            try:
                self._engine = Engine(home, self.options)
            except StrettoError:
                raise
            except Exception as failure:
                raise StrettoError(
                    f"CosyVoice does not load: {type(failure).__name__}: {failure}",
                    str(home.model_dir),
                    "compare its environment with docs/cosyvoice.md",
                ) from failure
            self._owner_pid = os.getpid()
        return self._engine


def _check_speaker(style: Style, engine: Engine) -> None:
    """An sft voice needs a speaker that the model's spk2info.pt has."""
    if style.mode == "sft" and style.spk_id not in engine.speakers():
        known = ", ".join(engine.speakers()) or "none: it has no spk2info.pt"
        raise StrettoError(
            f"the model has no speaker {style.spk_id!r}", fix=f"speakers of this model: {known}"
        )


def _as_error(failure: Exception) -> StrettoError:
    """An exception inside CosyVoice as this utterance's error, or as the machine's."""
    said = f"CosyVoice failed: {type(failure).__name__}: {failure}"
    if is_machine_fault(failure):
        return MachineError(said, fix="give each instance more GPU memory, or run fewer of them")
    return StrettoError(said)


def _where(request: SpeechRequest) -> str:
    """The voice and the head of the text."""
    return f"speech {request.voice.name} {request.text[:40]!r}"
