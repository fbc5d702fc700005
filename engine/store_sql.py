"""A person's own questions to runs.duckdb: read-only, shut off from other files, patient while somebody holds it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.errors import NothingToShow, StoreError, UsageError
from engine.store_open import Held, reading, trouble

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# duckdb is imported in the functions: 100 ms

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
        raise UsageError('The query is empty. Try: engine sql "select * from run_summary"')
    with _writing(database, patience) if write else reading(database, patience) as connection:
        try:
            if not write:
                connection.execute("SET enable_external_access = false")
                connection.execute("SET lock_configuration = true")
            cursor = connection.execute(query)
            described = cursor.description
            return Answer([column[0] for column in described or ()], cursor.fetchall() if described else [])
        except duckdb.Error as error:
            raise UsageError(f"{_first(error)}{_hint(error, write)}") from None


@contextmanager
def _writing(database: Path, patience: float) -> Iterator[DuckDBPyConnection]:
    import duckdb

    if not database.exists():
        raise NothingToShow(f"There is no {database.name} yet. It comes with the first run: `engine run`.")
    give_up = time.monotonic() + patience
    while True:
        try:
            connection = duckdb.connect(str(database))
            break
        except duckdb.Error as error:
            reason = trouble(database, error)
            if not isinstance(reason, Held):
                raise reason from None
            if time.monotonic() >= give_up:
                raise StoreError(f"{database.name} is held by {reason}. Close it there, or try again.") from None
            time.sleep(0.02)
    try:
        yield connection
    finally:
        connection.close()


def _first(error: Exception) -> str:
    """DuckDB's message without its picture of the query."""
    return " ".join(str(error).split("\nLINE ")[0].split())


def _hint(error: Exception, write: bool) -> str:
    text = str(error).lower()
    shut = "read-only" in text or "external" in text or "disabled" in text
    return " (--write allows it)" if shut and not write else ""
