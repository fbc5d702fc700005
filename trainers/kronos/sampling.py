"""Drawing a token id from logits: temperature, then the k likeliest or the likeliest that hold a share p, then chance.

N rows, V ids. Steps and random numbers are those of the release, so that one seed draws the same ids: an exponential
number for every id of every row, also where only one id is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainers.errors import ConfigError


@dataclass(frozen=True)
class Sampling:
    """How ids are drawn. Greedy is top_k = 1. Raises ConfigError for values out of range."""

    temperature: float = 1.0
    """Logits are divided by it; above 1 the draws spread, below 1 they keep to what is likely."""
    top_k: int = 0
    """Only the k likeliest ids, those as likely as the k-th included; 0 for all. Then top_p counts for nothing."""
    top_p: float = 0.9
    """The likeliest ids until their probabilities sum to more than this; 1 for all."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ConfigError(f"temperature = {self.temperature}: must be above 0; top_k = 1 takes the likeliest.")
        if self.top_k < 0:
            raise ConfigError(f"top_k = {self.top_k}: must be 0, for no limit, or more.")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p = {self.top_p}: out of range (0, 1].")


def draw(logits_NV: Tensor, sampling: Sampling, generator: torch.Generator | None) -> Tensor:
    """One id [N] from each row, int64.

    Where probabilities stand against exponential numbers, the likeliest ratio wins: what torch.multinomial does for one
    draw, whose checks cost as much again.
    """
    logits = logits_NV if sampling.temperature == 1 else logits_NV / sampling.temperature
    share = logits.softmax(-1)
    if sampling.top_k > 0:
        least = logits.topk(min(sampling.top_k, logits.shape[-1])).values[:, -1:]
        share.masked_fill_(logits < least, 0.0)
    elif sampling.top_p < 1:
        ordered = _descending(share)
        limit = share.new_full((len(share), 1), sampling.top_p)
        within = torch.searchsorted(ordered.cumsum(-1), limit, right=True).clamp_max_(share.shape[-1] - 1)
        share.masked_fill_(share < ordered.gather(1, within), 0.0)  # the id that passes the limit is still in
    return share.div_(torch.empty_like(share).exponential_(generator=generator)).argmax(-1)


def _descending(x_NV: Tensor) -> Tensor:
    if x_NV.device.type != "cpu":
        return x_NV.sort(descending=True).values
    return torch.from_numpy(np.sort(x_NV.numpy(), axis=-1)).flip(-1)  # a fifth of what torch's costs
