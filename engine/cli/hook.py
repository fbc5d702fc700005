"""`engine hook`: commands that are told of every finished run."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from engine.cli import lazy, table, talk, words

HELP = "Call a command whenever a run has ended, with JSON of the run on stdin; kept in hooks.json of the workspace."
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
On = Annotated[
    list[str] | None, typer.Option(metavar="END", help="Only for these ends: ok, failed, stopped, lost; several times.")
]


@lazy.mutation
def add(
    command: Annotated[str, typer.Argument(help="A shell command, in quotes.")],
    on: On = None,
    timeout: Annotated[str, typer.Option(metavar="TIME", help="End it after 10s, 5m; else after a minute.")] = "",
    as_json: Json = False,
) -> None:
    """Add a hook, such as: engine hook add --on failed 'jq -r .run.reason | mail -s "a run failed" me'

    It runs in the workspace's folder, with ENGINE_RUN naming the run's. What it prints is kept in hooks.txt of the run.
    Only runs that end from now on are told of, and each of them once.
    """
    from engine import hooks, when

    limit = when.duration(timeout, "--timeout") if timeout else hooks.LIMIT
    ends = [part for word in on or () for part in word.split(",")]
    made = hooks.add(talk.workspace().hooks, command, ends, limit, time.time(), rehearse=talk.rehearsing())
    when_called = f"when a run has ended{' ' + ' or '.join(made.on) if made.on else ''}"
    if talk.rehearsing():
        talk.would(f"hook {made.id} would be called {when_called}: {made.command}")
    if as_json:
        talk.json_out(made)
    else:
        talk.say(f"hook {made.id} is called {when_called}.")


def ls(as_json: Json = False) -> None:
    """List the hooks."""
    from engine import hooks

    found = hooks.read(talk.workspace().hooks)
    if as_json:
        talk.json_out(found)
    elif found:
        column = table.Column
        columns = (
            column("HOOK", lambda h: str(h.id), right=True),
            column("ON", lambda h: ",".join(h.on) or "all"),
            column("SINCE", lambda h: words.moment(h.since)),
            column("LIMIT", lambda h: words.span(h.limit), right=True),
            column("COMMAND", lambda h: h.command, shrink=True),
        )
        talk.table(columns, found)
    else:
        talk.say("no hooks: `engine hook add COMMAND` adds one.")


@lazy.mutation
def rm(number: Annotated[int, typer.Argument(help="Its number in `engine hook ls`.")]) -> None:
    """Take a hook away."""
    from engine import hooks

    gone = hooks.remove(talk.workspace().hooks, number, rehearse=talk.rehearsing())
    if talk.rehearsing():
        talk.would(f"hook {number} would be gone: {gone.command}")
    talk.say(f"hook {number} is gone: {gone.command}")


hook = lazy.group(
    {"Hooks": {
        "add": ("engine.cli.hook:add", "Add a command."),
        "ls": ("engine.cli.hook:ls", "List them."),
        "rm": ("engine.cli.hook:rm", "Take one away."),
    }},
    HELP,
)  # fmt: skip
