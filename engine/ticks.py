"""Where an axis has its ticks and what they say: round numbers, round spans of time, or dates."""

from __future__ import annotations

import calendar
import itertools
import math
import time
from collections.abc import Callable, Sequence


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart) from low to high, at most `most` of them."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low or most < 1:
        return [low] if math.isfinite(low) else []
    rough = (high - low) / max(1, most)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * 10
    for factor in (1, 2, 5, 10):
        step = factor * power
        if math.floor(high / step + 1e-9) - math.ceil(low / step - 1e-9) + 1 <= most:
            break
    start = math.ceil(low / step - 1e-9)
    stop = math.floor(high / step + 1e-9)
    return [i * step for i in range(start, stop + 1)]


def tick_labels(values: Sequence[float]) -> list[str]:
    """The shortest decimals that keep neighbours apart; thousands as k and M."""
    if not values:
        return []
    step = min((abs(b - a) for a, b in itertools.pairwise(values)), default=abs(values[0]) or 1.0)
    top = max(abs(v) for v in values)
    if top < 1e-4 or top >= 1e12:
        return ["0" if v == 0 else f"{v:.1e}" for v in values]
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if top >= 10 * limit or (top >= limit and step >= limit):
            return ["0" if v == 0 else _fixed(v / limit, step / limit) + unit for v in values]
    return [_fixed(v, step) for v in values]


def _fixed(value: float, step: float) -> str:
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return f"{value:.{min(decimals, 9)}f}"


# -- time -----------------------------------------------------------------------------------------------------------

MINUTE, HOUR, DAY = 60, 3600, 86400
_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(n * MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR for n in (1, 2, 3, 6, 12)),
    *(n * DAY for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)),
)
"""Seconds between two ticks of a span of time."""
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)


def spans(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Ticks of an axis in seconds since a start, as (value, label): 0, 30s; 10m; 1h 30m; 2d."""
    if high - low < 4:
        values = ticks(low, high, most)
        return [(value, f"{label}s") for value, label in zip(values, tick_labels(values), strict=True)]
    if high - low > most * _STEPS[-1]:
        return [(value * DAY, f"{value:.0f}d") for value in ticks(low / DAY, high / DAY, most)]
    step = next(step for step in _STEPS if (high - low) / step <= most)
    values = [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    return [(float(value), span(value)) for value in values]


def span(seconds: float) -> str:
    """A length of time in at most two units: 45s, 10m, 1h 30m, 2d 6h."""
    whole = round(abs(seconds))
    parts = []
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (1, "s")):
        amount, whole = divmod(whole, size)
        if amount:
            parts.append(f"{amount}{unit}")
        elif parts:
            break
    return ("-" if seconds < 0 else "") + " ".join(parts[:2]) if parts else "0"


def dates(low: float, high: float, most: int, *, utc: bool) -> list[tuple[float, str]]:
    """Ticks of an axis in unix seconds, as (value, label): clock times, days, months or years, whatever fits.

    utc: dates of data, which belong to no place; else the clock of this machine.
    """
    take, make = (time.gmtime, _from_utc) if utc else (time.localtime, _from_local)
    if not (-6e10 < low <= high < 2e11):  # years a calendar knows
        values = ticks(low, high, most)
        return list(zip(values, tick_labels(values), strict=True))
    if high - low <= 2 * DAY:
        return _clocks(low, high, most, take, make)
    found: list[tuple[float, str]] = []
    first, last = take(low), take(high)
    if (days := (high - low) / DAY) / 14 <= most and days < 62:
        step = next(step for step in (1, 2, 7, 14) if days / step <= most)
        day = make(first.tm_year, first.tm_mon, first.tm_mday)
        for i in range(0, int(days) + 3, step):
            here = take(day + i * DAY + HOUR)
            found.append((make(here.tm_year, here.tm_mon, here.tm_mday), time.strftime("%m-%d", here)))
    else:
        months = (last.tm_year - first.tm_year) * 12 + last.tm_mon - first.tm_mon + 1
        step = next((step for step in _MONTHS if months / step <= most), _MONTHS[-1])
        start = (first.tm_year * 12 + first.tm_mon - 1) // step * step
        for month in range(start, last.tm_year * 12 + last.tm_mon, step):
            year, number = divmod(month, 12)
            found.append((make(year, number + 1, 1), f"{year}" if step >= 12 else f"{year}-{number + 1:02d}"))
    return [(at, label) for at, label in found if low <= at <= high]


def _clocks(low: float, high: float, most: int, take: _Take, make: _Make) -> list[tuple[float, str]]:
    step = next((step for step in _STEPS if (high - low) / step <= most), DAY)
    here = take(low)
    midnight = make(here.tm_year, here.tm_mon, here.tm_mday)
    form = "%H:%M:%S" if step < MINUTE else "%H:%M"
    found = []
    for i in range(math.ceil((low - midnight) / step), math.floor((high - midnight) / step) + 1):
        at = midnight + i * step
        when = take(at)
        found.append((at, time.strftime("%m-%d" if not (when.tm_hour or when.tm_min or when.tm_sec) else form, when)))
    return found


_Take = Callable[[float], time.struct_time]
_Make = Callable[[int, int, int], float]


def _from_utc(year: int, month: int, day: int) -> float:
    return float(calendar.timegm((year, month, day, 0, 0, 0)))


def _from_local(year: int, month: int, day: int) -> float:
    return time.mktime((year, month, day, 0, 0, 0, 0, 0, -1))
