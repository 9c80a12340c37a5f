"""ASR models behind one call: `transcribe(snippets) -> texts`, a whole shard's at once.

`faster-whisper` runs Whisper models of CTranslate2; `transformers` runs any speech-recognition model
there (Whisper, or CTC such as wav2vec 2.0). A snippet in a language that the model does not know gets
None. Nothing is imported before a model is opened.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from pipeline.checks.hub import model_place, require_model
from pipeline.checks.snippets import Snippet
from schemas.config.checks import AsrCheck
from schemas.errors import StrettoError

PACKAGES = {
    "faster-whisper": ("faster_whisper", "jiwer", "transformers"),
    "transformers": ("transformers", "torch", "jiwer"),
}
# Whisper's codes where they differ from the corpus's
_WHISPER = {"cmn": "zh", "nb": "no", "fil": "tl"}
RATE_HZ = 16000
DTYPES = ("default", "float32", "float16", "bfloat16")


class Asr(Protocol):
    """A speech recogniser."""

    def transcribe(self, snippets: Sequence[Snippet]) -> list[str | None]:
        """A text for each snippet; None where its language is not known."""


def require(settings: AsrCheck) -> None:
    """StrettoError when the packages, the model or the device can't be had here."""
    lacking = [name for name in PACKAGES[settings.backend] if find_spec(name) is None]
    if lacking:
        raise StrettoError(
            f"{lacking[0].replace('_', '-')} is not installed, so this check can't run",
            "checks.asr",
            "pip install 'stretto[asr]', or leave `checks.asr` out",
        )
    if settings.backend == "transformers":  # the other has names of its own (`tiny`), and is brief
        require_model(settings.model, "checks.asr")
    open_asr(settings)  # that a model opens is only known once it has


def open_asr(settings: AsrCheck) -> Asr:
    """The configured model. StrettoError in one line when it can't be opened."""
    settings = settings.model_copy(update={"model": model_place(settings.model, "checks.asr")})
    try:
        if settings.backend == "transformers":
            return TransformersAsr(settings)
        return FasterWhisper(settings)
    except Exception as error:
        what = f"{settings.model} can't be opened by {settings.backend}: {type(error).__name__}"
        raise StrettoError(
            f"{what}: {error}", "checks.asr", "mend model, device or compute_type, or leave it out"
        ) from error


class FasterWhisper:
    """Whisper by CTranslate2, the snippets of a language in batches."""

    def __init__(self, settings: AsrCheck) -> None:
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        self._model = WhisperModel(
            settings.model, device=settings.device, compute_type=settings.compute_type
        )
        self._batched = BatchedInferencePipeline(self._model)
        self._batch = settings.batch

    def transcribe(self, snippets: Sequence[Snippet]) -> list[str | None]:
        texts: list[str | None] = [None] * len(snippets)
        for language, places in by_language(snippets).items():
            if language not in self._model.supported_languages:
                continue
            found = self._transcribe([snippets[p] for p in places], language)
            for place, text in zip(places, found, strict=True):
                texts[place] = text
        return texts

    def _transcribe(self, snippets: Sequence[Snippet], language: str) -> list[str]:
        """One long wave with the snippets one after the other: that is how it takes a batch."""
        half = RATE_HZ // 2  # a snippet starts at a whole half second, so its `seek` is exact
        clips, waves, at = [], [], 0
        for snippet in snippets:
            wave = snippet.wave(RATE_HZ)
            clips.append({"start": at / RATE_HZ, "end": (at + len(wave)) / RATE_HZ})
            waves.append(np.pad(wave, (0, -len(wave) % half)))
            at += len(waves[-1])
        segments, _ = self._batched.transcribe(
            np.concatenate(waves),
            language=language,
            temperature=0.0,
            vad_filter=False,
            clip_timestamps=clips,
            batch_size=self._batch,
        )
        place = {round(clip["start"] * 100): n for n, clip in enumerate(clips)}
        texts = [""] * len(snippets)
        for segment in segments:
            texts[place[segment.seek]] += segment.text
        return texts


class TransformersAsr:
    """Any speech-recognition model of `transformers`, by its pipeline."""

    def __init__(self, settings: AsrCheck) -> None:
        import torch
        from transformers import pipeline
        from transformers.utils import logging

        logging.disable_progress_bar()
        dtype = None
        if settings.compute_type != "default":
            if settings.compute_type not in DTYPES:
                raise ValueError(f"compute_type is one of {', '.join(DTYPES)} here")
            dtype = getattr(torch, settings.compute_type)
        pipe: Any = pipeline(
            "automatic-speech-recognition",
            model=settings.model,
            device=torch_device(settings.device),
            dtype=dtype,
        )
        self._pipe = pipe
        self._batch = settings.batch
        self._rate_hz: int = self._pipe.feature_extractor.sampling_rate
        generation = getattr(pipe.model, "generation_config", None)  # a CTC model has none
        self._languages = getattr(generation, "lang_to_id", None)

    def transcribe(self, snippets: Sequence[Snippet]) -> list[str | None]:
        texts: list[str | None] = [None] * len(snippets)
        for language, places in by_language(snippets).items():
            told: dict[str, Any] = {}
            if self._languages is not None:  # a multilingual Whisper
                if f"<|{language}|>" not in self._languages:
                    continue
                told = {"generate_kwargs": {"language": language, "task": "transcribe"}}
            found = self._pipe(
                [self._input(snippets[p]) for p in places], batch_size=self._batch, **told
            )
            for place, answer in zip(places, found, strict=True):
                texts[place] = answer["text"]
        return texts

    def _input(self, snippet: Snippet) -> dict[str, Any]:
        return {"raw": snippet.wave(self._rate_hz), "sampling_rate": self._rate_hz}


def torch_device(name: str) -> str:
    """`auto` is the first GPU where there is one."""
    import torch

    if name != "auto":
        return name
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def by_language(snippets: Sequence[Snippet]) -> dict[str, list[int]]:
    """The places of the snippets of each language, as Whisper names it."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for place, snippet in enumerate(snippets):
        code = snippet.language.lower().split("-")[0]
        found[_WHISPER.get(code, code)].append(place)
    return dict(found)
