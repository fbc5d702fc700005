"""Commands about model families: families, config."""

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
    talk.table(columns, rows(found))
