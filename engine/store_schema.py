"""What runs.duckdb looks like, by version: an older database takes the steps it lacks, in one transaction.

The views belong to no version: they are made anew whenever the database is brought to the current one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.store_tables import CURVES, LABELS, MACHINE_TABLES, META, RUNS_TABLES, Columns
from engine.store_views import VIEWS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["OF_HOST", "OF_RUN", "STANDS", "STEPS", "TABLES", "VERSION", "VIEWS", "Columns", "migrate", "version"]

Step = dict[str, tuple[str, Columns]]
STEPS: tuple[Step, ...] = ({"meta": META, **RUNS_TABLES}, MACHINE_TABLES, LABELS, CURVES)
"""The tables each version adds, and the columns it adds to tables that are there."""
VERSION = len(STEPS)


def _tables() -> Step:
    found: Step = {}
    for step in STEPS:
        for name, (comment, columns) in step.items():
            found[name] = (comment, {**found.get(name, ("", {}))[1], **columns})
    return found


TABLES = _tables()
OF_RUN = tuple(name for name, (_, columns) in TABLES.items() if "run_id" in columns)
OF_HOST = tuple(MACHINE_TABLES)

STANDS = """
SELECT run_id, metric_id, count(*) AS points, max(step) AS step, arg_max_null(value, step) AS value,
  min(value) AS least, max(value) AS most, max(t) AS t
FROM metrics {where} GROUP BY run_id, metric_id
"""
"""Where curves stand, told from their points."""
FILLS = {"curves": "INSERT INTO curves " + STANDS.format(where="")}
"""What a new table of an older database is filled with."""


def version(con: DuckDBPyConnection) -> int | None:
    """Give the version of a database: 0 for an empty one, None for one that is not ours. Not in a transaction."""
    import duckdb

    try:  # the quick way, a few times a second; outside of any transaction, which an error would end
        found = con.execute("SELECT value FROM meta WHERE name = 'schema'").fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):
        found = []
    if len(found) == 1 and str(found[0][0]).isdecimal():
        return int(found[0][0])
    query = "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
    names = {row[0] for row in con.execute(query).fetchall()}
    return None if names else 0


def migrate(con: DuckDBPyConnection, have: int, to: int = VERSION) -> None:
    """Add what the versions after `have` brought; call it inside a transaction."""
    for step in STEPS[have:to]:
        for table, (comment, columns) in step.items():
            if any(table in earlier for earlier in STEPS[: STEPS.index(step)]):
                for name, (kind, _) in columns.items():
                    con.execute(f'ALTER TABLE "{table}" ADD COLUMN "{name}" {kind}')
            else:
                fields = ", ".join(f'"{name}" {kind}' for name, (kind, _) in columns.items())
                con.execute(f'CREATE TABLE "{table}" ({fields})')
                con.execute(f'COMMENT ON TABLE "{table}" IS {_quoted(comment)}')
            for name, (_, text) in columns.items():
                con.execute(f'COMMENT ON COLUMN "{table}"."{name}" IS {_quoted(text)}')
            if have and table in FILLS:
                con.execute(FILLS[table])
    if to == VERSION:
        for view, (comment, query, columns_of) in VIEWS.items():
            con.execute(f'CREATE OR REPLACE VIEW "{view}" AS {query}')
            con.execute(f'COMMENT ON VIEW "{view}" IS {_quoted(comment)}')
            for name, *_ in con.execute(f'SELECT * FROM "{view}" LIMIT 0').description or ():
                con.execute(f'COMMENT ON COLUMN "{view}"."{name}" IS {_quoted(columns_of[name])}')
    con.execute("DELETE FROM meta")
    con.execute("INSERT INTO meta VALUES ('schema', ?)", [str(to)])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
