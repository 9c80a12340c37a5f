"""Helpers of the tests that make samples: one record through scene, speech, render and labels."""

from __future__ import annotations

import functools
from typing import Any

from generators.annotate import annotate
from generators.render import render, speech_requests
from generators.scene import plan_scene
from generators.speech import Speech, SpeechBackend, open_backend
from schemas.config import Config
from schemas.config.scene import behaviours
from schemas.records import Dialogue, InputRecord, Turn
from schemas.sample import Sample

# every behaviour off
OFF: dict[str, Any] = dict.fromkeys(behaviours(), False)
# what a test of something else is not about
PLAIN = OFF | {"barge_in": {"rate": 0.1}}
# every behaviour often, so that they meet each other
EVERYTHING: dict[str, Any] = {name: {"rate": 0.5} for name in OFF} | {
    "user_backchannel": {"per_min": 30},
    "backchannel": {"per_min": 40},
}


def config(**scene: Any) -> Config:
    """A config whose scene settings are these, over PLAIN ones."""
    scene = PLAIN | scene
    data = {"name": "t", "seed": 7, "sources": [{"dialogues": {"path": "x"}}], "scene": scene}
    return Config.from_mapping(data, "test")


@functools.cache
def backend(sample_rate_hz: int = 16000) -> SpeechBackend:
    """One espeak server for all tests of a process."""
    return open_backend("espeak", sample_rate_hz)


def dialogue(*turns: str | Turn, key: str = "t-1", language: str = "en") -> Dialogue:
    """A dialogue of these turns; plain strings alternate, the user first."""
    roles = ("user", "assistant")
    made = [
        t if isinstance(t, Turn) else Turn(role=roles[i % 2], text=t)  # type: ignore[arg-type]
        for i, t in enumerate(turns)
    ]
    return Dialogue(
        key=key,
        source="t",
        record_id=key,
        group=key,
        where=f"test:{key}",
        language=language,
        turns=tuple(made),
    )


def sample_of(record: InputRecord, cfg: Config) -> Sample:
    """The finished sample of a record, labels included."""
    scene = plan_scene(record, cfg)
    requests = speech_requests(scene, cfg)
    said = backend(cfg.speech.sample_rate_hz).say(list(requests.values()))
    spoken: dict[tuple[str, int], Speech] = {}
    for key, answer in zip(requests, said, strict=True):
        if not isinstance(answer, Speech):
            raise answer
        spoken[key] = answer
    sample = render(record, scene, spoken, cfg)
    return Sample(
        annotate(sample.timeline),
        sample.listen,
        sample.speak,
        sample.look,
        sample.act,
        sample.state,
        sample.stems,
    )
