"""Commands that keep a workspace in order: du, gc, pack, unpack, import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine import writable
from engine.cli import lazy, table, talk, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.gc import Plan

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def du(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs; none means all.", metavar="[RUN]...")] = None,
    as_json: Json = False,
) -> None:
    """Show what each run takes on the disk, largest last, and what else the workspace does."""
    from engine.messages import RunDetail, ShowRun
    from engine.usage import usage

    ids = [talk.ask(ShowRun(run), RunDetail).row.id for run in runs] if runs else None
    found, others = usage(talk.workspace(), ids)
    if as_json:
        talk.json_out({"runs": found, "others": [] if ids else others})
        return
    rows = sorted(found, key=lambda one: one.total)
    if ids is None:
        total = sum(one.total for one in (*found, *others))
        rows += [one for one in others if one.total]
        talk.say(f"{words.size(total)} in {len(found)} runs and what belongs to them.")
    talk.table(_columns(), rows)


def _columns() -> tuple[table.Column, ...]:
    column = table.Column

    def size(value: int) -> str:
        return words.size(value) if value else ""

    return (
        column("RUN", lambda one: one.run, keep=True),
        column("ALL", lambda one: words.size(one.total), right=True, keep=True),
        column("CHECKPOINTS", lambda one: size(one.checkpoints), right=True),
        column("LOG", lambda one: size(one.log), right=True),
        column("METRICS", lambda one: size(one.metrics), right=True),
        column("EVALUATION", lambda one: size(one.evaluation), right=True),
        column("OTHER", lambda one: size(one.other), right=True),
        column("SHARED", lambda one: size(one.shared), right=True),
        column("FILES", lambda one: str(one.files), right=True),
    )


@lazy.mutation
def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Delete it; else it is only shown.")] = False,
    best: Annotated[int, typer.Option("--keep-best", help="Checkpoints of each run to keep by score.")] = 1,
    as_json: Json = False,
) -> None:
    """Show what may be deleted, and with --yes delete it: old checkpoints, leftovers of deaths, unused frozen code.

    A run keeps its best checkpoints and its last. Nothing is taken of a run that lives or waits, that can be resumed or
    that was exported.
    """
    from engine.errors import UsageError
    from engine.gc import carry_out, plan
    from engine.messages import ListRuns, Order, Queued, Rows

    if best < 1:
        raise UsageError(f"--keep-best {best} is out of range: 1 or more.")
    with talk.engine() as client:
        made = plan(talk.workspace(), talk.expect(client.call(ListRuns()), Rows).rows, best=best)
        freed = 0
        yes = yes and not talk.rehearsing()
        if yes:
            for run_id in dict.fromkeys(item.run for item in made.items if item.run):
                names = ", ".join(item.path.name for item in made.items if item.run == run_id)
                # The line first: a checkpoint that is missing was deleted by somebody, and this says by whom.
                talk.expect(client.call(Order(run=run_id, order="gc", value=names, why="engine gc --yes")), Queued)
            freed = sum(carry_out(item) for item in made.items)
    if as_json:
        talk.json_out({"items": made.items, "kept": made.kept, "bytes": made.bytes, "deleted": yes, "freed": freed})
        return
    _told(made)
    if yes:
        talk.say(f"{words.size(freed)} were freed.")
    elif made.items:
        talk.say(f"{words.size(made.bytes)} would be freed; --yes deletes it.")


def _told(made: Plan) -> None:
    root = talk.workspace().root
    if talk.rehearsing():
        for item in made.items:
            writable.check(item.path)
            talk.would(f"{item.path.relative_to(root)} would go, {words.size(item.bytes)}: {item.why}")
        talk.would(f"{words.size(made.bytes)} would be freed")
    for item in made.items:
        talk.out(f"{words.size(item.bytes):>10}  {item.path.relative_to(root)}  ({item.why})")
    for run_id, why in made.kept.items():
        talk.say(f"nothing of {run_id} goes: {why}.")
    if not made.items:
        talk.say("there is nothing to delete.")


@lazy.mutation
def pack(
    run: Annotated[str, typer.Argument(help="A run that has ended.")],
    output: Annotated[str, typer.Option("--output", "-o", help="The file; else RUN.tar here.")] = "",
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints/--no-checkpoints", help="Whether its weights travel, too.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Write a run into one file, with checksums and without what looks like a secret; `engine unpack` takes it in."""
    from engine import packing
    from engine.errors import UsageError
    from engine.messages import RunDetail, ShowRun
    from engine.records import ENDED

    row = talk.ask(ShowRun(run), RunDetail).row
    if row.state not in ENDED:
        raise UsageError(f"{row.id} is {row.state}: only an ended run can be packed.")
    path = Path(output or f"{row.id}.tar").absolute()
    if talk.rehearsing():
        made = packing.rehearse(talk.workspace(), row.id, path, checkpoints=checkpoints)
        size = sum(entry.size for entry in made.files)
        talk.would(f"{path} would be written: {len(made.files)} files of {row.id}, {words.size(size)}")
        if as_json:
            talk.json_out({"file": path, "bytes": None, "manifest": made})
        return
    made = packing.pack(talk.workspace(), row.id, path, checkpoints=checkpoints)
    if as_json:
        talk.json_out({"file": path, "bytes": path.stat().st_size, "manifest": made})
        return
    for name in made.left_out:
        talk.say(f"left out: {name}.")
    talk.say(f"{row.id}: {len(made.files)} files, {words.size(path.stat().st_size)}.")
    talk.out(str(path))


