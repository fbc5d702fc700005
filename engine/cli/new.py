"""Commands that queue runs: run, exec."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import lazy, talk, words
from engine.records import ENDED

if TYPE_CHECKING:
    from engine.client import Client
    from engine.records import RunRow
    from engine.submit import Wishes

SET = "A field of `engine config FAMILY`; may be given several times."
Name = Annotated[str, typer.Option(help="What you call it; need not be unique.")]
Tag = Annotated[list[str] | None, typer.Option(help="A tag; may be given several times.")]
Note = Annotated[str, typer.Option(help="A note.")]
Gpus = Annotated[int | None, typer.Option(help="GPUs; 0 is a CPU slot. Else one GPU where there is one.")]
Share = Annotated[bool, typer.Option("--share", help="Let others that share run on its GPU, as far as memory reaches.")]
GpuMemory = Annotated[
    str, typer.Option(metavar="SIZE", help="What it needs on each GPU, as 6GiB; else as earlier runs like it needed.")
]
RetryOom = Annotated[int | None, typer.Option(metavar="N", help="After out of memory: N times half the micro-batch.")]
RetryTimes = Annotated[int | None, typer.Option("--retry", metavar="N", help="After another bad end: N times again.")]
RetryWait = Annotated[
    str, typer.Option(metavar="TIME", help="Before the first of those, as 30s; it doubles each time.")
]
Priority = Annotated[int, typer.Option(help="Higher starts earlier.")]
After = Annotated[list[str] | None, typer.Option(help="Start once this run ended well; may be given several times.")]
AfterAny = Annotated[
    list[str] | None, typer.Option(help="Start once this run ended, whatever its end; may be given several times.")
]
Begin = Annotated[str, typer.Option(metavar="TIME", help="Not before: 22:00, +2h, fri 18:30 or 2026-03-01T22:00.")]
Limit = Annotated[str, typer.Option(metavar="TIME", help="End it as a stop does after 90m, 8h or 2d, less its pauses.")]
Hang = Annotated[
    str, typer.Option(metavar="TIME", help="End it when it writes nothing for so long; --retry tries again.")
]
Needed = Annotated[
    bool, typer.Option("--needed", help="Unless a run of the same config, data and code ended well: then give that.")
]
OnFinish = Annotated[str, typer.Option(metavar="COMMAND", help="Shell command for its end; JSON of it on stdin.")]
Hold = Annotated[bool, typer.Option("--hold", help="Queue it held; `engine release` lets it start.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Watch it until it ends; its outcome is the exit code.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Freeze = Annotated[
    bool | None,
    typer.Option(
        "--freeze/--no-freeze",
        help="Execute the code as it is now (commit and changes), not as it is then; else `run` does and `exec` not.",
    ),
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
@lazy.mutation
def run(
    family: Annotated[str, typer.Argument(help="A family of `engine families`.")],
    preset: Annotated[str, typer.Option(help="A preset of the family; else its default.")] = "",
    sets: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help=SET)] = None,
    name: Name = "",
    tag: Tag = None,
    note: Note = "",
    gpus: Gpus = None,
    share: Share = False,
    gpu_memory: GpuMemory = "",
    retry_oom: RetryOom = None,
    retry: RetryTimes = None,
    retry_wait: RetryWait = "",
    priority: Priority = 0,
    after: After = None,
    after_any: AfterAny = None,
    begin: Begin = "",
    limit: Limit = "",
    hang: Hang = "",
    hold: Hold = False,
    needed: Needed = False,
    on_finish: OnFinish = "",
    freeze: Freeze = None,
    follow: Follow = False,
    as_json: Json = False,
) -> None:
    """Queue a training run of a family, such as: engine run toto --set train.lr=3e-4 --set data.context=512"""
    from engine.retry import split
    from engine.submit import parse_sets, submit_family

    settings, ours = split(parse_sets(sets or []))
    more = _more(share, gpu_memory, retry_oom, retry, retry_wait, ours)
    wishes = replace(_wishes(name, tag, note, gpus, priority, after, hold), freeze=freeze, **more)
    wishes = replace(
        wishes, **_times(begin, limit, hang), after_any=tuple(after_any or ()), needed=needed, on_finish=on_finish
    )
    with talk.engine() as client:
        row = submit_family(client, talk.workspace(), family, preset=preset or None, sets=settings, wishes=wishes)
        _told(client, row, follow, as_json)


@lazy.settings(allow_interspersed_args=False)
@lazy.mutation
def exec_(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments.")],
    name: Name = "",
    tag: Tag = None,
    note: Note = "",
    gpus: Gpus = None,
    share: Share = False,
    gpu_memory: GpuMemory = "",
    retry_oom: RetryOom = None,
    retry: RetryTimes = None,
    retry_wait: RetryWait = "",
    priority: Priority = 0,
    after: After = None,
    after_any: AfterAny = None,
    begin: Begin = "",
    limit: Limit = "",
    hang: Hang = "",
    hold: Hold = False,
    needed: Needed = False,
    on_finish: OnFinish = "",
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
    more = _more(share, gpu_memory, retry_oom, retry, retry_wait, {})
    wishes = replace(_wishes(name, tag, note, gpus, priority, after, hold), freeze=freeze, adopt=adopt, **more)
    wishes = replace(
        wishes, **_times(begin, limit, hang), after_any=tuple(after_any or ()), needed=needed, on_finish=on_finish
    )
    with talk.engine() as client:
        _told(client, submit_command(client, talk.workspace(), command, wishes=wishes), follow, as_json)


def _wishes(
    name: str, tag: list[str] | None, note: str, gpus: int | None, priority: int, after: list[str] | None, hold: bool
) -> Wishes:
    from engine.submit import Wishes

    return Wishes(
        name=name, tags=tuple(tag or ()), note=note, gpus=gpus, priority=priority, after=tuple(after or ()), hold=hold
    )


def _times(begin: str, limit: str, hang: str) -> dict[str, Any]:
    """Read --begin, --limit and --hang. Raises UsageError."""
    if not (begin or limit or hang):
        return {}
    from engine import when

    return {
        "begin": when.moment(begin, time.time(), "--begin") if begin else None,
        "limit": when.duration(limit, "--limit") if limit else None,
        "hang": when.duration(hang, "--hang") if hang else None,
    }


OPTIONS = {"oom": "--retry-oom", "times": "--retry", "wait": "--retry-wait"}
"""What the fields of retry are called where they are options."""


def _more(
    share: bool, gpu_memory: str, oom: int | None, times: int | None, wait: str, sets: dict[str, str]
) -> dict[str, Any]:
    """What the options about devices and further attempts ask. sets: what `--set retry.*` asks, by field."""
    from engine.errors import BadField
    from engine.retry import policy
    from engine.sizes import size

    typed = {"oom": oom, "times": times, "wait": wait or None}
    given = {name: value for name, value in typed.items() if value is not None}
    if twice := next((name for name in given if name in sets), None):
        raise BadField(f"retry.{twice} is given twice: {given[twice]} and {sets[twice]}. Leave one out.")
    memory = size(gpu_memory, "--gpu-memory") if gpu_memory else None
    options = {name: option for name, option in OPTIONS.items() if name not in sets}
    return {"share": share, "gpu_memory": memory, "retry": policy({**given, **sets}, options)}


def _told(client: Client, row: RunRow, follow: bool, as_json: bool) -> None:
    """Print the id, or with --follow stay until the end; a run that was not needed has ended already."""
    follow = follow and not talk.rehearsing()
    if not as_json:
        talk.out(row.id)
    elif not follow:
        talk.json_out(row)
    if not follow:
        if row.state in ENDED:
            talk.say(f"not needed: {row.id} is the same and ended well at {words.moment(row.ended)}.")
        elif not as_json:
            talk.say(f"{row.id} is {words.stands(row, ': ')}. `engine follow {row.id}` watches it.")
        return
    from engine.cli import follow as following

    code, rows = following.follow([row.id])
    if as_json:
        talk.json_out(rows[0])
    raise typer.Exit(code)
