"""Everything a run says and writes down about itself, on the main rank; silent on the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from token_schema.views import hides
from trainer import checkpoint
from trainer.config import TrainConfig
from trainer.distributed import Ranks
from trainer.evaluate import Judge, evaluate, report_lines
from trainer.held_out import HeldOut
from trainer.model import flops_per_token, parameter_count, peak_flops
from trainer.progress import Log, Meter, lanes_text, short, step_line
from trainer.step import StepResult, learning_rate

Say = Callable[[str], None]


class Reporter:
    """Prints to `say`, writes `OUT/log.jsonl` and `OUT/report.json`."""

    def __init__(
        self, config: TrainConfig, ranks: Ranks, judge: Judge, held: HeldOut | None, say: Say
    ) -> None:
        self.config, self.ranks, self.judge, self.held, self.say = config, ranks, judge, held, say
        self.lanes = judge.language.lanes
        self.log: Log | None = None

    def describe(self, corpus: str, samples: int) -> None:
        """What was decided, before the first step."""
        c, language, model = self.config, self.judge.language, self.judge.model
        self.say(f"corpus  {corpus}: {samples} samples of `{c.split}`")
        lanes = ", ".join(self.lanes)
        ids = f"{language.vocab_size} ids"
        if model.streams > 1:
            ids += f", {model.streams} streams"
        self.say(f"tokens  schema {language.schema.name}, {ids}, lanes {lanes}")
        for line in hides(language.schema) if c.view == "schema" else ():
            self.say(f"view    hides {line}")
        flops = short(flops_per_token(model, c.context))
        count = short(parameter_count(model))
        self.say(f"model   {count} parameters, context {c.context}, {flops}FLOP a token")
        dtype = str(self.judge.dtype).removeprefix("torch.")
        shape = f"{self.ranks.world_size} ranks x {c.batch_rows} rows x {c.accumulate}"
        self.say(f"runs    on {self.ranks.device}, {dtype}, {shape}")

    def open(self, step: int) -> None:
        """Go on with the log behind `step`."""
        if self.ranks.main:
            checkpoint.trim_log(Path(self.config.out) / "log.jsonl", step)
            self.log = Log(Path(self.config.out) / "log.jsonl")

    def step(self, step: int, result: StepResult, tokens: int, meter: Meter) -> None:
        """One step: always to the log, every `log_every`-th to the screen."""
        if self.log is None:
            return
        entry = {
            "step": step,
            "loss": result.loss,
            "lanes": result.lanes.report(self.lanes),
            "lr": learning_rate(self.config.optim, step, self.config.steps),
            "grad_norm": result.grad_norm,
            "tokens": tokens,
        }
        timing = meter.read(self.config.steps - step)
        self.log.write(entry, timing)
        if step % self.config.log_every == 0 or step == self.config.steps:
            mfu = self._mfu(timing["tok_s"])
            self.say(step_line(step, self.config.steps, entry, self.lanes, timing, mfu))

    def _mfu(self, tokens_per_s: float) -> float | None:
        peak = peak_flops(self.ranks.device)
        if peak is None:
            return None
        flops = flops_per_token(self.judge.model, self.config.context)
        return flops * tokens_per_s / (peak * self.ranks.world_size)

    def held_out(self, step: int) -> None:
        """Held-out losses of the lanes, on the main rank; the others wait for it."""
        if self.log and self.held:
            scores = self.judge.scores(self.held.samples)
            lanes = self.judge.lane_report(self.held.samples, scores)
            self.log.write({"step": step, "held_out": lanes})
            self.say(f"  held-out at step {step}: {lanes_text(self.lanes, lanes)}")
        self.ranks.barrier()

    def final(self, step: int) -> dict[str, Any] | None:
        """The full held-out report of a run that came to its end."""
        if not self.log or not self.held or not self.held.samples or step < self.config.steps:
            return None
        report = {"step": step, **evaluate(self.judge, self.held)}
        path = Path(self.config.out) / "report.json"
        path.write_text(json.dumps(report, indent=1) + "\n")
        frames = tuple(self.lanes[i] for i in self.judge.language.layout.frames)
        for line in report_lines(report, frames):
            self.say(line)
        return report

    def close(self) -> None:
        """Close the log."""
        if self.log:
            self.log.close()
