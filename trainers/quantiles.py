"""Quantiles of samples."""

from __future__ import annotations

import torch
from torch import Tensor


def quantiles(x: Tensor, levels: tuple[float, ...]) -> Tensor:
    """[...,Q] of x [...,K]: linear interpolation between order statistics, as torch.quantile, which stops at 2^24."""
    ordered = x.sort(-1).values
    place = torch.tensor(levels, dtype=x.dtype, device=x.device) * (x.shape[-1] - 1)
    below = place.floor().long()
    above = (below + 1).clamp_max(x.shape[-1] - 1)
    return torch.lerp(ordered[..., below], ordered[..., above], place - below)
