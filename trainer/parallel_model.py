"""The model of the parallel mode: summed embeddings, one trunk over steps, a head for each stream.

All streams of a step enter as one position: the sum of their embeddings, each stream with its own
table. The hidden state of step t predicts every loss-bearing stream of step t + 1.

Streams of one step depend on each other (a fine codebook on the coarse one). Moshi and RoboEgo
predict them one after the other with a small *depth transformer* over the codebooks of a step. In
its place stands `Depth`: before head k the hidden state takes up a projection of every earlier
loss-bearing stream of the same step, in the order of the schema, then a shared SwiGLU. So the
factorization is the same: p(step) is the product over k of p(stream k | the past, streams < k), and
each token has a proper probability. What is missing is attention between the streams of a step:
earlier ones enter as a sum. With at most some dozens of streams, each at its own place with its own
projection, the sum still tells them apart, which is enough to learn a lane from the corpora this
trainer is for. Embeddings of the streams are shared with the input.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.config import ModelConfig
from trainer.loss import Batch, Grades, grade
from trainer.model import Trunk, attention_mask, matrix_weights, reset
from trainer.values import FrameHeads, ValueInputs


class Depth(nn.Module):
    """hidden [M, dim] and the embedded targets [M, K, dim] -> logits [M, size] of each head."""

    def __init__(self, c: ModelConfig, sizes: tuple[int, ...]) -> None:
        super().__init__()
        ffn = c.ffn or -(-c.dim * 8 // 3 // 32) * 32
        # [K - 1, dim, dim]: what stream k tells the heads behind it
        self.links = nn.Parameter(torch.zeros(max(0, len(sizes) - 1), c.dim, c.dim))
        self.norm_ffn = nn.RMSNorm(c.dim)
        self.gate_up = nn.Linear(c.dim, 2 * ffn, bias=False)
        self.down = nn.Linear(ffn, c.dim, bias=False)
        self.norm = nn.RMSNorm(c.dim)
        self.heads = nn.ModuleList(nn.Linear(c.dim, size, bias=False) for size in sizes)

    def forward(self, hidden: Tensor, chosen: Tensor) -> list[Tensor]:
        told = torch.einsum("mkd,kde->mke", chosen[:, :-1], self.links)
        told = F.pad(told, (0, 0, 1, 0)).cumsum(dim=1)  # head 0 is told nothing
        z = hidden[:, None] + told.type_as(hidden)
        gate, up = self.gate_up(self.norm_ffn(z)).chunk(2, dim=-1)
        z = self.norm(z + self.down(F.silu(gate) * up))
        return [head(z[:, k]) for k, head in enumerate(self.heads)]


class ParallelDecoder(nn.Module):
    """Embedding rows [B, T, streams] -> logits of each head at the flat positions `index` [M].

    `sizes`: how many ids each stream has; its rows in the embedding table follow those of the
    streams before it. `heads`: the streams that bear loss. `values`, `frames`: as in Decoder.
    """

    def __init__(
        self,
        c: ModelConfig,
        sizes: tuple[int, ...],
        heads: tuple[int, ...],
        seed: int = 0,
        values: tuple[int, ...] = (),
        frames: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.config, self.streams, self.heads = c, len(sizes), heads
        self.first_rows = [sum(sizes[:s]) for s in heads]
        self.embed = nn.Embedding(sum(sizes), c.dim)
        self.trunk = Trunk(c)
        self.depth = Depth(c, tuple(sizes[s] for s in heads))
        self.values = ValueInputs(c.dim, values)
        self.frames = FrameHeads(c.dim, [values[i] for i in frames])
        reset(self, c, seed)

    def hidden(self, batch: Batch) -> Tensor:
        """Hidden states [B * T, dim]. The sum over streams enters at unit size, as a token does in
        the flat modes."""
        x = self.embed(batch.ids).sum(dim=2) * (self.config.dim / self.streams) ** 0.5
        x = self.values(x, batch.values)
        return self.trunk(x, batch.place, attention_mask(batch)).flatten(0, 1)

    def logits(self, hidden: Tensor, batch: Batch) -> list[Tensor]:
        """[M, size] of each head, each under the true tokens of the heads before it."""
        chosen = self.embed(batch.target) * self.config.dim**0.5
        return self.depth(hidden.index_select(0, batch.index), chosen)

    def targets(self, batch: Batch) -> list[Tensor]:
        """The target [M] of each head, counted from the first id of its stream."""
        return [batch.target[:, k] - first for k, first in enumerate(self.first_rows)]

    def forward(self, batch: Batch) -> Grades:
        hidden = self.hidden(batch)
        found = zip(self.logits(hidden, batch), self.targets(batch), strict=True)
        nats, right = zip(*(grade(*pair) for pair in found), strict=True)
        distance = self.frames.distances(hidden, batch.frames)
        return Grades(torch.stack(nats, dim=1), torch.stack(right, dim=1), distance)

    def step_weights(self) -> int:
        """Weights that one step is multiplied with: the SwiGLU of the depth once for each head."""
        shared = matrix_weights(self.depth.gate_up) + matrix_weights(self.depth.down)
        own = matrix_weights(self) - self.embed.weight.numel()
        return own + shared * (len(self.heads) - 1)
