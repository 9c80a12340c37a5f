"""A small Llama-like decoder: RMSNorm, rotary positions, SwiGLU, tied embeddings, grouped keys.

Rows hold several samples. `segment` [B, T] says which, and attention stays inside one: a token sees
earlier tokens of its own sample only. Shapes: B rows, T steps, H heads, D head size, M positions.

`Decoder` is the model of the flat modes (interleaved blocks and turns); `parallel_model` has the one
of the parallel mode around the same `Trunk`. Both take a Batch and give Grades.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.config import ModelConfig
from trainer.loss import Batch, Grades, grade
from trainer.values import FrameHeads, ValueInputs

# dense bfloat16 peak in FLOP/s, from the vendors' data sheets (without sparsity)
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}


class Model(Protocol):
    """What the trainer asks of a model, flat or parallel."""

    config: ModelConfig
    streams: int
    frames: FrameHeads

    def hidden(self, batch: Batch) -> Tensor: ...

    def logits(self, hidden: Tensor, batch: Batch) -> list[Tensor]: ...

    def targets(self, batch: Batch) -> list[Tensor]: ...

    def step_weights(self) -> int: ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]: ...


class Attention(nn.Module):
    """Causal self-attention inside a segment."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads = c.heads, c.kv_heads or c.heads
        self.size = c.dim // c.heads
        self.q = nn.Linear(c.dim, c.dim, bias=False)
        self.kv = nn.Linear(c.dim, 2 * self.kv_heads * self.size, bias=False)
        self.out = nn.Linear(c.dim, c.dim, bias=False)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        b, t, dim = x.shape
        q = self.q(x).view(b, t, self.heads, self.size)
        k, v = self.kv(x).view(b, t, 2 * self.kv_heads, self.size).chunk(2, dim=2)
        q, k, v = (y.transpose(1, 2) for y in (rotate(q, rope), rotate(k, rope), v))
        y = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, enable_gqa=self.kv_heads != self.heads
        )
        return self.out(y.transpose(1, 2).reshape(b, t, dim))


