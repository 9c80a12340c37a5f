"""A small CTC model of the real class, trained on espeak-ng speech in a few CPU minutes.

    train(folder, truths, seconds)   # a Wav2Vec2ForCTC with its tokenizer, to open by its folder

Nothing can be downloaded where this was written, so the forced aligner is measured with a model
that learned here: three layers, half a million weights, the characters of English. It shows that the path
works and what peaks of a weak model do to word times; a real model is better.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from generators.align.base import sounding
from generators.align.labels import spelled, vocabulary

if TYPE_CHECKING:
    from benchmarks.alignment import Truth

LETTERS = "abcdefghijklmnopqrstuvwxyz'"
BANDS = 40
BATCH = 8


def vocab() -> dict[str, int]:
    """Blank 0, delimiter 1, then the letters."""
    return {"<pad>": 0, "|": 1, "<unk>": 2} | {c: i + 3 for i, c in enumerate(LETTERS)}


def train(folder: Path, truths: Sequence[Truth], seconds: float, seed: int = 0) -> None:
    """Train for `seconds` of CPU time on one thread and save; prints the loss as it falls."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = _model()
    data = [d for t in truths if (d := _example(t)) is not None]
    data.sort(key=lambda d: len(d[0]))
    batches = [data[i : i + BATCH] for i in range(0, len(data), BATCH)]
    optimiser = torch.optim.AdamW(model.parameters(), lr=1.5e-3, weight_decay=0.01)
    rng, began, step, losses = np.random.default_rng(seed), time.process_time(), 0, []
    weights = sum(p.numel() for p in model.parameters())
    print(f"toy: {weights / 1e6:.2f} M weights, {len(data)} sentences, "
          f"{sum(len(d[0]) for d in data) / 16000 / 60:.0f} min of speech")  # fmt: skip
    model.train()
    while (spent := time.process_time() - began) < seconds:
        for group in optimiser.param_groups:
            group["lr"] = 1.5e-3 * min(1, (step + 1) / 50) * max(0.02, 1 - spent / seconds)
        # short sentences first: CTC leaves its all-blank start sooner
        reach = max(2, int(len(batches) * min(1.0, 0.3 + 1.4 * spent / seconds)))
        values, labels = _padded(batches[int(rng.integers(reach))])
        loss = model(input_values=torch.from_numpy(values), labels=torch.from_numpy(labels)).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        losses.append(loss.item())
        if step % 100 == 0:
            print(f"toy: step {step}, {spent:.0f} s, loss {np.mean(losses[-100:]):.3f}", flush=True)
    print(f"toy: {step} steps, last loss {np.mean(losses[-50:]):.3f} nats a letter")
    _save(model.eval(), folder)


def _model():  # type: ignore[no-untyped-def]
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    config = Wav2Vec2Config(
        vocab_size=len(vocab()), hidden_size=128, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=256, conv_dim=(4 * BANDS, 128), conv_kernel=(400, 3),
        conv_stride=(160, 2), feat_extract_norm="layer", do_stable_layer_norm=True,
        num_conv_pos_embeddings=15, num_conv_pos_embedding_groups=16, hidden_dropout=0.0,
        attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0, final_dropout=0.0,
        layerdrop=0.0, apply_spec_augment=False, ctc_loss_reduction="mean",
        ctc_zero_infinity=True, pad_token_id=0,
    )  # fmt: skip
    model = Wav2Vec2ForCTC(config)
    first = model.wav2vec2.feature_extractor.conv_layers[0].conv
    first.weight.data[:, 0] = torch.from_numpy(_filters())
    return model


def _filters() -> np.ndarray:
    """Where the first layer starts: windowed waves of mel-spaced pitch in four phases [4 * BANDS, 400].

    Random filters would take hours to become these.
    """
    mels = np.linspace(150, 2700, BANDS)
    hertz = 700 * (10 ** (mels / 2595) - 1)
    t = np.arange(400) / 16000
    waves = [np.cos(2 * np.pi * hertz[:, None] * t + p) for p in np.arange(4) * np.pi / 2]
    return (np.concatenate(waves) * np.hanning(400) / 20).astype(np.float32)


def _example(truth: Truth) -> tuple[np.ndarray, tuple[int, ...]] | None:
    """Normalised float32 sound and its labels; None for long or unwritable sentences."""
    item = truth.item
    known = vocabulary(vocab(), len(vocab()), 0, "|")
    ids = spelled(item.text, sounding(item.text), known).ids
    if known.wildcard in ids or len(item.pcm) > 6 * item.sample_rate_hz:
        return None
    signal = item.pcm.astype(np.float32)
    return (signal - signal.mean()) / np.sqrt(signal.var() + 1e-7), ids


def _padded(batch: Sequence[tuple[np.ndarray, tuple[int, ...]]]) -> tuple[np.ndarray, np.ndarray]:
    values = np.zeros((len(batch), max(len(v) for v, _ in batch)), np.float32)
    labels = np.full((len(batch), max(len(i) for _, i in batch)), -100)
    for row, (signal, ids) in enumerate(batch):
        values[row, : len(signal)] = signal
        labels[row, : len(ids)] = ids
    return values, labels


def _save(model, folder: Path) -> None:  # type: ignore[no-untyped-def]
    from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocab()))
    model.save_pretrained(folder)
    Wav2Vec2CTCTokenizer(
        str(folder / "vocab.json"), bos_token=None, eos_token=None, unk_token="<unk>",
        pad_token="<pad>", word_delimiter_token="|",
    ).save_pretrained(folder)  # fmt: skip
    Wav2Vec2FeatureExtractor(
        sampling_rate=16000, do_normalize=True, return_attention_mask=False
    ).save_pretrained(folder)
