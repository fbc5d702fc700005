"""Elementwise pieces that several networks share, each as one function with its gradient written out.

Autograd keeps more tensors for each, splits and joins them once more on the way back, and runs two to three times as
many kernels. All are differentiable once. torch.compile fuses by itself, and gets the formulas as they are.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, eps: float) -> Tensor:
        # the length in one pass: a third of squares and their mean
        root = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).sqrt_()
        ctx.save_for_backward(x, scale, root)
        return (x / root).mul_(scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        x, scale, root = ctx.saved_tensors
        normal = x / root
        through = upstream * normal
        to_scale = through.flatten(0, -2).sum(0)
        shared = (through @ (scale / -x.shape[-1])).unsqueeze(-1)
        return normal.mul_(shared).addcmul_(upstream, scale).div_(root), to_scale, None


def rms_norm(x: Tensor, scale: Tensor, eps: float) -> Tensor:
    """x [...,E] / sqrt(mean(x²) + eps) · scale [E]."""
    if x.is_cuda or torch.compiler.is_compiling():  # one kernel there, where torch's CPU has some twenty
        return F.rms_norm(x, x.shape[-1:], scale, eps)
    return _RMSNorm.apply(x, scale, eps)  # type: ignore[no-any-return]


class _GatedSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        gate, value = x.chunk(2, dim=-1)
        opened = F.silu(gate)
        if x.is_cuda or not ctx.needs_input_grad[0]:
            ctx.save_for_backward(x)
            return opened.mul_(value)
        ctx.save_for_backward(x, opened)  # a CPU takes longer to compute it again than to keep it
        return opened * value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        x, *kept = ctx.saved_tensors
        gate, value = x.chunk(2, dim=-1)
        gradient = torch.empty_like(x)
        to_gate, to_value = gradient.chunk(2, dim=-1)
        torch.mul(kept[0] if kept else F.silu(gate), upstream, out=to_value)
        torch.ops.aten.silu_backward.grad_input(upstream * value, gate, grad_input=to_gate)
        return gradient


def gated_silu(x: Tensor) -> Tensor:
    """x [...,2M] = gate | value -> silu(gate)·value [...,M]."""
    if torch.compiler.is_compiling():
        gate, value = x.chunk(2, dim=-1)
        return F.silu(gate) * value
    return _GatedSilu.apply(x)  # type: ignore[no-any-return]
