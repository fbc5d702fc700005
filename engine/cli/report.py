"""`engine report`: one self-contained file about many runs, to mail or to keep."""

from __future__ import annotations

import re
import time
from typing import Annotated

import typer

from engine.cli import talk
from engine.cli.database import up_to_date

SPAN = re.compile(r"(\d+(?:\.\d+)?)([mhdw])")
SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def report(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs; none means all.", metavar="[RUN]...")] = None,
    family: Annotated[str, typer.Option(help="Only this family.")] = "",
    tag: Annotated[str, typer.Option(help="Only runs with this tag.")] = "",
    since: Annotated[str, typer.Option(help="Only runs queued since: 30m, 12h, 7d, 2w, a day as 2025-11-20.")] = "",
    html: Annotated[bool, typer.Option("--html", help="As one HTML file, with pictures.")] = False,
    md: Annotated[bool, typer.Option("--md", help="As Markdown.")] = False,
    to: Annotated[str, typer.Option("--to", "-o", help="Write to this file; else to stdout.", metavar="FILE")] = "",
) -> None:
    """Tell what was tried, what is best and whether to believe it, what failed, what it cost and how to do it again.

    Without --html or --md it is for the terminal. HTML is one file without links to others, to be mailed and printed.
    """
    from pathlib import Path

    from engine import page
    from engine.cli.compare import whole_ids
    from engine.errors import UsageError, WorkspaceError
    from engine.report import Choice, gather
    from engine.report_page import parts

    if html and md:
        raise UsageError("--html and --md exclude each other.")
    if runs and (family or tag or since):
        raise UsageError("Name runs, or choose them by --family, --tag and --since; not both.")
    begin = moment(since) if since else None
    if html:
        from engine.plots import needed

        needed()
    up_to_date()
    workspace = talk.workspace()
    choice = Choice(tuple(whole_ids(runs)) if runs else (), family, tag, begin)
    made = parts(gather(workspace, choice), workspace.runs, pictures=html)
    title = f"Report: {choice.words}"
    text = page.html(title, made) if html else page.markdown(made) if md else page.terminal(made)
    if not to:
        talk.out(text)
        return
    path = Path(to).expanduser()
    try:
        path.write_text(text + ("" if text.endswith("\n") else "\n"), encoding="utf-8")
    except OSError as error:
        raise WorkspaceError(f"{path} can't be written: {error.strerror}.") from None
    talk.say(f"{path}: {len(text.encode()):,} bytes.")


def moment(word: str) -> float:
    """Unix seconds of `7d` ago or of a day's beginning. Raises UsageError."""
    from engine.errors import UsageError

    if found := SPAN.fullmatch(word):
        return time.time() - float(found[1]) * SECONDS[found[2]]
    try:
        return time.mktime(time.strptime(word, "%Y-%m-%d"))
    except (ValueError, OverflowError):
        raise UsageError(f"--since {word}: expected 30m, 12h, 7d, 2w or a day such as 2025-11-20.") from None