class Block(nn.Module):
    """Attention and SwiGLU, each on the normed residual stream."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        ffn = c.ffn or -(-c.dim * 8 // 3 // 32) * 32
        self.norm_attention = nn.RMSNorm(c.dim)
        self.attention = Attention(c)
        self.norm_ffn = nn.RMSNorm(c.dim)
        self.gate_up = nn.Linear(c.dim, 2 * ffn, bias=False)
        self.down = nn.Linear(ffn, c.dim, bias=False)
        self.drop = nn.Dropout(c.dropout)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        x = x + self.drop(self.attention(self.norm_attention(x), rope, mask))
        gate, up = self.gate_up(self.norm_ffn(x)).chunk(2, dim=-1)
        return x + self.drop(self.down(F.silu(gate) * up))


class Trunk(nn.Module):
    """The blocks over embedded steps [B, T, dim]; hidden states of the same shape."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.config = c
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = nn.RMSNorm(c.dim)

    def forward(self, x: Tensor, place: Tensor, mask: Tensor) -> Tensor:
        rope = rope_table(place, self.config.dim // self.config.heads, self.config.rope_theta)
        for block in self.blocks:
            x = block(x, rope, mask)
        return self.norm(x)


class Decoder(nn.Module):
    """Flat ids [B, T] -> logits [M, vocab] at the flat positions `index` [M], where loss is wanted.

    Most tokens of an interleaved stream (what is heard and seen) bear no loss: their logits, the
    widest tensor of a small model, are never computed. `values` are the sizes of the numbers that
    enter (slots and mel frames, in the order of Rows.values), `frames` which of them are predicted.
    """

    streams = 1

    def __init__(
        self,
        c: ModelConfig,
        vocab_size: int,
        seed: int = 0,
        values: tuple[int, ...] = (),
        frames: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.config, self.vocab_size = c, vocab_size
        self.embed = nn.Embedding(vocab_size, c.dim)
        self.trunk = Trunk(c)
        self.values = ValueInputs(c.dim, values)
        self.frames = FrameHeads(c.dim, [values[i] for i in frames])
        reset(self, c, seed)

    def hidden(self, batch: Batch) -> Tensor:
        """Hidden states [B * T, dim]."""
        x = self.embed(batch.ids) * self.config.dim**0.5
        x = self.values(x, batch.values)
        return self.trunk(x, batch.place, attention_mask(batch)).flatten(0, 1)

    def logits(self, hidden: Tensor, batch: Batch) -> list[Tensor]:
        """[M, vocab], in a list as the parallel mode has one for each head."""
        return [F.linear(hidden.index_select(0, batch.index), self.embed.weight)]

    def forward(self, batch: Batch) -> Grades:
        hidden = self.hidden(batch)
        nats, right = grade(self.logits(hidden, batch)[0], batch.target)
        return Grades(nats, right, self.frames.distances(hidden, batch.frames))

    def targets(self, batch: Batch) -> list[Tensor]:
        """The target [M] of each head's logits."""
        return [batch.target]

    def step_weights(self) -> int:
        """Weights that one position is multiplied with; the tied embedding as the output."""
        return matrix_weights(self)


@torch.no_grad()
def reset(model: nn.Module, c: ModelConfig, seed: int) -> None:
    """Normal weights from their own generator; outputs into the residual stream smaller.

    Embeddings enter at unit size (the models scale them), so that a token is heard through the
    first blocks from step 1: after 50 steps that halves the loss, against embeddings of 0.02.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        if p.ndim < 2 or name.startswith("frames."):
            continue  # norms stay at one, frame heads at silence
        std = 1.0 if name.startswith("values.") else c.dim**-0.5
        if name.endswith(("out.weight", "down.weight")):
            std = std / (2 * c.layers) ** 0.5
        p.copy_(torch.randn(p.shape, generator=generator) * std)


def attention_mask(batch: Batch) -> Tensor:
    """bool [B, 1, T, T]: may the step of row i see the one of column j.

    It sees earlier ones of its piece; in a piece with branches those of its own branch, and of the
    main line (branch 0) what lies before its branch begins.
    """
    same = batch.segment[:, :, None] == batch.segment[:, None, :]
    if batch.branch is not None and batch.start is not None:
        own = batch.branch[:, :, None] == batch.branch[:, None, :]
        line = batch.branch[:, None, :] == 0
        same &= own | (line & (batch.place[:, None, :] < batch.start[:, :, None]))
    return same.tril()[:, None]


def rope_table(place: Tensor, size: int, theta: float) -> tuple[Tensor, Tensor]:
    """cos and sin [B, T, 1, size / 2] of the positions (Su et al. 2021, arXiv 2104.09864)."""
    half = torch.arange(0, size, 2, device=place.device, dtype=torch.float32) / size
    angle = place[:, :, None, None].float() * theta**-half
    return angle.cos(), angle.sin()


def rotate(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate the two halves of each head [B, T, H, D] by the position's angles, in float32."""
    cos, sin = rope
    a, b = x.float().chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).type_as(x)


def parameter_count(model: Model) -> int:
    """All parameters; the tied embedding counts once."""
    return sum(p.numel() for p in model.parameters())


def matrix_weights(model: nn.Module) -> int:
    """The weights of all matrices."""
    return sum(p.numel() for p in model.parameters() if p.ndim >= 2)


def flops_per_token(model: Model, context: int) -> float:
    """Training FLOPs a token: 6 a matrix weight, and 12 * layers * dim * context of attention.

    The usual estimate (Chowdhery et al. 2022, arXiv 2204.02311, appendix B): attention counts in
    full, although causal and segment masks skip some. In the parallel mode a step is `streams`
    tokens, and its input embeddings, which are looked up, do not count.
    """
    attention = 12.0 * model.config.layers * model.config.dim * context
    return (6.0 * model.step_weights() + attention) / model.streams


def peak_flops(device: torch.device) -> float | None:
    """The accelerator's peak, or None where it is unknown (a CPU, another card)."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((flops for card, flops in PEAK_FLOPS.items() if card in name), None)
