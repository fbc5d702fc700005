"""Plain tables that fit the terminal; a few lines, because tabulate's import costs more than all of `engine ls`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

MIN_WIDTH = 8
"""Characters below which a column is not shortened."""
GAP = "  "


class Column(NamedTuple):
    """A column and the pure function that fills it.

    style: gives an ANSI code such as "31" for a row, or "". shrink: may be cut, with "…", when the line is too long.
    Columns without anything in them are left out unless they are to be kept.
    """

    title: str
    cell: Callable[[Any], str]
    right: bool = False
    shrink: bool = False
    style: Callable[[Any], str] | None = None
    keep: bool = False


def width() -> int | None:
    """Columns of the terminal; None where stdout is no terminal, and nothing is to be cut."""
    if not sys.stdout.isatty():
        return None
    try:
        return int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return None


def render(columns: Sequence[Column], rows: Sequence[Any], *, limit: int | None = None, colour: bool = False) -> str:
    """The rows below their titles, each line with its newline."""
    filled = [(column, [" ".join(column.cell(row).split()) for row in rows]) for column in columns]
    filled = [(column, cells) for column, cells in filled if column.keep or any(cells)]
    widths = [max(len(column.title), *map(len, cells), 0) for column, cells in filled]
    if limit is not None:
        _fit(widths, [column.shrink for column, _ in filled], limit)
    titles = [_pad(column.title, size, column.right) for (column, _), size in zip(filled, widths, strict=True)]
    lines = [_line(f"\x1b[2m{title}\x1b[0m" if colour else title for title in titles)]
    for i, row in enumerate(rows):
        cells = []
        for (column, texts), size in zip(filled, widths, strict=True):
            cell = _pad(texts[i], size, column.right)
            code = column.style(row) if colour and column.style else ""
            cells.append(f"\x1b[{code}m{cell}\x1b[0m" if code else cell)
        lines.append(_line(cells))
    return "".join(lines)


def _line(cells: Any) -> str:
    return GAP.join(cells).rstrip() + "\n"


def _fit(widths: list[int], shrink: list[bool], limit: int) -> None:
    over = sum(widths) + len(GAP) * (len(widths) - 1) - limit
    while over > 0:
        candidates = [i for i, may in enumerate(shrink) if may and widths[i] > MIN_WIDTH]
        if not candidates:
            return  # the terminal wraps it: nothing is hidden
        widest = max(candidates, key=lambda i: widths[i])
        widths[widest] -= 1
        over -= 1


def _pad(text: str, size: int, right: bool) -> str:
    if len(text) > size:
        text = text[: size - 1] + "…"
    return text.rjust(size) if right else text.ljust(size)


def pairs(facts: Sequence[tuple[str, str]]) -> str:
    """`name  value` lines, the names padded; facts without a value are left out."""
    told = [(name, value) for name, value in facts if value]
    size = max((len(name) for name, _ in told), default=0)
    return "".join(f"{name.ljust(size)}  {value}\n" for name, value in told)
