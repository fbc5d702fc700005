"""Columns of runs by name, asked of runs.duckdb when somebody filters, sorts or shows by them: settings and metrics.

A list of 10,000 runs with 60 settings each is 600,000 values; only the columns that are asked for are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import NothingToShow
from engine.query_fields import Known, Stored
from engine.store_open import PATIENCE, reading

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Column = dict[str, str | float]
"""Run id -> value."""
_SCORED = "split = 'val' AND symbol = ''"

# Results on test data and unseen symbols choose nothing (DESIGN §6), so no list is filtered or sorted by them.
_METRICS = f"""
SELECT name FROM metric_names WHERE NOT regexp_matches(name, '^(test|unseen)_')
UNION SELECT 'val_' || metric FROM evaluations WHERE {_SCORED} ORDER BY 1
"""


def known(con: DuckDBPyConnection) -> Known:
    """Names of all settings and metrics there are."""
    params = con.execute("SELECT DISTINCT name FROM params ORDER BY 1").fetchall()
    return Known(tuple(row[0] for row in params), tuple(row[0] for row in con.execute(_METRICS).fetchall()))


def column(con: DuckDBPyConnection, stored: Stored) -> Column:
    """Give the value of each run that has one: a number where it is one, else its text."""
    if stored.of == "param":
        # true counts as 1 in `number`, but people write true.
        query = "SELECT r.id, p.value, CASE WHEN p.value NOT IN ('true', 'false') THEN p.number END FROM params p"
        rows = con.execute(f"{query} JOIN runs r USING (run_id) WHERE p.name = ?", [stored.name]).fetchall()
        return {run: text if number is None else number for run, text, number in rows if text is not None}
    logged = con.execute(
        "SELECT r.id, c.value FROM curves c JOIN metric_names n USING (metric_id) JOIN runs r USING (run_id) "
        "WHERE n.name = ? AND c.value IS NOT NULL",
        [stored.name],
    ).fetchall()
    scored = con.execute(
        f"SELECT r.id, e.value FROM evaluations e JOIN runs r USING (run_id) WHERE {_SCORED} "
        "AND 'val_' || e.metric = ? AND e.value IS NOT NULL",
        [stored.name],
    ).fetchall()
    return dict(logged) | dict(scored)


def read(database: Path, wanted: Iterable[Stored], patience: float = PATIENCE) -> tuple[Known, dict[Stored, Column]]:
    """Open the database, give what it knows and these columns of it; nothing at all where there is none yet.

    Raises StoreError when it is damaged, or somebody else holds it for `patience` seconds.
    """
    try:
        with reading(database, patience) as con:
            found = known(con)
            return found, {one: column(con, one) for one in wanted}
    except NothingToShow:
        return Known(), {}
