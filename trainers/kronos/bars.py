"""Raw bars to what the tokenizer reads and back, by a history's own mean and deviation.

B series, L bars of history, S samples, H bars ahead; 6 features: open, high, low, close, volume, amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

CLIP = 5.0


class Scale(NamedTuple):
    """Of each series and feature, float32 [B,6]: mean, and population deviation + 1e-5."""

    mean: Tensor
    spread: Tensor


def measure(raw_BL6: Tensor, lengths: Sequence[int]) -> Scale:
    """From the last lengths[b] rows of each series.

    numpy's float32 sums over rows that lie one after another: near a bit's edge, a token hangs on their rounding.
    """
    rows = raw_BL6.detach().float().cpu().contiguous().numpy()
    if len(set(lengths)) == 1:
        part = np.ascontiguousarray(rows[:, rows.shape[1] - lengths[0] :])
        mean, spread = part.mean(axis=1), part.std(axis=1)
    else:
        parts = [row[len(row) - n :] for row, n in zip(rows, lengths, strict=True)]
        mean, spread = np.stack([p.mean(axis=0) for p in parts]), np.stack([p.std(axis=0) for p in parts])
    return Scale(*(torch.from_numpy(x).to(raw_BL6.device) for x in (mean, spread + np.float32(1e-5))))


def normalise(raw_BL6: Tensor, scale: Scale) -> Tensor:
    """Clipped to ±5 deviations."""
    return ((raw_BL6.float() - scale.mean.unsqueeze(1)) / scale.spread.unsqueeze(1)).clamp_(-CLIP, CLIP)


def restore(bars_BSH6: Tensor, scale: Scale) -> Tensor:
    """In the units of the history."""
    return bars_BSH6 * scale.spread[:, None, None] + scale.mean[:, None, None]


def valid(bars_BSH6: Tensor) -> Tensor:
    """The nearest real candles: high not below open and close, low not above them, volume and amount not negative."""
    out = bars_BSH6.clone()
    body = bars_BSH6[..., [0, 3]]
    out[..., 1] = torch.maximum(bars_BSH6[..., 1], body.amax(-1))
    out[..., 2] = torch.minimum(bars_BSH6[..., 2], body.amin(-1))
    out[..., 4:] = bars_BSH6[..., 4:].clamp_min(0.0)
    return out
