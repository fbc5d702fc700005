"""Time stamps in the spellings that price files have, as int64 nanoseconds.

ISO dates and times (with or without an offset), 20240131, epochs in s, ms, us or ns, 2024/01/31, 01/31/2024 or
31/01/2024 (whichever the whole column allows), `Jan 31, 2024` and `31-Jan-2024`. Nothing else is guessed.

A stamp without an offset is taken as it is. Stamps with one become UTC, unless all of a file are local midnights:
those are daily bars, and keep their local date, so that they meet the same day in files without an offset.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

DAY = 86_400_000_000_000
_OFFSET = re.compile(r"\d{2}:\d{2}.*([zZ]|[+-]\d{2}:?\d{2}|[+-]\d{2}|\bUTC|\bGMT)$")
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:[ T]\d{1,2}:\d{2}(:\d{2})?)?$")
_DIGITS = re.compile(r"\d{8}$|\d{10}$|\d{13}$|\d{16}$|\d{19}$")
_WORDS = ("%b %d, %Y", "%d-%b-%Y", "%d %b %Y", "%b %d %Y")
_SCALE = {10: 10**9, 13: 10**6, 16: 10**3, 19: 1}


class BadDate(ValueError):
    """row: index of the cell, from 0."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row


def parse(cells: Any) -> tuple[np.ndarray, str]:
    """Nanoseconds of each cell, and what was normalised ("" when nothing was). Raises BadDate."""
    if isinstance(cells, pd.Series):  # stamps out of Parquet
        return _aware(cells, "")
    if isinstance(cells, np.ndarray):
        cells = ["" if v != v else str(int(v)) for v in cells.tolist()]
    text = ["" if c is None else str(c).strip() for c in cells]
    for row, cell in enumerate(text):
        if not cell:
            raise BadDate(row, "no date")
    if _DIGITS.match(text[0]):
        return _numbers(text), ""
    if "/" in text[0] and _SLASHED.match(text[0]):
        return _slashed(text)
    if text[0][0].isdigit() and not re.match(r"\d{1,2}[- ][A-Za-z]", text[0]):
        text = [c.replace("/", "-") if c[4:5] == "/" else c for c in text]
        if _offsets(text):
            return _aware(_each(text, "ISO8601"), text)
        return _ns(_each(text, "ISO8601")), ""
    for form in _WORDS:
        stamps = pd.to_datetime(pd.Series(text), format=form, errors="coerce")
        if not pd.isna(stamps.iloc[0]):
            return _ns(_each(text, form)), f"dates like '{text[0]}' read"
    raise BadDate(0, f"'{text[0]}' is not a date (wanted such as 2024-01-31)")


def _offsets(text: list[str]) -> bool:
    """Whether any stamp has an offset; most columns are told by their letters, without a search in every cell."""
    return not set("+-zZUG").isdisjoint("".join([c[10:] for c in text])) and any(map(_OFFSET.search, text))


def _each(text: list[str], form: str) -> pd.Series:
    series = pd.Series(text, dtype="object")
    try:
        # stamps of both sides of a change to summer time have two offsets; UTC takes both
        return pd.to_datetime(series, format=form, utc=_offsets(text))
    except (ValueError, OverflowError):
        for row, cell in enumerate(text):
            try:
                pd.to_datetime(cell, format=form)
            except (ValueError, OverflowError):
                raise BadDate(row, f"'{cell}' is not a date (wanted such as 2024-01-31)") from None
        raise BadDate(0, f"'{text[0]}' and what follows do not make one column of dates") from None


def _aware(stamps: pd.Series, text: Any) -> tuple[np.ndarray, str]:
    for row in np.flatnonzero(stamps.isna().to_numpy())[:1]:
        raise BadDate(int(row), "no date")
    if stamps.dt.tz is None:
        return _ns(stamps), ""
    if text:
        local = [re.split(r"[T ]", c, maxsplit=1) for c in text]
        midnight = all(len(p) == 1 or re.match(r"00:00(:00(\.0+)?)?(?=$|[^\d.:])", p[1]) for p in local)
        if midnight:
            return _ns(
                pd.to_datetime(pd.Series([p[0] for p in local]), format="ISO8601")
            ), "offsets of daily dates dropped"
    else:
        naive = stamps.dt.tz_localize(None)
        if (_ns(naive) % DAY == 0).all():
            return _ns(naive), "offsets of daily dates dropped"
    return _ns(stamps.dt.tz_convert("UTC").dt.tz_localize(None)), "times with an offset taken to UTC"


def _ns(stamps: pd.Series) -> np.ndarray:
    plain = stamps.dt.tz_convert("UTC").dt.tz_localize(None) if stamps.dt.tz is not None else stamps
    low, high = pd.Timestamp("1678-01-01"), pd.Timestamp("2262-01-01")
    for row in np.flatnonzero(((plain < low) | (plain > high)).to_numpy())[:1]:
        raise BadDate(int(row), f"'{plain.iloc[int(row)]}' lies outside of 1678 to 2262")
    return plain.dt.as_unit("ns").to_numpy().astype(np.int64)


def _numbers(text: list[str]) -> np.ndarray:
    width = len(text[0])
    for row, cell in enumerate(text):
        # an epoch gains a digit at most once in 300 years; a mixture is a damaged column
        if len(cell) != width or not _DIGITS.match(cell):
            raise BadDate(row, f"'{cell}' is not a date like the first, '{text[0]}'")
    if width == 8:
        return _ns(_each(text, "%Y%m%d"))
    try:
        return np.array([int(c) * _SCALE[width] for c in text], dtype=np.int64)
    except OverflowError:
        raise BadDate(0, f"'{text[0]}' lies outside of 1678 to 2262") from None


def _slashed(text: list[str]) -> tuple[np.ndarray, str]:
    first, second = 0, 0
    for row, cell in enumerate(text):
        match = _SLASHED.match(cell)
        if not match:
            raise BadDate(row, f"'{cell}' is not a date like the first, '{text[0]}'")
        first, second = max(first, int(match[1])), max(second, int(match[2]))
    if first <= 12 and second <= 12:
        raise BadDate(0, f"'{text[0]}' could be month/day or day/month; write 2024-01-31")
    order, said = ("%d/%m", "day/month") if first > 12 else ("%m/%d", "month/day")
    clock = {0: "", 1: " %H:%M", 2: " %H:%M:%S"}[text[0].count(":")]
    return _ns(_each(text, f"{order}/%Y{clock}")), f"dates read as {said}/year"
