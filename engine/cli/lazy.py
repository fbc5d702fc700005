"""Typer commands that are imported when they are called, and read plain values without pydantic.

`engine --help` and every command pay only for themselves: 40 commands would cost 60 ms to declare, and typer 0.29 reads
each number or text through pydantic, whose import alone is 100 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from importlib import import_module
from inspect import Parameter, signature
from typing import Annotated, Any, ClassVar, cast

import typer
from typer.core import TyperCommand, TyperGroup

Table = Mapping[str, Mapping[str, tuple[str, str]]]
"""Section -> command -> ("module:function", its line in the list of commands). A section "" is not listed."""


class Command(TyperCommand):
    """A command whose texts, numbers, flags and lists of texts are read by their own constructors."""

    def get_params(self, ctx: Any) -> Any:
        return [_plainly(param) for param in super().get_params(ctx)]


def _plainly(param: Any) -> Any:
    kind = param.type_descriptor.annotation
    if kind in (str, int, float, bool, list[str]):
        param.process_value = partial(_read, param, kind)
    return param


def _read(param: Any, kind: type, ctx: typer.Context, value: Any) -> Any:
    if kind == list[str]:
        value = [str(item) for item in value or ()]
    elif value is not None and kind is not bool:
        try:
            value = kind(value)
        except ValueError:
            what = {int: "a whole number", float: "a number"}[kind]
            raise typer.BadParameter(f"{value!r} is not {what}.", ctx=ctx, param=param) from None
    if param.required and param.value_is_missing(value):
        raise typer.BadParameter(f"{param.name} is missing.", ctx=ctx, param=param)
    if param.callback is not None:  # --help is one
        value = param.callback(ctx, param, value)
    return value


class Group(TyperGroup):
    """Commands from a table: named and listed by it, imported one by one."""

    table: ClassVar[Table] = {}

    def places(self) -> dict[str, str]:
        return {name: place for section in self.table.values() for name, (place, _) in section.items()}

    def get_params(self, ctx: Any) -> Any:
        return [_plainly(param) for param in super().get_params(ctx)]

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.places())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        place = self.places().get(cmd_name)
        if place is None:
            return None
        found = _load(place)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found)
        return build(cmd_name, found)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.places() and not args[0].startswith("-"):
            from engine.errors import UsageError, did_you_mean

            listed = [name for section, names in self.table.items() if section for name in names]
            near = did_you_mean(args[0], listed)
            raise UsageError(f"No command '{args[0]}'.{near} `{ctx.command_path} --help` lists all.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for section, names in self.table.items():
            if section:
                with formatter.section(section):
                    formatter.write_dl([(name, line) for name, (_, line) in names.items()])


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def build(name: str, function: Callable[..., Any]) -> Any:
    """Make the command of a function; `settings` on the function are its context settings."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=Command, context_settings=getattr(function, "settings", None))(function)
    return typer.main.get_command(app)


def mutation(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command that changes runs or the queue the option --dry-run, the same for all of them."""

    @wraps(function)
    def rehearsed(*args: Any, dry_run: bool, **named: Any) -> None:
        from engine.cli import talk

        talk.rehearse(dry_run)
        function(*args, **named)

    option = Annotated[bool, typer.Option("--dry-run", help="Tell what would happen, and change nothing.")]
    own = signature(function, eval_str=True)
    extra = Parameter("dry_run", Parameter.KEYWORD_ONLY, default=False, annotation=option)
    made = cast(Any, rehearsed)
    made.__signature__ = own.replace(parameters=[*own.parameters.values(), extra])
    made.__annotations__ = {name: param.annotation for name, param in made.__signature__.parameters.items()}
    return cast(Callable[..., None], rehearsed)


def settings(**values: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Attach context settings to a command's function, as `allow_interspersed_args=False`."""

    def attach(function: Callable[..., None]) -> Callable[..., None]:
        cast(Any, function).settings = values
        return function

    return attach


def group(table: Table, help: str, *, epilog: str | None = None) -> typer.Typer:  # noqa: A002 - as typer calls it
    """Make an app of a table's commands."""
    cls = type("TableGroup", (Group,), {"table": table})
    app = typer.Typer(
        cls=cls, help=help, epilog=epilog, add_completion=False, rich_markup_mode=None, no_args_is_help=True,
        pretty_exceptions_enable=False,
    )  # fmt: skip

    @app.callback()
    def root() -> None:
        pass

    root.__doc__ = help
    return app


def run(app: typer.Typer, args: Sequence[str]) -> int:
    """Run a command line and give its exit code; errors come out as exceptions."""
    code = typer.main.get_command(app).main(args=list(args), prog_name="engine", standalone_mode=False)
    return code if isinstance(code, int) else 0
