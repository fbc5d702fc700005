"""Commands that queue runs: run, exec."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import lazy, talk

if TYPE_CHECKING:
    from engine.client import Client
    from engine.records import RunRow
    from engine.submit import Wishes

SET = "A field of `engine config FAMILY`; may be given several times."
Name = Annotated[str, typer.Option(help="What you call it; need not be unique.")]
Tag = Annotated[list[str] | None, typer.Option(help="A tag; may be given several times.")]
Note = Annotated[str, typer.Option(help="A note.")]
Gpus = Annotated[int | None, typer.Option(help="GPUs; 0 is a CPU slot. Else one GPU where there is one.")]
Priority = Annotated[int, typer.Option(help="Higher starts earlier.")]
After = Annotated[list[str] | None, typer.Option(help="Start once this run ended well; may be given several times.")]
Hold = Annotated[bool, typer.Option("--hold", help="Queue it held; `engine release` lets it start.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Watch it until it ends; its outcome is the exit code.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Freeze = Annotated[
    bool | None,
    typer.Option("--freeze/--no-freeze", help="Execute the code as it is now (commit and changes), not as it is then."),
]
Metrics = Annotated[bool, typer.Option("--metrics", help="Read numbers from what it prints: `loss: 0.12 (step 40)`.")]
Pattern = Annotated[
    list[str] | None,
    typer.Option(metavar="REGEX", help="Read them by this pattern, with groups named step, loss...; several times."),
]
File = Annotated[str, typer.Option(metavar="FILE", help="Read numbers from the JSON lines that it writes there.")]
Tensorboard = Annotated[str, typer.Option(metavar="DIR", help="Read scalars from TensorBoard's event files there.")]
TrainerState = Annotated[
    str, typer.Option(metavar="PATH", help="Read a Hugging Face trainer_state.json, or an output folder with some.")
]


@lazy.settings(allow_interspersed_args=True)
def run(
    family: Annotated[str, typer.Argument(help="A family of `engine families`.")],
    preset: Annotated[str, typer.Option(help="A preset of the family; else its default.")] = "",
    sets: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help=SET)] = None,
    name: Name = "",
    tag: Tag = None,
    note: Note = "",
    gpus: Gpus = None,
    priority: Priority = 0,
    after: After = None,
    hold: Hold = False,
    freeze: Freeze = None,
    follow: Follow = False,
    as_json: Json = False,
) -> None:
    """Queue a training run of a family, such as: engine run toto --set train.lr=3e-4 --set data.context=512"""
    from engine.submit import parse_sets, submit_family

    wishes = replace(_wishes(name, tag, note, gpus, priority, after, hold), freeze=freeze)
    settings = parse_sets(sets or [])
    with talk.engine() as client:
        row = submit_family(client, talk.workspace(), family, preset=preset or None, sets=settings, wishes=wishes)
        _told(client, row, follow, as_json)


@lazy.settings(allow_interspersed_args=False)
def exec_(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments.")],
    name: Name = "",
    tag: Tag = None,
    note: Note = "",
    gpus: Gpus = None,
    priority: Priority = 0,
    after: After = None,
    hold: Hold = False,
    freeze: Freeze = None,
    metrics: Metrics = False,
    metrics_pattern: Pattern = None,
    metrics_file: File = "",
    tensorboard: Tensorboard = "",
    trainer_state: TrainerState = "",
    follow: Follow = False,
    as_json: Json = False,
) -> None:
    """Queue any command as a run, in the current folder, such as: engine exec --name smoke -- python train.py

    A script that calls engine.runlog shows its progress like one of ours. Numbers of one that does not are read from
    what it prints or writes (--metrics and the options after it); paths are relative to the folder it runs in.
    """
    from engine.adopt import asked
    from engine.submit import submit_command

    adopt = asked(metrics, metrics_pattern or (), metrics_file, tensorboard, trainer_state)
    wishes = replace(_wishes(name, tag, note, gpus, priority, after, hold), freeze=freeze, adopt=adopt)
    with talk.engine() as client:
        _told(client, submit_command(client, talk.workspace(), command, wishes=wishes), follow, as_json)


def _wishes(
    name: str, tag: list[str] | None, note: str, gpus: int | None, priority: int, after: list[str] | None, hold: bool
) -> Wishes:
    from engine.submit import Wishes

    return Wishes(
        name=name, tags=tuple(tag or ()), note=note, gpus=gpus, priority=priority, after=tuple(after or ()), hold=hold
    )


def _told(client: Client, row: RunRow, follow: bool, as_json: bool) -> None:
    """Print the id, or with --follow stay until the end."""
    if not as_json:
        talk.out(row.id)
    elif not follow:
        talk.json_out(row)
    if not follow:
        if not as_json:
            why = f": {row.reason}" if row.reason else ""
            talk.say(f"{row.id} is {row.state}{why}. `engine follow {row.id}` watches it.")
        return
    from engine.cli import follow as following

    code, rows = following.follow([row.id])
    if as_json:
        talk.json_out(rows[0])
    raise typer.Exit(code)
