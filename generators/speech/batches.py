"""Which utterances are spoken together: fixed rules, so that the same list makes the same batches."""

from __future__ import annotations

from collections.abc import Sequence

from generators.speech.backend import SpeechRequest
from schemas.config.speech import SpeechConfig

Batches = list[list[int]]


def one_by_one(speech: SpeechConfig, requests: Sequence[SpeechRequest]) -> Batches:
    """Each utterance by itself."""
    return [[index] for index in range(len(requests))]


def by_length(speech: SpeechConfig, requests: Sequence[SpeechRequest]) -> Batches:
    """Texts of like length together, those of one model: the order of the list counts only last."""

    def model(index: int) -> str:
        return str(requests[index].voice.get("model", ""))

    size = speech.transformers.batch if speech.transformers else 1
    order = sorted(range(len(requests)), key=lambda i: (model(i), len(requests[i].text), i))
    batches: Batches = []
    for index in order:
        if not batches or len(batches[-1]) == size or model(batches[-1][0]) != model(index):
            batches.append([])
        batches[-1].append(index)
    return batches
