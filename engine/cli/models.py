"""Commands about model families and the models that came out: families, config, best, export, predict."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from engine.cli import table, talk
from engine.cli.database import up_to_date

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def families(as_json: Json = False) -> None:
    """List the model families with their presets; a star marks the default one."""
    from engine.families import describe

    known = describe(talk.workspace().root)
    if as_json:
        plain = {name: talk.plain(one) for name, one in known.items()}
        talk.json_out({name: {key: one[key] for key in one if key != "fields"} for name, one in plain.items()})
        return
    for name, family in known.items():
        talk.out(f"{name}  {family.title}\n  {family.help}")
        size = max(map(len, family.presets), default=0)
        for preset, told in family.presets.items():
            talk.out(f"  {'*' if preset == family.default_preset else ' '} {preset:<{size}}  {told}")


def config(
    family: Annotated[str, typer.Argument(help="A family of `engine families`.")],
    preset: Annotated[str, typer.Option(help="Show the values of this preset instead of the fields' defaults.")] = "",
    as_json: Json = False,
) -> None:
    """List every field of a family with its default, range and meaning; each can be given as --set FIELD=VALUE."""
    from engine.families import find, resolve, rows, shown

    root = talk.workspace().root
    found = find(root, family)
    values: dict[str, str] = {}
    resolved = resolve(root, family, preset) if preset else None
    if resolved is not None:
        values = {f"{s}.{n}": shown(v) for s, fields in resolved.config.items() for n, v in fields.items()}
    if as_json:
        fields = talk.plain(found.fields)
        for field in fields:
            if resolved is not None:
                section, _, name = field["name"].partition(".")
                field["value"] = resolved.config.get(section, {}).get(name)
        talk.json_out(fields)
        return
    column = table.Column
    columns = (
        column("FIELD", lambda r: r.field, keep=True),
        column("TYPE", lambda r: r.type),
        column("DEFAULT", lambda r: r.default or '""'),
        column(preset.upper(), lambda r: values.get(r.field, "-" if preset else "")),
        column("RANGE", lambda r: r.range),
        column("HELP", lambda r: r.help, shrink=True),
    )
    talk.out(table.render(columns, rows(found), limit=table.width(), colour=talk.colour()))


def best(
    metric: Annotated[str, typer.Option(help="A validation metric, or any that was logged.")] = "val_pct_mae",
    direction: Annotated[str, typer.Option(help="min or max; else by the metric's name.")] = "",
    family: Annotated[str, typer.Option(help="Only this family.")] = "",
    top_k: Annotated[int | None, typer.Option("--top-k", "-k", help="At most so many runs.")] = None,
    fingerprint: Annotated[str, typer.Option(help="Of the data; else what most runs have in common.")] = "",
    as_json: Json = False,
) -> None:
    """Show the leaderboard by validation alone, with the naive forecast in its place among the runs."""
    from engine.select import leaderboard, render

    way = _direction(direction)
    up_to_date()
    board = leaderboard(talk.workspace().database, metric, way, family or None, top_k, fingerprint or None)
    if as_json:
        talk.json_out(board.as_json())
    else:
        talk.out(render(board))


def export(
    run: Annotated[str, typer.Argument(help="A run, or best.", metavar="RUN|best")],
    metric: Annotated[str, typer.Option(help="What makes a run the best.")] = "val_pct_mae",
    direction: Annotated[str, typer.Option(help="min or max; else by the metric's name.")] = "",
    family: Annotated[str, typer.Option(help="Only this family, for best.")] = "",
    fingerprint: Annotated[str, typer.Option(help="Of the data, for best.")] = "",
    as_json: Json = False,
) -> None:
    """Name a run's best checkpoint in .best_model_path, from where `engine predict` and programs take it.

    Its results on test data and unseen symbols are told now, for the first time.
    """
    from engine.cli.promote import promote, told

    way = _direction(direction)
    up_to_date()
    found = promote(run, metric=metric, direction=way, family=family or None, fingerprint=fingerprint or None)
    if as_json:
        talk.json_out({name: value for name, value in asdict(found).items() if name != "board"})
    else:
        talk.say(told(found))
        talk.out(str(found.checkpoint))


def _direction(word: str) -> Literal["min", "max"] | None:
    from engine.errors import UsageError

    match word:
        case "":
            return None
        case "min":
            return "min"
        case "max":
            return "max"
    raise UsageError(f"--direction {word}: expected min or max.")
