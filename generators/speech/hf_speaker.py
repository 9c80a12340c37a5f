"""What a loaded model of `transformers` does, and how its output becomes a wave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from generators.speech.backend import SpeechRequest
from schemas.errors import StrettoError

Wave = NDArray[np.float32]


class Speaker(Protocol):
    """A loaded model: float waves in [-1, 1] at `sample_rate_hz`, one per request."""

    sample_rate_hz: int

    def refusal(self, request: SpeechRequest) -> StrettoError | None:
        """Why this text can't be spoken, found before it is."""
        ...

    def waves(self, requests: Sequence[SpeechRequest], seeds: Sequence[int]) -> list[Wave]:
        """The audio of each request with the noise of its seed."""
        ...


def speech_of(value: Any) -> Wave:
    """A model's output as one float32 channel."""
    return np.asarray(value, dtype=np.float32).reshape(-1)
