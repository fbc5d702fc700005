"""What runs.duckdb holds: its tables and views with their columns, types and comments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.store_open import PATIENCE, reading
from engine.store_own import MARK

# People read views more than tables, and these first.
FIRST = ("run_summary", "leaderboard", "metric_curve", "latest", "symbol_results", "gpu_hours", "runs", "params")
LAST = ("files", "meta")


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
        kinds = connection.execute(
            "SELECT table_name, 'table', coalesce(comment, '') FROM duckdb_tables() WHERE NOT internal UNION ALL "
            "SELECT view_name, 'view', coalesce(comment, '') FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
        columns = connection.execute(
            "SELECT table_name, column_name, data_type, coalesce(comment, '') FROM duckdb_columns() WHERE NOT internal "
            "ORDER BY table_name, column_index"
        ).fetchall()
    of: dict[str, list[Column]] = {}
    for table, name, kind, comment in columns:
        of.setdefault(table, []).append(Column(name, kind, comment))
    found = [Relation(name, kind, comment, tuple(of.get(name, ()))) for name, kind, comment in kinds]
    return sorted(found, key=lambda one: _place(one.name, own=one.own))


def in_order(relations: Sequence[tuple[str, bool]]) -> list[str]:
    """Sort names of tables and views, each with whether somebody saved it, those that people read most first."""
    return [name for name, own in sorted(relations, key=lambda one: _place(one[0], own=one[1]))]


def _place(name: str, *, own: bool) -> tuple[int, int, str]:
    if own:
        return 0, 0, name
    if name in FIRST:
        return 1, FIRST.index(name), ""
    return (3 if name in LAST else 2), 0, name
