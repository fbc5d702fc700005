"""Commands that change runs: stop, kill, retry, hold, release, priority, tag, untag, note."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import lazy, talk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.records import OrderKind, RunRow

Run = Annotated[str, typer.Argument(help="A run.")]
Runs = Annotated[list[str], typer.Argument(help="Runs.", metavar="RUN...")]
Why = Annotated[str, typer.Option(help="The reason, kept with the order.")]
Json = Annotated[bool, typer.Option("--json", help="The runs afterwards, as JSON.")]


def stop(runs: Runs, why: Why = "", as_json: Json = False) -> None:
    """Stop runs: SIGTERM to the whole group, SIGKILL after the grace time. Ours save a checkpoint first."""
    _order("stop", runs, why=why, as_json=as_json)


def kill(runs: Runs, why: Why = "", as_json: Json = False) -> None:
    """End runs at once with SIGKILL; what a checkpoint has not saved is lost."""
    _order("kill", runs, why=why, as_json=as_json)


def hold(runs: Runs, why: Why = "", as_json: Json = False) -> None:
    """Keep waiting runs from starting."""
    _order("hold", runs, why=why, as_json=as_json)


def release(runs: Runs, why: Why = "", as_json: Json = False) -> None:
    """Let held runs start when it is their turn."""
    _order("release", runs, why=why, as_json=as_json)


@lazy.settings(ignore_unknown_options=True)  # a negative number is no option
def priority(
    run: Run, value: Annotated[str, typer.Argument(metavar="NUMBER", help="Higher starts earlier; 0 at first.")],
    why: Why = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Set a run's priority; among equals, who was queued first starts first."""
    from engine.errors import UsageError

    try:
        number = int(value)
    except ValueError:
        raise UsageError(f"Priority {value!r} is not a whole number.") from None
    _order("priority", [run], [str(number)], why, as_json)


def tag(
    run: Run, tags: Annotated[list[str], typer.Argument(help="Tags.", metavar="TAG...")], as_json: Json = False
) -> None:
    """Add tags to a run."""
    from engine.submit import Wishes, check

    _order("tag", [run], check(Wishes(tags=tuple(tags))).tags, as_json=as_json)


def untag(
    run: Run, tags: Annotated[list[str], typer.Argument(help="Tags.", metavar="TAG...")], as_json: Json = False
) -> None:
    """Take tags off a run."""
    _order("untag", [run], tags, as_json=as_json)


def note(
    run: Run,
    text: Annotated[list[str], typer.Argument(help="The note; replaces the one before.")],
    as_json: Json = False,
) -> None:
    """Write a note on a run; an empty text takes it away."""
    _order("note", [run], [" ".join(text)], as_json=as_json)


def retry(
    runs: Runs,
    fresh: Annotated[bool, typer.Option("--fresh", help="From the start, not from the last checkpoint.")] = False,
    as_json: Json = False,
) -> None:
    """Queue ended runs again as new attempts (toto-0007.2), from their last checkpoint."""
    from engine.records import Queued, Retry

    environment = {name: value for name, value in os.environ.items() if name != "ENGINE_RUN"}
    with talk.engine() as client:
        ids = _find(client, runs)
        queued = [client.call(Retry(run=run_id, fresh=fresh, environment=environment)) for run_id in ids]
        rows = [talk.expect(reply, Queued).row for reply in queued]
    if as_json:
        talk.json_out(rows)
        return
    talk.out("\n".join(row.id for row in rows))


def _order(
    kind: OrderKind, runs: Sequence[str], values: Sequence[str] = ("",), why: str = "", as_json: bool = False
) -> None:
    """Give each run the order once per value; all runs are looked up first, so that a typo changes nothing."""
    from engine.records import Order, Queued

    rows: dict[str, RunRow] = {}
    with talk.engine() as client:
        for run_id in _find(client, runs):
            for value in values:
                reply = client.call(Order(run=run_id, order=kind, value=value, why=why))
                rows[run_id] = talk.expect(reply, Queued).row
    if as_json:
        talk.json_out(list(rows.values()))
        return
    for row in rows.values():
        talk.say(f"{row.id}: {_now(kind, row)}.")


def _find(client: object, runs: Sequence[str]) -> list[str]:
    from engine.client import Client
    from engine.records import RunDetail, ShowRun

    assert isinstance(client, Client)
    found = [talk.expect(client.call(ShowRun(word)), RunDetail).row.id for word in runs]
    return list(dict.fromkeys(found))


def _now(kind: OrderKind, row: RunRow) -> str:
    """What is so after the order."""
    match kind:
        case "priority":
            return f"priority {row.priority}" + (f", place {row.place}" if row.place else "")
        case "tag" | "untag":
            return f"tags {', '.join(row.tags) or 'none'}"
        case "note":
            return f"note {row.note!r}"
    return f"{row.state}{f', {row.reason}' if row.reason else ''}"
