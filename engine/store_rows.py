"""Rows on their way into the database, written by the column: a row at a time costs DuckDB half a millisecond."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from engine.store_schema import TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

INTEGER = (1 << 31) - 1
BIGINT = (1 << 63) - 1
LATEST = 4102444800.0
"""2100; a later time is none of ours."""

# -- values that can't upset a column -----------------------------------------------------------------------------


def number(value: object) -> float | None:
    """A finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def whole(value: object, most: int = BIGINT) -> int | None:
    """A whole number within ± most, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if value == int(value) and abs(int(value)) <= most else None


def moment(value: object) -> int | None:
    """Microseconds of a time in unix seconds, None for what is none (or not between 1970 and 2100)."""
    seconds = number(value)
    return int(seconds * 1e6) if seconds is not None and 0 <= seconds < LATEST else None


def text(value: object, most: int = 4000) -> str | None:
    """A string that DuckDB takes, cut to `most` characters; None for anything else."""
    return value[:most].encode("utf-8", "replace").decode() if isinstance(value, str) else None


def texts(value: object) -> list[str] | None:
    return [text(item) or "" for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else None


def flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


# -- tables --------------------------------------------------------------------------------------------------------


def columns_sql(table: str, names: Iterable[str] | None = None) -> tuple[str, str]:
    """Give the column names, and the expressions that make rows of one list parameter for each."""
    columns = TABLES[table][1]
    wanted = list(columns if names is None else names)
    parts = []
    for i, name in enumerate(wanted, 1):
        kind = columns[name][0].removesuffix(" PRIMARY KEY")
        if kind == "TIMESTAMP":
            parts.append(f'make_timestamp(unnest(${i}::BIGINT[])) AS "{name}"')
        else:
            parts.append(f'unnest(${i}::{kind}[]) AS "{name}"')
    return ", ".join(f'"{name}"' for name in wanted), ", ".join(parts)


class Rows:
    """Gathers rows of all tables but metrics; values in the order of the schema."""

    def __init__(self, con: DuckDBPyConnection) -> None:
        self.con = con
        self.written = 0
        self._rows: defaultdict[str, list[tuple[object, ...]]] = defaultdict(list)
        self._count = 0

    def add(self, table: str, *values: object) -> None:
        self._rows[table].append(values)
        self._count += 1

    @property
    def full(self) -> bool:
        return self._count > 50_000

    def flush(self) -> None:
        for table, rows in self._rows.items():
            names, parts = columns_sql(table)
            self.con.execute(
                f'INSERT INTO "{table}" ({names}) SELECT {parts}', [list(c) for c in zip(*rows, strict=True)]
            )
            if table != "files":
                self.written += len(rows)
        self._rows.clear()
        self._count = 0

    def update_runs(self, facts: Mapping[int, Mapping[str, object]]) -> None:
        """Set the columns given of each run; the others stay as they are."""
        names = sorted({name for fact in facts.values() for name in fact})
        if not names:
            return
        _, parts = columns_sql("runs", ["run_id", *names])
        sets = ", ".join(f'"{name}" = coalesce(b."{name}", runs."{name}")' for name in names)
        values = [list(facts), *([fact.get(name) for fact in facts.values()] for name in names)]
        self.con.execute(f"UPDATE runs SET {sets} FROM (SELECT {parts}) b WHERE b.run_id = runs.run_id", values)
