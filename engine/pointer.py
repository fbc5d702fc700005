"""The small files that name a model to use, each with a JSON twin that tells about it and with the one before it.

.best_model_path                 one line: the checkpoint folder      .best_model_path.prod   the same for an alias
.best_model_path.json            run, family, metrics, commit, data   .best_model_path.prod.json
.best_model_path.previous[.json] what it was before                   .best_model_path.prod.previous[.json]
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine import rundir, writable
from engine.errors import EngineError, NothingToShow, UsageError, WorkspaceError
from engine.workspace import Workspace

ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,31}")
TAKEN = ("json", "previous", "best")


@dataclass(frozen=True)
class Pointer:
    """alias: empty for .best_model_path itself."""

    root: Path
    alias: str = ""

    @property
    def path(self) -> Path:
        return self.root / (".best_model_path" + (f".{self.alias}" if self.alias else ""))

    @property
    def twin(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def previous(self) -> Path:
        return self.path.with_name(f"{self.path.name}.previous")

    @property
    def previous_twin(self) -> Path:
        return self.path.with_name(f"{self.path.name}.previous.json")

    def read(self) -> dict[str, Any]:
        """Give what the twin says of the model in use. Raises NothingToShow when nothing is exported."""
        if not self.path.is_file() or not self.twin.is_file():
            what = f"--alias {self.alias} " if self.alias else ""
            raise NothingToShow(f"Nothing is exported yet: `engine export best {what}`".rstrip() + " does it.")
        return read_object(self.twin)

    def write(self, checkpoint: Path, twin: dict[str, Any]) -> str:
        """Put both files in place, keep those before, and give the path named before. Raises WorkspaceError."""
        before = self._line(self.path)
        try:
            for path, kept in ((self.path, self.previous), (self.twin, self.previous_twin)):
                if path.is_file():
                    rundir.write_new(kept, path.read_bytes())
                elif before:
                    kept.unlink(missing_ok=True)  # no twin of an older export beside this one
            self._put(os.fsencode(checkpoint) + b"\n", msgspec.json.format(msgspec.json.encode(twin)) + b"\n")
        except OSError as error:
            raise self._failed(error) from None
        return before

    def check(self) -> None:
        """Raise WorkspaceError where the files could not be written."""
        try:
            writable.check(self.path)
        except OSError as error:
            raise self._failed(error) from None

    def before(self) -> dict[str, Any]:
        """Give what the one before says, {} where the one in use is the first. Raises NothingToShow without either."""
        if self.previous.is_file() and self.previous_twin.is_file():
            return read_object(self.previous_twin)
        if self.previous.is_file() or not self.path.is_file():
            raise NothingToShow(f"There is nothing to go back to: {self.path.name} has named no other model.")
        return {}

    def undo(self) -> None:
        """Change places with the one before, be it none, so that another undo takes this one back."""
        before = self.before()
        try:
            now = (self.path.read_bytes(), self.twin.read_bytes()) if self.path.is_file() else None
            if before:
                self._put(self.previous.read_bytes(), self.previous_twin.read_bytes())
            if now is not None:
                rundir.write_new(self.previous_twin, now[1])
                rundir.write_new(self.previous, now[0])
            first, second = (self.previous, self.previous_twin) if now is None else (self.path, self.twin)
            if now is None or not before:  # the path first: a twin alone names nothing
                first.unlink(missing_ok=True)
                second.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from None

    def _put(self, line: bytes, twin: bytes) -> None:
        # The twin first: whoever sees the new path finds what belongs to it.
        rundir.write_new(self.twin, twin)
        rundir.write_new(self.path, line)

    def _line(self, path: Path) -> str:
        try:
            return path.read_text().strip()
        except OSError:
            return ""

    def _failed(self, error: OSError) -> WorkspaceError:
        return WorkspaceError(
            f"{self.path} was not written: {error.strerror}. Make the workspace writable, or free space."
        )


def pointer(workspace: Workspace, alias: str = "") -> Pointer:
    """Raises UsageError for what can't be an alias."""
    if alias and (not ALIAS.fullmatch(alias) or alias in TAKEN):
        raise UsageError(
            f"'{alias}' can't be an alias: small letters, digits, - and _, at most 32, and none of {', '.join(TAKEN)}."
        )
    return Pointer(workspace.root, alias)


def pointers(workspace: Workspace) -> list[Pointer]:
    """Everything that names a model now: .best_model_path first, then the aliases by name."""
    return [one for one in _all(workspace) if one.path.is_file()]


def undoable(workspace: Workspace) -> list[Pointer]:
    """Those that named another model before, or none, or that an undo has left without one."""
    return [one for one in _all(workspace) if one.path.is_file() or one.previous_twin.is_file()]


def _all(workspace: Workspace) -> list[Pointer]:
    names = {path.name.removeprefix(".best_model_path.") for path in workspace.root.glob(".best_model_path.*")}
    aliases = {name.removesuffix(".previous") for name in names}
    return [Pointer(workspace.root), *(Pointer(workspace.root, name) for name in sorted(aliases) if _is_alias(name))]


def _is_alias(name: str) -> bool:
    return ALIAS.fullmatch(name) is not None and name not in TAKEN


def read_object(path: Path, *, missing_ok: bool = False) -> dict[str, Any]:
    """A JSON object of a run folder or of ours. Raises EngineError when it is not there or can't be read."""
    try:
        found = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        if missing_ok:
            return {}
        raise EngineError(f"{path} is missing.") from None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        raise EngineError(f"{path} can't be read; it is damaged.") from None
    return found if isinstance(found, dict) else {}
