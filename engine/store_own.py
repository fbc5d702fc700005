"""Views of one's own: a question kept in `views/NAME.sql` of the workspace, put into runs.duckdb by its only writer.

The files are the truth, as run folders are for the tables: the database can be deleted, and a rebuild brings them back.
A view in the database is known as one of these by its comment, so what somebody made there by hand is left alone.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine import rundir, writable
from engine.errors import BadQuery, NothingToShow, UsageError, WorkspaceError, did_you_mean
from engine.store_schema import TABLES, VIEWS
from engine.workspace import Workspace

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
MARK = "of views/"
"""What the comment of a view from a file begins with."""
TAKEN = ("duckdb_", "pragma_", "sqlite_", "information_schema")
LONGEST = 100_000


@dataclass(frozen=True)
class OwnView:
    """sql: as it was written. about: its first comment line. problem: why it is not in the database, "" if it is."""

    name: str
    sql: str
    about: str = ""
    problem: str = ""


def wrong_name(name: str) -> str:
    """Say what is wrong with a name for a view; empty if nothing."""
    if not NAME.fullmatch(name):
        return "a name has small letters, digits and _, begins with no digit, and has 63 at most"
    if name in TABLES or name in VIEWS:
        return f"{name} is a {'table' if name in TABLES else 'view'} of the engine's own"
    return f"names with {name.split('_')[0]}_ are DuckDB's" if name.startswith(TAKEN) else ""


def save(workspace: Workspace, name: str, sql: str, *, rehearse: bool = False) -> Path:
    """Write a view's file, checked: one SELECT that DuckDB understands with what there is. The engine takes it in.

    A rehearsal checks and does not write.
    Raises UsageError or BadQuery for what can't be a view, NothingToShow without a database, WorkspaceError if the file
    can't be written.
    """
    if problem := wrong_name(name):
        raise UsageError(f"{name}: {problem}.")
    if problem := trouble(workspace.database, sql):
        raise BadQuery(f"{name}: {problem}")
    path = workspace.views / f"{name}.sql"
    try:
        writable.check(path, parents=True)
        if rehearse:
            return path
        workspace.views.mkdir(exist_ok=True)
        rundir.write_new(path, f"{sql.strip()}\n".encode())
    except OSError as error:
        raise WorkspaceError(f"{path} can't be written: {error.strerror}.") from None
    return path


def drop(workspace: Workspace, name: str, *, rehearse: bool = False) -> Path:
    """Remove a view's file; the engine takes it out of the database. Raises UsageError when there is none.

    A rehearsal checks and does not remove.
    """
    path = workspace.views / f"{name}.sql"
    names = [view.name for view in files(workspace)]
    if name not in names:
        raise UsageError(f"No view '{name}' of yours.{did_you_mean(name, names)} `engine db views` lists them.")
    try:
        writable.check(path)
        if not rehearse:
            path.unlink()
    except OSError as error:
        raise WorkspaceError(f"{path} can't be removed: {error.strerror}.") from None
    return path


def files(workspace: Workspace) -> list[OwnView]:
    """Give all views that have a file, by name; what can't be read or has no fitting name has its problem."""
    found = []
    try:
        paths = sorted(workspace.views.glob("*.sql"))
    except OSError:
        return []
    for path in paths:
        sql, problem = "", wrong_name(path.stem)
        try:
            sql = path.read_text(encoding="utf-8")[: LONGEST + 1]
        except (OSError, ValueError) as error:
            problem = problem or f"{path} can't be read: {error}"
        if len(sql) > LONGEST:
            problem = f"it has more than {LONGEST:,} characters"
        found.append(OwnView(path.stem, sql.strip(), _about(sql), problem))
    return found


def views(workspace: Workspace) -> list[OwnView]:
    """Give all of them with why those are missing that are not in the database. Raises NothingToShow without one."""
    from engine.store_open import reading

    with reading(workspace.database) as connection:
        query = "SELECT view_name FROM duckdb_views() WHERE NOT internal AND starts_with(comment, ?)"
        there = {row[0] for row in connection.execute(query, [MARK]).fetchall()}
    found = []
    for view in files(workspace):
        problem = view.problem
        if not problem and view.name not in there:
            problem = trouble(workspace.database, view.sql) or "not taken in yet: the engine does so when it runs"
        found.append(OwnView(view.name, view.sql, view.about, problem))
    return found


def trouble(database: Path, sql: str) -> str:
    """Say why a query can't be a view of this database, in one line; empty if it can. It is bound, not run."""
    import duckdb

    from engine.store_sql import Question

    statement = sql.strip().rstrip(";").strip()
    if not statement:
        return "the query is empty."
    try:
        parts = duckdb.extract_statements(statement)
    except duckdb.Error:
        parts = []  # the question below says what is wrong with it
    if len(parts) > 1:
        return f"a view is one SELECT, and these are {len(parts)} statements."
    if parts and parts[0].type != duckdb.StatementType.SELECT:
        kind = str(parts[0].type).rpartition(".")[2]
        more = " Write the values after IN (...)." if kind == "MULTI" else ""
        return f"a view is one SELECT, and this is {kind}.{more}"
    try:
        Question(database, f"EXPLAIN {statement}").ask()
    except NothingToShow:
        raise
    except UsageError as error:
        return str(error)
    return ""


def signature(workspace: Workspace) -> tuple[tuple[str, int, int], ...]:
    """What tells that a file came, went or changed; a look at one folder."""
    try:
        with os.scandir(workspace.views) as entries:
            found = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith(".sql")]
    except OSError:
        return ()
    return tuple(sorted((name, state.st_mtime_ns, state.st_size) for name, state in found))


def put(connection: DuckDBPyConnection, workspace: Workspace) -> list[str]:
    """Make the views of a database those of the files; gives a line for each that could not be made.

    Outside of a transaction: each view is one of its own, so that a wrong one keeps none of the others away. One may
    read another: what fails is tried again as long as something came of it.
    """
    import duckdb

    wanted = [view for view in files(workspace) if not view.problem]
    query = "SELECT view_name FROM duckdb_views() WHERE database_name = current_database() AND starts_with(comment, ?)"
    for (name,) in connection.execute(query, [MARK]).fetchall():
        connection.execute(f'DROP VIEW IF EXISTS "{name}"')
    problems: dict[str, str] = {}
    while wanted:
        left = []
        for view in wanted:
            statement = view.sql.rstrip().rstrip(";")
            try:
                parts = duckdb.extract_statements(statement)
                if len(parts) != 1 or parts[0].type != duckdb.StatementType.SELECT:
                    problems[view.name] = f"views/{view.name}.sql: a view is one SELECT"
                    continue
                connection.execute(f'CREATE VIEW "{view.name}" AS {statement}\n')
                comment = f"{MARK}{view.name}.sql" + (f": {view.about}" if view.about else "")
                connection.execute(f'COMMENT ON VIEW "{view.name}" IS {_quoted(comment)}')
            except duckdb.IOException:
                raise  # of the database itself, for whoever opened it
            except duckdb.Error as error:
                left.append(view)
                problems[view.name] = f"views/{view.name}.sql: {' '.join(str(error).split('LINE ')[0].split())[:240]}"
            else:
                problems.pop(view.name, None)
        if len(left) == len(wanted):
            break
        wanted = left
    return list(problems.values())


def _about(sql: str) -> str:
    first = sql.strip().split("\n", 1)[0].strip()
    return first.lstrip("-").strip() if first.startswith("--") else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
