"""Attention over time (causal, with positions) and over variates (in groups, without), on one layout of tokens.

Tokens are h_BVSE: B series, V variates, S patches, E width; N heads of D dimensions. While sampling, the third axis
holds M paths instead of patches: every path is one token wide.
Source: Toto 1.0; rotary positions Su et al. 2021, xPos Sun et al. 2022.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.toto.fused import split_and_turn

XPOS_SPAN = 512
"""Patches after which the xPos decay has taken full effect."""


@dataclass(frozen=True)
class Rotary:
    """cos and sin for a range of patch positions, times the xPos factor for queries, over it for keys; each [S,D].

    sin carries the sign of the rotation: minus for the first of a pair.

    One table serves all layers of a pass. The factors of a query and a key multiply to base^((q-k)/512) whatever
    the centre, so a table for later positions must keep the centre of the first one and a cache stays valid.
    """

    q_cos: Tensor
    q_sin: Tensor
    k_cos: Tensor
    k_sin: Tensor
    centre: int


def rotary_table(first: int, count: int, dim: int, device: torch.device, centre: int | None = None) -> Rotary:
    """The table for positions first .. first+count-1; the centre defaults to half of the largest."""
    if centre is None:
        centre = (first + count - 1) // 2
    half = torch.arange(0, dim, 2, device=device, dtype=torch.float32)
    position = torch.arange(first, first + count, device=device, dtype=torch.float32).unsqueeze(-1)
    # Pairs (2i, 2i+1) turn together, yet the decay runs over the two halves of the head: in the released weights
    # the two members of a pair decay differently.
    angle = (position * 10000.0 ** (-half / dim)).repeat_interleave(2, dim=-1)
    base = (half + 0.4 * dim) / (1.4 * dim)
    decay = (base ** ((position - centre) / XPOS_SPAN)).repeat(1, 2)
    cos, sin = angle.cos(), angle.sin() * angle.new_tensor((-1.0, 1.0)).repeat(dim // 2)
    return Rotary(cos * decay, sin * decay, cos / decay, sin / decay, centre)


@dataclass
class TimeCache:
    """Keys and values of one time layer: a context shared by all paths, and what each path added.

    context_k, context_v [B·V,N,S,D]; own_k, own_v [B·V,N,M,s,D]. The context is never copied per path: with 100
    paths that would be 100 times its memory.
    """

    context_k: Tensor
    context_v: Tensor
    own_k: list[Tensor] = field(default_factory=list)
    own_v: list[Tensor] = field(default_factory=list)


class Attention(nn.Module):
    """The projections both kinds share. wQKV's rows are (qkv, head, dim); released files hold (qkv, dim, head)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.wQKV = nn.Linear(width, 3 * width)
        self.wO = nn.Linear(width, width)

    def _qkv(self, x: Tensor) -> Tensor:
        """x [R,L,E] -> [R,L,3,N,D]."""
        out: Tensor = self.wQKV(x).unflatten(-1, (3, self.heads, -1))
        return out

    def _dropout(self) -> float:
        return self.dropout if self.training else 0.0


class TimeAttention(Attention):
    """Each variate attends to its own past."""

    def _turned(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        """x [R,S,E] -> q, k, v, each [R,N,S,D], q and k turned by their position."""
        return split_and_turn(self._qkv(x), rotary.q_cos, rotary.q_sin, rotary.k_cos, rotary.k_sin)

    def forward(self, h_BVSE: Tensor, rotary: Rotary, cache: list[TimeCache] | None = None) -> Tensor:
        """Causal attention over patches; with a list as cache, this layer's keys and values are appended to it."""
        B, V = h_BVSE.shape[:2]
        q, k, v = self._turned(h_BVSE.flatten(0, 1), rotary)
        if cache is not None:
            cache.append(TimeCache(k, v))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=self._dropout())
        return self.wO(out.transpose(1, 2).flatten(-2).unflatten(0, (B, V)))

    def step(self, h_BVME: Tensor, rotary: Rotary, cache: TimeCache) -> Tensor:
        """One new patch on each of M paths, attending to the shared context and to its own path."""
        B, V = h_BVME.shape[:2]
        q, k, v = self._turned(h_BVME.flatten(0, 1), rotary)
        cache.own_k.append(k)
        cache.own_v.append(v)
        own_k, own_v = torch.stack(cache.own_k, dim=-2), torch.stack(cache.own_v, dim=-2)
        shared = q @ cache.context_k.transpose(-1, -2)
        own = (own_k @ q.unsqueeze(-1)).squeeze(-1)
        weights = (torch.cat([shared, own], dim=-1) * q.shape[-1] ** -0.5).softmax(-1)
        past = cache.context_k.shape[-2]
        out = weights[..., :past] @ cache.context_v + (weights[..., None, past:] @ own_v).squeeze(-2)
        return self.wO(out.transpose(1, 2).flatten(-2).unflatten(0, (B, V)))


class SpaceAttention(Attention):
    """Variates of one group attend to each other, patch by patch; nothing says which is which."""

    def forward(self, h_BVSE: Tensor, groups_BSVV: Tensor | None) -> Tensor:
        """groups_BSVV: True where two variates may see each other; None when all may."""
        B, V, S, E = h_BVSE.shape
        if V == 1 and isinstance(self.wQKV, nn.Linear):  # an adapter around it must not be passed by
            # The softmax over one variate is 1: only v is needed. q and k get zero gradients, as they would.
            value = F.linear(h_BVSE, self.wQKV.weight[2 * E :], self.wQKV.bias[2 * E :])
            if self._dropout():  # of the one attention weight each head has
                kept = F.dropout(value.new_ones(B, V, S, self.heads, 1), self.dropout)
                value = (value.unflatten(-1, (self.heads, -1)) * kept).flatten(-2)
            return self.wO(value)
        q, k, v = self._qkv(h_BVSE.transpose(1, 2).reshape(B * S, V, E)).transpose(1, 3).unbind(2)
        mask = None if groups_BSVV is None else groups_BSVV.reshape(-1, 1, V, V)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=self._dropout())
        return self.wO(out.transpose(1, 2).flatten(-2)).unflatten(0, (B, S)).transpose(1, 2)


def group_mask(ids_BVS: Tensor) -> Tensor:
    """[B,V,S] group ids -> [B,S,V,V], True where they are equal."""
    ids = ids_BVS.transpose(1, 2)
    return ids.unsqueeze(-1) == ids.unsqueeze(-2)
