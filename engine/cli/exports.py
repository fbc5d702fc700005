"""`engine export` and `engine aliases`: which models programs get to use, and which they were given before."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli import lazy, talk, words
from engine.cli.best import direction
from engine.cli.database import up_to_date

FORMATS = ("hub", "onnx", "torch", "int8")
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@lazy.mutation
def export(
    run: Annotated[str, typer.Argument(help="A run, or best.", metavar="RUN|best")] = "",
    metric: Annotated[str, typer.Option(help="What makes a run the best.")] = "val_pct_mae",
    way: Annotated[str, typer.Option("--direction", help="min or max; else by the metric's name.")] = "",
    family: Annotated[str, typer.Option(help="Only this family, for best.")] = "",
    dataset: Annotated[
        str, typer.Option("--dataset", "--fingerprint", help="Only runs on these data, for best: fingerprint or path.")
    ] = "",
    alias: Annotated[str, typer.Option(help="A name such as prod: write .best_model_path.NAME instead.")] = "",
    to: Annotated[str, typer.Option(help="Also copy what forecasting needs into this new folder.", metavar="DIR")] = "",
    format_: Annotated[
        str, typer.Option("--format", help="With --to: hub, onnx, torch (torch.export) or int8, checked by numbers.")
    ] = "",
    undo: Annotated[
        bool, typer.Option("--undo", help="Go back to the model named before; after the first, to none.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Name a run's best checkpoint in .best_model_path, from where `engine predict` and programs take it.

    Its files are checked first, and its results on test data and unseen symbols are told now, for the first time. What
    was named before is kept for --undo, which checks that its weights are still the same.
    """
    from engine.cli import promote
    from engine.errors import UsageError

    if undo:
        if run or to or dataset or family or way or format_:
            raise UsageError("--undo goes back to the model before: it takes --alias and nothing else.")
        back = promote.undo(alias)
        if talk.rehearsing():
            talk.would(f"{back['run']} would be the model again" if back else "no model would be named any more")
        if as_json:
            talk.json_out(back)
        else:
            said = f"{back['run']} is the model again." if back else "No model is named any more, as before."
            talk.say(f"{said} `engine export --undo` once more takes that back.")
            if back:
                talk.out(str(back["checkpoint"]))
        return
    if not run:
        raise UsageError("Export what? `engine export best`, or a run of `engine best`.")
    if format_:
        _converted(run, format_, to, as_json)
        return
    told = direction(way)
    up_to_date()
    found = promote.promote(
        run, metric=metric, direction=told, family=family or None, dataset=dataset or None, alias=alias,
        to=Path(to).expanduser().absolute() if to else None,
    )  # fmt: skip
    if talk.rehearsing():
        talk.would(promote.told(found))
    if as_json:
        talk.json_out({name: value for name, value in asdict(found).items() if name != "board"})
    else:
        talk.say(promote.told(found))
        talk.out(str(found.copy or found.checkpoint))


def _converted(run: str, kind: str, to: str, as_json: bool) -> None:
    """Write the model of a run for another runtime; which model programs use stays as it is."""
    from engine.cli.data import trainers
    from engine.errors import UsageError
    from engine.evaluation import find_model

    if kind not in FORMATS:
        raise UsageError(f"--format {kind}: expected {', '.join(FORMATS)}.")
    if not to:
        raise UsageError(f"--format {kind} writes a folder: give it a name with --to.")
    up_to_date()
    with talk.engine() as client:
        model = find_model(talk.workspace(), run, client)
    args = ["convert", "--model", str(model.path), "--to", kind, "--out", str(Path(to).expanduser().absolute())]
    args += ["--dry-run"] if talk.rehearsing() else []
    raise typer.Exit(trainers([*args, "--json"] if as_json else args))


def aliases(as_json: Json = False) -> None:
    """List what .best_model_path and each alias name, with everything they named before."""
    from engine.pointer import pointers

    up_to_date()
    now = [{"alias": one.alias, "path": str(one.path), **one.read()} for one in pointers(talk.workspace())]
    past = _history()
    if as_json:
        talk.json_out({"now": now, "history": past})
        return
    from engine.errors import NothingToShow

    if not now:
        raise NothingToShow("Nothing is exported yet: `engine export best --alias prod` gives a model a name.")
    lines = []
    for one in now:
        score = words.number((one.get("metrics") or {}).get("val_pct_mae"))
        since = words.moment(one.get("exported"))
        lines.append(f"{one['alias'] or '(default)'}  {one['run']}  {f'val {score}%  ' if score else ''}{since}")
        for line in past:
            if line["alias"] == one["alias"]:
                lines.append(f"  {words.moment(line['t'])}  {line['kind']:<6}  {line['run'] or 'none'}")
    talk.out("\n".join(lines))


def _history() -> list[dict[str, Any]]:
    """Exports and undos as the engine wrote them down, the latest first."""
    from engine.store_sql import ask

    query = (
        "SELECT epoch(t), kind, detail ->> 'alias', detail ->> 'run', detail ->> 'checkpoint', detail ->> 'sha256' "
        "FROM notes WHERE kind IN ('export', 'undo', 'alias') ORDER BY t DESC"
    )
    names = ("t", "kind", "alias", "run", "checkpoint", "sha256")
    return [dict(zip(names, row, strict=True)) for row in ask(talk.workspace().database, query).rows]
