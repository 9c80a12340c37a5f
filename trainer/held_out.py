"""Scores held-out samples: nats of each loss-bearing token, and how likely silence was.

Held-out samples are cut as the schema's view cuts training samples, but without its draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.stream import Corpus
from schemas.errors import StrettoError
from token_schema.views import FULL, Plan
from trainer.compile import compile_row
from trainer.config import TrainConfig
from trainer.language import Decision, Language
from trainer.loss import token_losses
from trainer.model import Model
from trainer.pack import Compiled, Piece, cut, places, windows
from trainer.rows import FLAT, Layout, Rows, collate
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

    `nats` of the token itself (of a mel frame its mean L1 distance), `silence` the log-probability
    of silence in its place, where a decision stands.
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
        windows(sample, config.context, f"{corpus.url}: sample {key}", language.plan.fixed())
        samples.append(sample)
    return HeldOut([n[1] for n in named], [n[0] for n in named], samples)


@dataclass(frozen=True)
class Scorer:
    """A model, and how samples reach it. `decision`: whose silence to note; None: nobody's."""

    model: Model
    context: int
    device: torch.device
    dtype: torch.dtype
    plan: Plan = FULL
    layout: Layout = FLAT
    decision: Decision | None = None

    @torch.no_grad()
    def score(self, sample: Compiled) -> Scores:
        """Score one sample, window by window, as training sees it. The model is in evaluation mode."""
        scores = Scores(np.full(len(sample), np.nan), np.full(len(sample), np.nan))
        for window in windows(sample, self.context, "held-out sample", self.plan):
            piece = Piece(0, *window)
            held = cut(sample, piece, self.plan)
            # few lengths: torch.compile makes one graph for each
            length = min(self.context, -(-held.tokens.steps // 256) * 256)
            rows = collate([[held]], length, self.layout)
            self._add(rows, sample, places(sample, piece, self.plan), scores)
        return scores

    def _add(self, rows: Rows, sample: Compiled, steps: NDArray[np.int64], scores: Scores) -> None:
        """Note the scores of one window, whose steps are those of the sample at `steps`."""
        batch = to_device(rows, self.device)
        with autocast(self.device, self.dtype):
            hidden = self.model.hidden(batch)
            found = self.model.logits(hidden, batch)
            frames = self.model.frames.predicted(hidden, batch.frames)
        after = steps[rows.at]
        weight = batch.weight if batch.weight.ndim == 2 else batch.weight[:, None]
        for k, (logits, target) in enumerate(zip(found, self.model.targets(batch), strict=True)):
            stream, bears = self.layout.heads[k], _numpy(weight[:, k] > 0)
            where = after[bears] * sample.streams + stream
            scores.nats[where] = _numpy(token_losses(logits, target).double())[bears]
            if self.decision and stream == self.decision.stream:
                silence = _numpy(self._silence(logits))
                scores.silence[where] = silence[bears]
        parts = zip(self.layout.frames, frames, batch.frames, rows.frames, strict=True)
        for lane, predicted, true, part in parts:
            places_of = sample.valued(lane)
            where = places_of[np.searchsorted(places_of // sample.streams, steps[part.at])]
            scores.nats[where] = _numpy((predicted - true.rows).abs().mean(dim=1).double())

    def _silence(self, logits: Tensor) -> Tensor:
        """The log-probability [M] of all silent ids together."""
        assert self.decision is not None
        ids = list(self.decision.silent)
        if self.layout.lookup is not None:
            rows = self.layout.lookup[self.decision.stream]
            ids = [int(rows[i] - rows[rows >= 0].min()) for i in ids if rows[i] >= 0]
        return logits.float().log_softmax(dim=-1)[:, ids].logsumexp(dim=-1).double()


def _numpy(tensor: Tensor) -> NDArray:
    return tensor.cpu().numpy()


def scores_of(scorer: Scorer, samples: list[Compiled]) -> list[Scores]:
    """Scores of each sample, in evaluation mode."""
    model = scorer.model
    assert isinstance(model, nn.Module)
    training = model.training
    model.eval()
    try:
        return [scorer.score(sample) for sample in samples]
    finally:
        model.train(training)
