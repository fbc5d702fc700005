"""The SQL screen as plain values: the lines of the catalogue, the columns of a result, what its title says. Pure."""

from __future__ import annotations

import datetime
import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from engine.store_sql import Answer
from tui import present
from tui.columns import Column
from tui.completion import Catalogue, quoted
from tui.present import Cell

MOST = 100_000
"""Rows of a result that are fetched; more are told in the title and come with a LIMIT of one's own, or an export."""
MEASURED = 1000
"""Rows that the width of a column of text is taken from."""
WIDEST = 48
PART = 4000
"""Rows that are sorted in one go."""
Row = tuple[Any, ...]


# -- the catalogue ----------------------------------------------------------------------------------------------------


class Node(Struct, frozen=True):
    """A line of the catalogue. kind: head, table, view, yours, column, recipe. puts: what enter puts in the editor."""

    key: str
    kind: str
    text: str
    about: str = ""
    comment: str = ""
    puts: str = ""
    open: bool | None = None
    """Whether its lines are shown below it; None where there are none."""


def nodes(catalogue: Catalogue, recipes: Sequence[tuple[str, str]], opened: Iterable[str]) -> list[Node]:
    """All lines that are to be seen, with the columns of opened tables and the recipes if their head is opened."""
    shown = set(opened)
    found: list[Node] = []
    for relation in catalogue.relations:
        key = f"t:{relation.name}"
        about = "" if relation.kind == "table" else relation.kind
        found.append(
            Node(key, relation.kind, relation.name, about, relation.comment, quoted(relation.name), key in shown)
        )
        if key in shown:
            found += [
                Node(
                    f"c:{relation.name}.{one.name}", "column", one.name, one.type.lower(), one.comment, quoted(one.name)
                )
                for one in relation.columns
            ]
    if recipes:
        found.append(
            Node("recipes", "head", "recipes", str(len(recipes)), "queries to begin with", "", "recipes" in shown)
        )
        if "recipes" in shown:
            found += [Node(f"r:{title}", "recipe", title, "", title, sql) for title, sql in recipes]
    return found


def _name(node: Node, _: float) -> Cell:
    if node.kind in ("column", "recipe"):
        return (("    ", "text"), (node.text, "text"))
    sign = "▾ " if node.open else "▸ "
    role = {"head": "attention bold", "yours": "good bold"}.get(node.kind, "strong")
    return ((sign, "rest"), (node.text, role))


NODES: tuple[Column[Node], ...] = (
    Column("NAME", 14, _name, flex=1),
    Column("TYPE", 9, lambda node, _: present.cell(node.about, "rest"), rank=1, right=True),
)


# -- a result ---------------------------------------------------------------------------------------------------------


def is_number(type_: str) -> bool:
    return type_.split("(")[0] in {
        "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
        "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "BIGNUM",
    }  # fmt: skip


def is_time(type_: str) -> bool:
    return type_.startswith(("TIMESTAMP", "DATE"))


def shown(value: Any) -> str:
    """A value as a table shows it: short numbers, UTC times to the second unless there is more, lists in brackets."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return f"{value:.6g}" if abs(value) < 1e15 else f"{value:.4g}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "milliseconds" if value.microsecond else "seconds")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(one)}" for key, one in value.items()) + "}"
    return " ".join(str(value).split())


def columns(answer: Answer) -> list[Column[tuple[int, Row]]]:
    """A column for each of the answer's: no number is cut, text is as wide as a sample needs; call it in a worker.

    Numbers stand to the right.
    """
    found = []
    for place, name in enumerate(answer.names):
        type_ = answer.types[place] if place < len(answer.types) else ""
        sample = [row[place] for row in answer.rows[:: 1 + len(answer.rows) // MEASURED]]
        if number := is_number(type_):
            values = [row[place] for row in answer.rows]
            fine = [value for value in values if not _nothing(value)]
            sample += [min(fine), max(fine)] if fine else []
            text = _decimal(values) or shown
        else:
            text = shown
        width = min(WIDEST, max([len(name), *(len(text(value)) for value in sample)]))
        found.append(Column(name, max(1, width), _filler(place, text), right=number))
    return found


def _decimal(sample: Sequence[Any]) -> Callable[[Any], str] | None:
    """Write floats of one size with as many decimals as they need, so that their points stand below each other."""
    values = [abs(value) for value in sample if isinstance(value, float) and math.isfinite(value) and value != 0]
    if not values or len(values) < sum(isinstance(value, float) for value in sample) / 2:
        return None
    least, most = min(values), max(values)
    if most >= 1e7 or least < 1e-4 or most / least > 1e5:
        return None
    places = max(0, min(6, 5 - math.floor(math.log10(most))))
    needed = max(len(f"{value:.{places}f}".rstrip("0").partition(".")[2]) for value in values[:MEASURED])
    return lambda value: f"{value:.{needed}f}" if isinstance(value, float) and math.isfinite(value) else shown(value)


def _filler(place: int, text: Callable[[Any], str]) -> Callable[[tuple[int, Row], float], Cell]:
    def fill(row: tuple[int, Row], _: float) -> Cell:
        value = row[1][place]
        return (("NULL", "faint"),) if value is None else ((text(value), "text"),)

    return fill


def title(answer: Answer) -> str:
    """Rows and time; a result that was cut says so."""
    amount = f"first {len(answer.rows):,} rows, there are more" if answer.more else rows(len(answer.rows))
    return f"{amount} · {took(answer.seconds)}"


def rows(amount: int) -> str:
    return f"{amount:,} row" if amount == 1 else f"{amount:,} rows"


def took(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def ordered(rows: Sequence[tuple[int, Row]], place: int, *, down: bool) -> list[tuple[int, Row]]:
    """Rows by one column; NULL and NaN last, whichever way."""
    there = [row for row in rows if not _nothing(row[1][place])]
    gone = [row for row in rows if _nothing(row[1][place])]
    try:
        return _in_parts(there, lambda row: row[1][place], down=down) + gone
    except TypeError:  # structs and maps have no order of their own
        return _in_parts(there, lambda row: shown(row[1][place]), down=down) + gone


def _in_parts(rows: list[tuple[int, Row]], key: Callable[[tuple[int, Row]], Any], *, down: bool) -> list[Any]:
    """Sort by parts that are then merged: a sort of 100,000 rows in one go would hold up all other threads."""
    parts = [sorted(rows[at : at + PART], key=key, reverse=down) for at in range(0, len(rows), PART)]
    return list(heapq.merge(*parts, key=key, reverse=down))


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def wrapped(name: str, about: str, comment: str, width: int, height: int) -> list[list[tuple[str, str]]]:
    """Name and type, then the comment in as many lines as there are; what does not fit ends in an ellipsis."""
    import textwrap

    lines = textwrap.wrap(comment, max(10, width)) if comment else []
    room = max(1, height - 1)
    if len(lines) > room:
        lines = [*lines[: room - 1], lines[room - 1][: max(0, width - 1)] + "…"]
    return [[(name, "strong"), (f"  {about}" if about else "", "rest")], *([(line, "text")] for line in lines)]
