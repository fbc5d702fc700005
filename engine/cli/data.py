"""Commands that the trainers carry out themselves, in a process of their own: data, and forecasting."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from engine.cli import lazy, talk


@lazy.settings(ignore_unknown_options=True, allow_extra_args=True, help_option_names=[])
def data(context: typer.Context) -> None:
    """Make, import or check data: `engine data synth|import|check --help` tells the options."""
    raise typer.Exit(trainers(["data", *context.args]))


def trainers(args: Sequence[str]) -> int:
    """Run `python -m trainers ...` in the workspace, on our own stdin, stdout and stderr; its exit code.

    Paths that exist from where the person is stay what they are, though the trainers start in the workspace.
    """
    return _run(args, None)[0]


def captured(args: Sequence[str]) -> tuple[int, str]:
    """The same, but what it writes to stdout is given back beside its exit code."""
    import subprocess

    return _run(args, subprocess.PIPE)


def _run(args: Sequence[str], stdout: int | None) -> tuple[int, str]:
    import subprocess

    root = talk.workspace().root
    here = Path.cwd()
    if here != root:
        args = [str(here / arg) if arg[:1] not in ("", "-") and (here / arg).exists() else arg for arg in args]
    code = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [code, os.environ.get("PYTHONPATH", "")]))
    env = {**os.environ, "ENGINE_HOME": str(root), "PYTHONPATH": path}
    # -P: a file of the workspace that is called like a module must not be taken for one
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "trainers", *args], cwd=root, env=env, stdout=stdout, text=True
    )
    while True:
        try:
            said, _ = process.communicate()
        except KeyboardInterrupt:
            continue  # the terminal has told it too; it ends by itself
        return process.returncode if process.returncode >= 0 else 128 - process.returncode, said or ""
