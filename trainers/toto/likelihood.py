"""The released loss of a mixture of Student t as one function with its gradient in closed form.

    each = w·log(1 + ½((mean - y)/delta)²)·(1 - nll_weight) - w·nll_weight·log p(y)

Written with torch.distributions it takes some 40 passes over all components and, on a CPU, most of its time in lgamma
and digamma. Here the difference of the two lgamma is a logarithm and a short series, and loss and gradient are made in
one go, chunk by chunk so that a chunk stays in the cache; what is kept for the backward pass is the gradient alone.
n patches, k components, P steps in a patch.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainers.toto.mixture import TINY, WEIGHT_FLOOR

aten = torch.ops.aten

_CHUNK = 1 << 17
"""Numbers in one tensor of a chunk on a CPU. Of 1.6M: 0.163 s at 2^15, 0.128 at 2^17, 0.130 in one piece, which would
take 150 MB more."""

_LOW, _HIGH = math.log(WEIGHT_FLOOR), math.log1p(-WEIGHT_FLOOR)


def mixture_loss(
    raw_nkP: Tensor, anchor_n: Tensor | None, y_nP: Tensor, weight_nP: Tensor, nll_weight: float, delta: float
) -> Tensor:
    """The weighted sum of the loss above over all points: a scalar, differentiable in raw_nkP (once).

    raw_nkP: the head's output [n,4k,P], ordered df, loc, scale, weights. anchor_n: added to every location.
    y_nP: targets in scaled units, finite also where their weight is 0. Source: Toto 1.0; Barron 2019
    (arXiv:1701.03077) for the robust loss, alpha = 0.
    """
    return _MixtureLoss.apply(raw_nkP, anchor_n, y_nP, weight_nP, nll_weight, delta)  # type: ignore[no-any-return]


class _MixtureLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, raw: Tensor, anchor: Tensor | None, y: Tensor, weight: Tensor, nll_weight: float, delta: float
    ) -> Tensor:
        gradient = torch.empty_like(raw) if ctx.needs_input_grad[0] else None
        rows = raw.shape[0]
        if raw.device.type == "cpu" and not torch.compiler.is_compiling():
            rows = max(1, 4 * _CHUNK // raw[0].numel())
        total = raw.new_zeros(())
        for start in range(0, raw.shape[0], rows):
            part = slice(start, start + rows)
            total = total + _chunk(
                raw[part],
                None if anchor is None else anchor[part, None, None],
                y[part, None],
                weight[part, None],
                nll_weight,
                delta,
                None if gradient is None else gradient[part],
            )
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None, None, None, None


def _chunk(
    raw: Tensor,
    anchor: Tensor | None,
    y: Tensor,
    weight: Tensor,
    nll_weight: float,
    delta: float,
    gradient: Tensor | None,
) -> Tensor:
    """The sum over one chunk; its gradient is written into `gradient`, shaped as raw [n,4k,P]. y, weight [n,1,P]."""
    raw_df, loc, raw_scale, raw_weight = raw.chunk(4, dim=1)
    df = F.softplus(raw_df).clamp_min_(TINY).add_(2.0)
    scale = F.softplus(raw_scale).clamp_min_(TINY)
    if anchor is not None:
        loc = loc + anchor
    free_weight = raw_weight.log_softmax(1)
    log_weight = free_weight.clamp(_LOW, _HIGH)
    log_weight.sub_(log_weight.logsumexp(1, keepdim=True))
    share = log_weight.exp()

    z = (y - loc).div_(scale)
    z2 = z.square()
    tail = (z2 / df).log1p_()
    normaliser, slope = _gamma_ratio(df, gradient is not None)
    log_p = log_weight + normaliser
    log_p.sub_(scale.log()).addcmul_(df + 1.0, tail, value=-0.5)
    density = log_p.logsumexp(1, keepdim=True)
    mean = (share * loc).sum(1, keepdim=True)
    miss = (mean - y).div_(delta)
    robust = miss.square().mul_(0.5)
    total = ((1.0 - nll_weight) * robust.log1p() - nll_weight * density).mul_(weight).sum()
    if gradient is None:
        return total

    assert slope is not None
    to_df, to_loc, to_scale, to_weight = gradient.chunk(4, dim=1)
    to_mean = miss.div_(robust.add_(1.0)).mul_(weight).mul_((1.0 - nll_weight) / delta)
    blame = log_p.sub_(density).exp_().mul_(weight * -nll_weight)  # d loss / d log_p of a component
    pull = z2.add_(df).reciprocal_().mul_(z).mul_(df + 1.0)  # -d log_p / dz
    over = z.mul_(pull).sub_(1.0)

    share_pull = share * to_mean
    torch.mul(pull, blame, out=pull)
    torch.add(pull.div_(scale), share_pull, out=to_loc)

    slope.addcdiv_(over, df).sub_(tail).mul_(blame).mul_(0.5)
    aten.softplus_backward.grad_input(slope, raw_df, 1, 20, grad_input=to_df)

    over = aten.threshold_backward(over.mul_(blame).div_(scale), scale, TINY)
    aten.softplus_backward.grad_input(over, raw_scale, 1, 20, grad_input=to_scale)

    to_log_weight = share_pull.mul_(loc).add_(blame)
    to_log_weight.sub_(share.mul_(to_log_weight.sum(1, keepdim=True)))
    to_log_weight = aten.hardtanh_backward(to_log_weight, free_weight, _LOW, _HIGH)
    torch.sub(to_log_weight, free_weight.exp_().mul_(to_log_weight.sum(1, keepdim=True)), out=to_weight)
    return total


def _gamma_ratio(df: Tensor, with_slope: bool) -> tuple[Tensor, Tensor | None]:
    """log Γ((df+1)/2) - log Γ(df/2) - ½log(π·df), and, for df >= 2, twice the derivative of the two lgamma in df.

    The argument x = df/2 is moved up by 2 through Γ(x+1) = xΓ(x); the series in 1/x that remains is exact to 7e-8 at
    df = 2 and better beyond, where the difference of two lgamma loses digits.
    """
    x = df * 0.5
    up = x + 2.0
    inverse = up.reciprocal()
    square = inverse * inverse
    after = (x + 0.5).mul_(x + 1.5)
    before = (x + 1.0).mul_(x)
    series = (square * (17 / 14336)).sub_(1 / 640).mul_(square).add_(1 / 192).mul_(square).sub_(1 / 8).mul_(inverse)
    ratio = before / after
    value = series.add_((ratio * ratio).mul_(up).div_(x).log_().mul_(0.5)).sub_(0.5 * math.log(2 * math.pi))
    if not with_slope:
        return value, None
    slope = (square * (-119 / 14336)).add_(1 / 128).mul_(square).sub_(1 / 64).mul_(square).add_(1 / 8).mul_(square)
    slope.add_(inverse.mul_(0.5))
    # ½(1/x - 1/(x+½) + 1/(x+1) - 1/(x+3/2)) over one denominator, without cancellation
    slope.add_(before.add(x, alpha=0.5).add_(0.75).div_(before.mul_(after)))
    return value, slope
