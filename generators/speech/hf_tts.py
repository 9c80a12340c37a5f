"""Speech through any text-to-speech model of `transformers`, by hub name or folder.

VITS (MMS-TTS and the like) is spoken in batches of like length (`hf_vits.py`); what else the
library's `text-to-audio` pipeline can run (SpeechT5, Bark, ...) one by one (`hf_pipeline.py`). Noise
is drawn per utterance from its own seed. Runaway and silent audio is caught and drawn again with
another seed. Words have no times: the align stage finds them. torch and transformers are imported
on first use.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version as installed_version
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from generators.speech.audio import audible_span, resample
from generators.speech.backend import Speech, SpeechRequest, Spoken
from generators.speech.batches import by_length
from generators.speech.hf_models import ModelName, family, identity, model_names, named
from generators.speech.hf_speaker import Speaker, Wave
from generators.speech.tokens import MAX_CHARACTERS, readable
from schemas import draws
from schemas.config.speech import SpeechConfig, TransformersSpeech
from schemas.errors import StrettoError

REVISION = 1
TRIES = 3
# Speech has 4 to 30 characters a second; outside of this it ran away or broke off.
LONGEST_S = 2.0, 0.5
SHORTEST_S = 0.015
QUIET_RMS = 30.0  # of 32,768: -61 dBFS


class TransformersBackend:
    """See the module. `speech.transformers` is the config."""

    name = "transformers"

    def __init__(self, speech: SpeechConfig) -> None:
        if speech.transformers is None:
            raise StrettoError(
                "the transformers backend has no model",
                "speech.transformers",
                "write `transformers: {model: facebook/mms-tts-eng}`",
            )
        self._speech, self._settings = speech, speech.transformers
        self._speakers: dict[ModelName, Speaker] = {}

    def check(self) -> None:
        """Packages, models (their small files only) and the device."""
        for package in ("torch", "transformers"):
            if find_spec(package) is None:
                raise StrettoError(
                    f"the transformers speech backend needs {package}",
                    "speech.backend",
                    "pip install 'stretto[codecs]', or name an environment in speech.python",
                )
        for model in model_names(self._speech):
            family(model, self._settings)
        _require_device(self._settings.device)

    def version(self) -> str:
        """Libraries, models by content, and how it is run: all of it shapes the audio."""
        settings = self._settings
        parts = [f"{name} {installed_version(name)}" for name in ("torch", "transformers", "soxr")]
        parts += [identity(model) for model in model_names(self._speech)]
        run = f"{settings.device.split(':')[0]} {settings.dtype} batch {settings.batch}"
        threads = f" threads {self._threads}" if settings.device == "cpu" else ""
        return ", ".join([*parts, run + threads, f"stretto-transformers {REVISION}"])

    def close(self) -> None:
        """Free the models; the next use loads them again."""
        self._speakers.clear()

    def say(self, requests: Sequence[SpeechRequest]) -> list[Spoken]:
        """Speech per request, in order, or the StrettoError of an utterance that failed."""
        answers: dict[int, Spoken] = {}
        for batch in by_length(self._speech, requests):
            wanted = [requests[index] for index in batch]
            answers |= zip(batch, self._batch(wanted), strict=True)
        return [answers[index] for index in range(len(requests))]

    def _batch(self, requests: list[SpeechRequest]) -> list[Spoken]:
        """Texts of one model at once; what came out wrong is spoken again, each alone."""
        speaker = self._speaker(named(requests[0].voice, self._settings))
        refused = [_refusal(request) or speaker.refusal(request) for request in requests]
        todo = [r for r, no in zip(requests, refused, strict=True) if no is None]
        waves = speaker.waves(todo, [_seed(r, 0) for r in todo]) if todo else []
        spoken = [self._finished(speaker, r, w) for r, w in zip(todo, waves, strict=True)]
        said = iter(spoken)
        return [no or next(said) for no in refused]

    def _finished(self, speaker: Speaker, request: SpeechRequest, wave: Wave) -> Spoken:
        for attempt in range(1, TRIES + 1):
            pcm = _pcm(wave)
            fault = _fault(pcm, speaker.sample_rate_hz, request.text)
            if fault is None:
                first, last = audible_span(pcm, speaker.sample_rate_hz)
                rate_hz = self._speech.sample_rate_hz
                audio = resample(pcm[first:last], speaker.sample_rate_hz, rate_hz)
                return Speech(audio, rate_hz, ())
            if attempt < TRIES:
                [wave] = speaker.waves([request], [_seed(request, attempt)])
        what = f"the model speaks {fault}, with {TRIES} seeds"
        return StrettoError(what, _where(request), "split or reword the text")

    @property
    def _threads(self) -> int:
        # of the config, not of the machine: the number of threads decides last bits
        return max(1, int(self._speech.cpus))

    def _speaker(self, model: ModelName) -> Speaker:
        if model not in self._speakers:
            import torch

            if self._settings.device == "cpu":
                torch.set_num_threads(self._threads)
            from transformers.utils import logging

            logging.disable_progress_bar()
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.deterministic = True
            torch.backends.cudnn.allow_tf32 = False
            self._speakers[model] = _load(model, self._settings)
        return self._speakers[model]


def _load(model: ModelName, settings: TransformersSpeech) -> Speaker:
    if family(model, settings) == "vits":
        from generators.speech.hf_vits import VitsSpeaker

        return VitsSpeaker(model, settings)
    from generators.speech.hf_pipeline import PipelineSpeaker

    return PipelineSpeaker(model, settings)


def _require_device(device: str) -> None:
    import torch

    kind, _, index = device.partition(":")
    there = {
        "cuda": torch.cuda.is_available() and int(index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(kind, True):
        raise StrettoError(
            f"there is no device {device} here",
            "speech.transformers.device",
            "use cpu, or run where the device is",
        )


def _refusal(request: SpeechRequest) -> StrettoError | None:
    text = readable(request.text)
    if len(text) > MAX_CHARACTERS:
        what = f"an utterance of {len(text)} characters, over the {MAX_CHARACTERS} spoken at once"
        return StrettoError(what, _where(request), "split the turn into shorter sentences")
    if not any(char.isalnum() for char in text):
        return StrettoError("nothing to speak", _where(request), "leave the turn out")
    return None


def _seed(request: SpeechRequest, attempt: int) -> int:
    """Equal text and voice are equal noise; another try is another."""
    key = draws.digest(request.text, request.voice.shape())
    return draws.draw_seed(request.seed, key, "speech", f"try:{attempt}")


def _pcm(wave: Wave) -> NDArray[np.int16]:
    """int16 of a float wave. Not finite is silence: `_fault` then refuses it."""
    clean = wave if np.isfinite(wave).all() else np.zeros_like(wave)
    return np.rint(np.clip(clean, -1, 1) * 32767).astype(np.int16)


def _fault(pcm: NDArray[np.int16], sample_rate_hz: int, text: str) -> str | None:
    """What is wrong with the audio of this text, or None."""
    duration_s = len(pcm) / sample_rate_hz
    if not len(pcm) or np.sqrt(np.mean(pcm.astype(np.float64) ** 2)) < QUIET_RMS:
        return "only silence"
    if duration_s > LONGEST_S[0] + LONGEST_S[1] * len(text):
        return f"without end ({duration_s:.1f} s for {len(text)} characters)"
    if duration_s < SHORTEST_S * len(text):
        return f"only {duration_s:.2f} s for {len(text)} characters"
    return None


def _where(request: SpeechRequest) -> str:
    return f"speech {request.voice.name} {request.text[:40]!r}"
