"""`engine compare A B ...`: several runs side by side, on the terminal or as a file to keep."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli import talk
from engine.cli.database import up_to_date


def compare(
    runs: Annotated[list[str], typer.Argument(help="Two runs or more; the others are tested against the first.")],
    md: Annotated[bool, typer.Option("--md", help="As Markdown.")] = False,
    html: Annotated[bool, typer.Option("--html", help="As one HTML file, with pictures.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    code: Annotated[
        bool, typer.Option("--code", help="Only the code that they ran, as a diff from the first.")
    ] = False,
) -> None:
    """Tell where runs differ in config, code, environment and data, and which is better on the windows they share.

    To stdout: engine compare 1 2 --html > comparison.html
    """
    from engine import page
    from engine.compare import compare as compared
    from engine.compare_page import parts
    from engine.errors import UsageError

    if md + html + as_json + code > 1:
        raise UsageError("--md, --html, --json and --code exclude each other.")
    if code:
        _code(whole_ids(runs))
        return
    if html:
        from engine.plots import needed

        needed()
    up_to_date()
    found = compared(talk.workspace(), whole_ids(runs))
    if as_json:
        talk.json_out(found.as_json())
    elif html:
        talk.out(page.html(f"Comparison of {', '.join(found.runs)}", parts(found, pictures=True)))
    else:
        made = parts(found, pictures=False)
        talk.out(page.markdown(made) if md else page.terminal(made))


def _code(runs: list[str]) -> None:
    from engine.codediff import code_diff
    from engine.compare import spec_of
    from engine.errors import UsageError

    if len(runs) < 2:
        raise UsageError("--code takes two runs or more: the others are shown as they differ from the first.")
    first, *others = [spec_of(talk.workspace(), run) for run in runs]
    for other in others:
        found = code_diff(talk.workspace(), first, other)
        if found:
            talk.out(found)
        else:
            talk.say(f"{first.id} and {other.id} ran the same code.")


def whole_ids(words: list[str]) -> list[str]:
    """Whole ids of what a person typed, in that order, each once."""
    from engine.messages import RunDetail, ShowRun

    with talk.engine() as client:
        found = [talk.expect(client.call(ShowRun(word)), RunDetail).row.id for word in words]
    return list(dict.fromkeys(found))
