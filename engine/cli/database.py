"""Commands for runs.duckdb: sql, db rebuild, db export."""

from __future__ import annotations

import csv
import io
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import lazy, talk

if TYPE_CHECKING:
    from engine.store_sql import Answer

Json = Annotated[bool, typer.Option("--json", help="As JSON, a list of objects.")]


def sql(
    query: Annotated[str, typer.Argument(help='The query; "-" reads it from stdin.')],
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Allow changes and access to other files.")] = False,
) -> None:
    """Ask runs.duckdb in SQL, brought up to date first. Tables and columns: engine sql "describe" or the README.

    The file is opened read-only and the query can reach no other file, unless --write is given. What --write changes is
    lost at the next `engine db rebuild`.
    """
    from engine.errors import UsageError
    from engine.store_sql import ask

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other.")
    text = sys.stdin.read() if query == "-" else query
    up_to_date()
    answer = ask(talk.workspace().database, text, write=write)
    if as_json:
        talk.json_out([dict(zip(answer.names, map(_plain, row), strict=True)) for row in answer.rows])
    elif as_csv:
        talk.out(_csv(answer))
    elif answer.names:
        from tabulate import tabulate

        rows = [["" if value is None else value for value in row] for row in answer.rows]
        talk.out(tabulate(rows, headers=answer.names, disable_numparse=True, tablefmt="simple"))
        talk.say(f"{len(rows)} row{'' if len(rows) == 1 else 's'}.")


def up_to_date() -> None:
    """Have the engine write what is new. If somebody holds the file that is said, not an error: a question can wait."""
    from engine.errors import StoreError
    from engine.records import Ok, Sync

    try:
        told = talk.ask(Sync(), Ok).text
    except StoreError as error:
        talk.say(f"the database may be behind: {error}")
        return
    if told:
        talk.say(f"the database may be behind, it is {told}.")


def _plain(value: Any) -> Any:
    """A value of DuckDB as JSON knows it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return str(value)


def _csv(answer: Answer) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(answer.names)
    writer.writerows(answer.rows)
    return file.getvalue()


def rebuild() -> None:
    """Make runs.duckdb anew from the run folders, which hold everything it does."""
    from engine.records import Ok, Rebuild

    talk.say(f"runs.duckdb was made anew: {talk.ask(Rebuild(), Ok).text}.")


def export(
    parquet: Annotated[str, typer.Option("--parquet", help="The folder to write into.", metavar="FOLDER")],
    as_json: Json = False,
) -> None:
    """Write every table, and the views that sum them up, to a Parquet file each."""
    from pathlib import Path

    from engine.cli import words
    from engine.store_parquet import export_parquet

    up_to_date()
    written = export_parquet(talk.workspace().database, Path(parquet).expanduser())
    if as_json:
        talk.json_out([{"path": str(one.path), "rows": one.rows, "bytes": one.bytes} for one in written])
    else:
        talk.out("".join(f"{one.path}  {one.rows:,} rows, {words.size(one.bytes)}\n" for one in written))


db = lazy.group(
    {
        "Commands": {
            "rebuild": ("engine.cli.database:rebuild", "Make runs.duckdb anew from the run folders."),
            "export": ("engine.cli.database:export", "Write every table to a Parquet file."),
        }
    },
    "Look after runs.duckdb.",
)
