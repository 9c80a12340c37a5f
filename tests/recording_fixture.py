"""Two-channel recordings made here, with word times that are known: espeak-ng on both channels.

A little noise lies on both channels all the time, as in every true recording.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from generators.speech import Speech, SpeechRequest, open_backend, pick_voice

RATE_HZ = 24000
LENGTH_S = 12.0
# (speaker, start in seconds, text): the user comes in early at 6.8 s, and says "mm-hmm" at 3.4 s
LINES = (
    ("user", 0.4, "Hello there, how are you today?"),
    (
        "assistant",
        2.5,
        "I am fine, thank you. It is a lovely day, and I have been out all morning.",
    ),
    ("user", 3.4, "mm-hmm"),
    ("user", 6.8, "Where did you go?"),
    ("assistant", 8.0, "To the old harbour."),
)


@dataclass(frozen=True, eq=False)
class Conversation:
    """int16 [n, 2], left the assistant, right the user; words as (speaker, text, start_s, end_s)."""

    pcm: NDArray[np.int16]
    words: tuple[tuple[str, str, float, float], ...]

    def of(self, speaker: str) -> list[tuple[str, float, float]]:
        """One speaker's words."""
        return [w[1:] for w in self.words if w[0] == speaker]


@lru_cache
def conversation() -> Conversation:
    """The same conversation for every test."""
    pcm = np.random.default_rng(5).integers(-6, 7, (round(LENGTH_S * RATE_HZ), 2)).astype(np.int16)
    words = []
    for (speaker, start_s, _), speech in zip(LINES, _spoken(), strict=True):
        start, side = round(start_s * RATE_HZ), 0 if speaker == "assistant" else 1
        pcm[start : start + len(speech.pcm), side] += speech.pcm // 2
        words += [
            (speaker, w.text, (start + w.start_sample) / RATE_HZ, (start + w.end_sample) / RATE_HZ)
            for w in speech.words
        ]
    return Conversation(pcm, tuple(words))


def _spoken() -> list[Speech]:
    backend = open_backend("espeak", RATE_HZ)
    try:
        voices = {s: pick_voice(s, "en", 1, "recording", s) for s in ("user", "assistant")}
        answers = backend.say([SpeechRequest(text, voices[who], 1) for who, _, text in LINES])
    finally:
        backend.close()
    assert all(isinstance(a, Speech) for a in answers)
    return answers  # type: ignore[return-value]


def write_moshi(folder: Path, names: tuple[str, ...] = ("a",), user_words: bool = True) -> Path:
    """moshi-finetune's layout; the path of its `data.jsonl`."""
    (folder / "data_stereo").mkdir(parents=True)
    made, lines = conversation(), []
    labels = {"assistant": "SPEAKER_MAIN", "user": "SPEAKER_01"}
    for name in names:
        path = folder / "data_stereo" / f"{name}.wav"
        soundfile.write(path, made.pcm, RATE_HZ, subtype="PCM_16")
        kept = sorted(
            (w for w in made.words if user_words or w[0] == "assistant"), key=lambda w: w[2]
        )
        words = [[f" {text}", [start, end], labels[who]] for who, text, start, end in kept]
        path.with_suffix(".json").write_text(json.dumps({"alignments": words}))
        lines.append(json.dumps({"path": f"data_stereo/{name}.wav", "duration": LENGTH_S}))
    (folder / "data.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "data.jsonl"


def write_config(folder: Path, source: dict[str, Any], **settings: Any) -> Path:
    """A config of one source of recordings."""
    config = {
        "name": "recorded",
        "seed": 3,
        "sources": [{"recordings": source}],
        "shards": {"samples": 2},
        "checks": {"vad": False},  # torch takes seconds to load
    }
    path = folder / "corpus.yaml"
    path.write_text(json.dumps(config | settings))
    return path
