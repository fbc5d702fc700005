"""A table becomes series: one per symbol, dates ascending and unique, numbers as float64 with NaN for missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trainers.data import dates, numbers
from trainers.data.errors import DataError, plain, shown
from trainers.data.table import Table
from trainers.errors import did_you_mean

DATES = ("datetime", "timestamp", "date", "time", "ts", "day", "open time")
SYMBOLS = ("symbol", "ticker", "item id", "unique id", "series id", "id", "name")
OHLCV = ("open", "high", "low", "close", "adj close", "volume")
_ALIAS = {"adjclose": "adj close", "adjusted close": "adj close", "close/last": "close", "vol": "volume"}
_SYMBOL_LIMIT = 100


@dataclass(frozen=True)
class Series:
    """times: [N] int64 ns, ascending, unique. columns: by lower-case name, [N] float64, NaN where missing.

    fixes: what reading had to put right, in words. duplicates: identical rows that were dropped.
    """

    symbol: str
    times: np.ndarray
    columns: dict[str, np.ndarray]
    file: str
    fixes: tuple[str, ...] = ()
    duplicates: int = 0

    def __len__(self) -> int:
        return len(self.times)


def key(name: object) -> str:
    """A column name as it is compared: lower case, blanks for underscores, without Alpha Vantage's `1. `."""
    text = re.sub(r"[\s_]+", " ", str(name).strip().lower())
    text = re.sub(r"^\d+\. ", "", text)
    return _ALIAS.get(text, text)


def series_of(table: Table, wanted: Sequence[str] | None = None) -> list[Series]:
    """The series of a table, by symbol in order of appearance.

    wanted: the columns that must be there and be numbers; None takes OHLCV columns (which must be numbers) and
    every other column that happens to hold numbers. Raises DataError.
    """
    index = _columns(table, wanted)
    date, clock = _date_column(table, index)
    times, said = _times(table, date, clock)
    fixes = [said] if said else []
    which, names = _symbols(table, index, wanted, date)
    picked, notes = _pick(table, index, {date, clock}, which, wanted)
    fixes += notes
    values: dict[str, np.ndarray] = {}
    for name, column in picked.items():
        try:
            values[name], said = numbers.parse(table.columns[column])
        except numbers.BadNumber as error:
            if wanted is None and name not in OHLCV:
                continue  # a text column that nobody asked for
            raise _bad(table, str(error), error.row, column) from None
        if said:
            fixes.append(f"{said} in {name}")
    if not values:
        raise DataError("no column of numbers", file=table.file)
    if names is None:
        symbol = _checked(table, table.file.stem, None)
        return [_one(table, symbol, np.arange(len(times)), times, values, fixes)]
    return [_one(table, symbol, rows, times[rows], values, fixes) for symbol, rows in names.items()]


def series_from_frame(frame: pd.DataFrame, wanted: Sequence[str] | None = None, symbol: str = "frame") -> list[Series]:
    """The series of a data frame, by the rules of `series_of`; dates may be its index. Raises DataError."""
    plain_frame = frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
    names, columns = [], []
    for name in plain_frame.columns:
        column = plain_frame[name]
        names.append("date" if name == "index" and isinstance(frame.index, pd.DatetimeIndex) else str(name))
        if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
            columns.append(column.reset_index(drop=True))
        elif column.dtype.kind in "iuf":
            columns.append(column.to_numpy(dtype=np.float64, na_value=np.nan))
        else:
            columns.append([None if v is pd.NA else v for v in column.tolist()])
    if not len(plain_frame):
        raise DataError("no rows", file=symbol)
    lines = np.arange(1, len(plain_frame) + 1)
    return series_of(Table(Path(symbol), names, columns, lines, "row"), wanted)


def unique(series: Iterable[Series]) -> list[Series]:
    """The series by symbol, sorted; two files with the same symbol are an error."""
    seen: dict[str, Series] = {}
    for one in series:
        if one.symbol in seen:
            raise DataError(f"symbol {shown(one.symbol)} is in {seen[one.symbol].file} already", file=one.file)
        seen[one.symbol] = one
    return [seen[s] for s in sorted(seen)]


def _columns(table: Table, wanted: Sequence[str] | None) -> dict[str, int]:
    index: dict[str, int] = {}
    needed = {key(w) for w in wanted or OHLCV} | set(DATES)
    for at, name in enumerate(table.names):
        k = key(name)
        if k in index and k in needed:
            raise DataError("column twice", file=table.file, column=str(name))
        index.setdefault(k, at)
    return index


