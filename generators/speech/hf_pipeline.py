"""Any other text-to-speech model, through the library's own `text-to-audio` pipeline, one by one.

These models draw from torch's global generator, so each utterance is spoken alone, right after
that is seeded with the utterance's seed; it is put back afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.speech.backend import SpeechRequest
from generators.speech.hf_models import ModelName, loading
from generators.speech.hf_speaker import Wave, speech_of
from generators.speech.tokens import readable
from schemas.config.speech import TransformersSpeech
from schemas.errors import StrettoError


class PipelineSpeaker:
    """A loaded pipeline. See `hf_speaker.Speaker`."""

    def __init__(self, model: ModelName, settings: TransformersSpeech) -> None:
        import torch
        from transformers import SpeechT5HifiGan, pipeline

        dtype = getattr(torch, settings.dtype)
        more: dict[str, Any] = {}
        if settings.vocoder:
            vocoder: Any = SpeechT5HifiGan.from_pretrained(settings.vocoder, dtype=dtype)
            more["vocoder"] = vocoder.to(settings.device).eval()
        self._pipeline: Any = pipeline(
            "text-to-audio",
            model=loading(model),
            revision=model.revision,
            device=settings.device,
            dtype=dtype,
            **more,
        )
        self._kind = self._pipeline.model.config.model_type
        self.sample_rate_hz = int(self._pipeline.sampling_rate)

    def refusal(self, request: SpeechRequest) -> StrettoError | None:
        """SpeechT5 has no speaker of its own."""
        if self._kind == "speecht5" and request.voice.get("speaker_embedding") is None:
            return StrettoError(
                "a SpeechT5 voice needs a `speaker_embedding` (.npy)", request.voice.name
            )
        return None

    def waves(self, requests: Sequence[SpeechRequest], seeds: Sequence[int]) -> list[Wave]:
        """The audio of each request, spoken after its seed."""
        return [self._wave(request, seed) for request, seed in zip(requests, seeds, strict=True)]

    def _wave(self, request: SpeechRequest, seed: int) -> Wave:
        import torch

        forward, before = {}, {}
        if path := request.voice.get("speaker_embedding"):
            embedding = torch.from_numpy(_embedding(path))
            forward["speaker_embeddings"] = embedding.to(self._pipeline.model.dtype)
        if preset := request.voice.get("voice_preset"):
            before["voice_preset"] = preset
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(seed >> 1)  # it takes 63 bits
            out = self._pipeline(
                readable(request.text), preprocess_params=before, forward_params=forward
            )
        return speech_of(out["audio"])


def _embedding(path: str) -> NDArray[np.float32]:
    """[1, n] from a .npy file."""
    try:
        return np.load(Path(path), allow_pickle=False).astype(np.float32).reshape(1, -1)
    except (OSError, ValueError) as error:
        raise StrettoError(
            f"no speaker embedding: {error}", path, "save it by numpy.save"
        ) from None
