"""What the form of a new run has done in its workers: fields described, configs resolved, runs foreseen and queued."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import EngineError, UsageError
from engine.messages import RunDetail, ShowRun
from engine.records import RunRow
from engine.workspace import Workspace
from tui import form as forms
from tui.feed import ask
from tui.fields import EXEC
from tui.form import Form

if TYPE_CHECKING:
    from engine.client import Client
    from engine.prospect import Prospect
    from engine.submit import Wishes


def begun(workspace: Workspace) -> Form:
    """An empty form of what the trainers describe. Raises engine.errors."""
    from engine import families

    return forms.begin(families.describe(workspace.root))


def cloned(workspace: Workspace, run: str) -> tuple[Form, Sequence[str]]:
    """A form that makes a run again, and its settings that are no longer known. Raises engine.errors."""
    from engine import families

    detail = ask(workspace, ShowRun(run))
    if not isinstance(detail, RunDetail):
        raise EngineError(f"The engine answered {type(detail).__name__} to a question for {run}.")
    spec = detail.spec
    if not spec.command:
        raise UsageError(f"{run} was imported: there is no command to run again.")
    known = families.describe(workspace.root)
    if spec.family == EXEC:
        return forms.clone(known, spec, {})
    chosen = families.find(workspace.root, spec.family)
    preset = spec.preset if spec.preset in chosen.presets else chosen.default_preset
    base = forms.flat(families.resolve(workspace.root, spec.family, preset or None).config)
    return forms.clone(known, spec, base)


def commands(workspace: Workspace, runs: Sequence[str]) -> str:
    """A line for each run that queues it again, as the form of its clone shows it. Raises engine.errors."""
    return "\n".join(cloned(workspace, run)[0].line() for run in runs)


def resolved(workspace: Workspace, form: Form) -> dict[str, str] | None:
    """Check the whole; the fields of the preset where the form lacks them. Raises engine.errors for what can't be."""
    from engine import families

    form.wishes()
    if form.family == EXEC:
        return None
    preset = form.preset or None
    base = None if form.base else forms.flat(families.resolve(workspace.root, form.family, preset).config)
    if form.sets:
        families.resolve(workspace.root, form.family, preset, form.sets)
    return base


def foreseen(workspace: Workspace, form: Form) -> Prospect:
    """What would become of it. Raises what queueing it would."""
    from engine.prospect import foresee

    return foresee(workspace, form.wishes(), lambda client, wishes: _submit(client, workspace, form, wishes))


def queued(workspace: Workspace, form: Form) -> RunRow:
    """Queue it, as `engine run` and `engine exec` do. Raises engine.errors."""
    from engine.client import connect

    with connect(workspace) as client:
        return _submit(client, workspace, form, form.wishes())


def _submit(client: Client, workspace: Workspace, form: Form, wishes: Wishes) -> RunRow:
    from engine.submit import submit_command, submit_family

    if form.family == EXEC:
        folder = Path(form.told("folder") or ".").expanduser().absolute()
        return submit_command(client, workspace, form.program, cwd=folder, wishes=wishes)
    return submit_family(client, workspace, form.family, preset=form.preset or None, sets=form.sets, wishes=wishes)