def _date_column(table: Table, index: dict[str, int]) -> tuple[int, int | None]:
    found = [index[d] for d in DATES if d in index]
    if not found:
        first = key(table.names[0])
        if first in ("", "unnamed: 0", "index", " index level 0 ", "index level 0"):
            return 0, None  # the index that pandas writes without a name
        has = ", ".join(plain(n, 30) for n in table.names[:8])
        raise DataError(f"no date column (wanted one of {', '.join(DATES[:4])}; has {has})", file=table.file)
    if "date" in index and "time" in index and found[0] == index["date"]:
        cells = table.columns[index["time"]]
        if isinstance(cells, list) and re.match(r"\d{1,2}:\d{2}", str(cells[0]).strip()):
            return found[0], index["time"]
    return found[0], None


def _times(table: Table, date: int, clock: int | None) -> tuple[np.ndarray, str]:
    cells = table.columns[date]
    if clock is not None:
        cells = [f"{d} {t}" for d, t in zip(cells, table.columns[clock], strict=True)]
    try:
        return dates.parse(cells)
    except dates.BadDate as error:
        raise _bad(table, str(error), error.row, date) from None


def _symbols(
    table: Table, index: dict[str, int], wanted: Sequence[str] | None, date: int
) -> tuple[int | None, dict[str, np.ndarray] | None]:
    """The column of symbols, if there is one, and the rows of each."""
    asked = {key(w) for w in wanted or ()}
    for name in SYMBOLS:
        at = index.get(name)
        if at is None or at == date or name in asked:
            continue
        cells = table.columns[at]
        if isinstance(cells, np.ndarray):
            if name in ("name",) or not np.all(cells == np.round(cells)) or len(np.unique(cells)) == len(cells) > 1:
                continue  # a running number is no symbol
            cells = [str(int(c)) for c in cells]
        text = ["" if c is None else str(c).strip() for c in cells]
        if name == "id" and len(set(text)) == len(text) > 1:
            continue
        rows: dict[str, list[int]] = {}
        for row, cell in enumerate(text):
            rows.setdefault(cell, []).append(row)
        return at, {_checked(table, s, (r[0], at)): np.array(r) for s, r in rows.items()}
    return None, None


def _checked(table: Table, symbol: str, cell: tuple[int, int] | None) -> str:
    if symbol and symbol.isprintable() and len(symbol) <= _SYMBOL_LIMIT:
        return symbol
    reason = "no symbol" if not symbol else f"{shown(symbol)} is not a usable symbol"
    if cell is None:
        raise DataError(reason, file=table.file)
    raise _bad(table, reason, *cell)


def _pick(
    table: Table, index: dict[str, int], taken: set[int | None], which: int | None, wanted: Sequence[str] | None
) -> tuple[dict[str, int], list[str]]:
    """Column number by name, for what is wanted; and what was taken in place of something else."""
    free = {k: at for k, at in index.items() if at not in taken and at != which and k}
    if wanted is None:
        return free, []
    picked, notes = {}, []
    for name in wanted:
        k = key(name)
        if k in free:
            picked[k] = free[k]
        elif k == "close" and "adj close" in free:
            picked[k] = free["adj close"]
            notes.append("'adj close' taken as close: there is no close")
        else:
            has = ", ".join(plain(n, 30) for n in list(free)[:12])
            raise DataError(f"no such column (has {has}){did_you_mean(k, free)}", file=table.file, column=name)
    return picked, notes


def _one(
    table: Table, symbol: str, rows: np.ndarray, times: np.ndarray, values: dict[str, np.ndarray], fixes: list[str]
) -> Series:
    said = list(fixes)
    order = np.argsort(times, kind="stable")
    if len(times) > 1 and not np.all(np.diff(times) >= 0):
        said.append("descending dates" if np.all(np.diff(times) <= 0) else "unordered dates")
    times, rows = times[order], rows[order]
    columns = {name: column[rows] for name, column in values.items()}
    same = np.flatnonzero(times[1:] == times[:-1])
    for at in same:
        for name, column in columns.items():
            a, b = column[at], column[at + 1]
            if a != b and not (np.isnan(a) and np.isnan(b)):
                stamp = pd.Timestamp(int(times[at]))
                raise _bad(
                    table, f"{stamp} is there twice for {symbol}, with {name} {a:g} and {b:g}", int(rows[at + 1]), None
                )
    if len(same):
        keep = np.ones(len(times), bool)
        keep[same + 1] = False
        times = times[keep]
        columns = {name: column[keep] for name, column in columns.items()}
        said.append(f"{len(same)} duplicate rows")
    return Series(symbol, times, columns, str(table.file), tuple(said), len(same))


def _bad(table: Table, reason: str, row: int, column: int | None) -> DataError:
    name: Any = None if column is None else str(table.names[column])
    return DataError(reason, file=table.file, line=int(table.lines[row]), column=name, unit=table.unit)
