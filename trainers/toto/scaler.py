"""Every patch is scaled by what was seen up to its own end: running mean and deviation, kept in float64.

B series, V variates (any leading dimensions do), T time, P steps in a patch, S = T / P patches.
Source: Toto 1.0's causal patch scaler; running variance after Welford 1962.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

VARIANCE_FLOOR = 0.1
"""Added to every variance, so a constant series has scale sqrt(0.1) instead of zero."""


@dataclass(frozen=True)
class Seen:
    """The sums over all observed points so far, each [...], float64: enough to go on patch by patch."""

    count: Tensor
    total: Tensor
    mean: Tensor
    deviation: Tensor

    def repeated(self, times: int) -> Seen:
        """[...] -> [..., times]: the same past for several continuations."""
        return Seen(*(x.unsqueeze(-1).expand(*x.shape, times) for x in self._parts()))

    def _parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.count, self.total, self.mean, self.deviation


def nothing_seen(like: Tensor) -> Seen:
    zero = torch.zeros(like.shape[:-1], dtype=torch.float64, device=like.device)
    return Seen(zero, zero, zero, zero)


def scale_limits(x_BVT: Tensor, mask_BVT: Tensor, exponent: float) -> tuple[Tensor, Tensor]:
    """Bounds [B,V] for the running scale: 10^exponent below and above the scale of all observed points.

    This looks at every point it is given, later ones too; it binds only where scales differ that much.
    """
    x, w = x_BVT.double(), mask_BVT.double()
    count = w.sum(-1).clamp_min(1.0)
    mean = (x * w).sum(-1) / count
    overall = torch.sqrt((((x - mean.unsqueeze(-1)) * w) ** 2).sum(-1) / count + VARIANCE_FLOOR)
    return (overall * 10.0**-exponent).clamp_min(0.1), overall * 10.0**exponent


@torch.no_grad()
def patch_statistics(
    x_BVT: Tensor,
    mask_BVT: Tensor,
    patch: int,
    limits: tuple[Tensor, Tensor] | None = None,
    before: Seen | None = None,
) -> tuple[Tensor, Tensor, Seen]:
    """Location and scale at the end of every patch, and the sums to go on from.

    x_BVT: raw values, finite everywhere; what stands under a False in mask_BVT is not counted.
    limits: from `scale_limits`, or None for no bounds. before: the sums up to x_BVT's first step.
    Returns loc [B,V,S], scale [B,V,S] in x's dtype, and the sums after the last step.
    """
    before = before or nothing_seen(x_BVT)
    x, w = x_BVT.double(), mask_BVT.double()
    count = _running(before.count, w)
    total = _running(before.total, x * w)
    safe = count.clamp_min(1.0)
    mean = total / safe
    previous = torch.cat([before.mean.unsqueeze(-1), mean[..., :-1]], dim=-1)
    deviation = _running(before.deviation, (x - previous) * (x - mean) * w)
    scale = torch.sqrt(deviation / (safe - 1.0).clamp_min(1.0) + VARIANCE_FLOOR)
    if limits is not None:
        low, high = limits
        scale = torch.clamp(scale, low.unsqueeze(-1), high.unsqueeze(-1))
    ends = slice(patch - 1, None, patch)
    seen = Seen(count[..., -1], total[..., -1], mean[..., -1], deviation[..., -1])
    return mean[..., ends].to(x_BVT.dtype), scale[..., ends].to(x_BVT.dtype), seen


def _running(start: Tensor, steps: Tensor) -> Tensor:
    """Cumulative sum that goes on from `start`, added in the same order as one long sum would be."""
    return torch.cat([start.unsqueeze(-1), steps], dim=-1).cumsum(-1)[..., 1:]
