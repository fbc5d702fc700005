"""Rotary positions of Toto as one function with its gradient written out; see trainers/fused.py for why."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _SplitAndTurn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, q_cos: Tensor, q_sin: Tensor, k_cos: Tensor, k_sin: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(q_cos, q_sin, k_cos, k_sin)
        ctx.shape, ctx.dtype = x.shape, x.dtype
        q, k, v = x.transpose(1, 3).unbind(2)
        return _turn(q, q_cos, q_sin).to(x.dtype), _turn(k, k_cos, k_sin).to(x.dtype), v.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_q: Tensor, to_k: Tensor, to_v: Tensor) -> tuple[Tensor | None, ...]:
        q_cos, q_sin, k_cos, k_sin = ctx.saved_tensors
        gradient = to_v.new_empty(ctx.shape, dtype=ctx.dtype)
        q, k, v = gradient.transpose(1, 3).unbind(2)
        q.copy_(_turn(to_q, q_cos, _pairs_swapped(q_sin)))
        k.copy_(_turn(to_k, k_cos, _pairs_swapped(k_sin)))
        v.copy_(to_v)
        return gradient, None, None, None, None


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Every number times its cos plus the other of its pair times its own sin; float32 where the tables are."""
    out = x * cos
    out[..., ::2].addcmul_(x[..., 1::2], sin[..., ::2])
    out[..., 1::2].addcmul_(x[..., ::2], sin[..., 1::2])
    return out


def _pairs_swapped(x: Tensor) -> Tensor:
    return x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)


def split_and_turn(
    x: Tensor, q_cos: Tensor, q_sin: Tensor, k_cos: Tensor, k_sin: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """x [R,S,3,N,D] -> q, k, v [R,N,S,D], q and k turned by position in pairs (2i, 2i+1); in x's dtype.

    The tables [S,D] or [1,D] are float32 always; sin's sign is negative for the first of a pair.
    """
    if torch.compiler.is_compiling():
        q, k, v = x.transpose(1, 3).unbind(2)
        q = (q * q_cos + _pairs_swapped(q) * q_sin).to(x.dtype)
        return q, (k * k_cos + _pairs_swapped(k) * k_sin).to(x.dtype), v
    return _SplitAndTurn.apply(x, q_cos, q_sin, k_cos, k_sin)  # type: ignore[no-any-return]
