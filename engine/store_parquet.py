"""All of runs.duckdb as Parquet files, one a table and view, for programs that don't know DuckDB."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from engine import writable
from engine.errors import UsageError, WorkspaceError
from engine.store_open import reading
from engine.store_schema import TABLES
from engine.store_sql import PATIENCE

OWN = ("files", "meta")
"""The store's own tables, which tell nothing of runs."""
READY = ("run_summary", "leaderboard", "symbol_results", "gpu_hours")
"""Views that are written too; the others are tables with names in place of numbers."""


@dataclass(frozen=True)
class Written:
    path: Path
    rows: int
    bytes: int | None
    """None of a file that was only rehearsed."""


def export_parquet(database: Path, folder: Path, *, rehearse: bool = False) -> list[Written]:
    """Write the tables into a folder, made if it is not there; each file beside and renamed. A rehearsal counts rows.

    Raises UsageError for a path that is no folder, WorkspaceError when it can't be written, NothingToShow without a
    database.
    """
    import duckdb

    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: expected a folder, or a name for a new one.")
    written = []
    try:
        writable.check(folder / "runs.parquet", parents=True)
        if not rehearse:
            folder.mkdir(parents=True, exist_ok=True)
        with reading(database, PATIENCE) as con:
            for name in [name for name in TABLES if name not in OWN] + list(READY):
                path = folder / f"{name}.parquet"
                if rehearse:
                    [(rows,)] = con.execute(f'SELECT count(*) FROM "{name}"').fetchall()
                    written.append(Written(path, int(rows), None))
                    continue
                beside = folder / f".{name}.parquet.{os.getpid()}"
                quoted = str(beside).replace("'", "''")
                try:
                    done = con.execute(f"COPY (FROM \"{name}\") TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)")
                    rows = done.fetchall()[0][0]
                    beside.rename(path)
                finally:
                    beside.unlink(missing_ok=True)
                written.append(Written(path, int(rows), path.stat().st_size))
    except (OSError, duckdb.IOException) as error:
        raise WorkspaceError(f"{folder} can't be written: {str(error).splitlines()[0]}") from None
    return written