@lazy.mutation
def unpack(
    files: Annotated[list[str], typer.Argument(help="Files of `engine pack`.", metavar="FILE...")],
    as_json: Json = False,
) -> None:
    """Take in packed runs as history. Each keeps its id where that is free here; the same file is taken in once."""
    from engine import packing

    with talk.engine() as client:
        if talk.rehearsing():
            ids = [packing.foresee(client, Path(file)) for file in files]
            _foreseen([{"file": file} for file in files], ids, as_json)
            return
        found = [packing.unpack(client, talk.workspace(), Path(file)) for file in files]
    if as_json:
        talk.json_out([{"run": row, "new": new} for row, new in found])
        return
    for (row, new), file in zip(found, files, strict=True):
        talk.out(row.id)
        if not new:
            talk.say(f"{file} is here already, as {row.id}.")


def _foreseen(what: Sequence[dict[str, str]], ids: Sequence[str], as_json: bool) -> None:
    """Write what a rehearsal found as JSON; in words the engine has said it."""
    if as_json:
        talk.json_out([{**one, "run": None, "id": run_id} for one, run_id in zip(what, ids, strict=True)])


@lazy.mutation
def import_(
    folders: Annotated[list[str], typer.Argument(help="Folders, or folders of folders.", metavar="FOLDER...")],
    as_json: Json = False,
) -> None:
    """Bring in finished checkpoint folders of other trainers as history, each once, marked as imported.

    Read are final_metrics.json, best_records.json, evaluation.json and training.log; checkpoints stay where they are.
    """
    from engine.imports import bring_in, find, foresee

    found = [one for folder in folders for one in find(Path(folder).absolute())]
    with talk.engine() as client:
        if talk.rehearsing():
            ids = [foresee(client, one) for one in found]
            _foreseen([{"folder": str(one.folder)} for one in found], ids, as_json)
            return
        made = [(one, *bring_in(client, talk.workspace(), one)) for one in found]
    if as_json:
        talk.json_out([{"folder": one.folder, "run": row, "new": new} for one, row, new in made])
        return
    for one, row, new in made:
        what = ", ".join(one.files)
        how = f"is {row.id} now" if new else f"is here already, as {row.id}"
        talk.out(f"{row.id}  {one.folder}  ({what})")
        talk.say(f"{one.folder} {how}.")
