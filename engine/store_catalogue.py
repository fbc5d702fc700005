"""What runs.duckdb holds: its tables and views with their columns, types and comments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.store_open import PATIENCE, reading
from engine.store_own import MARK

# People read views more than tables, and these first.
FIRST = ("run_summary", "leaderboard", "metric_curve", "latest", "symbol_results", "gpu_hours", "runs", "params")
LAST = ("files", "meta")

COLUMNS = """
SELECT c.table_name AS relation, CASE WHEN t.table_name IS NULL THEN 'view' ELSE 'table' END AS kind,
  coalesce(t.comment, v.comment, '') AS about, c.column_name AS name, c.data_type AS type,
  coalesce(c.comment, '') AS comment
FROM duckdb_columns() c LEFT JOIN duckdb_tables() t ON t.table_name = c.table_name
LEFT JOIN duckdb_views() v ON v.view_name = c.table_name AND NOT v.internal
WHERE NOT c.internal ORDER BY c.table_name, c.column_index
"""
"""Every column with its table or view: of this database, or over ssh of another."""


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class Relation:
    """kind: "table" or "view"."""

    name: str
    kind: str
    comment: str
    columns: tuple[Column, ...]

    @property
    def own(self) -> bool:
        """Whether it is a view that somebody saved."""
        return self.kind == "view" and self.comment.startswith(MARK)


def catalogue(database: Path, patience: float = PATIENCE) -> list[Relation]:
    """Give all tables and views, those that people read most first. Raises as engine.store_open.reading."""
    with reading(database, patience) as connection:
        return relations(connection.execute(COLUMNS).fetchall())


def relations(rows: Iterable[Sequence[str]]) -> list[Relation]:
    """Put together what COLUMNS gave, those that people read most first."""
    columns: dict[tuple[str, str, str], list[Column]] = {}
    for name, kind, about, *column in rows:
        columns.setdefault((name, kind, about), []).append(Column(*column))
    found = [Relation(*one, tuple(those)) for one, those in columns.items()]
    return sorted(found, key=lambda one: _place(one.name, own=one.own))


def _place(name: str, *, own: bool) -> tuple[int, int, str]:
    if own:
        return 0, 0, name
    if name in FIRST:
        return 1, FIRST.index(name), ""
    return (3 if name in LAST else 2), 0, name
