"""One optimizer step: the learning rate, the loss over all micro-batches and ranks, AdamW."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from schemas.draws import draw_seed
from trainer.config import OptimConfig, TrainConfig
from trainer.distributed import Ranks
from trainer.loss import Batch, FrameBatch, LaneSums, ValueBatch, batch_loss
from trainer.rows import Rows


@dataclass(frozen=True)
class StepResult:
    """Of one step, over all ranks: weighted mean loss, gradient norm, tokens read, lane sums."""

    loss: float
    grad_norm: float
    tokens: int
    lanes: LaneSums


def to_device(rows: Rows, device: torch.device) -> Batch:
    """Copy, from pinned memory where there is a GPU to overlap with."""

    def move(array: object) -> Tensor:
        tensor = torch.as_tensor(array)
        if device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(device, non_blocking=True)

    return Batch(
        move(rows.ids),
        move(rows.segment),
        move(rows.place),
        move(rows.index),
        move(rows.target),
        move(rows.lane),
        move(rows.weight),
        tuple(ValueBatch(*map(move, v)) for v in rows.values),
        tuple(FrameBatch(move(f.before), move(f.rows), move(f.weight)) for f in rows.frames),
        None if rows.branch is None else move(rows.branch),
        None if rows.start is None else move(rows.start),
    )


def learning_rate(c: OptimConfig, step: int, steps: int) -> float:
    """The rate of step 1..steps."""
    if step <= c.warmup:
        return c.lr * step / c.warmup
    share = (step - c.warmup) / max(1, steps - c.warmup)
    low = c.lr * c.min_lr_share
    return low + (c.lr - low) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def make_optimizer(model: nn.Module, c: OptimConfig, device: torch.device) -> torch.optim.AdamW:
    """AdamW; norms (one dimension) are not decayed."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": c.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=c.lr, betas=(c.beta1, c.beta2), fused=device.type == "cuda")


def autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager[object]:
    """Mixed precision where `dtype` is not float32. Parameters and AdamW stay in float32."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype)


def pick_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """`auto`: bfloat16 where the GPU computes in it, else float32."""
    if wanted != "auto":
        return torch.float32 if wanted == "float32" else torch.bfloat16
    fits = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if fits else torch.float32


def train_step(
    step: int,
    config: TrainConfig,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    micro: list[Rows],
    lane_count: int,
    ranks: Ranks,
    dtype: torch.dtype,
    frames: tuple[int, ...] = (),
) -> StepResult:
    """Forward, backward and update over the micro-batches of one step.

    The loss is the weighted mean over every loss-bearing token of all micro-batches and ranks, so
    that how the tokens are spread over them changes nothing but rounding. `frames`: the lanes of
    mel frames, in the order of Rows.frames.
    """
    # dropout is a function of the step, not of what ran before: resuming needs no saved RNG
    torch.manual_seed(draw_seed(config.seed, "dropout", f"step-{step}", f"rank-{ranks.rank}") >> 1)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config.optim, step, config.steps)
    counts = ranks.sum(
        torch.tensor(
            [
                sum(r.weight_sum for r in micro),
                sum(r.token_count for r in micro),
            ],
            dtype=torch.float64,
            device=ranks.device,
        )
    )
    total = float(counts[0]) or 1.0
    lanes = LaneSums.zeros(lane_count, ranks.device, frames)
    nats = torch.zeros((), dtype=torch.float64, device=ranks.device)
    for number, rows in enumerate(micro, start=1):
        nats += _backward(
            model,
            to_device(rows, ranks.device),
            ranks.world_size / total,
            lanes,
            dtype,
            last=number == len(micro),
        )
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.grad_clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    ranks.sum(lanes.table)
    return StepResult(float(ranks.sum(nats)) / total, float(norm), int(counts[1]), lanes)


def _backward(
    model: nn.Module, batch: Batch, scale: float, lanes: LaneSums, dtype: torch.dtype, last: bool
) -> Tensor:
    """Gradients of one micro-batch; returns its weighted nats. Ranks synchronise on the last."""
    # DDP averages gradients over ranks: `scale` holds the world size to make that a sum
    hold = getattr(model, "no_sync", None)
    with hold() if hold and not last else contextlib.nullcontext():
        with autocast(batch.ids.device, dtype):
            grades = model(batch)
        weighted = batch_loss(grades, batch)
        (weighted * scale).backward()
    lanes.add_batch(grades, batch)
    return weighted.detach().double()
