"""What the SQL screen has done in its workers: the catalogue read, a view saved, a result written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.store_sql import Answer
from engine.workspace import Workspace
from tui import sql as sqls
from tui.completion import Catalogue, Column, Relation
from tui.far import Far
from tui.feed import up_to_date
from tui.present import Part

if TYPE_CHECKING:
    from engine import store_catalogue

# duckdb and pyarrow come with these: imported in the functions, in a worker, never before the first frame.


def read_catalogue(workspace: Workspace) -> Catalogue:
    """Give all tables and views. Raises engine.errors."""
    from engine.store_catalogue import catalogue

    return shown(catalogue(workspace.database))


def shown(relations: Iterable[store_catalogue.Relation]) -> Catalogue:
    """The tables and views as the completion and the list beside the editor take them."""
    return Catalogue(
        tuple(
            Relation(
                one.name,
                "yours" if one.own else one.kind,
                one.comment,
                tuple(Column(column.name, column.type, column.comment) for column in one.columns),
            )
            for one in relations
        )
    )


def save_view(workspace: Workspace, name: str, query: str) -> list[Part]:
    """Save a view and have it taken in; a line that says how that went. Raises engine.errors if it is not saved."""
    from engine import store_own

    store_own.save(workspace, name, query)
    if behind := up_to_date(workspace):
        return [("▲ ", "attention"), (f"view {name} is saved; the engine takes it in later: {behind}", "attention")]
    return [("✓ ", "good"), (f"view {name} is saved", "rest")]


def write(there: Workspace | Far, query: str, answer: Answer, path: Path) -> list[Part]:
    """Write a result; where the rows at hand are not all, it is asked again for all. Raises engine.errors."""
    from engine import answers, store_sql
    from tui import elsewhere

    rows = answer.rows
    if answer.more and isinstance(there, Workspace):
        rows = store_sql.Question(there.database, query).ask().rows
    elif answer.more and isinstance(there, Far):
        rows = elsewhere.Question(there, query).ask().rows
    answers.write(path, answer.names, rows)
    return [("✓ ", "good"), (f"{sqls.rows(len(rows))} written to {path}", "rest")]


def wrong_file(text: str) -> str:
    """What is wrong with a file's name for a result; empty if nothing."""
    from engine.answers import wrong_name

    path = Path(text).expanduser()
    return wrong_name(path) or (f"{path} is there already" if path.exists() else "")
