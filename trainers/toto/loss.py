"""The training loss: likelihood of the next patch, and a robust loss on its mean, both in the patch's own units."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.toto.model import Prediction


def next_patch_loss(
    prediction: Prediction,
    y_BVT: Tensor,
    valid_BVT: Tensor,
    nll_weight: float,
    delta: float,
    per_series: bool = False,
) -> Tensor:
    """Mean over valid points of nll_weight·NLL + (1 - nll_weight)·log(1 + ½((mean - y)/delta)²).

    y_BVT: raw values one patch after the inputs, T = S·P as predicted. valid_BVT: points that count; what stands
    elsewhere is replaced before the density, so an extreme or infinite value there reaches no gradient.
    per_series: the mean of each of the B series first, so that each counts the same however much of it is masked;
    upstream takes one mean over all points. Returns a scalar, 0 where nothing is valid.
    Source: Toto 1.0; Barron 2019 (arXiv:1701.03077) for the robust loss, alpha = 0.
    """
    mixture = prediction.mixture
    y_BVSP = y_BVT.unflatten(-1, mixture.loc.shape[-2:])
    valid = valid_BVT.view(y_BVSP.shape)
    loc, scale = prediction.loc.unsqueeze(-1), prediction.scale.unsqueeze(-1)
    eps = torch.finfo(y_BVT.dtype).eps
    target = (torch.where(valid, y_BVSP, loc) - loc) / (scale + eps)
    robust = torch.log1p(0.5 * ((mixture.mean - target) / delta) ** 2)
    each = (1.0 - nll_weight) * robust - nll_weight * mixture.log_prob(target)
    over = tuple(range(1 if per_series else 0, valid.dim()))
    return (torch.where(valid, each, 0.0).sum(over) / (valid.sum(over) + eps)).mean()
