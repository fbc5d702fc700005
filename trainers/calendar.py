"""The calendar of a series, read off the series itself: its step, its weekdays, its hours, and so what comes next.

Holidays are not known: a business day after the last row counts even if an exchange was closed on it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

_DAY = 86_400_000_000_000
_RECENT = 1000  # rows that tell the calendar; older ones may have had other trading hours


def future(times: np.ndarray, count: int) -> pd.DatetimeIndex:
    """The next `count` timestamps after times ([N] int64 ns, ascending, N >= 2).

    The step is the most frequent difference; weekdays and, within a day, hours that the series never has are skipped.
    Monthly and longer steps move by whole months, and stay at the month's end if the series does.
    """
    return _future(np.ascontiguousarray(times[-_RECENT:], dtype=np.int64).tobytes(), count)


@lru_cache(maxsize=64)  # the series of one market have the same rows: 0.5 ms each
def _future(rows: bytes, count: int) -> pd.DatetimeIndex:
    recent = np.frombuffer(rows, dtype=np.int64)
    differences, counts = np.unique(np.diff(recent), return_counts=True)
    step = int(differences[np.argmax(counts)])
    index = pd.DatetimeIndex(recent.astype("datetime64[ns]"))
    last = index[-1]
    if step >= 28 * _DAY:
        months = max(1, round(float(np.median(np.diff(recent))) / (30.44 * _DAY)))
        at_end = bool(index.is_month_end.all())
        offset = pd.offsets.MonthEnd if at_end else pd.DateOffset
        moved = [last + (offset(months * k) if at_end else offset(months=months * k)) for k in range(1, count + 1)]
        return pd.DatetimeIndex(moved)
    weekdays = np.zeros(7, bool)
    weekdays[_weekday(recent)] = True
    if step >= 7 * _DAY or len(recent) < 6:
        weekdays[:] = True
    clock = np.unique(recent % _DAY)
    bounded = _DAY % step == 0 and len(clock) < _DAY // step  # opens and closes within the day
    out: list[np.ndarray] = []
    found, at = 0, int(recent[-1])
    while found < count:
        block = at + step * np.arange(1, 4 * count + 64, dtype=np.int64)
        keep = weekdays[_weekday(block)]
        if bounded:
            keep &= np.isin(block % _DAY, clock)
        out.append(block[keep])
        found += int(keep.sum())
        at = int(block[-1])
    return pd.DatetimeIndex(np.concatenate(out)[:count].astype("datetime64[ns]"))


def stamps(times: np.ndarray) -> np.ndarray:
    """[N, 5] uint8 of times ([N] int64 ns): minute, hour, weekday (Monday 0), day of the month, month."""
    index = pd.DatetimeIndex(np.asarray(times, dtype=np.int64).astype("datetime64[ns]"))
    parts = (index.minute, index.hour, index.day_of_week, index.day, index.month)
    return np.stack([np.asarray(part, dtype=np.uint8) for part in parts], axis=1)


def season(times: np.ndarray) -> int:
    """Rows of the cycle that a series of this step is likeliest to have: a week of days, a day of hours; else 0."""
    recent = np.asarray(times[-_RECENT:], dtype=np.int64)
    if len(recent) < 3:
        return 0
    differences, counts = np.unique(np.diff(recent), return_counts=True)
    step = int(differences[np.argmax(counts)])
    if step == _DAY:
        return len(np.unique(_weekday(recent)))
    if step < _DAY:
        return len(np.unique(recent % _DAY))
    return 12 if 28 * _DAY <= step <= 31 * _DAY else 0


def _weekday(times: np.ndarray) -> np.ndarray:
    """0 for Monday to 6; the epoch was a Thursday."""
    return (times // _DAY + 3) % 7
