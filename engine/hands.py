"""What carrying out a wish takes: folders made, lines written, the world looked at anew, what may start started."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from engine import folders, rundir
from engine.errors import WorkspaceError
from engine.records import RunRow, Spec
from engine.run import Run

if TYPE_CHECKING:
    from engine.core import Daemon


class Hands(Protocol):
    """Either the daemon's, or those of a rehearsal, which touch nothing."""

    def create(self, spec: Spec, patch: str, environment: Mapping[str, str]) -> None:
        """Make the folder of a new run. Raises WorkspaceError and has done nothing."""

    def patch(self, run: Run) -> str:
        """Give the run's code.patch, empty where it has none."""

    def write(self, run: Run, line: dict[str, object]) -> None:
        """Append an order; it counts once the line is on the disk. Raises WorkspaceError."""

    def write_queue(self, line: dict[str, object]) -> None:
        """Append an order for the whole queue. Raises WorkspaceError."""

    def look(self, run: Run) -> None:
        """Let the world see the run's folder as it is now, and pass on what was ordered."""

    def settle(self) -> None:
        """Start what may start now."""

    def row(self, run: Run) -> RunRow: ...


class DaemonHands:
    """The real ones."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.workspace = daemon.workspace

    def create(self, spec: Spec, patch: str, environment: Mapping[str, str]) -> None:
        folders.create(self.workspace, spec, patch)
        if environment:
            self.daemon.lifelines.environments[spec.id] = environment

    def patch(self, run: Run) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.workspace.run(run.id) / rundir.PATCH).read_text(errors="surrogateescape")
        return ""

    def write(self, run: Run, line: dict[str, object]) -> None:
        try:
            rundir.append(self.workspace.run(run.id) / rundir.ORDERS, line, sync=True)
        except OSError as error:
            raise WorkspaceError(f"{run.id}: the order was not written ({error.strerror}); nothing was done.") from None

    def write_queue(self, line: dict[str, object]) -> None:
        try:
            rundir.append(self.workspace.queue, line, sync=True)
        except OSError as error:
            raise WorkspaceError(f"The order was not written ({error.strerror}); nothing was done.") from None

    def look(self, run: Run) -> None:
        self.daemon.look(run.id)
        self.daemon.changed(run)

    def settle(self) -> None:
        self.daemon.schedule()

    def row(self, run: Run) -> RunRow:
        return self.daemon.readings.row(run.id)
