"""Whether a run that is queued now executes frozen code, and of which repository: decided before it is queued."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UsageError
from engine.freeze import folder, freeze, holder
from engine.provenance import Code

if TYPE_CHECKING:
    from engine.provenance import Provenance
    from engine.workspace import Workspace

NOT_ASKED = "--no-freeze"


@dataclass(frozen=True)
class Plan:
    """top: the repository to freeze, None for none (why says the reason). look: the folder whose git state counts."""

    look: Path
    top: Path | None = None
    why: str = ""
    paths: tuple[str, ...] = ()
    cwd: str = ""

    def carry_out(self, workspace: Workspace, came_from: Provenance) -> Code:
        """Lay the code out. Raises EngineError, and then there is nothing to be queued."""
        if self.top is None:
            return Code(why=self.why)
        return freeze(workspace, self.top, came_from.git, came_from.patch, self.paths, self.cwd)


def for_trainers(workspace: Workspace, wanted: bool | None) -> Plan:
    """Our trainers: frozen where the workspace's own repository holds them, unless a person wants otherwise.

    Raises UsageError when a person wants what can't be.
    """
    if wanted is False:
        return Plan(workspace.root, why=NOT_ASKED)
    from engine import families

    package = families.package()
    top, why = holder(package)
    if top is None:
        installed = f"installed package{_version()}" if why != "git is not installed" else why
        if wanted:
            raise UsageError(f"--freeze: the trainers at {package} are an {installed}: there is no code to freeze.")
        return Plan(workspace.root, why=installed)
    paths = (os.path.relpath(package.parent.resolve(), top.resolve()),)
    if wanted or workspace.root.resolve().is_relative_to(top.resolve()):
        return Plan(package.parent, top, paths=paths)
    return Plan(workspace.root, why=f"the trainers are in another repository, {top}; --freeze takes its state")


def for_command(cwd: Path, command: Sequence[str], wanted: bool | None) -> Plan:
    """Any command: frozen if a person wants it, with the repository around the folder it is to run in.

    Raises UsageError where that folder is in none, or where an argument names a file of the repository as it is now.
    """
    if not wanted:
        return Plan(cwd, why="" if wanted is None else NOT_ASKED)
    top, why = holder(cwd)
    if top is None:
        raise UsageError(f"--freeze: {cwd} is {why}: there is no code to freeze.")
    for part in command:
        path = Path(part)
        if path.is_absolute() and path.is_file() and path.resolve().is_relative_to(top.resolve()):
            short = os.path.relpath(path, cwd)
            raise UsageError(f"--freeze: {part} is the file as it will be then; write {short} for the frozen one.")
    source = ("src",) if (top / "src").is_dir() else ()
    return Plan(cwd, top, paths=(".", *source), cwd=str(cwd))


def frozen_cwd(workspace: Workspace, plan: Plan, code: Code) -> str:
    """Give the folder of the frozen code that stands for the one a command was queued in. Raises UsageError."""
    assert plan.top is not None
    place = folder(workspace, code) / os.path.relpath(plan.look.resolve(), plan.top.resolve())
    if not place.is_dir():
        raise UsageError(f"--freeze: {plan.look} holds no file that git knows.")
    return os.path.normpath(place)


def _version() -> str:
    from engine.provenance import package_versions

    found = package_versions(["paddock"])
    return f" (paddock {found['paddock']})" if found else ""
