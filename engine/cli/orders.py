"""Commands that change runs: stop, kill, pause, resume, retry, hold, release, priority, change, move, tag, note."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from engine import when
from engine.cli import lazy, talk, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.messages import OrderKind
    from engine.records import RunRow

Run = Annotated[str, typer.Argument(help="A run.")]
Runs = Annotated[list[str], typer.Argument(help="Runs.", metavar="RUN...")]
Why = Annotated[str, typer.Option(help="The reason, kept with the order.")]
Json = Annotated[bool, typer.Option("--json", help="The runs afterwards, as JSON.")]


@lazy.mutation
def stop(runs: Runs, why: Why = "", as_json: Json = False) -> None:
    """Stop runs: SIGTERM to the whole group, SIGKILL after the grace time. Ours save a checkpoint first."""
    _order("stop", runs, why=why, as_json=as_json)


@lazy.mutation
def kill(runs: Runs, why: Why = "", as_json: Json = False) -> None:
    """End runs at once with SIGKILL; what a checkpoint has not saved is lost."""
    _order("kill", runs, why=why, as_json=as_json)


@lazy.mutation
def hold(runs: Runs, why: Why = "", as_json: Json = False) -> None:
    """Keep waiting runs from starting."""
    _order("hold", runs, why=why, as_json=as_json)


@lazy.mutation
def release(runs: Runs, why: Why = "", as_json: Json = False) -> None:
    """Let held runs start when it is their turn."""
    _order("release", runs, why=why, as_json=as_json)


@lazy.settings(ignore_unknown_options=True)  # a negative number is no option
@lazy.mutation
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


@lazy.mutation
def change(
    run: Run,
    begin: Annotated[str, typer.Option(help="Not before: 22:00, 'fri 18:30', +2h; now takes it away.")] = "",
    limit: Annotated[str, typer.Option(help="End it after so long: 90s, 8h; none takes it away.")] = "",
    number: Annotated[int | None, typer.Option("--priority", help="Higher starts earlier.")] = None,
    why: Why = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Change what a waiting run was queued with: when it may begin, how long it may take, its priority."""
    import time

    from engine.errors import UsageError

    orders: dict[OrderKind, str] = {}
    if begin:
        orders["begin"] = "" if begin == "now" else str(when.moment(begin, time.time(), "--begin"))
    if limit:
        orders["limit"] = "" if limit == "none" else str(when.duration(limit, "--limit"))
    if number is not None:
        orders["priority"] = str(number)
    if not orders:
        raise UsageError("Nothing to change: give --begin, --limit or --priority.")
    _orders(run, orders, why, as_json)


def _orders(run: str, orders: Mapping[OrderKind, str], why: str, as_json: bool) -> None:
    from engine.messages import Order, Queued

    with talk.engine() as client:
        [run_id] = _find(client, [run])
        rows = [
            talk.expect(client.call(Order(run=run_id, order=kind, value=value, why=why)), Queued).row
            for kind, value in orders.items()
        ]
    if as_json:
        talk.json_out(rows[-1:])
        return
    for kind in orders:
        talk.say(f"{run_id}: {_now(kind, rows[-1])}.")


