"""What tokenizer and predictor are made of: rotary positions, causal attention, and the block around it.

B series, T time, d width, h heads of D dimensions. q, k and v come from one product, and so do the two halves of the
feed-forward; files hold them apart (weights.py). Source: Kronos (arXiv:2508.02739); RoPE Su et al. 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainers.fused import gated_silu, rms_norm
from trainers.kronos.chance import add_dropped
from trainers.kronos.fused import attend_causally, split_and_turn, turn

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""q, k, v of the new positions [B,h,T,D], q and k turned -> what they attend to [B,h,T,D].

Generation passes one for every block, which keeps keys and values of earlier positions.
"""


class Turns(NamedTuple):
    """cos and sin [T,D/2] of a range of positions, always float32; and both as one complex number."""

    cos: Tensor
    sin: Tensor
    cis: Tensor


class Rotary(nn.Module):
    """Angles by position for one head width. The table grows when a longer one is asked for and is never saved."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        steps = torch.arange(0, head_dim, 2, device="cpu").float()  # also of a model on meta: there this takes 2 s
        self.register_buffer("inv_freq", 1.0 / 10000.0 ** (steps / head_dim))
        self.inv_freq: Tensor
        self._table = Turns(*(torch.empty(0, 0, device="cpu"),) * 3)

    def forward(self, first: int, count: int) -> Turns:
        """For positions first .. first+count-1."""
        if torch.compiler.is_compiling():
            return self._angles(torch.arange(first, first + count, device=self.inv_freq.device))
        have = self._table.cos
        if have.shape[0] < first + count or have.device != self.inv_freq.device:
            with torch.inference_mode(False):  # a table made while forecasting serves training too
                self._table = self._angles(torch.arange(max(first + count, 512), device=self.inv_freq.device))
        return Turns(*(x[first : first + count] for x in self._table))

    @torch.no_grad()
    def _angles(self, positions: Tensor) -> Turns:
        angle = positions.float().unsqueeze(-1) * self.inv_freq.float()
        cos, sin = angle.cos(), angle.sin()
        return Turns(cos, sin, torch.complex(cos, sin))


class RMSNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, eps=1e-5)


class SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int, attn_dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attn_dropout = attn_dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x_BTd: Tensor, turns: Turns, attend: Attend | None = None) -> Tensor:
        """attend: None for causal attention among these positions alone."""
        x_BT3hD = self.qkv(x_BTd).unflatten(-1, (3, self.heads, -1))
        if attend is not None:
            out = attend(*split_and_turn(x_BT3hD, *turns)).transpose(1, 2)
        else:
            out = attend_causally(x_BT3hD, *turns, self.attn_dropout if self.training else 0.0)
        joined: Tensor = self.out_proj(out.flatten(-2))
        return joined


class FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w13 = nn.Linear(width, 2 * hidden, bias=False)
        self.w2 = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.w2(gated_silu(self.w13(x)))
        return out


class Block(nn.Module):
    """Norms before attention and feed-forward; both add to the stream, which stays float32 under autocast."""

    def __init__(
        self, width: int, heads: int, hidden: int, ffn_dropout: float, attn_dropout: float, resid_dropout: float
    ) -> None:
        super().__init__()
        self.norm1 = RMSNorm(width)
        self.self_attn = SelfAttention(width, heads, attn_dropout)
        self.norm2 = RMSNorm(width)
        self.ffn = FeedForward(width, hidden)
        self.resid_dropout, self.ffn_dropout = resid_dropout, ffn_dropout

    def forward(self, x_BTd: Tensor, turns: Turns, attend: Attend | None = None) -> Tensor:
        found = self.self_attn(self.norm1(x_BTd), turns, attend)
        x_BTd = add_dropped(x_BTd, found, self.resid_dropout, self.training)
        return add_dropped(x_BTd, self.ffn(self.norm2(x_BTd)), self.ffn_dropout, self.training)


class CrossAttention(nn.Module):
    """Queries of one sequence over keys and values of another, with parts to call apart while generating."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.out_proj = nn.Linear(width, width)
        self.rotary = Rotary(width // heads)

    def queries(self, x_BTd: Tensor) -> Tensor:
        """[B,h,T,D], not turned."""
        return self.q_proj(x_BTd).unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, h_BTd: Tensor) -> tuple[Tensor, Tensor]:
        """Each [B,h,T,D], not turned."""
        k, v = self.kv(h_BTd).unflatten(-1, (2, self.heads, -1)).transpose(1, 3).unbind(2)
        return k, v

    def joined(self, out_BhTD: Tensor) -> Tensor:
        """What all heads found, as one vector per position [B,T,d]."""
        joined: Tensor = self.out_proj(out_BhTD.transpose(1, 2).flatten(-2))
        return joined

    def forward(self, q_BTd: Tensor, h_BTd: Tensor, rotate: bool, causal: bool) -> Tensor:
        """q: what q_proj gives. rotate: turn it and keys by positions from 0. causal: position t sees 0..t alone."""
        q, (k, v) = q_BTd.unflatten(-1, (self.heads, -1)).transpose(1, 2), self.keys_values(h_BTd)
        if rotate:
            q, k = turn(q, *self.rotary(0, q.shape[2])), turn(k, *self.rotary(0, k.shape[2]))
        return self.joined(F.scaled_dot_product_attention(q, k, v, is_causal=causal))


def run(
    blocks: nn.ModuleList, x_BTd: Tensor, turns: Turns, attends: Sequence[Attend] | None = None, again: bool = False
) -> Tensor:
    """x through all blocks. attends: one for each. again: compute activations again in the backward pass."""
    for i, block in enumerate(blocks):
        if again:
            x_BTd = checkpoint(_apply, block, x_BTd, turns, use_reentrant=False)  # type: ignore[assignment]
        else:
            x_BTd = block(x_BTd, turns, attends[i] if attends else None)
    return x_BTd


def _apply(block: nn.Module, x: Tensor, turns: Turns) -> Tensor:
    out: Tensor = block(x, turns)
    return out
