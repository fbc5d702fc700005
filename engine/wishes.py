"""What people ask of runs, carried out: checked, written down as a line or a folder, then done."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine import folders, rundir
from engine.errors import UsageError, WorkspaceError
from engine.records import ENDED, Note, Order, Retry, RunRow, Spec, Submit
from engine.run import Run
from engine.state import MAX_PRIORITY

if TYPE_CHECKING:
    from engine.daemon import Daemon


class Wishes:
    """One per daemon: each method answers one kind of request, or raises and has done nothing."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.workspace = daemon.workspace
        self.world = daemon.world

    def submit(self, wish: Submit) -> RunRow:
        """Queue a run. Raises BadDependency, UsageError or WorkspaceError, and then nothing was queued."""
        spec = wish.spec
        if not spec.command or not all(isinstance(part, str) and part for part in spec.command[:1]):
            raise UsageError("The command is empty. Write it after `--`: engine exec -- python train.py")
        if spec.gpus is not None and not 0 <= spec.gpus <= 1024:
            raise UsageError(f"--gpus {spec.gpus} is out of range: 0 to 1024.")
        if abs(spec.priority) > MAX_PRIORITY:
            raise UsageError(f"Priority {spec.priority} is out of range: -{MAX_PRIORITY} to {MAX_PRIORITY}.")
        after = self.world.check_after(spec.after)
        return self.queue(spec, self.world.new_id(spec.family), after, wish.patch, wish.environment, wish.hold)

    def retry(self, wish: Retry) -> RunRow:
        """Queue the next attempt of an ended run, from its last checkpoint unless fresh."""
        run = self.world.find(wish.run)
        if run.state not in ENDED:
            raise UsageError(f"{run.id} is {run.state}: only an ended run can be tried again.")
        folder = self.workspace.run(run.id)
        with contextlib.suppress(FileNotFoundError):
            patch = (folder / rundir.PATCH).read_text(errors="surrogateescape")
            return self._again(run, wish, patch)
        return self._again(run, wish, "")

    def _again(self, run: Run, wish: Retry, patch: str) -> RunRow:
        spec = replace(run.spec, resume_from=None if wish.fresh else run.id, priority=run.priority, tags=run.tags)
        return self.queue(spec, self.world.next_attempt(run.id), (), patch, wish.environment, False)

    def queue(
        self, spec: Spec, run_id: str, after: tuple[str, ...], patch: str, environment: Mapping[str, str], hold: bool
    ) -> RunRow:
        spec = replace(spec, id=run_id, after=after, submitted=time.time())
        folders.create(self.workspace, spec, patch)
        if environment:
            self.daemon.lifelines.environments[spec.id] = environment
        run = self.world.found(spec)
        if hold:
            self.write_order(run, {"order": "hold", "why": "queued with --hold"})
        self.world.seen(spec.id, folders.look(self.workspace.run(spec.id)), time.time())
        self.daemon.changed(run)
        self.daemon.schedule()
        return self.daemon.readings.row(run.id)

    def order(self, wish: Order) -> RunRow:
        """Carry out a wish: a line in the run's orders.jsonl, then what it asks for."""
        run, line = self.world.order(wish)
        self.write_order(run, line)
        self.daemon.look(run.id)
        self.daemon.changed(run)
        self.daemon.schedule()
        return self.daemon.readings.row(run.id)

    def write_order(self, run: Run, line: dict[str, object]) -> None:
        """Append an order; it counts once the line is on the disk. Raises WorkspaceError."""
        line = {"t": time.time(), **line}
        try:
            rundir.append(self.workspace.run(run.id) / rundir.ORDERS, line, sync=True)
        except OSError as error:
            raise WorkspaceError(f"{run.id}: the order was not written ({error.strerror}); nothing was done.") from None
        run.take_order(line)

    def note(self, wish: Note) -> None:
        """Write down what was typed outside a single run."""
        self.daemon.sampler.write({"t": time.time(), "kind": wish.kind, **wish.fields})
        self.daemon.keeper.news()
