"""What goes into a model and comes out of it, the weighted loss, and what the log says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class ValueBatch(NamedTuple):
    """`rows.Values` on the device."""

    at: Tensor
    rows: Tensor


class FrameBatch(NamedTuple):
    """`rows.Frames` on the device."""

    before: Tensor
    rows: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Batch:
    """`rows.Rows` on the device."""

    ids: Tensor
    segment: Tensor
    place: Tensor
    index: Tensor
    target: Tensor
    lane: Tensor
    weight: Tensor
    values: tuple[ValueBatch, ...] = ()
    frames: tuple[FrameBatch, ...] = ()
    branch: Tensor | None = None
    start: Tensor | None = None


class Grades(NamedTuple):
    """Of a batch: `nats` and `right` beside its targets, of their shape; `distance` [F] beside its
    mel frames, lane after lane."""

    nats: Tensor
    right: Tensor
    distance: Tensor


def grade(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Nats [M] and whether the best guess is right."""
    return token_losses(logits, target), logits.argmax(dim=-1) == target


def token_losses(logits: Tensor, target: Tensor) -> Tensor:
    """Nats [M] for each target, in float32 whatever the logits are in."""
    return F.cross_entropy(logits.float(), target, reduction="none")


def weighted_sum(nats: Tensor, weight: Tensor) -> Tensor:
    """sum(weight * nats): divide by the sum of the weights of the whole step, over all ranks."""
    return (nats * weight).sum()


def batch_loss(grades: Grades, batch: Batch) -> Tensor:
    """The weighted sum over all targets and mel frames of a batch."""
    total = weighted_sum(grades.nats, batch.weight)
    if batch.frames:
        total = total + weighted_sum(grades.distance, torch.cat([f.weight for f in batch.frames]))
    return total


@dataclass
class LaneSums:
    """float64 [lanes, 3]: nats, right guesses and tokens of each lane. Unweighted, so that a lane's
    loss means the same whatever its weight. Of content and idle tokens: see `Compiled.told`.
    Of a lane of mel frames: their L1 distance in place of nats, and no right guess."""

    table: Tensor
    frames: tuple[int, ...] = ()

    @classmethod
    def zeros(cls, lane_count: int, device: torch.device, frames: tuple[int, ...] = ()) -> LaneSums:
        return cls(torch.zeros(lane_count, 3, dtype=torch.float64, device=device), frames)

    @torch.no_grad()
    def add(self, nats: Tensor, right: Tensor, lane: Tensor) -> None:
        """Count some tokens. A lane number past the last (boundary tokens, the prompt): no lane."""
        values = torch.stack([nats.detach(), right, torch.ones_like(nats)], dim=1)
        count = len(self.table)
        hot = F.one_hot(lane.clamp(max=count), count + 1)[:, :count].double()
        # a product, not a scatter: sums in the same order on every run, on a GPU too
        self.table += hot.T @ values.double()

    def add_batch(self, grades: Grades, batch: Batch) -> None:
        """Count one batch."""
        self.add(grades.nats.flatten(), grades.right.flatten(), batch.lane.flatten())
        distances = grades.distance.detach().split([len(f.before) for f in batch.frames])
        for lane, found in zip(self.frames, distances, strict=True):
            numbers = torch.full(found.shape, lane, device=found.device)
            self.add(found, torch.zeros_like(found), numbers)

    def report(self, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
        """Lane -> loss (nats a token; L1 of mel frames), accuracy and tokens; lanes without any are
        left out."""
        out = {}
        for i, (name, row) in enumerate(zip(names, self.table.tolist(), strict=True)):
            nats, right, count = row
            if count:
                out[name] = {"loss": nats / count, "accuracy": right / count, "tokens": int(count)}
                if i in self.frames:
                    del out[name]["accuracy"]
        return out
