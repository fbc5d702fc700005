"""Cells become float64, with NaN for what is missing; anything else is a BadNumber."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from trainers.data.errors import shown

MISSING = {"", "nan", "null", "none", "n/a", "na", "-", "--", "#n/a", "nat"}
_PLAIN = frozenset("0123456789.+-eE")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?$", re.ASCII)


class BadNumber(ValueError):
    """row: index of the cell, from 0."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row


def parse(cells: Any) -> tuple[np.ndarray, str]:
    """The column as float64 with NaN for missing, and what was normalised ("" when nothing was). Raises BadNumber."""
    if isinstance(cells, np.ndarray):
        return _finite(cells.astype(np.float64)), ""
    quick = _quick(cells)
    if quick is not None:
        return _finite(quick), ""
    out = np.empty(len(cells))
    grouped = 0
    for row, cell in enumerate(cells):
        if isinstance(cell, str):
            text = cell.strip().removeprefix("$")
            if _NUMBER.match(text):
                out[row] = float(text)
            elif text.lower() in MISSING:
                out[row] = np.nan
            elif _GROUPED.match(text):
                out[row] = float(text.replace(",", ""))
                grouped += 1
            else:
                raise BadNumber(row, f"{shown(cell)} is not a number")
        elif cell is None:
            out[row] = np.nan
        elif isinstance(cell, (int, float)) and not isinstance(cell, bool):
            try:
                out[row] = cell
            except OverflowError:
                raise BadNumber(row, "too large a number") from None
        else:
            raise BadNumber(row, f"{shown(cell)} is not a number")
    return _finite(out), f"{grouped} thousands separators" if grouped else ""


def _quick(cells: list[Any]) -> np.ndarray | None:
    """The column where every cell is plainly a number, some 20 times as fast; None where one needs a closer look."""
    try:
        # float() alone would also take 1_000, nan, inf and other scripts' digits
        if not _PLAIN.issuperset("".join(cells)):
            return None
        return np.fromiter(map(float, cells), np.float64, len(cells))
    except (TypeError, ValueError):
        return None


def _finite(values: np.ndarray) -> np.ndarray:
    # float32 is what the models see: beyond its range a value would turn infinite later, without a line number
    for row in np.flatnonzero(np.abs(values) > 3e38)[:1]:
        raise BadNumber(int(row), f"{values[row]} is not a usable number")
    return values
