"""Moshi's own interleaver builds the same text row as the preset `moshi`.

Runs when MOSHI_FINETUNE_HOME is the path of a checkout of kyutai-labs/moshi-finetune (it needs torch,
not moshi). The alignments are those of our Timelines in its format: [word, [start, end], speaker].
Where its defaults differ from the preset: `keep_and_shift` is on, since nothing may be lost, and the
Timelines decide early enough for every <epad> (its data knows nothing of decisions).
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from preset_codecs import preset_set
from schema_samples import ArrayMedia
from worlds import config, dialogue, sample_of

from schemas.sample import Sample
from schemas.timeline import Say
from token_schema import compile_sample, load_schema
from token_schema.tokens import Tokens

TALKS = (
    ("Hello, how can I get to the island?", "By train, every hour. Or take the ferry at nine."),
    ("What is the capital of Peru?", "Lima.", "And how many people live there?", "Ten million."),
    ("Tell me something about otters.", "Otters hold hands while they sleep, which is charming."),
)


@pytest.fixture(scope="module")
def interleaver_class() -> Any:
    home = os.environ.get("MOSHI_FINETUNE_HOME")
    if not home:
        pytest.skip("MOSHI_FINETUNE_HOME is not set: no checkout of moshi-finetune to compare with")
    path = Path(home) / "finetune" / "data" / "interleaver.py"
    stand_ins = {"moshi": None, "moshi.conditioners": "ConditionAttributes", "sentencepiece": None}
    for name, attribute in stand_ins.items():  # only named in its type hints
        module = types.ModuleType(name)
        if attribute:
            setattr(module, attribute, object)
        if name == "sentencepiece":
            module.SentencePieceProcessor = object  # type: ignore[attr-defined]
        sys.modules.setdefault(name, module)
    spec = importlib.util.spec_from_file_location("their_interleaver", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Interleaver


class Pieces:
    """What their code asks of sentencepiece, answered by our text codec: a word with its space."""

    def __init__(self, codec: Any, start: int) -> None:
        self.codec, self.start = codec, start

    def encode(self, text: Any) -> Any:
        if isinstance(text, list):
            return [self.encode(t) for t in text]
        return [i + self.start for i in self.codec.encode(text if text == "\n" else f" {text}")]

    def bos_id(self) -> int:
        return -2

    def eos_id(self) -> int:
        return -3


def early(sample: Sample) -> Sample:
    """The sample with a space before each text, as sentencepiece has one, and earlier decisions."""
    agent = []
    for event in sample.timeline.agent:
        if isinstance(event, Say):
            words = tuple(
                w.model_copy(update={"char_start": w.char_start + 1, "char_end": w.char_end + 1})
                for w in event.words
            )
            pieces = tuple(
                p.model_copy(update={"char_start": p.char_start + 1, "char_end": p.char_end + 1})
                for p in event.pieces
            )
            event = event.model_copy(
                update={
                    "text": f" {event.text}",
                    "words": words,
                    "pieces": pieces,
                    "decided_s": event.decided_s - 0.2,
                }
            )
        agent.append(event)
    timeline = sample.timeline.model_copy(update={"agent": tuple(agent)})
    return Sample(timeline, sample.listen, sample.speak)


def compiled(sample: Sample) -> Tokens:
    schema = load_schema("moshi")
    media = ArrayMedia(sample.listen, sample.speak)
    return compile_sample(schema, preset_set("moshi"), sample.timeline, media)


@pytest.mark.parametrize("talk", TALKS, ids=["island", "peru", "otters"])
def test_the_text_row_is_theirs(interleaver_class: Any, talk: tuple[str, ...]) -> None:
    sample = early(sample_of(dialogue(*talk), config(barge_in={"rate": 0})))
    codecs = preset_set("moshi")
    alignments = [
        (word.text, (word.start_s, word.end_s), "SPEAKER_MAIN")
        for event in sample.timeline.agent
        if isinstance(event, Say)
        for word in event.words
    ]
    assert len(alignments) >= 3
    theirs = interleaver_class(
        Pieces(codecs.get("text"), codecs.vocabulary.range("text").start),
        audio_frame_rate=12.5,
        text_padding=codecs.vocabulary.id("<pad>"),
        end_of_text_padding=codecs.vocabulary.id("<epad>"),
        zero_padding=-1,
        keep_main_only=True,
        keep_and_shift=True,
        device="cpu",
    ).prepare_item(alignments, sample.timeline.duration_s)
    row = theirs.view(-1).numpy()
    tokens = compiled(sample)
    ours = tokens.ids.reshape(-1, tokens.streams)[:, 0]
    assert np.array_equal(ours[: len(row)], row)
    # what they cut off with the sound (pieces of the last word), we write in steps behind it
    assert tokens.report.missing_epad == 0
