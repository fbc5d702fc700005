"""A check, not a back-test: what following the sign of every forecast would have earned, with a plain cost.

At each origin date a symbol is held long (+1), short (-1) or not at all (0) by the sign of forecast less last price,
for one horizon, with the same weight for every symbol and no leverage. No slippage, no borrowing cost, no limits on
what can be traded: a model that fails here is of no use to trade with; one that passes may be of none either.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

METRICS = ("sharpe", "hit_rate", "turnover", "drawdown", "total", "hold_total", "periods")
MEANING = (
    "strategy_*: the sign of each forecast held for one horizon, equal weights, no leverage, {cost:g} basis points "
    "for each unit of position traded. sharpe = mean / sd of the returns of a period, not annualised; hit_rate = "
    "share of positions that earned; turnover = mean change of position a period (2 is from fully long to fully "
    "short); drawdown = largest loss from a peak; total = return of all periods compounded; hold_total = the same "
    "for holding every symbol."
)


def check(symbols: Any, origins: Any, last: Any, target: Any, point: Any, cost_bps: float) -> dict[str, float]:
    """The metrics of METRICS; see the module.

    All [B]: symbol, number of the origin date (ascending in time, dates at least a horizon apart), last price, price at
    the end of the horizon, forecast of it. Windows whose prices are not positive numbers are left out. NaN where there
    is nothing to say.
    """
    s, t = np.asarray(symbols), np.asarray(origins)
    c, y, p = (np.asarray(a, np.float64) for a in (last, target, point))
    fine = np.isfinite(c) & np.isfinite(y) & np.isfinite(p) & (c > 0) & (y > 0)
    s, t, c, y, p = (a[fine] for a in (s, t, c, y, p))
    dates = np.unique(t).tolist()
    if not dates:
        return dict.fromkeys(METRICS, math.nan)
    names = np.unique(s)
    held = np.zeros(len(names))
    earned, passive, changes, hits, bets = [], [], [], 0, 0
    for date in dates:
        here = t == date
        at = np.searchsorted(names, s[here])
        side, move = np.sign(p[here] - c[here]), y[here] / c[here] - 1
        now = np.zeros(len(names))
        now[at] = side
        traded = float(np.abs(now - held).sum()) / len(at)
        held = now
        earned.append(float((side * move).mean()) - cost_bps * 1e-4 * traded)
        passive.append(float(move.mean()))
        changes.append(traded)
        hits += int((side * move > 0).sum())
        bets += int((side != 0).sum())
    returns = np.array(earned)
    wealth = np.concatenate([[1.0], np.cumprod(1 + np.maximum(returns, -1.0))])
    spread = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return {
        "sharpe": float(returns.mean()) / spread if spread > 0 else math.nan,
        "hit_rate": hits / bets if bets else math.nan,
        "turnover": float(np.mean(changes)),
        "drawdown": float((1 - wealth / np.maximum.accumulate(wealth)).max()),
        "total": float(wealth[-1] - 1),
        "hold_total": float(np.prod(1 + np.maximum(passive, -1.0)) - 1),
        "periods": float(len(dates)),
    }
