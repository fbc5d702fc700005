"""Commands about model families and the models that came out: families, config, best, export, predict."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli import table, talk

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def families(as_json: Json = False) -> None:
    """List the model families with their presets; a star marks the default one."""
    from engine.families import describe

    known = describe(talk.workspace().root)
    if as_json:
        told = {name: talk.plain(one) for name, one in known.items()}
        talk.json_out({name: {key: one[key] for key in one if key != "fields"} for name, one in told.items()})
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


def predict(
    symbol: Annotated[list[str] | None, typer.Option(help="A series; may be given several times. Else all.")] = None,
    data: Annotated[str, typer.Option(help="File or folder; else the data that the model was trained on.")] = "",
    horizon: Annotated[int, typer.Option(help="Steps ahead.")] = 64,
    levels: Annotated[str, typer.Option(help="Quantile levels, with commas.")] = ".1,.5,.9",
    model: Annotated[str, typer.Option(help="A checkpoint folder; else the exported one.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Json = False,
) -> None:
    """Forecast with the exported model (.best_model_path), in original prices."""
    from engine.cli.data import trainers
    from engine.errors import NothingToShow

    best = talk.workspace().best
    if not model and not best.exists():
        raise NothingToShow("No model has been exported: `engine export best` exports the best one, or give --model.")
    args = ["forecast", "--model", model or str(best), "--horizon", str(horizon), "--levels", levels]
    args += ["--device", device]
    args += [part for name in symbol or () for part in ("--symbol", name)]
    args += ["--data", data] if data else []
    raise typer.Exit(trainers([*args, "--json"] if as_json else args))
