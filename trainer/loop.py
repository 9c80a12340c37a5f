"""The training loop: build or resume, step, log, evaluate, checkpoint, stop in good order.

    summary = train(TrainConfig.from_mapping(data, "train.yaml"))

Under `torchrun` the same call runs on every rank. SIGTERM and SIGINT end the run after the step in
hand, with a checkpoint; the same command then goes on from there.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from pipeline.order import SampleOrder
from pipeline.stream import open_corpus
from schemas.draws import digest
from schemas.errors import StrettoError
from trainer import checkpoint
from trainer.build import build_model
from trainer.compile import Compiler
from trainer.config import TrainConfig
from trainer.data import Feed, Loader, Packer, State, fresh_state, regroup
from trainer.distributed import Ranks, open_ranks
from trainer.evaluate import Judge
from trainer.held_out import open_held_out
from trainer.language import open_language
from trainer.progress import Meter, now
from trainer.reporter import Reporter, Say
from trainer.rows import Rows
from trainer.step import make_optimizer, pick_dtype, train_step
from trainer.stop import StopSignal


@dataclass(frozen=True)
class Summary:
    """How a run ended: last step, the signal that stopped it (0: none), and where things lie."""

    step: int
    signal: int
    checkpoint: Path | None
    report: dict[str, Any] | None


def train(config: TrainConfig, say: Say = print, stop_at: int | None = None) -> Summary:
    """Train to `config.steps`, or to `stop_at` as a stopped run would."""
    with open_ranks(config.device) as ranks:
        run = Run(config, ranks, say if ranks.main else lambda line: None)
        try:
            return run.go(stop_at or config.steps)
        finally:
            run.close()


class Run:
    """One run on one rank. Everything it will need is checked before the first step."""

    def __init__(self, config: TrainConfig, ranks: Ranks, say: Say) -> None:
        self.config, self.ranks, self.say = config, ranks, say
        self.out = Path(config.out)
        self.corpus = open_corpus(config.corpus)
        language = open_language(config, self.corpus)
        self.language, self.token_hash = language, language.hash
        self.rows = self._rows()
        held = open_held_out(config, self.corpus, language) if ranks.main else None
        self.model = build_model(config, language).to(ranks.device)
        self.optimizer = make_optimizer(self.model, config.optim, ranks.device)
        dtype = pick_dtype(config.dtype, ranks.device)
        self.judge = Judge(self.model, language, config.context, ranks.device, dtype)
        self.reporter = Reporter(config, ranks, self.judge, held, say)
        self.step, self.tokens, self.data = 0, 0, fresh_state(ranks.world_size)
        self.loader: Loader | None = None
        self.saved: Path | None = None
        self.compiler = Compiler(config, self.corpus, language)
        self.stop = StopSignal()

    def _rows(self) -> list[int]:
        rows = self.corpus.rows(self.config.split, self.config.subset, self.config.languages)
        if not len(rows):
            raise StrettoError(
                f"no samples match split `{self.config.split}` and the filters",
                self.corpus.url,
                "check `split`, `subset` and `languages`",
            )
        return [int(r) for r in rows]

    # ---- resuming ------------------------------------------------------------------------------

    def identity(self) -> dict[str, Any]:
        """What must be the same for a checkpoint to be resumed."""
        keys = self.corpus.index.column("key").take(self.rows).to_pylist()
        return {
            "config": self.config.identity(),
            "tokens": self.token_hash,
            "samples": digest(keys),
            "view": self.language.schema.view.model_dump(mode="json"),
        }

    def resume(self) -> None:
        """Load the newest checkpoint of `out`, if there is one and `resume` says so."""
        found = checkpoint.found(self.out)
        if not found:
            return
        step, folder = found[-1]
        if self.config.resume == "never":
            raise StrettoError(
                "a run's checkpoints lie there already",
                str(self.out),
                "take another `out`, or `resume: auto`",
            )
        meta = checkpoint.load_meta(folder)
        self._same(meta["identity"], str(folder))
        self.model.load_state_dict(checkpoint.load_tensors(folder, "model.pt", self.ranks.device))
        self.optimizer.load_state_dict(
            checkpoint.load_tensors(folder, "optimizer.pt", self.ranks.device)
        )
        self.step, self.tokens, self.saved = step, meta["tokens"], folder
        self.data = regroup(meta["data"], self.ranks.world_size)
        self.say(f"resume  from step {step}: {folder}")

    def _same(self, theirs: dict[str, Any], where: str) -> None:
        mine = json.loads(json.dumps(self.identity()))
        if mine == theirs:
            return
        changed = [k for k in mine["config"] if mine["config"][k] != theirs["config"].get(k)]
        what = (
            f"`{changed[0]}` is another"
            if changed
            else "the corpus, its codecs or the view changed"
        )
        raise StrettoError(
            f"this checkpoint is of another run: {what}",
            where,
            "take another `out`, or set it back",
        )

    def save(self) -> None:
        """A checkpoint of this step; all ranks take part."""
        states = self.ranks.gather(self.rank_state)
        if self.ranks.main and (self.saved is None or self.saved.name != f"step-{self.step:06d}"):
            meta = {
                "tokens": self.tokens,
                "identity": self.identity(),
                "data": {**self.data, "ranks": states},
                "torch": torch.__version__,
            }
            self.saved = checkpoint.save(
                self.out,
                self.step,
                self.model.state_dict(),
                self.optimizer.state_dict(),
                meta,
                self.config.keep,
            )
        self.ranks.barrier()

    # ---- the run -------------------------------------------------------------------------------

    def go(self, last: int) -> Summary:
        """All steps up to `last`, then the report."""
        self.out.mkdir(parents=True, exist_ok=True)
        self.resume()
        self.reporter.describe(self.corpus.url, len(self.rows))
        self.rank_state: State = self.data["ranks"][self.ranks.rank]
        model, self.loader = self._wrapped(), self._loader()
        self.reporter.open(self.step)
        meter = Meter()
        while self.step < last and not self.ranks.any(bool(self.stop.number)):
            self._one_step(model, meter)
        self.save()
        report = self.reporter.final(self.step)
        return Summary(self.step, self.stop.number, self.saved, report)

    def _wrapped(self) -> torch.nn.Module:
        if self.config.compile:
            self.model.trunk.compile()
        if self.ranks.world_size == 1:
            return self.model
        ids = [self.ranks.device.index] if self.ranks.device.type == "cuda" else None
        return DistributedDataParallel(self.model, device_ids=ids)

    def _loader(self) -> Loader:
        c, order = self.config, SampleOrder(len(self.rows), self.config.seed)
        ahead, language = 4 * c.workers, self.language
        feed = Feed(self.rows, order, self.compiler, c.cache_mb, ahead, language.plan)
        packer = Packer(c, feed, self.data, self.ranks.rank, language.layout)
        return Loader(packer, c.prefetch)

    def _one_step(self, model: torch.nn.Module, meter: Meter) -> None:
        start = now()
        micro = self._micro_batches()
        waited = now() - start
        self.step += 1
        result = train_step(
            self.step,
            self.config,
            model,
            self.optimizer,
            micro,
            len(self.language.lanes),
            self.ranks,
            self.judge.dtype,
            self.language.layout.frames,
        )
        if not math.isfinite(result.loss):
            raise StrettoError(
                f"the loss is {result.loss} at step {self.step}",
                str(self.out),
                "lower `optim.lr` and take another `out`",
            )
        self.tokens += result.tokens
        meter.add(now() - start, waited, result.tokens)
        self.reporter.step(self.step, result, self.tokens, meter)
        if self.config.eval_every and self.step % self.config.eval_every == 0:
            self.reporter.held_out(self.step)
        if self.step % self.config.checkpoint_every == 0:
            self.save()

    def _micro_batches(self) -> list[Rows]:
        """The rows of one step. The last one's state is the state after the step."""
        assert self.loader is not None
        micro = []
        for _ in range(self.config.accumulate):
            rows, self.rank_state = next(self.loader)
            micro.append(rows)
        return micro

    def close(self) -> None:
        """Stop the background; give the signals back."""
        if self.loader is not None:
            self.loader.close()
        self.compiler.close()
        self.reporter.close()
        self.stop.restore()
