"""The daemon's side of hooks: for every finished run a process of its own that calls them, a few at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import tempfile
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from engine import hooks, rundir
from engine.errors import EngineError
from engine.lifeline import wait_process
from engine.records import ENDED
from engine.run import Run

if TYPE_CHECKING:
    from engine.core import Daemon

AT_ONCE = 4
log = logging.getLogger("engine")


class Hooking:
    """One per daemon. That a hook was called is a line in the run's folder, so a restart calls none twice."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.pending: deque[str] = deque()
        self.busy: set[str] = set()
        self.trouble = ""
        """What is wrong with hooks.json, or how the last hook that failed did."""

    def finished(self, run: Run) -> None:
        """Take note of a run's end; said again after every restart."""
        if not self.pending:
            asyncio.get_running_loop().call_soon(self.call)
        self.pending.append(run.id)

    def call(self) -> None:
        """Start what is due, once all runs are known. A damaged hooks.json keeps all waiting until it was mended."""
        if not self.pending or not self.daemon.up.is_set():
            return
        workspace, runs = self.daemon.workspace, self.daemon.world.runs
        try:
            known = hooks.read(workspace.hooks)
        except EngineError as error:
            self._complain(str(error))
            return
        while self.pending and len(self.busy) < AT_ONCE:
            run = runs.get(self.pending.popleft())
            if run is None or run.state not in ENDED or run.brief.imported:
                continue
            due = hooks.due(known, run.brief.on_finish, run.state, run.since)
            if not due or due.keys() <= hooks.called(workspace.run(run.id)):
                continue
            try:
                self._start(run, due)
            except OSError as error:
                self._complain(f"{run.id}: its hooks could not be called: {error}")

    def _start(self, run: Run, due: dict[str, hooks.Hook]) -> None:
        workspace = self.daemon.workspace
        folder = workspace.run(run.id)
        row = msgspec.structs.asdict(self.daemon.readings.row(run.id))
        told = {"event": "finished", "workspace": str(workspace.root), "folder": str(folder), "run": row}
        called = {name: {"command": hook.command, "limit": hook.limit} for name, hook in due.items()}
        with tempfile.TemporaryFile() as stdin, open(workspace.log, "ab") as out:
            stdin.write(json.dumps({"hooks": called, "told": told}).encode())
            stdin.seek(0)
            process = subprocess.Popen(
                [sys.executable, "-m", "engine.hookrun", str(folder)], stdin=stdin, stdout=out, stderr=out, cwd="/",
                env=hooks.environment(workspace.root, folder), start_new_session=True,
            )  # fmt: skip
        self.busy.add(run.id)
        watch = asyncio.get_running_loop().create_task(self._watch(run.id, process))
        watch.add_done_callback(lambda _: None)

    async def _watch(self, run_id: str, process: subprocess.Popen[bytes]) -> None:
        await wait_process(process)
        self.busy.discard(run_id)
        for line in rundir.read(self.daemon.workspace.run(run_id) / rundir.HOOKS):
            if why := hooks.failure(line):
                self._complain(f"{run_id}: {why}")
        self.call()

    def _complain(self, text: str) -> None:
        if text != self.trouble:
            log.warning("%s", text)
            self.trouble = text
            self.daemon.server.push(status=self.daemon.status())
