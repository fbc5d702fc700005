"""`engine best`: the leaderboard, and with --interactive a choice from it that is exported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import talk
from engine.cli.database import up_to_date

if TYPE_CHECKING:
    from engine.board import Board, Direction

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def best(
    metric: Annotated[str, typer.Option(help="A validation metric, or any that was logged.")] = "val_pct_mae",
    way: Annotated[str, typer.Option("--direction", help="min or max; else by the metric's name.")] = "",
    family: Annotated[str, typer.Option(help="Only this family.")] = "",
    dataset: Annotated[
        str,
        typer.Option("--dataset", "--fingerprint", help="Only runs on these data: fingerprint (its start) or path."),
    ] = "",
    all_data: Annotated[bool, typer.Option("--all-data", help="Every data set, each ranked by itself.")] = False,
    top_k: Annotated[int, typer.Option("--top-k", "-k", help="At most so many runs; 0 is all.")] = 50,
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Choose one by its number to export.")
    ] = False,
    as_json: Json = False,
    md: Annotated[bool, typer.Option("--md", help="As Markdown.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, the rows only.")] = False,
) -> None:
    """Show the leaderboard by validation alone, with the naive forecast in its place among the runs.

    A run that nothing shows to be worse than the best is marked "=": seeds of the same config differ by as much, or the
    Diebold-Mariano test over their common windows finds no difference. Test results and the gap to validation are shown
    of exported runs only.
    """
    from engine.board_text import render, written
    from engine.errors import UsageError
    from engine.select import leaderboard, leaderboards

    told = direction(way)
    most = top_k or None
    if all_data and dataset:
        raise UsageError("--all-data and --dataset exclude each other.")
    if interactive + as_json + md + as_csv > 1:
        raise UsageError("--interactive, --json, --md and --csv exclude each other.")
    if interactive and not sys.stdin.isatty():
        raise UsageError("--interactive asks on a terminal, and stdin is none. `engine export RUN` needs no question.")
    up_to_date()
    database = talk.workspace().database
    if all_data:
        boards = leaderboards(database, metric, told, family or None, most)
    else:
        boards = (leaderboard(database, metric, told, family or None, most, dataset or None),)
    if as_json:
        shown = [board.as_json() for board in boards]
        talk.json_out(shown if all_data else shown[0])
        return
    if md or as_csv:
        talk.out(written(boards, "md" if md else "csv"))
        return
    talk.out("\n\n".join(map(render, boards)))
    if interactive:
        _choose(boards)


def _choose(boards: tuple[Board, ...]) -> None:
    """Ask for a place and export the run that has it; an empty answer leaves everything as it is."""
    from engine.cli.promote import promote, told
    from engine.errors import UsageError

    if len(boards) > 1:
        raise UsageError("--interactive chooses on one data set: --dataset instead of --all-data.")
    rows = {row.rank: row for row in boards[0].rows if not row.is_naive}
    if not rows:
        return
    while True:
        sys.stderr.write(f"Export which? 1-{len(rows)}, or nothing: ")
        sys.stderr.flush()
        answer = sys.stdin.readline().strip()
        if not answer:
            talk.say("nothing was exported.")
            return
        if answer.isdecimal() and int(answer) in rows:
            break
        talk.say(f"'{answer}' is no place of the list.")
    found = promote(rows[int(answer)].id)
    talk.say(told(found))
    talk.out(str(found.checkpoint))


def direction(word: str) -> Direction | None:
    """Raises UsageError for any word but min, max and none."""
    from engine.errors import UsageError

    match word:
        case "":
            return None
        case "min":
            return "min"
        case "max":
            return "max"
    raise UsageError(f"--direction {word}: expected min or max.")
