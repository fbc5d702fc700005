"""Whether two forecasters differ: the Diebold-Mariano test on losses at the same origins, and its answer in words.

The same test as trainers.metrics has it, in plain Python: the engine imports no trainer, and a few hundred origins need
no arrays. tests/engine/test_paired.py holds the two against each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SIGNIFICANT = 0.05
"""p below which a difference is called one."""
_EPS = 2.220446049250313e-16


@dataclass(frozen=True)
class Paired:
    """Of one model against another, over the windows both have forecast. Negative = the first is better."""

    difference: float | None
    """Mean of pct_mae, the first less the second, over origins."""
    stat: float | None
    p: float | None
    origins: int
    windows: int

    @property
    def same(self) -> bool:
        """Whether the test was possible and found no difference."""
        return self.p is not None and self.p >= SIGNIFICANT

    @property
    def words(self) -> str:
        """`better, p = 0.01`, `no different, p = 0.4`, `worse, p < 0.001`; empty when no test was possible."""
        if self.stat is None or self.p is None:
            return ""
        return f"{verdict(self.stat, self.p)}, {p_words(self.p)}"


def verdict(stat: float, p: float) -> str:
    """Give better, worse or no different."""
    return "no different" if p >= SIGNIFICANT else "better" if stat < 0 else "worse"


def p_words(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def paired(differences: Sequence[float], windows: int, lags: int) -> Paired:
    """Test loss differences, one an origin in the order of time. lags: see `diebold_mariano`."""
    stat, p = diebold_mariano(differences, lags)
    mean = math.fsum(differences) / len(differences) if differences else math.nan
    return Paired(_finite(mean), _finite(stat), _finite(p), len(differences), windows)


def diebold_mariano(differences: Sequence[float], lags: int = 0) -> tuple[float, float]:
    """Test of equal accuracy: statistic and two-sided p-value; (NaN, NaN) where it can't be told.

    differences: of losses, one for each origin date in the order of time. lags: autocovariances that overlapping
    horizons make non-zero. Diebold & Mariano (1995), corrected as in Harvey, Leybourne & Newbold (1997).
    """
    n, h = len(differences), lags + 1
    if n < 2 or h >= n:
        return math.nan, math.nan
    if not any(differences):
        return 0.0, 1.0
    mean = math.fsum(differences) / n
    e = [d - mean for d in differences]
    variance = math.fsum(x * x for x in e)
    for k in range(1, h):
        variance += 2 * math.fsum(e[i] * e[i - k] for i in range(k, n))
    variance /= n
    if variance <= 8 * (2 * h - 1) * _EPS * max(map(abs, differences)) * max(map(abs, e)):  # what rounding leaves of 0
        return math.nan, math.nan
    stat = mean / math.sqrt(variance / n) * math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    return stat, student_t_pvalue(stat, n - 1)


def student_t_pvalue(t: float, degrees: int) -> float:
    """P(|T| >= |t|) for Student's t by its finite series for whole degrees of freedom (Abramowitz & Stegun 26.7.3)."""
    angle = math.atan2(abs(t), math.sqrt(degrees))
    cos, sin = math.cos(angle), math.sin(angle)
    odd = degrees % 2
    total = term = cos if odd else 1.0
    if degrees == 1:
        total = 0.0
    for k in range(2 if odd else 1, degrees - 1, 2):
        term *= cos * cos * k / (k + 1)
        total += term
    inside = 2 / math.pi * (angle + sin * total) if odd else sin * total
    return min(1.0, max(0.0, 1.0 - inside))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
