"""Kronos' attention on a CPU: turning by position in one pass, and dropout on its weights a few heads at a time.

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
"""Positions up to which torch's own attention is a tenth slower; with dropout it has no kernel, and takes 5 times as
long at 512."""


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


class _InParts(torch.autograd.Function):
    """Turning and causal attention, a few heads at a time, so that their weights stay in the cache; [B,h,T,D]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cis: Tensor, dropout: float) -> Tensor:
        B, T, _, h, D = x.shape
        turned = x.new_empty(2, B, h, T, D)
        torch.mul(_complex(x[:, :, :2]).permute(2, 0, 3, 1, 4), cis, out=_complex(turned))
        q, k, v = (a.view(B * h, T, D) for a in (*turned, x[:, :, 2].transpose(1, 2).contiguous()))
        out, weights = torch.empty_like(q), x.new_empty(B * h, T, T)
        masks = []
        later = x.new_full((T, T), -torch.inf).triu_(1)
        for some in _parts(B * h, T):
            s = torch.baddbmm(later, q[some], k[some].mT, alpha=D**-0.5)
            p = torch.softmax(s, -1, out=weights[some])
            if dropout:
                mask, ctx.scale = kept(p.shape, dropout)
                masks.append(mask)
                p = torch.mul(p, mask, out=s).mul_(ctx.scale)
            torch.bmm(p, v[some], out=out[some])
        ctx.save_for_backward(q, k, v, weights, cis, *masks)
        ctx.shape = x.shape
        return out.view(B, h, T, D)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, weights, cis, *masks = ctx.saved_tensors
        B, T, _, h, D = ctx.shape
        g = upstream.contiguous().view(B * h, T, D)
        gradient = upstream.new_empty(ctx.shape)
        to_turned, to_v = q.new_empty(2, B * h, T, D), torch.empty_like(v)
        for i, some in enumerate(_parts(B * h, T)):
            p, to_p = weights[some], torch.bmm(g[some], v[some].mT)
            used = p
            if masks:
                to_p.mul_(masks[i]).mul_(ctx.scale)
                used = (p * masks[i]).mul_(ctx.scale)
            torch.bmm(used.mT, g[some], out=to_v[some])
            to_s = torch._softmax_backward_data(to_p, p, -1, torch.float32).mul_(D**-0.5)
            torch.bmm(to_s, k[some], out=to_turned[0, some])
            torch.bmm(to_s.mT, q[some], out=to_turned[1, some])
        back = _complex(to_turned.view(2, B, h, T, D)).permute(1, 3, 0, 2, 4)
        torch.mul(back, cis.conj()[:, None, None], out=_complex(gradient[:, :, :2]))
        gradient[:, :, 2].copy_(to_v.view(B, h, T, D).transpose(1, 2))
        return gradient, None, None


def _parts(count: int, T: int) -> list[slice]:
    size = max(1, (1 << 18) // (T * T))
    return [slice(i, i + size) for i in range(0, count, size)]


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
    if here and (dropout or x_BT3hD.shape[1] <= SHORT):
        return _InParts.apply(x_BT3hD, cis, dropout).transpose(1, 2)  # type: ignore[no-any-return]
    q, k, v = split_and_turn(x_BT3hD, cos, sin, cis)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout).transpose(1, 2)
