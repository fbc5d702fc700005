"""The engine daemon: turns files, sockets and timers into facts for `World`, and its actions into effects.

    python -m engine.daemon [--home WORKSPACE]

One per workspace, guarded by a lock. It may be killed at any moment: runs go on, and the next one reads the folders.
SIGTERM and SIGINT end it and leave training alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
from msgspec.structs import replace

from engine import folders, rundir, spawn
from engine.devices import Sample
from engine.errors import EngineBusy, EngineError, UsageError, WorkspaceError
from engine.folders import Follower
from engine.keeper import Keeper
from engine.records import ENDED, EngineStatus, Note, Order, Retry, RunDetail, RunRow, Spec, Submit
from engine.sampler import Sampler, labels, slots
from engine.schedule import CPU
from engine.server import Server
from engine.state import MAX_PRIORITY, Adopt, Run, Start, World
from engine.workspace import Workspace, find

TICK = 1.0
HISTORY = 120
"""Samples kept in memory, one a second."""
LOG_LIMIT = 5 << 20
log = logging.getLogger("engine")


def default_cpu_slots() -> int:
    """Half the cores, at least one: a CPU run uses two threads and leaves room for looking."""
    return max(1, (os.cpu_count() or 1) // 2)


class Daemon:
    """One workspace's engine. Everything but sampling and the store happens in the event loop, so no locks."""

    def __init__(self, workspace: Workspace, cpu_slots: int) -> None:
        self.workspace = workspace
        self.started = time.time()
        self.world = World(cpu_slots, boot=psutil.boot_time())
        self.sampler = Sampler(workspace)
        self.keeper = Keeper(workspace, self.store_changed)
        self.server = Server(self)
        self.followers: dict[str, Follower] = {}
        self.spawned: dict[str, spawn.Spawned] = {}
        self.environments: dict[str, Mapping[str, str]] = {}
        self.told: dict[str, tuple[int, str]] = {}
        """The supervisor that was told to end a run, and how."""
        self.rows: dict[str, RunRow] = {}
        self.stale: set[str] = set()
        self.sample = Sample(t=time.time())
        self.history: deque[Sample] = deque(maxlen=HISTORY)
        self.names: dict[str, str] = {CPU: "CPU"}
        self.draining = False
        self.over = asyncio.Event()

    # -- life -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until told to end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.over.set)
        self.load()
        await self.take_sample()
        await self.server.start()
        log.info("up: %s, %d runs", self.workspace.root, len(self.world.runs))
        self.schedule()
        self.keeper.news()
        ticking = asyncio.create_task(self.tick_forever())
        await self.over.wait()
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        await self.server.stop()
        await self.keeper.stop()
        self.sampler.close()
        log.info("down; %d runs go on", len(self.world.live))

    def load(self) -> None:
        """Read every run folder."""
        now = time.time()
        for run_id in folders.scan(self.workspace):
            folder = self.workspace.run(run_id)
            if (read := folders.load(folder)) is None:
                log.warning("%s: spec.json is missing or damaged; the folder is left alone", run_id)
                continue
            run = self.world.found(*read)
            self.follow(run)
            self.world.seen(run_id, folders.look(folder), now)
            if run.state in ENDED:
                self.close(run)
            self.stale.add(run_id)

    async def tick_forever(self) -> None:
        while True:
            try:
                await self.tick()
            except OSError as error:  # a full or vanished disk: said, and tried again in a second
                log.warning("tick: %s", error)
            await asyncio.sleep(TICK)

    async def tick(self) -> None:
        """Once a second: sample, look at what lives, bring lists up to date."""
        await self.take_sample()
        self.history.append(self.sample)
        for run_id in [*self.world.live]:
            self.look(run_id)
        if self.sampler.record(self.sample, busy=bool(self.world.live)):
            self.keeper.news()
        self.schedule()
        self.server.push(sample=self.sample)

    async def take_sample(self) -> None:
        ours = {pid: run_id for run_id in self.world.live if (pid := self.world.runs[run_id].pid)}
        self.sample, memory = await asyncio.to_thread(self.sampler.sample, ours)
        self.names = {CPU: "CPU", **labels(self.sample)}
        for run_id, (resident, device) in memory.items():
            if (run := self.world.runs.get(run_id)) is not None:
                run.memory, run.device_memory = resident, device
                self.stale.add(run_id)

    # -- facts ----------------------------------------------------------------------------------------------------

    def follow(self, run: Run) -> bool:
        """Take in the run's new lines; tells whether there were any."""
        follower = self.followers.get(run.id)
        if follower is None:
            follower = self.followers[run.id] = Follower(self.workspace.run(run.id))
        any_news = False
        while True:
            metrics, events = follower.read()
            for line in metrics:
                run.progress.metrics(line)
            for line in events:
                run.progress.event(line)
            any_news = any_news or bool(metrics or events)
            if not follower.behind:
                return any_news

    def look(self, run_id: str) -> None:
        """Look at a run's folder and let the world know."""
        run = self.world.runs[run_id]
        folder = self.workspace.run(run_id)
        news = self.follow(run)
        seen = folders.look(folder)
        self.follow(run)  # what it wrote between its last line and its end
        if any(line.get("event") == "exited" and line.get("code") for line in seen.lifecycle):
            run.last_words = self.followers[run_id].last_words()
        changed = self.world.seen(run_id, seen, time.time())
        self.pass_on(run)
        if changed:
            log.info("%s: %s %s", run_id, run.state, run.reason)
        if run.state in ENDED:
            self.close(run)
        if changed or news:
            self.stale.add(run_id)
            self.keeper.news(urgent=changed)

    def close(self, run: Run) -> None:
        """Forget what only a living run needs."""
        if run.exited is not None and run.exited.get("code") and not run.last_words:
            run.last_words = self.followers[run.id].last_words()
            self.world.seen(run.id, folders.look(self.workspace.run(run.id)), time.time())
        self.followers.pop(run.id, None)
        self.environments.pop(run.id, None)
        self.told.pop(run.id, None)

    # -- wishes ---------------------------------------------------------------------------------------------------

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
            self.environments[spec.id] = environment
        run = self.world.found(spec)
        if hold:
            self.write_order(run, {"order": "hold", "why": "queued with --hold"})
        self.world.seen(spec.id, folders.look(self.workspace.run(spec.id)), time.time())
        self.changed(run)
        self.schedule()
        return self.row(run.id)

    def order(self, wish: Order) -> RunRow:
        """Carry out a wish: a line in the run's orders.jsonl, then what it asks for."""
        run, line = self.world.order(wish)
        self.write_order(run, line)
        self.look(run.id)
        self.changed(run)
        self.schedule()
        return self.row(run.id)

    def write_order(self, run: Run, line: dict[str, object]) -> None:
        """Append an order; it counts once the line is on the disk. Raises WorkspaceError."""
        line = {"t": time.time(), **line}
        try:
            rundir.append(self.workspace.run(run.id) / rundir.ORDERS, line, sync=True)
        except OSError as error:
            raise WorkspaceError(f"{run.id}: the order was not written ({error.strerror}); nothing was done.") from None
        run.take_order(line)

    def changed(self, run: Run) -> None:
        self.stale.add(run.id)
        self.keeper.news()

    def pass_on(self, run: Run) -> None:
        """Tell a run's supervisor to end it, once; a supervisor that is only being started is told when it is there.

        The held lock shows that the pid in the lifecycle is still its own.
        """
        if run.stop is None or run.supervisor is None:
            return
        told = run.supervisor, run.stop[1]
        if self.told.get(run.id) == told or not rundir.held(self.workspace.run(run.id) / rundir.SUPERVISOR_LOCK):
            return
        self.told[run.id] = told
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.supervisor, signal.SIGUSR1 if run.stop[1] == "kill" else signal.SIGTERM)

    def note(self, wish: Note) -> None:
        """Write down what was typed outside a single run."""
        self.sampler.write({"t": time.time(), "kind": wish.kind, **wish.fields})
        self.keeper.news()

    # -- effects --------------------------------------------------------------------------------------------------

    def schedule(self) -> None:
        """Start what may start."""
        if self.draining:
            return
        runs = self.world.runs
        before = {run_id: (runs[run_id].place, runs[run_id].reason) for run_id in self.world.waiting}
        for action in self.world.act(time.time(), slots(self.sample)):
            run = runs[action.run]
            try:
                if isinstance(action, Start):
                    self.write_order(run, {"order": "start", "devices": list(action.devices), "why": "its turn"})
                self.supervise(run)
            except (OSError, EngineError) as error:
                log.warning("%s: not started: %s", run.id, error)
                if isinstance(action, Start):
                    run.reason = f"could not be started: {error}"
            if isinstance(action, Adopt):
                log.info("%s: a new supervisor takes over", run.id)
        for run_id in self.world.waiting | before.keys():
            if before.get(run_id) != (runs[run_id].place, runs[run_id].reason):
                self.stale.add(run_id)
        self.server.push()

    def supervise(self, run: Run) -> None:
        """Start a supervisor for a run, and listen for its beginning and its end."""
        folder = self.workspace.run(run.id)
        devices = tuple(device for device in run.devices if device != CPU)
        threads = None if devices else max(1, (os.cpu_count() or 1) // self.world.cpu_slots)
        base = self.environments.get(run.id) or {**os.environ, **run.spec.env}
        env = spawn.environment(self.workspace, folder, base, ",".join(devices), threads)
        spawned = self.spawned[run.id] = spawn.spawn(folder, env, self.workspace.log)
        run.spawning = True
        loop = asyncio.get_running_loop()
        loop.add_reader(spawned.ready, self.on_ready, run.id, spawned)
        self.world.seen(run.id, folders.look(folder), time.time())
        self.changed(run)

    def on_ready(self, run_id: str, spawned: spawn.Spawned) -> None:
        """The supervisor has begun the run, or ended without."""
        asyncio.get_running_loop().remove_reader(spawned.ready)
        os.close(spawned.ready)
        watch = asyncio.get_running_loop().create_task(self.wait_for(run_id, spawned))
        watch.add_done_callback(lambda _: None)
        self.world.runs[run_id].spawning = False
        self.look(run_id)
        self.server.push()

    async def wait_for(self, run_id: str, spawned: spawn.Spawned) -> None:
        """Reap the supervisor and look at once: the next run may start."""
        await wait_process(spawned.process)
        if self.spawned.get(run_id) is spawned:
            del self.spawned[run_id]
        self.look(run_id)
        if self.sample.devices:
            await self.take_sample()  # what the run held is free now, which an older sample does not know
        self.schedule()

    # -- readings -------------------------------------------------------------------------------------------------

    def row(self, run_id: str) -> RunRow:
        if run_id in self.stale or run_id not in self.rows:
            run = self.world.runs[run_id]
            self.rows[run_id] = run.row(self.names, told(run.spec))
            self.stale.discard(run_id)
        return self.rows[run_id]

    def all_rows(self) -> tuple[RunRow, ...]:
        return tuple(self.row(run_id) for run_id in self.world.runs)

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
        return RunDetail(
            row=self.row(run.id),
            spec=run.spec,
            folder=str(folder),
            orders=rundir.read(folder / rundir.ORDERS),
            lifecycle=rundir.read(folder / rundir.LIFECYCLE),
            events=rundir.read(folder / rundir.EVENTS)[-500:],
        )

    def status(self) -> EngineStatus:
        counts: dict[str, int] = {}
        for run in self.world.runs.values():
            counts[run.state] = counts.get(run.state, 0) + 1
        return EngineStatus(
            pid=os.getpid(),
            started=self.started,
            version=own_version(),
            workspace=str(self.workspace.root),
            socket=str(self.workspace.socket),
            cpu_slots=self.world.cpu_slots,
            counts=counts,
            **self.keeper.status(),
        )

    def store_changed(self) -> None:
        self.server.push(status=self.status())

    async def drain(self) -> None:
        """Stop every run and wait until all have ended."""
        self.draining = True
        for run_id in [*self.world.live]:
            run = self.world.runs[run_id]
            if run.stop is None:
                self.order(Order(run=run_id, order="stop", why="engine down --stop-runs"))
        while self.world.live:
            await asyncio.sleep(0.05)
            for run_id in [*self.world.live]:
                self.look(run_id)


def told(spec: Spec) -> str:
    """Say in a few words what a run is: what was set by hand, or its command."""
    if spec.family == "exec":
        return " ".join(spec.command)[:200]
    return " ".join(f"{name.split('.')[-1]} {_plainly(value)}" for name, value in spec.changed.items())[:200]


def _plainly(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


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


def own_version() -> str:
    try:
        return version("paddock")
    except PackageNotFoundError:
        return "0"


def main() -> int:
    """Serve the workspace of ENGINE_HOME; exit code of engine.errors when that can't be."""
    parser = argparse.ArgumentParser(prog="python -m engine.daemon")
    parser.add_argument("--home", help="the workspace (else ENGINE_HOME, else the current folder)")
    parser.add_argument("--cpu-slots", type=int, default=None, help="CPU runs at a time (or ENGINE_CPU_SLOTS)")
    arguments = parser.parse_args()
    asked = arguments.cpu_slots
    workspace = Workspace(Path(arguments.home).absolute()) if arguments.home else find()
    try:
        cpu_slots = asked if asked is not None else int(os.environ.get("ENGINE_CPU_SLOTS") or default_cpu_slots())
        if cpu_slots < 1:
            raise UsageError(f"{cpu_slots} CPU slots: at least 1 is needed.")
        workspace.socket  # noqa: B018 - raises if its path is too long
        workspace.prepare()
        lock = take_lock(workspace)
    except ValueError:
        print("engine: ENGINE_CPU_SLOTS is not a whole number.", file=sys.stderr)
        return 2
    except EngineError as error:
        print(f"engine: {error}", file=sys.stderr)
        return error.exit_code
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    os.chdir("/")  # so that it keeps no folder busy that a user may want to unmount
    try:
        asyncio.run(Daemon(workspace, cpu_slots).run())
    finally:
        os.close(lock)
    return 0


def take_lock(workspace: Workspace) -> int:
    """Take the workspace. Raises EngineBusy if another engine has it, WorkspaceError if it can't be written."""
    try:
        lock = rundir.take(workspace.lock, patience=0.3)
    except OSError as error:
        raise WorkspaceError(f"The workspace {workspace.root} can't be written: {error.strerror}.") from None
    if lock is None:
        raise EngineBusy(f"An engine already runs in {workspace.root}. `engine status` tells of it.")
    return lock


if __name__ == "__main__":
    raise SystemExit(main())
