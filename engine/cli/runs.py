"""Commands that look at runs: ls, show, logs, follow, wait."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli import talk

Runs = Annotated[list[str] | None, typer.Argument(help="Runs; none means all that have not ended.", metavar="[RUN]...")]
Bell = Annotated[bool, typer.Option("--bell", help="Ring, and show a desktop notice, when a run has ended.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def ls(
    query: Annotated[
        list[str] | None, typer.Argument(metavar="QUERY", help="Which runs: state:failed 'lr>=1e-4' not tag:base")
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="Every run, not only the last 20 that ended.")] = False,
    state: Annotated[list[str] | None, typer.Option(help="Only these states; also waiting, live, ended.")] = None,
    family: Annotated[str, typer.Option(help="Only this family.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="Only runs with this tag; may be given several times.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many ended runs.")] = None,
    archived: Annotated[bool, typer.Option("--archived", help="The archived runs, which are else left out.")] = False,
    attempts: Annotated[bool, typer.Option("--attempts", help="Every attempt, not only the last at each run.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Give the SQL that asks runs.duckdb for the same.")] = False,
    as_json: Json = False,
) -> None:
    """List runs: those that ended last, those that run, and those that wait with their place and reason.

    MAE% is the best validation error in per cent of the price (pct_mae), SKILL how much better than the naive forecast.

    QUERY says which runs are meant: words that a run has somewhere, and tests of fields, all of which must be so.
    `family:toto val_pct_mae<1 lr>=1e-4 tag:base`; `a or b`, `not tag:x`, parentheses, quotes; `:` is (text: contains),
    `!=`, `<`, `>=`; `lr:1e-5..1e-3`, `state:failed,lost`, `name:sweep*`, `has:note`, `since:7d`. Fields: id name family
    state tag note cause reason what on commit val_pct_mae naive skill loss steps planned epoch hours took eta attempt
    priority place gpus gpu_memory memory exit_code signal; every setting (lr, optim.lr) and metric by name, last.lr
    being the metric where both are called so.
    """
    from engine.cli import ls as listing
    from engine.errors import UsageError

    if limit is not None and limit < 0:
        raise UsageError(f"--limit {limit} is out of range: 0 or more.")
    states, tags, text = tuple(state or ()), tuple(tag or ()), " ".join(query or ())
    if sql and (every or states or family or tags or limit is not None or archived or attempts or as_json):
        raise UsageError("--sql goes with a query only; say the rest in it: family:toto state:failed tag:base.")
    listing.show(listing.Asked(every, states, family, tags, limit, as_json, archived, attempts, text, sql))


def show(run: Annotated[str, typer.Argument(help="A run.")], as_json: Json = False) -> None:
    """Tell everything about a run: what it was asked to be, what was used, how it went, its files."""
    from engine.cli import detail, table
    from engine.messages import RunDetail, ShowRun

    found = talk.ask(ShowRun(run), RunDetail)
    if as_json:
        talk.json_out(found)
    else:
        talk.out(table.wrapped(detail.text(found), table.width()))


def logs(
    run: Annotated[str, typer.Argument(help="A run.")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until it ends; then its outcome is the exit code.")
    ] = False,
    lines: Annotated[int | None, typer.Option("--lines", "-n", help="Only the last so many lines.")] = None,
    metrics: Annotated[bool, typer.Option("--metrics", help="Its numbers as JSON lines instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON: run, state and the lines.")] = False,
) -> None:
    """Print what a run wrote to stdout and stderr, or with --metrics its numbers, one JSON object a line."""
    from engine.cli import logs as reading
    from engine.errors import UsageError

    if lines is not None and lines < 0:
        raise UsageError(f"--lines {lines} is out of range: 0 or more.")
    if as_json and follow:
        raise UsageError("--json gives what there is now; -f goes with --metrics, which gives a JSON object a line.")
    raise typer.Exit(reading.show(run, follow, lines, metrics, as_json))


def follow(runs: Runs = None, bell: Bell = False, as_json: Json = False) -> None:
    """Watch runs until they end, with progress on stderr; the worst outcome is the exit code."""
    from engine.cli import follow as following

    code, rows = following.follow(_ids(runs), bell=bell)
    if as_json:
        talk.json_out(rows)
    raise typer.Exit(code)


def wait(
    runs: Runs = None,
    first: Annotated[bool, typer.Option("--any/--all", help="Until one has ended, or until all have.")] = False,
    timeout: Annotated[str, typer.Option(metavar="TIME", help="Give up after 90s, 30m, 8h: exit code 124.")] = "",
    bell: Bell = False,
    as_json: Json = False,
) -> None:
    """Wait in silence until runs have ended; the worst outcome is the exit code. --json gives those that have ended."""
    from engine import when
    from engine.cli import follow as following

    patience = when.duration(timeout, "--timeout") if timeout else None
    ids = _ids(runs)
    rows = following.wait(ids, first=first, patience=patience, bell=bell) if ids else []
    if as_json:
        talk.json_out(rows)
    raise typer.Exit(following.worst(rows))


def _ids(runs: list[str] | None) -> list[str]:
    """Whole ids of what a person named, or of all that have not ended."""
    from engine.messages import ListRuns, Rows, RunDetail, ShowRun
    from engine.records import ENDED

    with talk.engine() as client:
        if runs:
            found = [talk.expect(client.call(ShowRun(word)), RunDetail).row.id for word in runs]
            return list(dict.fromkeys(found))
        return [row.id for row in talk.expect(client.call(ListRuns()), Rows).rows if row.state not in ENDED]
