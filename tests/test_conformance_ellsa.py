"""ELLSA's own dataset code builds the same ids and the same loss mask as the preset `ellsa`.

Runs when ELLSA_HOME is the path of a checkout of bytedance/SALMONN, branch ELLSA. The method
`get_speech_item` is taken from its train/datasets.py and run as it stands; what it reads (tokenizers,
audio, action tokenizer) is answered by our codecs. Its speech items have one, empty image span and
dummy actions: so the schema is compared without the gripper's camera, on a robot that holds still.
The speech embeddings are spliced in later there, so our slots are left out of the comparison.
"""

from __future__ import annotations

import ast
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from schema_samples import RATE_HZ, codec_set, sample, sound, write

from schemas.timeline import Act, ArrayTrack, Context, Timeline
from token_schema import compile_sample
from token_schema.language import parse_schema, schema_data

PROMPT = "Please answer the question."
BOT, BOA = 128259, 151844  # ids that their code names as numbers
OURS = 1_000_000  # where all our other ids lie in their numbering
LAST = 2_000_000  # their actions count down from here
DUMMY = [0.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def get_speech_item() -> Any:
    home = os.environ.get("ELLSA_HOME")
    if not home:
        pytest.skip("ELLSA_HOME is not set: no checkout of SALMONN's branch ELLSA to compare with")
    torch = pytest.importorskip("torch")
    source = (Path(home) / "train" / "datasets.py").read_text(encoding="utf-8")
    wanted = {"get_speech_item", "wrap_action_sequence"}
    found = {
        f.name: f
        for c in ast.parse(source).body
        if isinstance(c, ast.ClassDef) and c.name in ("Emu3SFTDataset", "Emu3MixDataset")
        for f in c.body
        if isinstance(f, ast.FunctionDef) and f.name in wanted
    }

    def load(path: str) -> tuple[Any, int]:
        pcm, rate = soundfile.read(path, dtype="float32")
        return torch.from_numpy(pcm)[None], rate

    names: dict[str, Any] = {"torch": torch, "math": math, "np": np, "List": list}
    names["torchaudio"] = SimpleNamespace(load=load)
    exec(compile(ast.Module(list(found.values()), []), "datasets.py", "exec"), names)
    return SimpleNamespace(**{name: names[name] for name in wanted}, torch=torch)


def theirs_of(vocabulary: Any, token_id: int) -> int:
    """Our id in their numbering."""
    r = vocabulary.range("action")
    if r.start <= token_id < r.stop:
        return LAST - (token_id - r.start)
    name = vocabulary.name(token_id)
    return {"<bot>": BOT, "<boa>": BOA}.get(name, OURS + token_id)


class Tokenizer:
    """What their code asks of its two tokenizers, in their numbering."""

    pad_token_id = LAST + 1
    model_max_length = 4096
    bop_token, eop_token, bos_token, eos_token = "<bop>", "<eop>", "<bosp>", "<eosp>"
    bot_token, eot_token, silence_token = "<bot>", "<eot>", "<silence>"
    boi_token, eoi_token, boa_token, eoa_token = "<boi>", "<eoi>", "<boa>", "<eoa>"

    def __init__(self, codecs: Any, torch: Any) -> None:
        self.codecs, self.torch = codecs, torch

    def encode(self, text: str) -> list[int]:
        vocabulary, ids = self.codecs.vocabulary, []
        while text:
            special = next((t for t in vocabulary.specials if text.startswith(t)), None)
            end = len(special) if special else (text.find("<") if "<" in text else len(text))
            if special:
                ids.append(vocabulary.id(special))
            else:
                start = vocabulary.range("text").start
                ids += [start + i for i in self.codecs.get("text").encode(text[:end])]
            text = text[end:]
        return [theirs_of(vocabulary, i) for i in ids]

    def __call__(self, text: str, **_: Any) -> dict[str, Any]:
        ids = self.torch.tensor([self.encode(text)])
        return {"input_ids": ids, "attention_mask": self.torch.ones_like(ids)}


def their_item(code: Any, codecs: Any, wav: Path, text: str) -> tuple[list[int], list[bool]]:
    tokenizer, torch = Tokenizer(codecs, code.torch), code.torch
    me = SimpleNamespace(
        data_speech=[{"path": [str(wav)], "task": "dia_qa", "text": text}],
        data=[None],
        time_block=1.0,
        prompts={"dia_qa": PROMPT},
        speech_tokenizer=tokenizer,
        vision_tokenizer=tokenizer,
        tokenizer=tokenizer,
        dummy_action=DUMMY,
        action_frames=10,
        action_tokenizer=lambda chunks: codecs.codecs["action.arm"].encode_batch(list(chunks)),
        token_per_second=8,
        generate=False,
        encoder_type="mamba",
        fbank=lambda audio: [torch.zeros(10, 80)],
    )
    for name in ("bos", "eos", "bot", "eot", "boi", "eoi", "boa", "eoa"):
        ids = tokenizer.encode(getattr(tokenizer, f"{name}_token"))
        setattr(me, f"{name}_id", torch.tensor(ids))
    me.silence_id = torch.tensor(tokenizer.encode("<silence>"))
    me.wrap_action_sequence = lambda ids: code.wrap_action_sequence(me, ids)
    item = code.get_speech_item(me, 0)
    ids = item["input_ids"][0].tolist()
    return ids, (item["labels"][: len(ids)] != -100).tolist()


def still_robot(timeline: Timeline, seconds: int) -> tuple[Timeline, np.ndarray]:
    """A robot that holds the dummy action all the time, without cameras."""
    steps = seconds * 10
    act = Act(
        id="act0", mode="idle", first_step=0, step_count=steps, decided_s=0, start_s=0,
        end_s=seconds, planned_end_s=seconds,
    )  # fmt: skip
    changed = {
        "subset": "arm",
        "act": ArrayTrack(fps=10, step_count=steps, dim=3),
        "agent": (*timeline.agent, act),
        "context": Context(system=PROMPT),
    }
    return timeline.model_copy(update=changed), np.zeros((steps, 3), np.float32)


@pytest.mark.parametrize("words", [1, 3, 8, 19], ids=lambda n: f"{n}-words")
def test_a_speech_item_is_theirs(get_speech_item: Any, tmp_path: Path, words: int) -> None:
    data = schema_data("ellsa")
    data["lanes"] = [x for x in data["lanes"] if next(iter(x.values())).get("name") != "gripper"]
    data["view"] = {}
    schema = parse_schema(data, "ellsa.yaml")
    codecs = codec_set(schema)
    text = " ".join(
        "the quick brown fox jumps over the lazy dog".split()[i % 9] for i in range(words)
    )
    asked_s = 2.4
    wav = tmp_path / "question.wav"
    soundfile.write(wav, sound(asked_s, 1), RATE_HZ, subtype="PCM_16")
    theirs, labelled = their_item(get_speech_item, codecs, wav, text)

    heard = math.ceil(asked_s)
    answer = math.ceil(len(codecs.get("text").encode(text)) / 8)
    seconds = heard + answer + 1
    timeline, media = sample(seconds, [write("w", text, heard + 0.5)], system=PROMPT)
    timeline, rows = still_robot(timeline, seconds)
    from dataclasses import replace

    tokens = compile_sample(schema, codecs, timeline, replace(media, rows=rows))
    plain = tokens.ids != codecs.vocabulary.id("<speech>")
    ours = [theirs_of(codecs.vocabulary, i) for i in tokens.ids[plain].tolist()]
    assert ours == theirs
    # while the question is heard they leave <boa> without loss, and give it one in the answer
    bears = (tokens.loss[plain] > 0).tolist()
    differ = [i for i, pair in enumerate(zip(bears, labelled, strict=True)) if pair[0] != pair[1]]
    assert all(theirs[i] == BOA for i in differ) and len(differ) == heard
