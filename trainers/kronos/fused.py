"""Kronos' attention on a CPU: turning by position in one pass, and short or dropped-out windows window by window.

Why gradients are written out: see trainers/fused.py. Heads are turned as complex numbers, whose parts stand side by
side: rows of q's and k's matrices are in that order here (weights.py puts them back), which changes no product of the
two. x_BT3hD: q, k and v of h heads as one matrix gives them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainers.kronos.chance import kept

SHORT = 256
"""Positions up to which torch's own attention is slower than products window by window: 54 against 37 ms at 100."""


class _SplitAndTurn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cis: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(cis)
        ctx.shape, ctx.dtype = x.shape, x.dtype
        turned = _real(_complex(x[:, :, :2].float()).permute(2, 0, 3, 1, 4) * cis)
        q, k = turned.to(x.dtype).unbind(0)
        return q, k, x[:, :, 2].transpose(1, 2).clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_q: Tensor, to_k: Tensor, to_v: Tensor) -> tuple[Tensor | None, ...]:
        (cis,) = ctx.saved_tensors
        gradient = to_v.new_empty(ctx.shape, dtype=ctx.dtype)
        for part, upstream in enumerate((to_q, to_k)):
            gradient[:, :, part].transpose(1, 2).copy_(_real(_complex(upstream.float()) * cis.conj()))
        gradient[:, :, 2].transpose(1, 2).copy_(to_v)
        return gradient, None


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cis: Tensor) -> Tensor:
        ctx.save_for_backward(cis)
        return _real(_complex(x.float()) * cis).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        (cis,) = ctx.saved_tensors
        return _real(_complex(upstream.float()) * cis.conj()).to(upstream.dtype), None


class _WindowByWindow(torch.autograd.Function):
    """Turning and causal attention, each window's matrices small enough for the cache; the result is [B,T,h,D]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cis: Tensor, dropout: float) -> Tensor:
        B, T, _, h, D = x.shape
        turned = _real(_complex(x[:, :, :2]) * cis[:, None, None])  # [B,T,2,h,D]
        out, weights = x.new_empty(B, T, h, D), x.new_empty(B, h, T, T)
        masks = []
        later = x.new_full((T, T), -torch.inf).triu_(1)
        for b in range(B):
            q, k = (a.transpose(0, 1) for a in turned[b].unbind(1))
            p = torch.baddbmm(later, q, k.mT, alpha=D**-0.5)
            p = torch.softmax(p, -1, out=weights[b])
            if dropout:
                mask, scale = kept(p.shape, dropout)
                masks.append(mask)
                p = (p * mask).mul_(scale)
            torch.bmm(p, x[b, :, 2].transpose(0, 1), out=out[b].transpose(0, 1))
        ctx.save_for_backward(turned, x, weights, cis, *masks)
        ctx.scale = scale if dropout else 1.0
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        turned, x, weights, cis, *masks = ctx.saved_tensors
        gradient = torch.empty_like(x)
        to_turned = torch.empty_like(turned)
        for b in range(len(x)):
            q, k = (a.transpose(0, 1) for a in turned[b].unbind(1))
            to_q, to_k = (a.transpose(0, 1) for a in to_turned[b].unbind(1))
            g, p = upstream[b].transpose(0, 1), weights[b]
            to_p = torch.bmm(g, x[b, :, 2].permute(1, 2, 0))
            if masks:
                to_p.mul_(masks[b]).mul_(ctx.scale)
                torch.bmm((p * masks[b]).mul_(ctx.scale).mT, g, out=gradient[b, :, 2].transpose(0, 1))
            else:
                torch.bmm(p.mT, g, out=gradient[b, :, 2].transpose(0, 1))
            to_s = torch._softmax_backward_data(to_p, p, -1, torch.float32).mul_(q.shape[-1] ** -0.5)
            torch.bmm(to_s, k, out=to_q)
            torch.bmm(to_s.mT, q, out=to_k)
        torch.mul(_complex(to_turned), cis.conj()[:, None, None], out=_complex(gradient[:, :, :2]))
        return gradient, None, None


def _complex(x: Tensor) -> Tensor:
    pairs = x.unflatten(-1, (-1, 2))
    return torch.view_as_complex(pairs if pairs.stride(-1) == 1 else pairs.contiguous())


def _real(x: Tensor) -> Tensor:
    return torch.view_as_real(x).flatten(-2)


def _formula(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([first * cos - second * sin, second * cos + first * sin], dim=-1).flatten(-2).to(x.dtype)


def split_and_turn(x_BT3hD: Tensor, cos: Tensor, sin: Tensor, cis: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """q, k, v [B,h,T,D], q and k turned by position; in x's dtype."""
    if torch.compiler.is_compiling():
        q, k, v = x_BT3hD.transpose(1, 3).unbind(2)
        return _formula(q, cos, sin), _formula(k, cos, sin), v
    return _SplitAndTurn.apply(x_BT3hD, cis)  # type: ignore[no-any-return]


def turn(x_BhTD: Tensor, cos: Tensor, sin: Tensor, cis: Tensor) -> Tensor:
    if torch.compiler.is_compiling():
        return _formula(x_BhTD, cos, sin)
    return _Turn.apply(x_BhTD, cis)  # type: ignore[no-any-return]


def attend_causally(x_BT3hD: Tensor, cos: Tensor, sin: Tensor, cis: Tensor, dropout: float) -> Tensor:
    """What every position attends to among those up to it [B,T,h,D]."""
    here = x_BT3hD.device.type == "cpu" and x_BT3hD.dtype == torch.float32 and not torch.compiler.is_compiling()
    if here and (x_BT3hD.shape[1] <= SHORT or dropout):
        return _WindowByWindow.apply(x_BT3hD, cis, dropout)  # type: ignore[no-any-return]
    q, k, v = split_and_turn(x_BT3hD, cos, sin, cis)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout).transpose(1, 2)
