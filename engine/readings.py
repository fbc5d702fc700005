"""What clients are told: rows built once and again only when they changed, one run in full, the engine itself."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from functools import cache
from heapq import nlargest

from msgspec.structs import replace

from engine import autopsy, rows, rundir
from engine.folders import EVENTS_RECENT
from engine.keeper import StoreStatus
from engine.messages import ListRuns, Rows, RunDetail
from engine.records import ENDED, EngineStatus, RunRow, Spec
from engine.schedule import CPU
from engine.state import World
from engine.workspace import Workspace


class Readings:
    """Rows of all runs as they stand in the world. `stale`: those that may have changed since they were built."""

    def __init__(self, workspace: Workspace, world: World) -> None:
        self.workspace = workspace
        self.world = world
        self.started = time.time()
        self.rows: dict[str, RunRow] = {}
        self.stale: set[str] = set()
        self.names: Mapping[str, str] = {CPU: "CPU"}
        """How people call each device."""

    def row(self, run_id: str) -> RunRow:
        if run_id in self.stale or run_id not in self.rows:
            run = self.world.runs[run_id]
            later = self._later(run_id)
            row = rows.row(run, self.names, told(run.brief))
            self.rows[run_id] = replace(row, later=later) if later else row
            self.stale.discard(run_id)
        return self.rows[run_id]

    def _later(self, run_id: str) -> str:
        """Give the attempt after this one; the row of the one before it has to name this one from now on."""
        lineage = self.world.lineage(run_id)
        if len(lineage) == 1:
            return ""
        at = lineage.index(run_id)
        if at and (before := self.rows.get(lineage[at - 1])) is not None and before.later != run_id:
            self.stale.add(before.id)
        return lineage[at + 1] if at + 1 < len(lineage) else ""

    def all_rows(self) -> tuple[RunRow, ...]:
        return tuple(self.row(run_id) for run_id in self.world.runs)

    def listed(self, wish: ListRuns) -> Rows:
        """Answer a client that asks for runs: all of them, or the last few of those that have ended."""
        return Rows(self.all_rows(), self.world.paused) if wish.ended is None else self.recent(wish)

    def recent(self, wish: ListRuns) -> Rows:
        """Give what waits and lives, and of what has ended the last few."""
        alike = [
            run
            for run in self.world.runs.values()
            if run.archived == wish.archived and (wish.attempts or self.world.lineage(run.id)[-1] == run.id)
        ]
        ended = [run for run in alike if run.state in ENDED]
        last = nlargest(wish.ended or 0, ended, key=lambda run: (run.since, run.brief.submitted))
        rows = [self.row(run.id) for run in alike if run.state not in ENDED] + [self.row(run.id) for run in last]
        others = len(self.world.runs) - len(alike)
        return Rows(tuple(rows), self.world.paused, left_out=len(ended) - len(last), others=others)

    def news(self) -> tuple[RunRow, ...]:
        """Give the rows that really changed since they were last built."""
        found = []
        for run_id in [*self.stale]:
            before = self.rows.get(run_id)
            if (row := self.row(run_id)) != before:
                found.append(row)
        return tuple(found)

    def detail(self, word: str) -> RunDetail:
        run = self.world.find(word)
        folder = self.workspace.run(run.id)
        lineage = self.world.lineage(run.id)
        bad = run.cause is not None
        return RunDetail(
            attempts=tuple(self.row(run_id) for run_id in lineage) if len(lineage) > 1 else (),
            cause=autopsy.complete(self.workspace, run),
            log=autopsy.log_end(folder) if bad else (),
            metrics=rundir.read_last(folder / rundir.METRICS, 64 << 10)[-3:] if bad else [],
            row=self.row(run.id),
            spec=run.spec,
            folder=str(folder),
            orders=rundir.read(folder / rundir.ORDERS),
            lifecycle=rundir.read(folder / rundir.LIFECYCLE),
            hooks=rundir.read(folder / rundir.HOOKS),
            events=rundir.read_last(folder / rundir.EVENTS, EVENTS_RECENT)[-500:],
        )

    def status(self, store: StoreStatus, hook_trouble: str = "", trouble: str = "") -> EngineStatus:
        return EngineStatus(
            pid=os.getpid(),
            started=self.started,
            version=own_version(),
            workspace=str(self.workspace.root),
            socket=str(self.workspace.socket),
            cpu_slots=self.world.cpu_slots,
            counts=dict(Counter(self.world.states.values())),
            queue_paused=self.world.paused,
            limits=self.world.limits,
            limited={name: len(runs) for name, runs in self.world.running().items()},
            hook_trouble=hook_trouble,
            trouble=trouble,
            **store,
        )


def told(spec: Spec) -> str:
    """Say in a few words what a run is: what was set by hand, or its command."""
    if spec.family == "exec":
        return " ".join(spec.command)[:200]
    return " ".join(f"{name.split('.')[-1]} {_plainly(value)}" for name, value in spec.changed.items())[:200]


def _plainly(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


@cache
def own_version() -> str:
    """The version that is installed, "0" where none is.

    The folder that pip makes for it has it in its name; importlib.metadata says the same, after 40 ms of imports that
    whoever asks for the status of a new engine would wait for.
    """
    for folder in sys.path:
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if name.startswith("paddock-") and name.endswith(".dist-info"):
                    return name.removeprefix("paddock-").removesuffix(".dist-info")
    return "0"
