"""Every metric, defined once, on original prices; numpy only, in float64.

Shapes: B windows, C context steps, H horizon, Q quantile levels, S symbols.

For a window with last observed value c, targets y, point forecast p:

    pct_mae    100 · mean |p − y| / |c|          pct_rmse   100 · sqrt(mean ((p − y) / c)²)
    pct_mape   100 · mean |p − y| / |y|          price_mae, price_rmse   the same in the series' own unit
    pct_r2     1 − Σ(r̂ − r)² / Σ(r − mean r)²,  r = (y − c)/|c|, r̂ = (p − c)/|c|
    naive_*    the same for p = c                skill      1 − pct_mae / naive_pct_mae
    mase       mean over windows of MAE / mean |one-step change in the context|
    pinball    100 · mean over levels q of max(q·(y − f), (q − 1)·(y − f)) / |c|, f the forecast quantile
    crps       100 · 2 ∫ pinball dq / |c|, each level weighted by the part of (0, 1) nearest to it; with a
               forecast that is one point it equals pct_mae
    coverage   share of y within the 10 % and 90 % quantile; 0.8 is right
    dir_acc    share of steps with y ≠ c where p lies on y's side of c (p = c counts as wrong)
    sharpe     see SHARPE
    dm_stat, dm_pvalue   Diebold-Mariano against naive, see `diebold_mariano`; negative = model better

Means are over all windows and all observed steps: sums are kept, never means of batches. Percentages divide by |c|,
so that series that can be negative (ETTh1) have them too; for prices this is c. A window without an observed value
in its context or its horizon, or with c = 0, is left out and counted in `left_out`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

SHARPE = (
    "sharpe = mean(R) / sd(R) over origin dates, not annualised; R = mean over the windows of a date of "
    "sign(p_H - c) * (y_H - c) / |c| - cost * |sign(p_H - c)|, cost = {cost:g} a round trip"
)
_SUMS = (
    "windows", "steps", "pct_abs", "pct_sq", "mape_abs", "mape_steps", "abs", "sq", "ret", "ret_sq",
    "n_pct_abs", "n_pct_sq", "n_mape_abs", "n_abs", "n_sq", "mase", "mase_windows", "n_mase",
    "dir_hit", "dir_steps", "pinball", "crps", "q_steps", "covered",
)  # fmt: skip
_AT = {name: i for i, name in enumerate(_SUMS)}


class Metrics:
    """Sums over the windows of one split, for each symbol; `values` and `report` read them.

    symbols: names, by the numbers that `update` gets. levels: ascending quantile levels in (0, 1), or none.
    cost: of a round trip of the sign strategy, as a part of the price. lags: neighbouring origin dates whose
    horizons overlap, ceil(horizon / stride) − 1: 0 for non-overlapping origins.
    """

    def __init__(
        self, symbols: Sequence[str], levels: Sequence[float] = (), *, cost: float = 0.001, lags: int = 0
    ) -> None:
        self.symbols = tuple(symbols)
        self.levels = np.asarray(levels, np.float64)
        if len(self.levels) and not (np.all(np.diff(self.levels) > 0) and self.levels[0] > 0 and self.levels[-1] < 1):
            raise ValueError(f"levels = {list(levels)}: expected ascending numbers between 0 and 1.")
        edges = np.concatenate([[0.0], (self.levels[1:] + self.levels[:-1]) / 2, [1.0]])
        self.weights = np.diff(edges) if len(self.levels) else np.empty(0)
        self.cost = cost
        self.lags = lags
        self.left_out = 0
        self.sums = np.zeros((len(self.symbols), len(_SUMS)))
        self.dates: dict[int, np.ndarray] = {}  # origin -> sums of windows, loss, naive loss, strategy return

    def update(
        self,
        *,
        context: Any,
        target: Any,
        point: Any,
        symbols: Any,
        origins: Any,
        context_mask: Any = None,
        target_mask: Any = None,
        quantiles: Any = None,
    ) -> None:
        """Add windows; arrays or tensors of any float type and device.

        context: [B, C], gaps filled with the last observed value. target, point: [B, H]. symbols: [B] numbers.
        origins: [B] integers, equal for windows of the same origin date, ascending in time. The masks are True
        where a value was observed; without one, finite means observed. quantiles: [B, H, Q], needed if and only
        if there are levels. A forecast that is not finite raises ValueError: a model that fails at some windows
        must not be scored on the others.
        """
        context_BC, y_BH, p_BH = _array(context), _array(target), _array(point)
        seen_BC = np.isfinite(context_BC) if context_mask is None else _bool(context_mask)
        seen_BH = np.isfinite(y_BH) if target_mask is None else _bool(target_mask)
        symbols_B, origins_B = _int(symbols), _int(origins)
        if p_BH.shape != y_BH.shape:
            raise ValueError(f"point {p_BH.shape} and target {y_BH.shape} differ in shape.")
        if (quantiles is None) != (len(self.levels) == 0):
            raise ValueError("quantiles are needed if and only if there are levels.")
        if not np.isfinite(p_BH).all():
            raise ValueError(f"the forecast is not finite at {int((~np.isfinite(p_BH)).sum())} of {p_BH.size} points.")
        length = context_BC.shape[1]
        last_B = length - 1 - np.argmax(seen_BC[:, ::-1], axis=1)
        c_B = context_BC[np.arange(len(context_BC)), last_B]
        keep = seen_BC.any(1) & seen_BH.any(1) & (c_B != 0) & np.isfinite(c_B)
        self.left_out += int((~keep).sum())
        if not keep.any():
            return
        context_BC, seen_BC = context_BC[keep], seen_BC[keep]
        y_BH, p_BH, seen_BH, c_B = y_BH[keep], p_BH[keep], seen_BH[keep], c_B[keep]
        symbols_B, origins_B = symbols_B[keep], origins_B[keep]
        y_BH = np.where(seen_BH, y_BH, c_B[:, None])

        add: dict[str, np.ndarray] = {"windows": np.ones(len(c_B)), "steps": seen_BH.sum(1)}
        scale_B1, c_B1 = np.abs(c_B)[:, None], c_B[:, None]

        def total(x_BH: np.ndarray) -> np.ndarray:
            return np.where(seen_BH, x_BH, 0.0).sum(1)

        nonzero = seen_BH & (y_BH != 0)
        per_y = np.where(nonzero, 1.0 / np.where(nonzero, np.abs(y_BH), 1.0), 0.0)
        add["mape_steps"] = nonzero.sum(1)
        for tag, forecast in (("", p_BH), ("n_", np.broadcast_to(c_B1, p_BH.shape))):
            error = np.abs(forecast - y_BH)
            add[f"{tag}abs"], add[f"{tag}sq"] = total(error), total(error**2)
            add[f"{tag}pct_abs"], add[f"{tag}pct_sq"] = total(error / scale_B1), total((error / scale_B1) ** 2)
            add[f"{tag}mape_abs"] = total(error * per_y)
        ret = (y_BH - c_B1) / scale_B1
        add["ret"], add["ret_sq"] = total(ret), total(ret**2)
        moved = seen_BH & (y_BH != c_B1)
        add["dir_steps"] = moved.sum(1)
        add["dir_hit"] = (moved & (np.sign(p_BH - c_B1) == np.sign(y_BH - c_B1))).sum(1)

        both = seen_BC[:, 1:] & seen_BC[:, :-1]
        change = np.where(both, np.abs(np.diff(context_BC, axis=1)), 0.0).sum(1) / np.maximum(both.sum(1), 1)
        scaled = change > 0
        per = np.where(scaled, 1.0 / np.where(scaled, change, 1.0), 0.0) / add["steps"]
        add["mase"], add["n_mase"], add["mase_windows"] = add["abs"] * per, add["n_abs"] * per, scaled
        if quantiles is not None:
            q_BHQ = _array(quantiles)[keep]
            if q_BHQ.shape != (*y_BH.shape, len(self.levels)):
                raise ValueError(
                    f"quantiles {q_BHQ.shape} do not fit target {y_BH.shape} and {len(self.levels)} levels."
                )
            if not np.isfinite(q_BHQ).all():
                raise ValueError("a forecast quantile is not finite.")
            miss = y_BH[..., None] - q_BHQ
            loss = np.maximum(self.levels * miss, (self.levels - 1) * miss) / scale_B1[..., None]
            add["pinball"], add["crps"] = total(loss.mean(-1)), total(2 * (loss @ self.weights))
            add["q_steps"] = add["steps"]
            band = self._band()
            if band is not None:
                add["covered"] = total((y_BH >= q_BHQ[..., band[0]]) & (y_BH <= q_BHQ[..., band[1]]))
        for name, values in add.items():
            np.add.at(self.sums[:, _AT[name]], symbols_B, values)
        end = seen_BH.shape[1] - 1 - np.argmax(seen_BH[:, ::-1], axis=1)
        rows = np.arange(len(c_B))
        side = np.sign(p_BH[rows, end] - c_B)
        earned = side * ret[rows, end] - self.cost * np.abs(side)
        self._add_dates(origins_B, add["pct_abs"] / add["steps"], add["n_pct_abs"] / add["steps"], earned)

    def _add_dates(self, origins_B: np.ndarray, loss_B: np.ndarray, naive_B: np.ndarray, earned_B: np.ndarray) -> None:
        unique, inverse = np.unique(origins_B, return_inverse=True)
        sums = np.zeros((len(unique), 4))
        np.add.at(sums, inverse, np.stack([np.ones_like(loss_B), loss_B, naive_B, earned_B], 1))
        for origin, row in zip(unique.tolist(), sums, strict=True):
            self.dates[origin] = self.dates.get(origin, 0.0) + row

    def _band(self) -> tuple[int, int] | None:
        found = [int(i) for level in (0.1, 0.9) for i in np.flatnonzero(np.isclose(self.levels, level))]
        return (found[0], found[1]) if len(found) == 2 else None

    def values(self) -> dict[str, float]:
        """Every metric over all windows, without prefix; NaN where it is not defined."""
        out = self._of(self.sums.sum(0))
        dates = np.array([self.dates[k] for k in sorted(self.dates)]).reshape(-1, 4)
        weight = np.maximum(dates[:, 0], 1)
        out["dm_stat"], out["dm_pvalue"] = diebold_mariano((dates[:, 1] - dates[:, 2]) / weight, self.lags)
        earned = dates[:, 3] / weight
        spread = float(earned.std(ddof=1)) if len(earned) > 1 else 0.0
        out["sharpe"] = float(earned.mean()) / spread if spread > 0 else math.nan
        return out

    def by_symbol(self) -> dict[str, dict[str, float]]:
        """The metrics of each symbol that has windows, with their number; no test, no strategy."""
        return {
            name: {**self._of(row), "windows": int(row[_AT["windows"]])}
            for name, row in zip(self.symbols, self.sums, strict=True)
            if row[_AT["windows"]]
        }

    def report(self, split: str, step: int, horizon: int) -> dict[str, Any]:
        """The content of evaluation/<split>.json; what is not finite is None."""
        prefix = f"{split}_"
        return {
            "split": split,
            "step": step,
            "horizon": horizon,
            "windows": int(self.sums[:, _AT["windows"]].sum()),
            "origins": len(self.dates),
            "left_out": self.left_out,
            "metrics": {prefix + k: _json(v) for k, v in self.values().items()},
            "symbols": {s: {k: _json(v) for k, v in row.items()} for s, row in self.by_symbol().items()},
            "definitions": {"sharpe": SHARPE.format(cost=self.cost), "dm_lags": self.lags},
        }

    def _of(self, row: np.ndarray) -> dict[str, float]:
        s = dict(zip(_SUMS, row.tolist(), strict=True))
        n = s["steps"]
        out: dict[str, float] = {}
        total_sq = s["ret_sq"] - _ratio(s["ret"] ** 2, n)
        for name, tag in (("", ""), ("naive_", "n_")):
            out[f"{name}pct_mae"] = 100 * _ratio(s[f"{tag}pct_abs"], n)
            out[f"{name}pct_rmse"] = 100 * math.sqrt(_ratio(s[f"{tag}pct_sq"], n))
            out[f"{name}pct_mape"] = 100 * _ratio(s[f"{tag}mape_abs"], s["mape_steps"])
            out[f"{name}pct_r2"] = 1 - _ratio(s[f"{tag}pct_sq"], total_sq)
            out[f"{name}price_mae"] = _ratio(s[f"{tag}abs"], n)
            out[f"{name}price_rmse"] = math.sqrt(_ratio(s[f"{tag}sq"], n))
            out[f"{name}mase"] = _ratio(s[f"{tag}mase"], s["mase_windows"])
        out["skill"] = 1 - _ratio(out["pct_mae"], out["naive_pct_mae"])
        out["dir_acc"] = _ratio(s["dir_hit"], s["dir_steps"])
        if len(self.levels):
            out["crps"] = 100 * _ratio(s["crps"], s["q_steps"])
            out["pinball"] = 100 * _ratio(s["pinball"], s["q_steps"])
            if self._band() is not None:
                out["coverage"] = _ratio(s["covered"], s["q_steps"])
        return out


def sample_quantiles(samples_BHK: Any, levels: Sequence[float]) -> np.ndarray:
    """[B, H, Q] quantiles of K sample paths, for `Metrics.update`."""
    return np.moveaxis(np.quantile(_array(samples_BHK), np.asarray(levels, np.float64), axis=-1), 0, -1)


def diebold_mariano(differences: Any, lags: int = 0) -> tuple[float, float]:
    """Test of equal accuracy: (statistic, two-sided p-value) of loss differences, model less naive, in time order.

    differences: [n], one for each origin date; symbols of one date are averaged first, because they move together
    and would otherwise count as independent. lags: autocovariances that overlapping horizons make non-zero.
    Negative = model better. Variance from the rectangular window of Diebold & Mariano (1995), statistic and Student t
    with n − 1 degrees of freedom after Harvey, Leybourne & Newbold (1997) for h = lags + 1. Equal losses at
    every date give (0, 1). NaN for fewer than two dates, too few for the lags, or an estimated variance that is not
    positive.
    """
    d = np.asarray(differences, np.float64)
    n, h = len(d), lags + 1
    if n < 2 or h >= n:
        return math.nan, math.nan
    if not d.any():
        return 0.0, 1.0
    mean = d.mean()
    e = d - mean
    variance = (e @ e + 2 * sum(float(e[k:] @ e[:-k]) for k in range(1, h))) / n
    rounding = 8 * (2 * h - 1) * np.finfo(np.float64).eps * np.abs(d).max() * np.abs(e).max()
    if variance <= rounding:  # zero, of which autocovariances that cancel leave something
        return math.nan, math.nan
    stat = float(mean / math.sqrt(variance / n) * math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n))
    return stat, student_t_pvalue(stat, n - 1)


def student_t_pvalue(t: float, degrees: int) -> float:
    """P(|T| ≥ |t|) for Student's t: the regularised incomplete beta function I_x(degrees/2, 1/2), x = ν/(ν + t²)."""
    x = degrees / (degrees + t * t)
    a, b = degrees / 2, 0.5
    if x >= 1:
        return 1.0
    if x <= 0:
        return 0.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    # the continued fraction converges fast on one side of the mean only; the other side is its mirror
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(x, a, b) / a
    return 1 - front * _beta_fraction(1 - x, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method."""
    tiny = 1e-300
    c, d = 1.0, 1 / max(1 - (a + b) * x / (a + 1), tiny)
    value = d
    for m in range(1, 10_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away(1 + term * d, tiny)
            c = _away(1 + term / c, tiny)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _away(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else math.nan


def _json(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _array(x: Any) -> np.ndarray:
    if hasattr(x, "detach"):
        x = x.detach().double().cpu().numpy()  # numpy has no bfloat16
    return np.asarray(x, np.float64)


def _bool(x: Any) -> np.ndarray:
    return np.asarray(x.detach().cpu().numpy() if hasattr(x, "detach") else x, bool)


def _int(x: Any) -> np.ndarray:
    return np.asarray(x.detach().cpu().numpy() if hasattr(x, "detach") else x, np.int64)
