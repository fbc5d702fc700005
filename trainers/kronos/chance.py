"""The random numbers of a training step, cheaply: dropout, and one draw from each position's distribution.

On a CPU torch spends 20 ns on every number that it draws, a fifth of a training step of Kronos-mini; so one 64-bit
number here decides four elements. All come from torch's generator, or from one that it seeds, so a resumed run repeats
them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_STEPS = 1 << 16


def kept(shape: torch.Size, p: float) -> tuple[Tensor, float]:
    """True with probability 1 - p, on the CPU; and what to multiply with so that the mean stays: 1 / (1 - p).

    p is rounded to a 65536th in both.
    """
    count = shape.numel()
    dropped = min(round(p * _STEPS), _STEPS - 1)
    seed = int(torch.randint((1 << 63) - 1, ()))
    words = np.random.SFC64(seed).random_raw(-(-count // 4)).view(np.int16)  # half of what torch's cost
    mask = words[:count] >= dropped - _STEPS // 2  # a third of torch's, here and where it becomes a number
    return torch.from_numpy(mask).view(shape), _STEPS / (_STEPS - dropped)


class _AddDropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, p: float) -> Tensor:
        mask, scale = kept(y.shape, p)
        weight = torch.from_numpy(np.multiply(mask.numpy(), np.float32(scale)))
        ctx.save_for_backward(weight)
        ctx.dtype = y.dtype
        return torch.addcmul(x, y.to(x.dtype), weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        (weight,) = ctx.saved_tensors
        return upstream, (upstream * weight).to(ctx.dtype), None


def add_dropped(x: Tensor, y: Tensor, p: float, training: bool) -> Tensor:
    """x + dropout(y), of one shape and in x's dtype."""
    if not (training and p):
        return x + y
    if _plain(x):
        return x + F.dropout(y, p)
    return _AddDropped.apply(x, y, p)  # type: ignore[no-any-return]


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    if not (training and p):
        return x
    return F.dropout(x, p) if _plain(x) else add_dropped(torch.zeros((), dtype=x.dtype), x, p, training)


@torch.no_grad()
def drawn(logits_NV: Tensor) -> Tensor:
    """One id [N] from each row's distribution: where a uniform number falls among the summed probabilities."""
    return drawn_from(logits_NV.softmax(-1))


def drawn_from(p_NV: Tensor) -> Tensor:
    """The same of probabilities, which are taken as they are where they do not quite sum to 1."""
    sums = p_NV.cumsum(-1)
    # times the sum: a number just below 1 would fall behind the last id. right: ids of probability 0 are passed over
    places = torch.rand(len(p_NV), 1, device=p_NV.device, dtype=sums.dtype) * sums[:, -1:]
    return torch.searchsorted(sums, places, right=True).squeeze(-1).clamp_max_(p_NV.shape[-1] - 1)


def _plain(x: Tensor) -> bool:
    return x.device.type != "cpu" or torch.compiler.is_compiling()
