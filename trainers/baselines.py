"""The forecasts that cost nothing, shown beside every evaluation: last value, last season, straight line.

Each takes contexts [B, T] (numpy or torch, gaps filled with the last observed value) and gives [B, H] of that kind.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def naive(context_BT: Any, horizon: int) -> Any:
    """The last value, repeated."""
    return context_BT[:, [-1] * horizon]


def seasonal_naive(context_BT: Any, horizon: int, season: int) -> Any:
    """The last `season` values, repeated in order. ValueError when the context is shorter than a season."""
    length = context_BT.shape[1]
    if not 1 <= season <= length:
        raise ValueError(f"season = {season}: a context of {length} steps has no such season.")
    return context_BT[:, [length - season + h % season for h in range(horizon)]]


def drift(context_BT: Any, horizon: int) -> Any:
    """The straight line through first and last value, continued. A context of one step gives `naive`."""
    length = context_BT.shape[1]
    slope_B1 = (context_BT[:, -1:] - context_BT[:, :1]) / max(length - 1, 1)
    ahead = range(1, horizon + 1)
    if isinstance(context_BT, np.ndarray):
        return context_BT[:, -1:] + slope_B1 * np.array(ahead, dtype=np.result_type(context_BT, np.float32))
    return context_BT[:, -1:] + slope_B1 * context_BT.new_tensor(list(ahead))
