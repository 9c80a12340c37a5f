"""Continuous lanes: slots and mel frames enter by a projection, mel frames leave by a linear head.

A position of such a lane holds the lane's `slot` token; its numbers are projected and added to that
token's embedding. A mel frame is predicted from the hidden state one position before (teacher
forcing: the true frame stands at its own), with an L1 loss and no cross-entropy.

Hundreds of numbers that rise and fall together add up in every step of AdamW. So both matrices work
on their input divided by the root of its size: one step then moves an output about as far as it
moves an embedding. Without that a model stays deaf to its slots for hundreds of steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.loss import FrameBatch, ValueBatch

SILENCE = -1.0  # what digital silence is in `token_schema.codecs.mel_slots`
LOUDNESS = 3.0  # speech lies about a third above it: so it enters at the size of an embedding


class ValueInputs(nn.Module):
    """x [B, T, dim] with the numbers of every lane added at their places. Silence adds nothing."""

    def __init__(self, dim: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Linear(size, dim, bias=False) for size in sizes)

    def forward(self, x: Tensor, values: Sequence[ValueBatch]) -> Tensor:
        for projection, (at, rows) in zip(self.projections, values, strict=True):
            heard = projection((rows - SILENCE) * (LOUDNESS * rows.shape[1] ** -0.5))
            # a lane has at most one slot in a step, so no place comes twice
            x = x.flatten(0, 1).index_add(0, at, heard.type_as(x)).view_as(x)
        return x


class FrameHeads(nn.Module):
    """Mel frames from hidden states. Before training they are silence."""

    def __init__(self, dim: int, sizes: Sequence[int]) -> None:
        super().__init__()
        heads = [nn.Linear(dim, size) for size in sizes]
        for head in heads:
            nn.init.zeros_(head.weight)
            nn.init.constant_(head.bias, SILENCE)
        self.heads = nn.ModuleList(heads)

    def predicted(self, hidden: Tensor, frames: Sequence[FrameBatch]) -> list[Tensor]:
        """[k, size] of each lane."""
        hidden = hidden * hidden.shape[1] ** -0.5
        return [
            head(hidden.index_select(0, f.before)).float()
            for head, f in zip(self.heads, frames, strict=True)
        ]

    def distances(self, hidden: Tensor, frames: Sequence[FrameBatch]) -> Tensor:
        """The mean absolute difference [F] of every frame, lane after lane."""
        found = self.predicted(hidden, frames)
        parts = [(p - f.rows).abs().mean(dim=1) for p, f in zip(found, frames, strict=True)]
        return torch.cat(parts) if parts else hidden.new_zeros(0, dtype=torch.float32)
