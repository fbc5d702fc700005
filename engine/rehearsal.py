"""A dry run: wishes carried out by the same code on a copy of the world, with hands that touch nothing."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine import bring, folders, rows
from engine.lifeline import wanted
from engine.messages import Bring, Down, Ok, Order, Queued, QueueOrder, Rehearsed, Retry, Submit
from engine.plan import plan
from engine.readings import told
from engine.records import ENDED, LIVE, RunRow, Spec, Turn
from engine.run import Run, Seen
from engine.sampler import slots
from engine.state import Start, World
from engine.when import clock, span
from engine.wishes import Wishes

if TYPE_CHECKING:
    from engine.core import Daemon

SHOWN = ("state", "place", "priority", "begin", "limit", "tags", "note", "archived")


def copy_world(world: World) -> World:
    """Give a world whose runs may be changed without changing those of the first."""
    made = copy.copy(world)
    made.runs = {run_id: copy.copy(run) for run_id, run in world.runs.items()}
    made.waiting, made.live, made.limits = set(world.waiting), set(world.live), dict(world.limits)
    made.attempts = dict(world.attempts)
    made.states, made.moved, made.bound, made.line = dict(world.states), set(), set(world.bound), []
    made.stirred = True
    return made


class Rehearsal:
    """One per connection: what is rehearsed later builds on what was rehearsed before."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.world = copy_world(daemon.world)
        self.wishes = Wishes(self.world, self)
        self.told: list[str] = []
        self.new: set[str] = set()
        self.wished: list[str] = []
        self.settle()
        self.told.clear()  # what would start in any case is no consequence of a wish

    def rehearse(self, wish: Submit | Order | Retry | QueueOrder | Bring | Down) -> Rehearsed:
        """Say what would happen. Raises what the wish would."""
        self.told, self.wished = [], []
        before = {run_id: self.row(run) for run_id, run in self.world.runs.items() if run.state not in ENDED}
        if isinstance(wish, Order):
            touched = self.world.find(wish.run)
            before[touched.id] = self.row(touched)
        reply = self._carry_out(wish)
        changes = [self._change(before.get(run_id), run_id) for run_id in self.wished]
        return Rehearsed((*(line for line in changes if line), *self.told), reply)

    def turn(self, run_id: str) -> Turn | None:
        """When a run of this rehearsal would start and end; may be called beside the event loop, once at a time."""
        daemon = self.daemon
        made = plan(copy_world(self.world), slots(daemon.sample), time.time(), daemon.readings.names)
        return next((turn for turn in made.turns if turn.run == run_id), None)

    def said(self, turn: Turn | None) -> list[str]:
        """The same in words; nothing for what starts at once, which is told already."""
        if turn is None or turn.state in LIVE:
            return []
        if turn.start is None:
            return [f"nobody knows when {turn.run} would start: no run like those before it has ended yet"]
        now = time.time()
        end = f" and end about {clock(turn.end, now)}" if turn.end is not None else ""
        return [f"{turn.run} would start about {clock(turn.start, now)}{end}"]

    def _carry_out(self, wish: Submit | Order | Retry | QueueOrder | Bring | Down) -> Queued | Ok:
        match wish:
            case Submit():
                reply = self.wishes.submit(wish)
                if not reply.needed:
                    self.told.append(f"nothing would be queued: {reply.row.id} is the same and ended well")
                return reply
            case Retry():
                return self.wishes.retry(wish)
            case Order():
                return self.wishes.order(wish)
            case QueueOrder():
                text = self.wishes.order_queue(wish)
                self.told.insert(0, text)
                return Ok(text)
            case Bring():
                return Ok(self._bring(wish.spec))
            case Down():
                live = len(self.world.live)
                end = "would be stopped first" if wish.stop_runs else "would go on"
                self.told.append(f"the engine (process {self.daemon.pid}) would end; {live} live runs {end}")
                return Ok(f"{live} {'stopped' if wish.stop_runs else 'go on'}")

    def _bring(self, asked: Spec) -> str:
        """Take a run in as one that has ended, unless the same was before; gives the id that it has or would have."""
        same = next((run for run in self.world.runs.values() if bring.same(run.brief.imported, asked.imported)), None)
        if same is not None:
            self.told.append(f"nothing would be taken in: it is here already, as {same.id}")
            return same.id
        spec = bring.named(self.world, asked)
        run = self.world.found(spec)
        run.state = "ok"  # or another end; that is in the folder, which is not here yet
        self.world.file(run)
        self.told.append(f"{spec.id} would be taken in as history: {spec.imported.rpartition('#')[0]}")
        return spec.id

    def _change(self, before: RunRow | None, run_id: str) -> str:
        """Say what would be different about a run that was wished for, and which signal it would get."""
        run = self.world.runs[run_id]
        row = self.row(run)
        if before is None:
            at = f" at place {row.place}" if row.place else ""
            return f"{run_id} would be {row.state}{at}{f': {row.reason}' if row.reason else ''}"
        parts = [
            f"{name} {_said(name, was)} -> {_said(name, now)}"
            for name in SHOWN
            if (was := getattr(before, name, None)) != (now := getattr(row, name, None))
        ]
        if row.state in LIVE and (signal := wanted(run)) is not None:
            grace = f", SIGKILL {span(run.spec.grace)} later" if signal[1] == "stop" else ""
            word = {"kill": "SIGKILL", "stop": "SIGTERM", "pause": "SIGSTOP", "resume": "SIGCONT"}[signal[1]]
            parts.append(f"{word} to its group {row.pid}{grace}")
        return f"{run_id}: {', '.join(parts) or 'nothing would change'}"

    # -- hands that touch nothing ---------------------------------------------------------------------------------

    def create(self, spec: Spec, patch: str, environment: Mapping[str, str]) -> None:
        self.new.add(spec.id)
        self.wished.append(spec.id)

    def patch(self, run: Run) -> str:
        return ""

    def write(self, run: Run, line: dict[str, object]) -> None:
        if run.id not in self.wished:
            self.wished.append(run.id)

    def write_queue(self, line: dict[str, object]) -> None:
        pass

    def look(self, run: Run) -> None:
        seen = Seen() if run.id in self.new else folders.look(self.daemon.workspace.run(run.id))
        self.world.seen(run.id, seen, time.time())

    def settle(self) -> None:
        """Let the copy decide what would start, and count that as started."""
        for action in self.world.act(time.time(), slots(self.daemon.sample)):
            if isinstance(action, Start):
                run = self.world.runs[action.run]
                run.take_order({"order": "start", "t": time.time(), "devices": action.devices, "claim": action.claim})
                self.look(run)
                names = self.daemon.readings.names
                on = ", ".join(names.get(device, device[:12]) for device in action.devices)
                self.told.append(f"{run.id} would start on {on}")

    def row(self, run: Run) -> RunRow:
        return rows.row(run, self.daemon.readings.names, told(run.brief))


def _said(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    if isinstance(value, float):
        return clock(value, time.time()) if name == "begin" else span(value)
    return "none" if value in (None, "") else str(value)