@lazy.mutation
def move(
    run: Run, way: Annotated[str, typer.Argument(metavar="up|down|top|bottom", help="Where to.")],
    why: Why = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Move a waiting run in the queue; among runs of another priority it gets theirs."""
    _order("move", [run], [way], why, as_json)


@lazy.mutation
def pause(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs; none means the queue.", metavar="[RUN]...")] = None,
    why: Why = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Pause the whole queue, so that nothing more starts and what runs goes on; or stop single runs in their tracks.

    A paused run (SIGSTOP) uses no processor, but keeps its GPUs and all of their memory that it has: nothing else
    starts there. Its time limit stands still. `engine resume` lets it go on, in the middle of its step.
    """
    if runs:
        _order("pause", runs, why=why, as_json=as_json)
    else:
        _order_queue("pause", why, as_json)


@lazy.mutation
def resume(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs; none means the queue.", metavar="[RUN]...")] = None,
    why: Why = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Let the whole queue go on, or single paused runs."""
    if runs:
        _order("resume", runs, why=why, as_json=as_json)
    else:
        _order_queue("resume", why, as_json)


def _order_queue(kind: Literal["pause", "resume"], why: str, as_json: bool) -> None:
    from engine.messages import GetStatus, Ok, QueueOrder, StatusReply

    with talk.engine() as client:
        text = talk.expect(client.call(QueueOrder(order=kind, why=why)), Ok).text
        if as_json:
            talk.json_out(talk.expect(client.call(GetStatus()), StatusReply).status)
    talk.say(f"{text}.")


@lazy.mutation
def tag(
    run: Run, tags: Annotated[list[str], typer.Argument(help="Tags.", metavar="TAG...")], as_json: Json = False
) -> None:
    """Add tags to a run."""
    from engine.submit import Wishes, check

    _order("tag", [run], check(Wishes(tags=tuple(tags))).tags, as_json=as_json)


@lazy.mutation
def untag(
    run: Run, tags: Annotated[list[str], typer.Argument(help="Tags.", metavar="TAG...")], as_json: Json = False
) -> None:
    """Take tags off a run."""
    _order("untag", [run], tags, as_json=as_json)


@lazy.mutation
def note(
    run: Run,
    text: Annotated[list[str], typer.Argument(help="The note; replaces the one before.")],
    as_json: Json = False,
) -> None:
    """Write a note on a run; an empty text takes it away."""
    _order("note", [run], [" ".join(text)], as_json=as_json)


@lazy.mutation
def archive(runs: Runs, why: Why = "", as_json: Json = False) -> None:
    """Hide ended runs from lists and leaderboards; nothing is deleted, and `engine unarchive` brings them back."""
    _order("archive", runs, why=why, as_json=as_json)


@lazy.mutation
def unarchive(runs: Runs, why: Why = "", as_json: Json = False) -> None:
    """Show archived runs in lists again."""
    _order("unarchive", runs, why=why, as_json=as_json)


@lazy.mutation
def retry(
    runs: Runs,
    fresh: Annotated[bool, typer.Option("--fresh", help="From the start, not from the last checkpoint.")] = False,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Those behind them too that ended without having run.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Queue ended runs again as new attempts (toto-0007.2), from their last checkpoint.

    What still waits for the run waits for the new attempt; --cascade brings back what was stopped before it started.
    """
    from engine.messages import Queued, Retry

    environment = {name: value for name, value in os.environ.items() if name != "ENGINE_RUN"}
    with talk.engine() as client:
        ids = _find(client, runs)
        rows = []
        for run_id in ids:
            wish = Retry(run=run_id, fresh=fresh, cascade=cascade, environment=environment)
            queued = talk.expect(client.call(wish), Queued)
            rows += [queued.row, *queued.more]
    if as_json:
        talk.json_out(rows)
        return
    talk.out("\n".join(row.id for row in rows))


def _order(
    kind: OrderKind, runs: Sequence[str], values: Sequence[str] = ("",), why: str = "", as_json: bool = False
) -> None:
    """Give each run the order once per value; all runs are looked up first, so that a typo changes nothing."""
    from engine.messages import Order, Queued

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
    from engine.messages import RunDetail, ShowRun

    assert isinstance(client, Client)
    found = [talk.expect(client.call(ShowRun(word)), RunDetail).row.id for word in runs]
    return list(dict.fromkeys(found))


def _now(kind: OrderKind, row: RunRow) -> str:
    """What is so after the order."""
    match kind:
        case "pause":
            held = words.size(row.device_memory) + " of GPU memory and " if row.device_memory else ""
            return f"paused; it keeps {held}{','.join(row.labels)} until it goes on or is stopped"
        case "resume":
            return "goes on"
        case "move":
            return f"place {row.place}" + (f", priority {row.priority}" if row.priority else "")
        case "begin":
            return f"begins {words.moment(row.begin)}" if row.begin else "begins when it is its turn"
        case "limit":
            return f"time limit {when.span(row.limit)}" if row.limit else "no time limit"
        case "priority":
            return f"priority {row.priority}" + (f", place {row.place}" if row.place else "")
        case "tag" | "untag":
            return f"tags {', '.join(row.tags) or 'none'}"
        case "note":
            return f"note {row.note!r}"
        case "archive":
            return "archived; `engine ls --archived` lists it"
        case "unarchive":
            return "listed again"
    return words.stands(row)
