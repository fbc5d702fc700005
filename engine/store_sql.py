"""A person's own questions to runs.duckdb: read-only, shut off from other files, patient while somebody holds it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.errors import BadQuery, EngineError, UsageError
from engine.store_open import reading, writing

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# duckdb is imported in the functions: 100 ms

PATIENCE = 10.0
"""Seconds to go on trying while another process holds the file; a burst of the engine takes 0.03."""


ZONED = "TIMESTAMP WITH TIME ZONE"


class Answer(NamedTuple):
    """Names and rows are both empty after a statement that answers nothing."""

    names: list[str]
    rows: list[tuple[Any, ...]]
    types: tuple[str, ...] = ()
    """Of the columns, as DuckDB writes them."""
    more: bool = False
    """There are more rows than were asked for."""
    seconds: float = 0.0
    """From the question to the last of these rows."""


class Stopped(EngineError):
    """A question was taken back before it was answered."""


class Question:
    """SQL that is asked in one thread and may be stopped from another.

    write: open for writing, with access to other files. rehearse: write, but take it back at the end, and without
    access to other files. most: rows to give; None gives all.
    """

    def __init__(
        self, database: Path, query: str, *, write: bool = False, rehearse: bool = False, patience: float = PATIENCE,
        most: int | None = None,
    ) -> None:  # fmt: skip
        self.query = query
        self._rehearse = rehearse
        self._database, self._write, self._patience, self._most = database, write, patience, most
        self._lock = threading.Lock()
        self._connection: DuckDBPyConnection | None = None
        self._stopped = False

    def stop(self) -> None:
        """Have ask() end soon with Stopped; harmless before and after it."""
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                self._connection.interrupt()

    def ask(self) -> Answer:
        """Run the statements and give the rows of the last one.

        Raises BadQuery for what DuckDB does not understand, NothingToShow without a database, StoreError when it is
        held by somebody or can't be opened, Stopped after stop().
        """
        if not self.query.strip():
            raise UsageError('The query is empty. Try: engine sql "select * from run_summary"')
        opened = writing(self._database, self._patience) if self._write else None
        with opened or reading(self._database, self._patience, apart=True) as connection:
            try:
                return self._asked(connection)
            finally:
                with self._lock:
                    self._connection = None

    def _asked(self, connection: DuckDBPyConnection) -> Answer:
        import duckdb

        begun = time.monotonic()
        try:
            connection.execute("SET errors_as_json = true")  # which is how an error says where in the query it is
            if not self._write or self._rehearse:
                connection.execute("SET enable_external_access = false")
                connection.execute("SET lock_configuration = true")
            with self._lock:
                self._connection = connection
                if self._stopped:
                    raise Stopped("The query was stopped.")
            if self._rehearse:
                _refuse_own_end(self.query)
                connection.execute("BEGIN TRANSACTION")
            cursor = connection.execute(self.query)
            if cursor is None:
                raise UsageError("The query says nothing: it has only comments.")
            described = cursor.description or []
            if any(ZONED in str(column[1]) for column in described):
                cursor = _without_zones(connection, self.query, described)
            rows: list[tuple[Any, ...]] = []
            if described:
                rows = cursor.fetchall() if self._most is None else cursor.fetchmany(self._most + 1)
            if self._rehearse:
                connection.execute("ROLLBACK")  # an error above has done so
        except duckdb.InterruptException:
            raise Stopped("The query was stopped.") from None
        except duckdb.Error as error:
            raise _told(error, self.query, _hint(str(error), self._write, self._rehearse)) from None
        more = self._most is not None and len(rows) > self._most
        names, types = [column[0] for column in described], tuple(str(column[1]) for column in described)
        return Answer(names, rows[: self._most] if more else rows, types, more, time.monotonic() - begun)


def ask(
    database: Path, query: str, *, write: bool = False, rehearse: bool = False, patience: float = PATIENCE
) -> Answer:
    """Run SQL and give all rows of its last statement; see Question."""
    return Question(database, query, write=write, rehearse=rehearse, patience=patience).ask()


def _without_zones(connection: DuckDBPyConnection, query: str, described: Sequence[Any]) -> DuckDBPyConnection:
    """Ask once more, for times of this machine's clock: DuckDB gives Python those with a zone through pytz alone.

    So now() and what is reckoned with it can be shown. Raises BadQuery where that can't be put around the query.
    """
    import duckdb

    names = [f"c{place}" for place in range(len(described))]  # two columns may have one name
    wanted = ", ".join(
        f"CAST({name} AS {str(column[1]).replace(ZONED, 'TIMESTAMP')}) AS {name}"
        for name, column in zip(names, described, strict=True)
    )
    last = duckdb.extract_statements(query)[-1]
    inner = last.query.strip().rstrip(";")
    try:
        if last.type == duckdb.StatementType.SELECT:
            return connection.execute(f"SELECT {wanted} FROM (\n{inner}\n) AS asked({', '.join(names)})")
    except duckdb.ParserException:
        pass  # a comment after the semicolon
    raise BadQuery(f"A {ZONED} can't be shown: cast it, as in now()::TIMESTAMP")


def _refuse_own_end(query: str) -> None:
    """Raise UsageError for what would end the transaction that a rehearsal takes back."""
    import duckdb

    if any(one.type == duckdb.StatementType.TRANSACTION for one in duckdb.extract_statements(query)):
        raise UsageError("--dry-run takes the whole query back: leave BEGIN, COMMIT and ROLLBACK out of it.")


def _told(error: Exception, query: str, hint: str) -> BadQuery:
    """DuckDB's message in one line, with the place in the query that it is about."""
    import json

    text, at = str(error), None
    try:
        told = json.loads(text[text.index("{") :])
        text = f"{told['exception_type']} Error: {told['exception_message']}"
        at = _character(query, int(told["position"])) if "position" in told else None
    except (ValueError, KeyError, TypeError):  # an error of another kind, which has its text as it is
        text = text.split("\nLINE ")[0]
    return BadQuery(f"{' '.join(text.split())}{hint}", at)


def _character(query: str, position: int) -> int:
    """DuckDB counts bytes, people count characters."""
    return len(query.encode()[:position].decode(errors="ignore"))


def _hint(text: str, write: bool, rehearse: bool) -> str:
    low = text.lower()
    shut = any(word in low for word in ("read-only", "external", "disabled", "locked"))
    if rehearse:
        return " (a dry run reaches no other file)" if shut else ""
    return " (`engine sql --write` allows it)" if shut and not write else ""
