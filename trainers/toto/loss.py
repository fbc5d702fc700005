"""The training losses of the next patch, all in the patch's own units, averaged over the points that count."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.toto.likelihood import mixture_loss
from trainers.toto.model import Prediction
from trainers.toto.outcome import Gaussian, Outcome, Quantiles


def next_patch_loss(prediction: Prediction, y_BVT: Tensor, valid_BVT: Tensor, per_series: bool = False) -> Tensor:
    """Mean of the model's loss over valid points. Returns a scalar, 0 where nothing is valid.

    y_BVT: raw values one patch after the inputs, T = S·P as predicted. valid_BVT: points that count; what stands
    elsewhere is replaced first, so an extreme or infinite value there reaches no gradient.
    per_series: the mean of each of the B series first, so that each counts the same however much of it is masked;
    upstream takes one mean over all points.
    """
    config, raw = prediction.config, prediction.raw
    y_BVSP = y_BVT.unflatten(-1, (-1, config.patch))
    valid = valid_BVT.view(y_BVSP.shape)
    loc, scale = prediction.loc.unsqueeze(-1), prediction.scale.unsqueeze(-1)
    eps = torch.finfo(y_BVT.dtype).eps
    target = (torch.where(valid, y_BVSP, loc) - loc) / (scale + eps)
    over = (1, 2, 3) if per_series else (0, 1, 2, 3)
    count = valid.sum(over, keepdim=True)
    weight = valid / ((count + eps) * count.numel())
    if config.loss != "nll":
        return (weight * pointwise(prediction.outcome, target, config.loss, config.huber_delta)).sum()
    anchor = None if prediction.anchor is None else prediction.anchor.flatten()
    numbers = raw if raw.dtype == torch.float64 else raw.float()
    return mixture_loss(
        numbers.flatten(0, 2), anchor, target.flatten(0, 2), weight.flatten(0, 2),
        config.nll_weight, config.robust_delta,
    )  # fmt: skip


def pointwise(outcome: Outcome, y: Tensor, loss: str, huber_delta: float) -> Tensor:
    """The loss [...] at targets y [...]: huber, mae or mse of a point, a Gaussian's negative log density, or pinball.

    quantile: mean over the levels of max(level·d, (level - 1)·d), d = y - predicted; Koenker & Bassett 1978.
    """
    if isinstance(outcome, Gaussian):
        return -outcome.log_prob(y)
    if isinstance(outcome, Quantiles):
        level = y.new_tensor(outcome.levels).view(-1, *[1] * y.dim())
        miss = y - outcome.values
        return torch.maximum(level * miss, (level - 1.0) * miss).mean(0)
    if loss == "huber":
        return F.huber_loss(outcome.mean, y, reduction="none", delta=huber_delta)
    return (F.l1_loss if loss == "mae" else F.mse_loss)(outcome.mean, y, reduction="none")
