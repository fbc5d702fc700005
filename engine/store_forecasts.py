"""What the forecast files of several runs say together: losses over the windows they have in common."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.paired import Paired, paired

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LED = 3
"""Prices before a forecast that are shown, in lengths of the forecast."""

# A run's own error at a window: as trainers.metrics has it, on the median where there is one.
_LOSSES = """
SELECT {number} AS run, symbol::VARCHAR AS symbol, origin,
  100 * avg(abs({point} - target) / abs(naive)) AS loss
FROM read_parquet({file}) WHERE isfinite(target) AND isfinite({point}) AND naive <> 0 GROUP BY ALL
"""


@dataclass
class Band:
    """One forecast beside what came: columns of equal length, by step; low and high are the outermost quantiles."""

    symbol: str
    origin: str
    target: list[float] = field(default_factory=list)
    median: list[float] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    levels: tuple[float, float] = (0.1, 0.9)
    last: float = 0.0
    """The last price seen, which is the naive forecast."""
    before: list[float] = field(default_factory=list)
    """The prices that led there, oldest first, as far as earlier windows hold them; NaN where they leave a gap."""


def forecasts_of(runs: Path, run: str, split: str = "val") -> Path | None:
    """Give the file of a run's forecasts, None when there is none."""
    path = runs / run / "evaluation" / f"{split}_forecasts.parquet"
    return path if path.is_file() else None


def lags_of(runs: Path, run: str, split: str = "val") -> int:
    """Give how many neighbouring origins overlap, as the run's evaluation says; 0 when it does not."""
    try:
        found = msgspec.json.decode((runs / run / "evaluation" / f"{split}.json").read_bytes())
        return int(found["definitions"]["dm_lags"])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        return 0


def against(
    con: DuckDBPyConnection, runs: Path, first: str, others: Sequence[str], split: str = "val"
) -> dict[str, Paired]:
    """Test each of the others against the first, negative = the other is better; runs without forecasts are left out.

    Losses are pct_mae of each window that both have forecast, averaged over the windows of an origin date.
    """
    files = {run: path for run in (first, *others) if (path := forecasts_of(runs, run, split)) is not None}
    rest = [run for run in others if run in files and run != first]
    if first not in files or not rest:
        return {}
    names = [first, *rest]
    columns = _columns(con, [files[run] for run in names])
    parts = " UNION ALL ".join(
        _LOSSES.format(number=i, point=_point(columns[files[run]]), file=_text(files[run]))
        for i, run in enumerate(names)
    )
    rows = con.execute(
        f"WITH w AS MATERIALIZED ({parts}) SELECT o.run, o.origin, avg(o.loss - b.loss), count(*) "
        "FROM w o JOIN w b USING (symbol, origin) WHERE b.run = 0 AND o.run > 0 GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    found = {}
    for i, run in enumerate(names[1:], 1):
        mine = [row for row in rows if row[0] == i]
        lags = max(lags_of(runs, first, split), lags_of(runs, run, split))
        found[run] = paired([row[2] for row in mine], sum(row[3] for row in mine), lags)
    return found


def bands(con: DuckDBPyConnection, runs: Path, run: str, symbols: Sequence[str], split: str = "val") -> dict[str, Band]:
    """Give the last forecast of each symbol; those that the run has not forecast are left out."""
    path = forecasts_of(runs, run, split)
    if path is None or not symbols:
        return {}
    columns = _columns(con, [path])[path]
    levels = sorted((float(name[1:]) / 100, name) for name in columns if name[:1] == "p" and name[1:2].isdigit())
    low, high = (levels[0][1], levels[-1][1]) if levels else ("mean", "mean")
    ends = (levels[0][0], levels[-1][0]) if levels else (0.5, 0.5)
    rows = con.execute(
        f'SELECT symbol::VARCHAR, origin::VARCHAR, target, {_point(columns)}, "{low}", "{high}", naive '
        f"FROM read_parquet({_text(path)}) WHERE symbol IN (SELECT unnest(?::VARCHAR[])) "
        "QUALIFY origin = max(origin) OVER (PARTITION BY symbol) ORDER BY symbol, step",
        [list(symbols)],
    ).fetchall()
    found: dict[str, Band] = {}
    for symbol, origin, target, middle, bottom, top, last in rows:
        band = found.setdefault(symbol, Band(symbol, origin[:19], levels=ends, last=last))
        band.target.append(target)
        band.median.append(middle)
        band.low.append(bottom)
        band.high.append(top)
    return found


def forecast(con: DuckDBPyConnection, runs: Path, run: str, symbols: Sequence[str]) -> Band | None:
    """The last validation forecast of the first of these symbols that has one, with the prices that led there."""
    there = bands(con, runs, run, symbols)
    band = next((there[name] for name in symbols if name in there), None)
    if band is not None:
        band.before = led_there(con, runs, run, band, LED * len(band.target))
    return band


def led_there(con: DuckDBPyConnection, runs: Path, run: str, band: Band, most: int, split: str = "val") -> list[float]:
    """Give at most so many prices up to the last one before a forecast, put together from the windows before it.

    A window that overlaps the next one ends where that one's last price is; between two that do not touch is a NaN.
    """
    path = forecasts_of(runs, run, split)
    if path is None:
        return []
    windows = con.execute(
        f"SELECT any_value(naive), list(target ORDER BY step) FROM read_parquet({_text(path)}) "
        "WHERE symbol = ? AND origin <= ?::TIMESTAMP_NS GROUP BY origin ORDER BY origin DESC LIMIT ?",
        [band.symbol, band.origin, most + 1],
    ).fetchall()
    found: list[float] = []  # from the last price backwards
    for (last, after), (_, prices) in itertools.pairwise(windows):
        met = _met(prices, last, after)
        led = [math.nan if price is None else price for price in prices[:met]]
        found += [last, *([math.nan] if met is None else []), *reversed(led)]
        if len(found) >= most:
            break
    found += [windows[-1][0]] if windows else []
    return found[:most][::-1]


def _met(prices: Sequence[float | None], last: float, after: Sequence[float | None]) -> int | None:
    """Where in a window's prices the next window's last price is: what follows there is what that one forecasts."""
    for at, price in enumerate(prices):
        if price == last and list(prices[at + 1 :]) == list(after[: len(prices) - at - 1]):
            return at
    return None


def _columns(con: DuckDBPyConnection, paths: Sequence[Path]) -> dict[Path, list[str]]:
    """Names of the columns of each file, in one look: one by one is 5 ms each."""
    found: dict[Path, list[str]] = {path: [] for path in paths}
    files = ", ".join(map(_text, paths))
    for path, name in con.execute(f"SELECT file_name, name FROM parquet_schema([{files}])").fetchall():
        found[Path(path)].append(name)
    return found


def _point(columns: Sequence[str]) -> str:
    return '"p50"' if "p50" in columns else '"mean"'


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
