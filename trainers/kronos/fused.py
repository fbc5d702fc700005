"""Rotary positions of Kronos, the two halves of a head turning together, with gradients written out.

See trainers/fused.py for why. Tables cos, sin [T,D/2] are float32 always; what is turned keeps its dtype.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _SplitAndTurn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(cos, sin)
        ctx.shape, ctx.dtype = x.shape, x.dtype
        q, k, v = x.transpose(1, 3).unbind(2)
        return _turned(q, cos, sin), _turned(k, cos, sin), v.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_q: Tensor, to_k: Tensor, to_v: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        gradient = to_v.new_empty(ctx.shape, dtype=ctx.dtype)
        q, k, v = gradient.transpose(1, 3).unbind(2)
        q.copy_(_turned(to_q, cos, sin, back=True))
        k.copy_(_turned(to_k, cos, sin, back=True))
        v.copy_(to_v)
        return gradient, None, None


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return _turned(upstream, *ctx.saved_tensors, back=True), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor, back: bool = False) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    sign = -1.0 if back else 1.0
    out = torch.empty_like(x, dtype=torch.promote_types(x.dtype, cos.dtype))
    a, b = out.chunk(2, dim=-1)
    torch.mul(first, cos, out=a).addcmul_(second, sin, value=-sign)
    torch.mul(second, cos, out=b).addcmul_(first, sin, value=sign)
    return out.to(x.dtype)


def _formula(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(x.dtype)


def split_and_turn(x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x [B,T,3,h,D] -> q, k, v [B,h,T,D], q and k turned by position."""
    if torch.compiler.is_compiling():
        q, k, v = x.transpose(1, 3).unbind(2)
        return _formula(q, cos, sin), _formula(k, cos, sin), v
    return _SplitAndTurn.apply(x, cos, sin)  # type: ignore[no-any-return]


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [B,h,T,D] turned by position."""
    if torch.compiler.is_compiling():
        return _formula(x, cos, sin)
    return _Turn.apply(x, cos, sin)  # type: ignore[no-any-return]
