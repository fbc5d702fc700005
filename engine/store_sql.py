"""A person's own questions to runs.duckdb: read-only, shut off from other files, patient while somebody holds it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import NothingToShow, StoreError, UsageError

# duckdb is imported in ask(): 100 ms

PATIENCE = 10.0
"""Seconds to go on trying while another process holds the file; a burst of the engine takes 0.03."""


class Answer(NamedTuple):
    """Both empty after a statement that answers nothing."""

    names: list[str]
    rows: list[tuple[Any, ...]]


def ask(database: Path, query: str, *, write: bool = False, patience: float = PATIENCE) -> Answer:
    """Run SQL and give the rows of its last statement.

    write: open for writing, with access to other files. Raises UsageError for what DuckDB does not understand,
    NothingToShow without a database, StoreError when it is held by somebody or can't be opened.
    """
    import duckdb

    if not query.strip():
        raise UsageError('The query is empty, such as: engine sql "select * from leaderboard"')
    if not database.exists():
        raise NothingToShow(f"There is no {database.name} yet: the first run makes it, or `engine db rebuild`.")
    with _open(database, write, patience) as connection:
        try:
            if not write:
                connection.execute("set lock_configuration = true")
            cursor = connection.execute(query)
            described = cursor.description
            return Answer([column[0] for column in described or ()], cursor.fetchall() if described else [])
        except duckdb.Error as error:
            raise UsageError(f"{_first(error)}{_hint(error, write)}") from None


def _open(database: Path, write: bool, patience: float) -> Any:
    import duckdb

    give_up = time.monotonic() + patience
    while True:
        try:
            return duckdb.connect(
                str(database), read_only=not write, config={"enable_external_access": "true" if write else "false"}
            )
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise StoreError(f"{database.name} can't be opened: {_first(error)} {REBUILD}") from None
            if time.monotonic() >= give_up:
                raise StoreError(f"{database.name} has been held for {patience:.0f} s: {_first(error)}") from None
            time.sleep(0.02)
        except duckdb.Error as error:
            raise StoreError(f"{database.name} can't be opened: {_first(error)} {REBUILD}") from None


REBUILD = "`engine db rebuild` makes it anew."


def _first(error: Exception) -> str:
    """DuckDB's message without its picture of the query."""
    return " ".join(str(error).split("\n\nLINE ")[0].split("\nLINE ")[0].split())


def _hint(error: Exception, write: bool) -> str:
    text = str(error).lower()
    shut = "read-only" in text or "external" in text or "disabled" in text
    return " (--write allows it)" if shut and not write else ""
