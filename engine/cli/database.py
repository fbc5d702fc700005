"""Commands for runs.duckdb: sql, and the group db."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import lazy, talk

if TYPE_CHECKING:
    from pathlib import Path

    from engine.store_sql import Answer

Json = Annotated[bool, typer.Option("--json", help="As JSON, a list of objects.")]


@lazy.mutation
def sql(
    query: Annotated[str, typer.Argument(help='The query; "-" reads it from stdin.')],
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Allow changes and access to other files.")] = False,
    out: Annotated[
        str, typer.Option("--out", metavar="FILE", help="Into a file that ends in .csv, .json, .md or .parquet.")
    ] = "",
) -> None:
    """Ask runs.duckdb in SQL, brought up to date first. Tables and columns: engine sql "describe" or the README.

    The file is opened read-only and the query can reach no other file, unless --write is given. What --write changes is
    lost at the next `engine db rebuild`. Of several statements, the answer of the last one is shown.
    """
    from pathlib import Path

    from engine import answers
    from engine.errors import UsageError
    from engine.store_sql import ask

    if talk.rehearsing() and not write:
        raise UsageError("--dry-run rehearses what --write changes; without --write a query changes nothing.")
    if as_json + as_csv + bool(out) > 1:
        raise UsageError("--json, --csv and --out exclude each other.")
    path = Path(out).expanduser()
    if out and (problem := answers.wrong_name(path)):
        raise UsageError(f"--out {problem}.")
    text = sys.stdin.read() if query == "-" else query
    up_to_date()
    answer = ask(talk.workspace().database, text, write=write, rehearse=talk.rehearsing())
    if talk.rehearsing():
        _rehearsed(answer, path if out else None)
        out = ""
    if as_json:
        talk.json_out([dict(zip(answer.names, map(answers.plain, row), strict=True)) for row in answer.rows])
    elif as_csv:
        talk.out(answers.as_csv(answer.names, answer.rows))
    elif out:
        answers.write(path, answer.names, answer.rows)
        talk.out(str(path))
        talk.say(f"{len(answer.rows):,} rows written.")
    elif answer.names:
        from tabulate import tabulate

        rows = [["" if value is None else value for value in row] for row in answer.rows]
        talk.out(tabulate(rows, headers=answer.names, disable_numparse=True, tablefmt="simple"))
        talk.say(f"{len(rows)} row{'' if len(rows) == 1 else 's'}.")


def _rehearsed(answer: Answer, out: Path | None) -> None:
    """Say what a query that was taken back would have done."""
    from engine import writable

    told = "; ".join(", ".join(f"{n} {v}" for n, v in zip(answer.names, row, strict=True)) for row in answer.rows[:3])
    talk.would(f"runs.duckdb would be changed as the query says{': ' if told else ''}{told}")
    if out is not None:
        writable.check(out)
        talk.would(f"{out} would be written, {len(answer.rows):,} rows")


def up_to_date() -> None:
    """Have the engine write what is new. If somebody holds the file that is said, not an error: a question can wait."""
    from engine.errors import StoreError
    from engine.messages import Ok, Sync

    try:
        told = talk.ask(Sync(), Ok).text
    except StoreError as error:
        talk.say(f"the database may be behind: {error}")
        return
    if told:
        talk.say(f"the database may be behind, it is {told}.")


@lazy.mutation
def rebuild() -> None:
    """Make runs.duckdb anew from the run folders, which hold everything it does."""
    from engine.messages import Ok, Rebuild

    if talk.rehearsing():
        from engine.messages import ListRuns, Rows, Sync

        talk.ask(Sync(), Ok)  # raises what keeps the database from being written
        count = len(talk.ask(ListRuns(), Rows).rows)
        talk.would(f"runs.duckdb would be made anew from {count} run folders")
        return
    talk.say(f"runs.duckdb was made anew: {talk.ask(Rebuild(), Ok).text}.")


@lazy.mutation
def export(
    parquet: Annotated[str, typer.Option("--parquet", help="The folder to write into.", metavar="FOLDER")],
    as_json: Json = False,
) -> None:
    """Write every table, and the views that sum them up, to a Parquet file each."""
    from pathlib import Path

    from engine.cli import words
    from engine.store_parquet import export_parquet

    up_to_date()
    written = export_parquet(talk.workspace().database, Path(parquet).expanduser(), rehearse=talk.rehearsing())
    if talk.rehearsing():
        for one in written:
            talk.would(f"{one.path} would be written, {one.rows:,} rows")
    if as_json:
        talk.json_out([{"path": str(one.path), "rows": one.rows, "bytes": one.bytes} for one in written])
    else:
        talk.out("".join(f"{one.path}  {one.rows:,} rows, {words.size(one.bytes)}\n" for one in written))


@lazy.mutation
def view(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    query: Annotated[str, typer.Argument(help='One SELECT; "-" reads it from stdin.')] = "",
    drop: Annotated[bool, typer.Option("--drop", help="Remove it.")] = False,
) -> None:
    """Save a query as a view that any DuckDB client sees: engine db view better "FROM leaderboard WHERE skill > 0"

    It is kept in views/NAME.sql of the workspace, so it survives `engine db rebuild`; a comment in its first line is
    told by `engine db views`.
    """
    from engine import store_own
    from engine.errors import UsageError

    if drop == bool(query):
        raise UsageError(f'Give a query, or --drop. Try: engine db view {name} "FROM leaderboard WHERE skill > 0"')
    text = sys.stdin.read() if query == "-" else query
    if not drop:
        up_to_date()
    workspace, dry = talk.workspace(), talk.rehearsing()
    path = (
        store_own.drop(workspace, name, rehearse=dry) if drop else store_own.save(workspace, name, text, rehearse=dry)
    )
    if dry:
        talk.would(f"{path} would be {'removed' if drop else 'written'}")
        return
    up_to_date()
    talk.say(f"{path} is {'removed' if drop else 'written'}: `engine db views` lists what there is.")


def views(as_json: Json = False) -> None:
    """List the views that were saved, with why one is not in the database."""
    from engine import store_own

    up_to_date()
    found = store_own.views(talk.workspace())
    if as_json:
        talk.json_out([{"name": one.name, "about": one.about, "problem": one.problem, "sql": one.sql} for one in found])
        return
    wide = max((len(one.name) for one in found), default=0)
    told = (f"NOT THERE: {one.problem}" if one.problem else one.about or " ".join(one.sql.split()) for one in found)
    talk.out("".join(f"{one.name:<{wide}}  {text}\n" for one, text in zip(found, told, strict=True)))
    if not found:
        talk.say("No view is saved yet. `engine db view NAME QUERY` saves one.")


def recipes(as_json: Json = False) -> None:
    """Print queries to begin with; the SQL screen of `tui` has the same."""
    from engine.recipes import RECIPES

    if as_json:
        talk.json_out([one._asdict() for one in RECIPES])
    else:
        talk.out("\n".join(f"-- {one.name}: {one.about}\n{one.sql}\n" for one in RECIPES))


db = lazy.group(
    {
        "Commands": {
            "rebuild": ("engine.cli.database:rebuild", "Make runs.duckdb anew from the run folders."),
            "export": ("engine.cli.database:export", "Write every table to a Parquet file."),
            "view": ("engine.cli.database:view", "Save a query as a view, or remove one."),
            "views": ("engine.cli.database:views", "List the views that were saved."),
            "recipes": ("engine.cli.database:recipes", "Print queries to begin with."),
        }
    },
    "Look after runs.duckdb.",
)
