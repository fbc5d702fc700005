"""What people ask of runs, checked and carried out: a line or a folder first, then what follows from it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from msgspec.structs import replace

from engine import ids, limits, needed, turns
from engine.errors import UsageError
from engine.hands import Hands
from engine.messages import Order, Queued, QueueOrder, Retry, Submit
from engine.records import ENDED, RunRow, Spec
from engine.run import Run
from engine.state import MAX_PRIORITY, World

LONGEST_LIMIT = 366 * 86400.0


class Wishes:
    """Each method answers one kind of request, or raises and has done nothing.

    The same code rehearses a wish: then the world is a copy and the hands touch nothing.
    """

    def __init__(self, world: World, hands: Hands) -> None:
        self.world = world
        self.hands = hands

    def submit(self, wish: Submit) -> Queued:
        """Queue a run. Raises BadDependency, UsageError or WorkspaceError, and then nothing was queued."""
        spec = wish.spec
        if not spec.command or not all(isinstance(part, str) and part for part in spec.command[:1]):
            raise UsageError("The command is empty. Write it after `--`: engine exec -- python train.py")
        if not ids.FAMILY.fullmatch(spec.family):
            raise UsageError(f"{spec.family!r} can't be a family: letters, digits, - and _ only, at most 41.")
        if spec.gpus is not None and not 0 <= spec.gpus <= 1024:
            raise UsageError(f"--gpus {spec.gpus} is out of range: 0 to 1024.")
        if spec.share and spec.gpus not in (None, 1):
            raise UsageError(f"--share with --gpus {spec.gpus}: only a run on one GPU shares it.")
        if abs(spec.priority) > MAX_PRIORITY:
            raise UsageError(f"Priority {spec.priority} is out of range: -{MAX_PRIORITY} to {MAX_PRIORITY}.")
        if spec.limit is not None and not 0 < spec.limit <= LONGEST_LIMIT:
            raise UsageError(f"--limit of {spec.limit:g} s is out of range: more than 0, at most a year.")
        spec = replace(
            spec,
            after=self.world.check_after(spec.after),
            after_any=self.world.check_after(spec.after_any, "--after-any"),
        )
        if wish.needed and (same := needed.find(spec, self.world.runs.values())):
            return Queued(self.hands.row(same), needed=False)
        return Queued(self.queue(spec, self.world.new_id(spec.family), wish.patch, wish.environment, wish.hold))

    def retry(self, wish: Retry) -> Queued:
        """Queue the next attempt of an ended run, from its last checkpoint unless fresh.

        cascade: those behind it that ended without having run are queued again behind the new attempt.
        """
        run = self.world.find(wish.run)
        if run.state not in ENDED:
            raise UsageError(f"{run.id} is {run.state}: only an ended run can be tried again.")
        if not run.brief.command:
            raise UsageError(f"{run.id} was imported: there is no command to run again.")
        behind = turns.dependents(run.id, self.world.runs, self.world.last_attempt) if wish.cascade else []
        spec = replace(run.spec, resume_from=None if wish.fresh else run.id, after=(), after_any=())
        row = self._again(run, spec, wish.environment)
        more = [
            self._again(other, replace(other.spec, resume_from=None), wish.environment)
            for other in behind
            if other.state in ENDED and other.started is None
        ]
        return Queued(self.hands.row(self.world.runs[row.id]), more=tuple(more))

    def _again(self, run: Run, spec: Spec, environment: Mapping[str, str]) -> RunRow:
        spec = replace(spec, priority=run.priority, tags=run.tags, begin=None, because="", spent=(0, 0))
        return self.queue(spec, self.world.next_attempt(run.id), self.hands.patch(run), environment, False)

    def queue(self, spec: Spec, run_id: str, patch: str, environment: Mapping[str, str], hold: bool) -> RunRow:
        spec = replace(spec, id=run_id, submitted=time.time())
        self.hands.create(spec, patch, environment)
        run = self.world.found(spec)
        if hold:
            self.write_order(run, {"order": "hold", "why": "queued with --hold"})
        self.hands.look(run)
        self.hands.settle()
        return self.hands.row(run)

    def order(self, wish: Order) -> Queued:
        """Carry out a wish: a line in the run's orders.jsonl, then what it asks for."""
        run, line = self.world.order(wish)
        self.write_order(run, line)
        self.hands.look(run)
        self.hands.settle()
        return Queued(self.hands.row(run))

    def order_queue(self, wish: QueueOrder) -> str:
        """Pause the queue, let it go on, or limit a part of it; says how it is now."""
        line = {"t": time.time(), **self.world.order_queue(wish)}
        self.hands.write_queue(line)
        self.world.take_queue(line)
        self.hands.settle()
        return limits.told(wish.group, self.world.limits) if wish.group else self.world.told_queue(time.time())

    def write_order(self, run: Run, line: dict[str, object]) -> None:
        """Append an order; it counts once the line is on the disk. Raises WorkspaceError."""
        line = {"t": time.time(), **line}
        self.hands.write(run, line)
        run.take_order(line)
