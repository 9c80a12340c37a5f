"""A small Llama-like decoder: RMSNorm, rotary positions, SwiGLU, tied embeddings, grouped keys.

Rows hold several samples. `segment` [B, T] says which, and attention stays inside one: a token sees
earlier tokens of its own sample only. Shapes: B rows, T tokens, H heads, D head size, M positions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.config import ModelConfig

# dense bfloat16 peak in FLOP/s, from the vendors' data sheets (without sparsity)
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}


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


class Decoder(nn.Module):
    """ids [B, T] -> logits [M, vocab] at the flat positions `index` [M], where loss is wanted.

    Most tokens of an interleaved stream (what is heard and seen) bear no loss: their logits, the
    widest tensor of a small model, are never computed.
    """

    def __init__(self, c: ModelConfig, vocab_size: int, seed: int = 0) -> None:
        super().__init__()
        self.config, self.vocab_size = c, vocab_size
        self.embed = nn.Embedding(vocab_size, c.dim)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = nn.RMSNorm(c.dim)
        self.reset(seed)

    @torch.no_grad()
    def reset(self, seed: int) -> None:
        """Normal weights from their own generator; outputs into the residual stream smaller.

        Embeddings enter at unit size (`trunk` scales them), so that a token is heard through the
        first blocks from step 1: after 50 steps that halves the loss, against embeddings of 0.02.
        """
        generator = torch.Generator().manual_seed(seed)
        for name, p in self.named_parameters():
            if p.ndim < 2:
                continue
            std = self.config.dim**-0.5
            if name.endswith(("out.weight", "down.weight")):
                std = std / (2 * self.config.layers) ** 0.5
            p.copy_(torch.randn(p.shape, generator=generator) * std)

    def trunk(self, ids: Tensor, segment: Tensor, place: Tensor) -> Tensor:
        """Hidden states [B, T, dim]."""
        x = self.embed(ids) * self.config.dim**0.5
        rope = rope_table(place, self.config.dim // self.config.heads, self.config.rope_theta)
        mask = segment_mask(segment)
        for block in self.blocks:
            x = block(x, rope, mask)
        return self.norm(x)

    def forward(self, ids: Tensor, segment: Tensor, place: Tensor, index: Tensor) -> Tensor:
        hidden = self.trunk(ids, segment, place).flatten(0, 1)
        return F.linear(hidden.index_select(0, index), self.embed.weight)


def segment_mask(segment: Tensor) -> Tensor:
    """bool [B, 1, T, T]: may the token of row i see the one of column j."""
    same = segment[:, :, None] == segment[:, None, :]
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


def parameter_count(model: nn.Module) -> int:
    """All parameters; the tied embedding counts once."""
    return sum(p.numel() for p in model.parameters())


def flops_per_token(model: Decoder, context: int) -> float:
    """Training FLOPs a token: 6 a matrix weight, and 12 * layers * dim * context of attention.

    The usual estimate (Chowdhery et al. 2022, arXiv 2204.02311, appendix B): attention counts in
    full, although causal and segment masks skip some. The embedding counts once, as the output.
    """
    matrices = sum(p.numel() for p in model.parameters() if p.ndim >= 2)
    return 6.0 * matrices + 12.0 * model.config.layers * model.config.dim * context


def peak_flops(device: torch.device) -> float | None:
    """The accelerator's peak, or None where it is unknown (a CPU, another card)."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((flops for card, flops in PEAK_FLOPS.items() if card in name), None)
