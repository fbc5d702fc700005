"""Commands that look back at what a run was made of: diff, rerun."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import lazy, table, talk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.differ import Difference
    from engine.messages import RunDetail
    from engine.rerun import Rerun

WIDTH = 60
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def diff(
    a: Annotated[str, typer.Argument(help="A run.")],
    b: Annotated[str, typer.Argument(help="Another one.")],
    as_json: Json = False,
) -> None:
    """Show what differs between two runs: settings, code, packages, environment and data."""
    from engine.differ import differences

    one, other = _detail(a), _detail(b)
    found = differences([one.spec, other.spec], [patch_of(one), patch_of(other)])
    if as_json:
        plain = [{"part": at.part, "name": at.name, "a": at.values[0], "b": at.values[1]} for at in found]
        talk.json_out({"a": one.row.id, "b": other.row.id, "same": not found, "differences": plain})
    elif found:
        talk.out(side_by_side(one.row.id, other.row.id, found, table.width()))
    else:
        talk.say(f"{one.row.id} and {other.row.id} do not differ in settings, code, packages, environment or data.")


@lazy.mutation
def rerun(
    run: Annotated[str, typer.Argument(help="A run.")],
    anyway: Annotated[bool, typer.Option("--anyway", help="Queue it even if not all is as it was.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only tell whether all is as it was; queue nothing.")] = False,
    hold: Annotated[bool, typer.Option("--hold", help="Queue it held; `engine release` lets it start.")] = False,
    seeds: Annotated[int, typer.Option("--seeds", help="Queue it so many times, each with a seed of its own.")] = 0,
    as_json: Json = False,
) -> None:
    """Run it again exactly: same settings, code, seed, environment and data; refused if one of them can't be had.

    With --seeds all but the seed: the leaderboard then tells the spread over them. Of the environment only what is
    known to bear on training is written down (CUDA_*, TORCH*, PYTHON*, OMP_* and the like); the rest is as it is now.
    """
    from engine.errors import EngineError, UsageError
    from engine.messages import Queued, Submit
    from engine.rerun import prepare

    detail = _detail(run)
    if not detail.spec.command:
        raise UsageError(f"{detail.row.id} was imported: there is no command to run again.")
    made = prepare(talk.workspace(), detail.spec, patch_of(detail), os.environ)
    if check:
        talk.rehearse(False)  # it changes nothing anyway, and is asked for what it tells
        _told(detail.row.id, made, as_json)
        raise typer.Exit(1 if made.missing else 0)
    if made.missing and not anyway:
        raise EngineError(
            f"{detail.row.id} can't be run again exactly: {_line(made)}. --anyway runs it as near as can be."
        )
    if seeds:
        _replicate(detail, made, seeds, hold, as_json)
        return
    wish = Submit(spec=made.spec, patch=made.patch, environment=made.environment, hold=hold)
    row = talk.ask(wish, Queued).row
    if as_json:
        talk.json_out({"run": row, "missing": made.missing})
        return
    talk.out(row.id)
    told = f"as near to {detail.row.id} as can be: {_line(made)}" if made.missing else f"exactly as {detail.row.id}"
    talk.say(f"{row.id} is {row.state}, {told}.")


def _replicate(detail: RunDetail, made: Rerun, count: int, hold: bool, as_json: bool) -> None:
    from engine.cli.database import up_to_date
    from engine.messages import Queued
    from engine.replicate import further_seeds, replicas

    up_to_date()
    wishes = replicas(made, further_seeds(talk.workspace(), detail.spec, count), hold=hold)
    with talk.engine() as client:
        rows = [talk.expect(client.call(wish), Queued).row for wish in wishes]
    if as_json:
        talk.json_out({"runs": rows, "missing": made.missing})
        return
    talk.out("\n".join(row.id for row in rows))
    told = (
        f"as near to {detail.row.id} as can be: {_line(made)}" if made.missing else f"{detail.row.id} but for the seed"
    )
    talk.say(f"{', '.join(f'{w.spec.seed}' for w in wishes)} are the seeds; {told}.")


def patch_of(detail: RunDetail) -> str:
    """Give code.patch of a run, empty if it has none."""
    from pathlib import Path

    from engine import rerun

    return rerun.patch_of(Path(detail.folder))


def _detail(run: str) -> RunDetail:
    from engine.messages import RunDetail, ShowRun

    return talk.ask(ShowRun(run), RunDetail)


def _line(made: Rerun) -> str:
    return "; ".join(f"{one.part}: {one.text.rstrip('.')}" for one in made.missing)


def _told(run: str, made: Rerun, as_json: bool) -> None:
    if as_json:
        talk.json_out({"run": run, "exact": not made.missing, "missing": made.missing})
        return
    if not made.missing:
        talk.say(f"{run} can be run again exactly.")
    for one in made.missing:
        talk.out(f"{one.part}: {one.text}" + (f" ({one.remedy})" if one.remedy else ""))


def side_by_side(a: str, b: str, found: Sequence[Difference], limit: int | None) -> str:
    """Both values beside each other, or below where a line of so many characters is too short for that."""
    names = [f"{one.part} {one.name}" for one in found]
    size = max(len(name) for name in names)
    values = [[_short(value) for value in one.values] for one in found]
    wide = max(len(a), *(len(one) for one, _ in values))
    if limit is not None and size + wide + max(len(b), *(len(other) for _, other in values)) + 4 > limit:
        room = max(len(a), len(b))
        return "\n".join(
            f"{name}\n  {a:<{room}}  {one}\n  {b:<{room}}  {other}"
            for name, (one, other) in zip(names, values, strict=True)
        )
    rows = [f"{'':<{size}}  {a:<{wide}}  {b}"]
    rows += [f"{n:<{size}}  {one:<{wide}}  {other}" for n, (one, other) in zip(names, values, strict=True)]
    return "\n".join(rows)


def _short(value: object) -> str:
    from engine.differ import short

    text = " ".join(short(value).split())
    return text if len(text) <= WIDTH else f"{text[: WIDTH // 2]}…{text[-WIDTH // 2 + 1 :]}"
