"""What is odd about series that can be read: gaps, missing values, impossible bars, jumps that look like splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from trainers.data.series import Series

_RATIOS = np.array([2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100, 1.5])
_NEAR = 0.04  # a split's day also moves by itself
_ROUNDING = 1e-5  # adjusted prices are products: highs fall short of closes in the seventh digit


@dataclass(frozen=True)
class Check:
    """The report on one symbol; counts are of rows. first, last: as text, without midnight's hour.

    gaps: calendar steps that the symbol lacks between its first and last; the calendar is that of all series, or
    for one series its own usual distances. splits: dates with a jump by a usual split ratio.
    """

    symbol: str
    rows: int
    first: str
    last: str
    duplicates: int
    gaps: int
    missing: int
    nonpositive: int
    bad_bars: int
    zero_volume: int
    splits: tuple[str, ...]
    columns: tuple[str, ...]
    fixes: tuple[str, ...]
    file: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def problems(self) -> list[str]:
        """One phrase for each thing worth a look; empty for clean series."""
        said = [
            (self.gaps, "gaps in the calendar"),
            (self.missing, "missing values"),
            (self.nonpositive, "prices not above zero"),
            (self.bad_bars, "bars whose high or low is not the extreme"),
            (self.zero_volume, "bars without volume"),
        ]
        out = [f"{count} {what}" for count, what in said if count]
        if self.splits:
            more = f" and {len(self.splits) - 3} more" if len(self.splits) > 3 else ""
            out.append(f"unadjusted split? {', '.join(self.splits[:3])}{more}")
        return out


def check(series: Sequence[Series]) -> list[Check]:
    """A report for each series. Reading has already judged what makes a file unusable."""
    calendar = np.unique(np.concatenate([s.times for s in series])) if len(series) > 1 else None
    return [_check(s, calendar) for s in series]


def _check(one: Series, calendar: np.ndarray | None) -> Check:
    columns = one.columns
    prices = [columns[c] for c in ("open", "high", "low", "close", "adj close") if c in columns]
    volume = columns.get("volume", np.empty(0))
    return Check(
        symbol=one.symbol,
        rows=len(one),
        first=stamp(one.times[0]),
        last=stamp(one.times[-1]),
        duplicates=one.duplicates,
        gaps=_gaps(one.times, calendar),
        missing=int(sum(np.isnan(c).sum() for c in columns.values())),
        nonpositive=int(np.any([p <= 0 for p in prices], axis=0).sum()) if prices else 0,
        bad_bars=_bad_bars(columns),
        zero_volume=int((volume == 0).sum()),
        splits=_splits(one),
        columns=tuple(columns),
        fixes=one.fixes,
        file=one.file,
    )


def stamp(time: int) -> str:
    text = str(pd.Timestamp(int(time)))
    return text.removesuffix(" 00:00:00")


def _gaps(times: np.ndarray, calendar: np.ndarray | None) -> int:
    if calendar is not None:
        inside = np.searchsorted(calendar, times[-1]) - np.searchsorted(calendar, times[0]) + 1
        return int(inside - len(times))
    # alone, a series shows its weekends and holidays as distances that come back; a rare long one is a gap
    if len(times) < 3:
        return 0
    distances, counts = np.unique(np.diff(times), return_counts=True)
    usual = distances[counts >= max(2, 0.002 * len(times))]
    if not len(usual):
        return 0
    return int(counts[distances > usual.max()].sum())


def _bad_bars(columns: dict[str, np.ndarray]) -> int:
    if not {"high", "low"} <= columns.keys():
        return 0
    high, low = columns["high"], columns["low"]
    room = _ROUNDING * np.abs(high)
    bad = high < low - room
    for name in ("open", "close"):
        if name in columns:
            bad |= (columns[name] > high + room) | (columns[name] < low - room)
    return int(bad.sum())


def _splits(one: Series) -> tuple[str, ...]:
    close = one.columns.get("close", one.columns.get("adj close"))
    if close is None or len(close) < 2:
        return ()
    # over night: today's open against yesterday's close, so that a crash during the day is none
    after = one.columns.get("open", close)[1:]
    before = close[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        jump = np.abs(np.log(after / before))
        stays = np.abs(np.log(close[1:] / before)) > 0.75 * jump  # and it does not come back by the close
    near = np.abs(jump[:, None] - np.log(_RATIOS)).min(1) < _NEAR
    # 1.5 alone is also an ordinary bad earnings day: ask for the exact ratio there
    exact = np.abs(jump - np.log(1.5)) < 0.005
    found = np.flatnonzero(near & stays & ((jump > 0.55) | exact)) + 1
    return tuple(stamp(one.times[i]) for i in found)
