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

    style: gives an ANSI code such as "31" for a row, or "". shrink: may be cut, with "…", when the line is too long,
    but not below `least` while another column may be left out for it: that with the highest `spare` goes first.
    wrap: goes on below itself rather than being cut. Columns without anything in them are left out unless they are to
    be kept.
    """

    title: str
    cell: Callable[[Any], str]
    right: bool = False
    shrink: bool = False
    style: Callable[[Any], str] | None = None
    keep: bool = False
    least: int = MIN_WIDTH
    spare: int = 0
    wrap: bool = False


def width() -> int | None:
    """Columns of the terminal; None where stdout is no terminal, and nothing is to be cut."""
    if not sys.stdout.isatty():
        return None
    try:
        return int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return None


def render(
    columns: Sequence[Column],
    rows: Sequence[Any],
    *,
    limit: int | None = None,
    colour: bool = False,
    left_out: list[str] | None = None,
) -> str:
    """The rows below their titles, each line with its newline.

    limit: characters of a line. left_out: takes the titles of the columns that there was no room for.
    """
    filled = [(column, [" ".join(column.cell(row).split()) for row in rows]) for column in columns]
    filled = [(column, cells) for column, cells in filled if column.keep or any(cells)]
    widths = [max(len(column.title), *map(len, cells), 0) for column, cells in filled]
    if limit is not None:
        for i in reversed(_spared([column for column, _ in filled], widths, limit)):
            if left_out is not None:
                left_out.insert(0, filled[i][0].title)
            del filled[i], widths[i]
        _fit([column for column, _ in filled], widths, limit)
    titles = [_pad(column.title, size, column.right) for (column, _), size in zip(filled, widths, strict=True)]
    lines = [_line(f"\x1b[2m{title}\x1b[0m" if colour else title for title in titles)]
    for i, row in enumerate(rows):
        parts = [
            _wrapped(texts[i], size) if column.wrap else [texts[i]]
            for (column, texts), size in zip(filled, widths, strict=True)
        ]
        for number in range(max(map(len, parts), default=0)):
            cells = []
            for (column, _), size, texts in zip(filled, widths, parts, strict=True):
                cell = _pad(texts[number] if number < len(texts) else "", size, column.right)
                code = column.style(row) if colour and column.style else ""
                cells.append(f"\x1b[{code}m{cell}\x1b[0m" if code else cell)
            lines.append(_line(cells))
    return "".join(lines)


def fitted(columns: Sequence[Column], rows: Sequence[Any], limit: int | None, *, colour: bool) -> tuple[str, list[str]]:
    """The rows as `render` gives them, and what is to be said beside: the columns that had no room."""
    gone: list[str] = []
    text = render(columns, rows, limit=limit, colour=colour, left_out=gone)
    said = f"{', '.join(gone)} left out, for want of room; a wider terminal or --json has more."
    return text, [said] if gone else []


def _line(cells: Any) -> str:
    return GAP.join(cells).rstrip() + "\n"


def _over(widths: Sequence[int], limit: int) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1) - limit


def _spared(columns: Sequence[Column], widths: Sequence[int], limit: int) -> list[int]:
    """Which columns to leave out so that those that shrink keep their least; their places, ascending."""
    wanted = [
        min(size, max(column.least, len(column.title))) if column.shrink else size
        for column, size in zip(columns, widths, strict=True)
    ]
    gone: list[int] = []
    for i in sorted((i for i, column in enumerate(columns) if column.spare), key=lambda i: -columns[i].spare):
        if _over([size for place, size in enumerate(wanted) if place not in gone], limit) <= 0:
            break
        gone.append(i)
    return sorted(gone)


def _fit(columns: Sequence[Column], widths: list[int], limit: int) -> None:
    over = _over(widths, limit)
    for least in ([column.least for column in columns], [MIN_WIDTH] * len(columns)):
        while over > 0:
            candidates = [i for i, column in enumerate(columns) if column.shrink and widths[i] > least[i]]
            if not candidates:
                break  # at last the terminal wraps it: nothing is hidden
            widest = max(candidates, key=lambda i: widths[i])
            widths[widest] -= 1
            over -= 1


def _wrapped(text: str, size: int) -> list[str]:
    if len(text) <= size:
        return [text]
    from textwrap import wrap  # 3 ms

    return wrap(text, size)


def _pad(text: str, size: int, right: bool) -> str:
    if len(text) > size:
        text = text[: size - 1] + "…"
    return text.rjust(size) if right else text.ljust(size)


def pairs(facts: Sequence[tuple[str, str]]) -> str:
    """`name  value` lines, the names padded; facts without a value are left out."""
    told = [(name, value) for name, value in facts if value]
    size = max((len(name) for name, _ in told), default=0)
    return "".join(f"{name.ljust(size)}  {value}\n" for name, value in told)


def wrapped(text: str, limit: int | None, indent: int | None = None) -> str:
    """Break lines longer than a terminal between words, each going on below where its own text begins.

    limit: characters; None leaves all as it is. indent: where the text begins, if it is the same for all. A word that
    is longer, as a path, is not broken: it can be copied.
    """
    if limit is None or max(map(len, text.split("\n"))) <= limit:
        return text
    import re
    from textwrap import wrap  # 3 ms

    whole: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False, "replace_whitespace": False}
    lines: list[str] = []
    for line in text.split("\n"):
        if len(line) <= limit:
            lines.append(line)
            continue
        begin = re.match(r"\s*\| |\s*\S.*?\s{2,}|\s*", line)
        room = min(indent if indent is not None else len(begin[0]) if begin else 0, limit // 2)
        lead = f"{line[: line.index('|')]}| ".ljust(room) if line.lstrip().startswith("| ") else " " * room
        lines += wrap(line, limit, subsequent_indent=lead, **whole)
    return "\n".join(lines)
