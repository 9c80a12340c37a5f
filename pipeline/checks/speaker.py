"""Does the assistant keep its voice, and is it another than the user's? By speaker embeddings.

Each utterance is compared over one window of fixed length (a shorter one is repeated until it fills
it): windows of one length make a batch without padding, which would move the embeddings. Figures are
cosines: `assistant_min` of the assistant's utterances to its first, `user_assistant` between the means.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.checks.asr import torch_device
from pipeline.checks.base import Check, Figure, Finding, Models, Reason
from pipeline.checks.hub import model_place, require_model
from pipeline.checks.snippets import Snippet, snippets
from schemas.config.checks import SpeakerCheck
from schemas.errors import StrettoError
from schemas.sample import Sample

Vectors = NDArray[np.float32]


class SpeakerModel:
    """WavLMForXVector, Wav2Vec2ForXVector and their kin: waves of one length to unit vectors."""

    def __init__(self, settings: SpeakerCheck) -> None:
        from transformers import AutoFeatureExtractor, AutoModelForAudioXVector
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._device = torch_device(settings.device)
        self._features = AutoFeatureExtractor.from_pretrained(settings.model)
        model = AutoModelForAudioXVector.from_pretrained(settings.model)
        self._model: Any = model.eval().to(self._device)
        self._batch = settings.batch
        self.sample_rate_hz: int = self._features.sampling_rate

    def embed(self, waves: Sequence[NDArray[np.float32]]) -> Vectors:
        """float32 [n, dim], each of length 1."""
        import torch

        found = []
        with torch.inference_mode():
            for at in range(0, len(waves), self._batch):
                batch = list(waves[at : at + self._batch])
                made = self._features(
                    batch, sampling_rate=self.sample_rate_hz, return_tensors="pt"
                ).to(self._device)
                found.append(self._model(**made).embeddings.float().cpu().numpy())
        vectors = np.concatenate(found)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def open_model(settings: SpeakerCheck) -> SpeakerModel:
    """The configured model. StrettoError in one line when it can't be opened."""
    settings = settings.model_copy(update={"model": model_place(settings.model, "checks.speaker")})
    try:
        return SpeakerModel(settings)
    except Exception as error:
        raise StrettoError(
            f"{settings.model} can't be opened: {type(error).__name__}: {error}",
            "checks.speaker",
            "mend model or device, or leave it out",
        ) from error


def _require(settings: SpeakerCheck) -> None:
    for package in ("transformers", "torch"):
        if find_spec(package) is None:
            raise StrettoError(
                f"{package} is not installed, so this check can't run",
                "checks.speaker",
                "pip install 'stretto[codecs]', or leave `checks.speaker` out",
            )
    require_model(settings.model, "checks.speaker")
    open_model(settings)


def _run(samples: Sequence[Sample], settings: SpeakerCheck, models: Models) -> list[Finding]:
    model: SpeakerModel = models.model("speaker", lambda: open_model(settings))
    cut = [[s for s in snippets(x) if s.end_s - s.start_s >= settings.min_s] for x in samples]
    waves = [window(s, model.sample_rate_hz, settings.window_s) for of in cut for s in of]
    vectors = model.embed(waves) if waves else np.zeros((0, 1), np.float32)
    ends = np.cumsum([len(of) for of in cut])
    return [
        finding(of, vectors[end - len(of) : end], settings)
        for of, end in zip(cut, ends, strict=True)
    ]


def window(snippet: Snippet, sample_rate_hz: int, window_s: float) -> NDArray[np.float32]:
    """The first `window_s` of a snippet, repeated where it is shorter."""
    wave, size = snippet.wave(sample_rate_hz), round(window_s * sample_rate_hz)
    return np.tile(wave, -(-size // max(1, len(wave))))[:size]


def finding(heard: Sequence[Snippet], vectors: Vectors, settings: SpeakerCheck) -> Finding:
    """What the vectors of one sample's snippets say of it."""
    own = [n for n, s in enumerate(heard) if s.who == "assistant"]
    others = [n for n, s in enumerate(heard) if s.who == "user"]
    figures: dict[str, Figure] = {}
    reasons: list[Reason] = []
    if len(own) > 1:
        likeness = vectors[own] @ vectors[own[0]]
        figures["assistant_min"] = round(float(likeness.min()), 4)
        reasons += [
            _unlike(heard[n], heard[own[0]], float(value), settings)
            for n, value in zip(own, likeness, strict=True)
            if value < settings.min_assistant
        ]
    if own and others:
        figures["user_assistant"] = between = _cosine(vectors[own], vectors[others])
        if settings.max_user is not None and between > settings.max_user:
            what = f"the assistant sounds like the user: {between:.2f}"
            reasons.append(Reason(what=f"{what}, above {settings.max_user:g}"))
    return Finding(figures, tuple(reasons))


def _unlike(snippet: Snippet, first: Snippet, value: float, settings: SpeakerCheck) -> Reason:
    what = f"sounds unlike {first.event}: {value:.2f}, below {settings.min_assistant:g}"
    return Reason(what=what, event=snippet.event, start_s=snippet.start_s, end_s=snippet.end_s)


def _cosine(left: Vectors, right: Vectors) -> float:
    a, b = left.mean(axis=0), right.mean(axis=0)
    return round(float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9)), 4)


def _settings(checks: Any) -> SpeakerCheck | None:
    return checks.speaker


CHECK = Check(
    name="speaker_similarity",
    needs="a speaker model: checks.speaker",
    cost="the model's",
    fix="speak the assistant with one voice, or lower `checks.speaker.min_assistant`",
    settings=_settings,
    share=lambda checks: checks.speaker.share if checks.speaker else 0.0,
    run=_run,
    shown=("assistant_min", "user_assistant"),
    require=_require,
    exact=False,
)
