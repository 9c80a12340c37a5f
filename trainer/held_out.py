"""Scores held-out samples: nats of each loss-bearing token, and how likely silence was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.stream import Corpus
from schemas.errors import StrettoError
from trainer.compile import compile_row
from trainer.config import TrainConfig
from trainer.language import Language
from trainer.model import Decoder
from trainer.pack import Compiled, Piece, collate, cut, places, windows
from trainer.step import autocast, to_device


@dataclass(frozen=True)
class HeldOut:
    """Held-out samples in the order of (subset, key)."""

    keys: list[str]
    subsets: list[str]
    samples: list[Compiled]


@dataclass(frozen=True)
class Scores:
    """float64 [n] beside a sample's tokens, NaN where a token bears no loss.

    `nats` of the token itself, `silence` the log-probability of the silence token in its place.
    """

    nats: NDArray[np.float64]
    silence: NDArray[np.float64]


def open_held_out(config: TrainConfig, corpus: Corpus, language: Language) -> HeldOut:
    """Up to `eval_samples` of the held-out split, evenly spread over it. None there: no samples."""
    rows = corpus.rows(config.eval_split, config.subset, config.languages)
    if config.eval_every and config.eval_samples and not len(rows):
        raise StrettoError(
            f"no samples in the split `{config.eval_split}`",
            corpus.url,
            "set `eval_every: 0`, or give the corpus a larger `val_share`",
        )
    if not config.eval_samples:
        rows = rows[:0]
    named = sorted((r["subset"], r["key"], int(i)) for i in rows for r in [corpus.row(int(i))])
    step = max(1, -(-len(named) // max(1, config.eval_samples)))
    named = named[::step]
    samples = []
    for _, key, row in named:
        sample = compile_row(corpus, language, row)
        windows(sample, config.context, f"{corpus.url}: sample {key}")
        samples.append(sample)
    return HeldOut([n[1] for n in named], [n[0] for n in named], samples)


@torch.no_grad()
def score(
    model: Decoder,
    sample: Compiled,
    context: int,
    silence_id: int | None,
    device: torch.device,
    dtype: torch.dtype,
) -> Scores:
    """Score one sample, window by window, as training sees it."""
    nats = np.full(len(sample), np.nan)
    silence = np.full(len(sample), np.nan)
    for first, end in windows(sample, context, "held-out sample"):
        piece = Piece(0, first, end)
        held = cut(sample, piece)
        # few lengths: torch.compile makes one graph for each
        length = min(context, -(-len(held.tokens) // 256) * 256)
        rows = collate([[held]], length)
        batch = to_device(rows, device)
        with autocast(device, dtype):
            logits = model(batch.ids, batch.segment, batch.place, batch.index)
        logp = logits.float().log_softmax(dim=-1)
        where = places(sample, piece)[rows.index + 1]
        nats[where] = -logp.gather(1, batch.target[:, None])[:, 0].double().cpu().numpy()
        if silence_id is not None:
            silence[where] = logp[:, silence_id].double().cpu().numpy()
    return Scores(nats, silence)
