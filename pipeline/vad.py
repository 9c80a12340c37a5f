"""A truth check without ASR: does silero-vad hear speech where the Timeline says there is some?

`Vad.compare(pcm, said, ignored)` gives the agreement of a track and the stretches in which the two
differ. Its floats may differ from processor to processor, so by itself it decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.turn_taking import IPU_GAP_S
from schemas.config import Config
from schemas.draws import uniform
from schemas.sample import Sample
from schemas.timeline import Hear, Say, Sound, Timeline

VAD_RATE_HZ = 16000
GRID_HZ = 100

Spans = list[tuple[float, float]]


@dataclass(frozen=True)
class Difference:
    """Agreement of a track, 0 to 1, and where speech is `missing` or `unexpected` (seconds)."""

    agreement: float
    missing: Spans
    unexpected: Spans


def wanted(config: Config) -> bool:
    """Whether the check runs here: it does by default where silero-vad is installed."""
    return config.checks.vad is not False and find_spec("silero_vad") is not None


def drawn(config: Config, key: str) -> bool:
    """Whether this sample is one of the `vad_share` that are checked."""
    return uniform(config.seed, key, "sample", "vad") < config.checks.vad_share


def spoken_spans(timeline: Timeline, channel: str) -> Spans:
    """When the Timeline says there is speech: words, joined over gaps shorter than an IPU's."""
    events: Sequence[Any] = timeline.world if channel == "listen" else timeline.agent
    words = sorted(
        (w.start_s, w.end_s) for e in events if isinstance(e, (Hear, Say)) for w in e.words
    )
    joined: Spans = []
    for start_s, end_s in words:
        if joined and start_s - joined[-1][1] < IPU_GAP_S:
            start_s, end_s = joined[-1][0], max(end_s, joined.pop()[1])
        joined.append((start_s, end_s))
    return joined


def by_user(event: Hear) -> bool:
    """Whether it is the user who speaks, and nobody in the background."""
    return event.speaker != "bystander" and event.behaviour != "background"


def doubtful_spans(timeline: Timeline, channel: str) -> Spans:
    """When a detector may say either: sounds, speech of others, the assistant's echo in `listen`."""
    if channel == "speak":
        return []
    others = [e for e in timeline.world if isinstance(e, Hear) and not by_user(e)]
    sounds = [e for e in timeline.world if isinstance(e, Sound)]
    spans = [(e.start_s, e.end_s) for e in others] + [(e.start_s, e.end_s) for e in sounds]
    echoes = any("echo" in effect.name for effect in timeline.provenance.acoustics)
    return spans + (spoken_spans(timeline, "speak") if echoes else [])


def agreement(found: Spans, said: Spans, duration_s: float) -> float:
    """The share of time, on a 10 ms grid, in which both say speech or both say none."""
    return difference(found, said, [], duration_s).agreement


def difference(found: Spans, said: Spans, doubtful: Spans, duration_s: float) -> Difference:
    """The two compared on a 10 ms grid, outside what is doubtful."""
    size = max(1, round(duration_s * GRID_HZ))
    heard, told, asked = _mask(found, size), _mask(said, size), ~_mask(doubtful, size)
    same = (heard == told)[asked]
    share = round(float(same.mean()), 4) if same.size else 1.0
    return Difference(share, _runs(told & ~heard & asked), _runs(heard & ~told & asked))


def _mask(spans: Spans, size: int) -> NDArray[np.bool_]:
    mask = np.zeros(size, bool)
    for start_s, end_s in spans:
        mask[round(start_s * GRID_HZ) : round(end_s * GRID_HZ)] = True
    return mask


def _runs(mask: NDArray[np.bool_]) -> Spans:
    """The stretches of True, seconds."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return [
        (int(a) / GRID_HZ, int(b) / GRID_HZ) for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]


class Vad:
    """silero-vad, loaded once in a process; one thread, about 90 times real time."""

    def __init__(self) -> None:
        import torch
        from silero_vad import get_speech_timestamps, load_silero_vad

        torch.set_num_threads(1)
        self._model = load_silero_vad()
        self._timestamps = get_speech_timestamps
        self._tensor = torch.from_numpy

    def speech(self, pcm: NDArray[np.int16], sample_rate_hz: int) -> Spans:
        """Spans of speech in int16 mono audio, seconds."""
        import soxr

        wave = pcm.astype(np.float32) / 32768
        if sample_rate_hz != VAD_RATE_HZ:
            wave = soxr.resample(wave, sample_rate_hz, VAD_RATE_HZ)
        found = self._timestamps(self._tensor(wave), self._model, sampling_rate=VAD_RATE_HZ)
        return [(t["start"] / VAD_RATE_HZ, t["end"] / VAD_RATE_HZ) for t in found]

    def compare(self, sample: Sample, channel: str) -> Difference:
        """What is heard in `listen` or `speak` against what the Timeline says."""
        timeline = sample.timeline
        pcm = sample.listen if channel == "listen" else sample.speak
        found = self.speech(pcm, timeline.listen.sample_rate_hz)
        said, doubtful = spoken_spans(timeline, channel), doubtful_spans(timeline, channel)
        return difference(found, said, doubtful, timeline.duration_s)
