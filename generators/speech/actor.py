"""What a Ray actor runs to speak: an engine in a worker process of the actor's own interpreter.

A plain class, without ray: `pipeline.ray_speech` makes actors of it. The actor outlives what its
engine does (crash, hang): others that wait in its queue never notice. Only plain values and int16
arrays go in and out.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from generators.speech import wire
from generators.speech.hosted import HostedBackend
from schemas.config.speech import SpeechConfig
from schemas.errors import StrettoError


class SpeechActor:
    """One stream: one engine, one batch at a time. Relative paths count from `folder`."""

    def __init__(self, speech_json: str, folder: str) -> None:
        if os.path.isdir(folder):
            os.chdir(folder)
        speech = SpeechConfig.model_validate_json(speech_json)
        here = {"streams": 1, "python": sys.executable if speech.python else None}
        self._backend = HostedBackend(speech.model_copy(update=here))

    def open(self) -> dict[str, Any]:
        """`version`, or the `error` for which the engine can't run here."""
        try:
            self._backend.check()
            return {"version": self._backend.version()}
        except StrettoError as error:
            return {"error": [error.what, error.where, error.fix]}

    def say(self, requests: list[wire.Plain]) -> list[tuple[wire.Plain, np.ndarray]]:
        """One batch, in order."""
        spoken = self._backend.say([wire.request_from(plain) for plain in requests])
        return [wire.plain_answer(answer) for answer in spoken]

    def close(self) -> None:
        """End the engine."""
        self._backend.close()
