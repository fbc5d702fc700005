"""The engine's lines to its supervisors: start one, hear that its run began and that it ended, tell it to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engine import folders, freeze, ids, rundir, spawn
from engine.adopter import Adopter
from engine.run import Run
from engine.schedule import CPU

if TYPE_CHECKING:
    from engine.core import Daemon


class Lifelines:
    """One per daemon. A supervisor outlives the engine: then its lock and its lines say all that these would."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.spawned: dict[str, spawn.Spawned] = {}
        self.environments: dict[str, Mapping[str, str]] = {}
        """What a run's submitter had, secrets included: kept in memory until the run has ended, never written."""
        self.told: dict[str, tuple[int, str, float]] = {}
        """The supervisor that was told of an order last, of which kind, and when it was given."""

    def forget(self, run_id: str) -> None:
        """Drop what only a living run needs."""
        self.environments.pop(run_id, None)
        self.told.pop(run_id, None)

    def supervise(self, run: Run, locks: Sequence[int] = ()) -> None:
        """Start a supervisor for a run, and listen for its beginning and its end. locks: of its GPUs, to hand down."""
        folder = self.daemon.workspace.run(run.id)
        devices = tuple(device for device in run.devices if device != CPU)
        threads = None if devices else max(1, (os.cpu_count() or 1) // self.daemon.world.cpu_slots)
        base = self.environments.get(run.id) or {**os.environ, **run.spec.env}
        freeze.restore(self.daemon.workspace, run.spec, folder / rundir.PATCH)
        base = freeze.environment(self.daemon.workspace, run.spec, base)
        if run.spec.adopt and run.started is None:
            Adopter(folder, run.spec).begin()
        env = spawn.environment(self.daemon.workspace, folder, base, ",".join(devices), threads)
        env["ENGINE_ATTEMPT"] = str(max(1, ids.number(run.id)[1]))
        spawned = self.spawned[run.id] = spawn.spawn(folder, env, self.daemon.workspace.log, locks)
        run.spawning = True
        loop = asyncio.get_running_loop()
        loop.add_reader(spawned.ready, self.on_ready, run.id, spawned)
        self.daemon.world.seen(run.id, folders.look(folder), time.time())
        self.daemon.changed(run)

    def on_ready(self, run_id: str, spawned: spawn.Spawned) -> None:
        """The supervisor has begun the run, or ended without."""
        asyncio.get_running_loop().remove_reader(spawned.ready)
        os.close(spawned.ready)
        watch = asyncio.get_running_loop().create_task(self.wait_for(run_id, spawned))
        watch.add_done_callback(lambda _: None)
        self.daemon.world.runs[run_id].spawning = False
        self.daemon.look(run_id)
        self.daemon.server.push()

    async def wait_for(self, run_id: str, spawned: spawn.Spawned) -> None:
        """Reap the supervisor and look at once: the next run may start."""
        await wait_process(spawned.process)
        if self.spawned.get(run_id) is spawned:
            del self.spawned[run_id]
        self.daemon.look(run_id)
        if self.daemon.sample.devices:
            await self.daemon.take_sample()  # what the run held is free now, which an older sample does not know
        self.daemon.schedule()

    def pass_on(self, run: Run) -> None:
        """Tell a run's supervisor of an order, once; one that is only being started is told when it is there.

        The held lock shows that the pid in the lifecycle is still its own.
        """
        if run.supervisor is None or (order := wanted(run)) is None:
            return
        number, kind, t = order
        told = run.supervisor, kind, t
        if self.told.get(run.id) == told or not rundir.held(self.daemon.workspace.run(run.id) / rundir.SUPERVISOR_LOCK):
            return
        self.told[run.id] = told
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.supervisor, number)


def wanted(run: Run) -> tuple[signal.Signals, str, float] | None:
    """The signal that makes what is ordered so, with its order's kind and time; None if it is so already."""
    if run.stop is not None:
        t, kind = run.stop
        return (signal.SIGUSR1 if kind == "kill" else signal.SIGTERM), kind, t
    t, pause = run.pause
    if run.state in ("running", "paused") and pause != (run.pauses[0] is not None):
        return (signal.SIGTSTP, "pause", t) if pause else (signal.SIGCONT, "resume", t)
    return None


async def wait_process(process: subprocess.Popen[bytes]) -> None:
    """Wait for a child's end, without a thread where the kernel gives a descriptor for it."""
    try:
        fd = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        while process.poll() is None:
            await asyncio.sleep(0.05)
        return
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fd, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    process.wait()
