"""Weighted cross-entropy and what the log says of it: sums and counts for each lane."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


def token_losses(logits: Tensor, target: Tensor) -> Tensor:
    """Nats [M] for each target, in float32 whatever the logits are in."""
    return F.cross_entropy(logits.float(), target, reduction="none")


def weighted_sum(nats: Tensor, weight: Tensor) -> Tensor:
    """sum(weight * nats): divide by the sum of the weights of the whole step, over all ranks."""
    return (nats * weight).sum()


@dataclass
class LaneSums:
    """float64 [lanes, 3]: nats, right guesses and tokens of each lane. Unweighted, so that a lane's
    loss means the same whatever its weight. Of content and idle tokens: see `Compiled.told`."""

    table: Tensor

    @classmethod
    def zeros(cls, lane_count: int, device: torch.device) -> LaneSums:
        return cls(torch.zeros(lane_count, 3, dtype=torch.float64, device=device))

    @torch.no_grad()
    def add(self, nats: Tensor, logits: Tensor, target: Tensor, lane: Tensor) -> None:
        """Count one batch. A lane number past the last (boundary tokens, the prompt): no lane."""
        right = logits.argmax(dim=-1) == target
        values = torch.stack([nats.detach(), right, torch.ones_like(nats)], dim=1)
        count = len(self.table)
        hot = F.one_hot(lane.clamp(max=count), count + 1)[:, :count].double()
        # a product, not a scatter: sums in the same order on every run, on a GPU too
        self.table += hot.T @ values.double()

    def report(self, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
        """Lane -> loss (nats a token), accuracy and tokens; lanes without any are left out."""
        out = {}
        for name, (nats, right, count) in zip(names, self.table.tolist(), strict=True):
            if count:
                out[name] = {"loss": nats / count, "accuracy": right / count, "tokens": int(count)}
        return out
