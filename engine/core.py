"""The engine: turns files, sockets and timers into facts for `World`, and its actions into effects."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections import deque

from engine import ended, kernel, restart
from engine.attempts import Attempts
from engine.devices import Sample
from engine.errors import EngineError
from engine.folders import Follower
from engine.gpulock import GpuLocks, Taken
from engine.hands import DaemonHands
from engine.hooking import Hooking
from engine.keeper import Keeper
from engine.lifeline import Lifelines
from engine.memories import Memories
from engine.messages import Note, Order
from engine.readings import Readings
from engine.records import ENDED, EngineStatus
from engine.run import Run
from engine.sampler import Sampler, labels, slots
from engine.schedule import CPU
from engine.server import Server
from engine.shelf import Shelf
from engine.stamps import Stamps
from engine.state import Action, Adopt, Start, World
from engine.troubles import Troubles
from engine.wishes import Wishes
from engine.workspace import Workspace

TICK = 1.0
HISTORY = 120
"""Samples kept in memory, one a second."""
KEEPING, LAST = 0.02, 2.0
"""Seconds for keeping what ended runs said: in each tick, and at the end."""
THOROUGH = 10
"""A run that seems to go on as it did is looked at as a whole at every so many ticks."""
log = logging.getLogger("engine")


class Daemon:
    """One workspace's engine. Everything but sampling and the store happens in the event loop, so no locks."""

    def __init__(self, workspace: Workspace, cpu_slots: int, stamps: Stamps | None = None) -> None:
        self.workspace = workspace
        self.world = World(cpu_slots, boot=kernel.booted(), boot_id=kernel.boot_id())
        self.sampler = Sampler(workspace)
        self.keeper = Keeper(workspace, self.store_changed)
        self.server = Server(self)
        self.shelf = Shelf(workspace, stamps)
        self.troubles = Troubles()
        self.readings = Readings(workspace, self.world)
        self.lifelines = Lifelines(self)
        self.memories = Memories(workspace, self.world)
        self.locks = GpuLocks(workspace.root)
        self.attempts = Attempts(self)
        self.hooking = Hooking(self)
        self.wishes = Wishes(self.world, DaemonHands(self))
        self.followers: dict[str, Follower] = {}
        self.unread: set[str] = set()
        """Ended runs whose foreign sources are not read to their end yet."""
        self.sample = Sample(t=time.time())
        self.history: deque[Sample] = deque(maxlen=HISTORY)
        self.pid = os.getpid()
        self.draining = False
        self.ticks = 0
        self.loaded = 0, 0
        """How many of how many runs are known, while it comes up."""
        self.up = asyncio.Event()
        self.over = asyncio.Event()

    # -- life -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until told to end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.over.set)
        await self.server.start()  # who asks waits; who waits long is told how far it is
        read = len(await restart.load(self))
        if self.over.is_set():  # told to end while it read
            await self.server.stop()
            return
        await self.take_sample()
        log.info("up: %s, %d runs, %d folders read", self.workspace.root, len(self.world.runs), read)
        self.attempts.catch_up()
        self.schedule()
        self.up.set()
        self.keeper.news()
        await asyncio.to_thread(self.shelf.close)
        ticking = asyncio.create_task(self.tick_forever())
        await self.over.wait()
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        await self.server.stop()
        await self.keeper.stop()
        self.shelf.keep(self.world, LAST)
        self.sampler.close()
        log.info("down; %d runs go on", len(self.world.live))

    async def tick_forever(self) -> None:
        while True:
            with self.troubles.apart("the round of each second"):  # said, and tried again in the next
                await self.tick()
            if self.troubles.end_round():
                self.server.push(status=self.status())
            await asyncio.sleep(TICK)

    async def tick(self) -> None:
        """Once a second: sample, look at what lives, bring lists up to date."""
        await self.take_sample()
        self.history.append(self.sample)
        self.ticks += 1
        for number, run_id in enumerate([*self.world.live, *self.unread]):
            with self.troubles.apart(run_id):
                if (self.ticks + number) % THOROUGH == 0 or not self.unchanged(run_id):
                    self.look(run_id)
        with self.troubles.apart("attempts"):
            self.attempts.catch_up()
        with self.troubles.apart("samples"):
            if self.sampler.record(self.sample, busy=bool(self.world.live)):
                self.keeper.news()
        self.schedule()
        self.hooking.call()
        self.shelf.keep(self.world, KEEPING)
        self.server.push(sample=self.sample)

    async def take_sample(self) -> None:
        ours = {pid: run_id for run_id in self.world.live if (pid := self.world.runs[run_id].pid)}
        self.sample, memory = await asyncio.to_thread(self.sampler.sample, ours)
        self.readings.names = {CPU: "CPU", **labels(self.sample)}
        for run_id, resident in memory.items():
            if (run := self.world.runs.get(run_id)) is not None and run.memory != resident:
                run.memory = resident
                self.readings.stale.add(run_id)
        self.readings.stale.update(self.memories.watch(self.sample))

    # -- facts ----------------------------------------------------------------------------------------------------

    def follow(self, run: Run) -> bool:
        """Take in the run's new lines; tells whether there were any."""
        follower = self.followers.get(run.id)
        if follower is None:
            follower = self.followers[run.id] = Follower(self.workspace.run(run.id), run.brief)
        if run.brief.adopt and run.started is not None:
            follower.adopt()
        return follower.take_in(run.progress)

    def unchanged(self, run_id: str) -> bool:
        """Take in the new lines of a run, and tell whether it is running as it was at the last look: cheap to see."""
        run = self.world.runs[run_id]
        follower = self.followers.get(run_id)
        if run.state != "running" or follower is None or not follower.goes_on():
            return False
        if self.follow(run):
            self.changed(run)
        self.lifelines.pass_on(run)
        return True

    def look(self, run_id: str) -> None:
        """Look at a run's folder and let the world know."""
        run = self.world.runs[run_id]
        news = self.follow(run)
        seen = self.followers[run_id].look()
        self.follow(run)  # what it wrote between its last line and its end
        changed = self.world.seen(run_id, seen, time.time())
        self.lifelines.pass_on(run)
        if changed:
            log.info("%s: %s %s", run_id, run.state, run.reason)
        if run.state in ENDED:
            self.close(run)
            if run_id not in self.unread:
                ended.lighten(run, str(self.workspace.run(run_id)))
                self.shelf.due.add(run_id)
        if changed or news:
            self.readings.stale.add(run_id)
            self.keeper.news(run_id, urgent=changed)

    def close(self, run: Run) -> None:
        """Forget what only a living run needs; what it printed at last may take a while to be read."""
        if run.brief.adopt and run.started is not None:
            complete = self.followers[run.id].adopt(0.2, ended=True)
            self.follow(run)
            if not complete:
                self.unread.add(run.id)
                return
            self.unread.discard(run.id)
        ended.hear(self.world, run, self.followers[run.id], time.time())
        self.memories.remember(run)
        self.settled(run)

    def settled(self, run: Run) -> None:
        """What follows from an end: its next attempt, its hooks."""
        self.attempts.consider(run)
        if (follower := self.followers.pop(run.id, None)) is not None:
            follower.close()
        self.lifelines.forget(run.id)
        self.hooking.finished(run)

    def note(self, wish: Note) -> None:
        """Write down what was typed outside a single run."""
        self.sampler.write({"t": time.time(), "kind": wish.kind, **wish.fields})
        self.keeper.news()

    def changed(self, run: Run) -> None:
        if run.state in ENDED:
            self.shelf.due.add(run.id)
        self.readings.stale.add(run.id)
        self.keeper.news(run.id)

    # -- effects --------------------------------------------------------------------------------------------------

    def schedule(self) -> None:
        """Start what may start."""
        if self.draining:
            return
        self.world.elsewhere.clear()
        while not all(self.carry_out(action) for action in self.world.act(time.time(), slots(self.sample))):
            pass  # a device turned out to be held by another engine: decide again without it
        self.readings.stale |= self.world.moved
        self.world.moved.clear()
        self.server.push()

    def carry_out(self, action: Action) -> bool:
        """Start or adopt a run; False if another engine on this box holds one of its devices."""
        run = self.world.runs[action.run]
        taken = Taken()
        try:
            if isinstance(action, Start):
                gpus = [device for device in action.devices if device != CPU]
                if gpus:
                    taken = self.locks.take(gpus, shared=action.claim is not None)
                if taken.held:
                    self.world.elsewhere.update(taken.held)
                    return False
                line = {"order": "start", "devices": list(action.devices), "why": action.why}
                self.wishes.write_order(run, {**line, **({"claim": action.claim} if action.claim else {})})
            self.lifelines.supervise(run, taken.fds)
        except (OSError, EngineError) as error:
            why = f"could not be started: {error}"
            if run.reason != why:  # it is tried again each second
                log.warning("%s: %s", run.id, why)
            if isinstance(action, Start):
                run.reason = why
        finally:
            for fd in taken.fds:
                os.close(fd)
        if isinstance(action, Adopt):
            log.info("%s: a new supervisor takes over", run.id)
        return True

    def status(self) -> EngineStatus:
        return self.readings.status(self.keeper.status(), self.hooking.trouble, self.troubles.text)

    def store_changed(self) -> None:
        if self.server.watchers:
            self.server.push(status=self.status())

    async def drain(self) -> None:
        """Stop every run and wait until all have ended."""
        self.draining = True
        for run_id in [*self.world.live]:
            run = self.world.runs[run_id]
            if run.stop is not None:
                continue
            try:
                self.wishes.order(Order(run=run_id, order="stop", why="engine down --stop-runs"))
            except EngineError as error:  # the disk is full, or it has spoilt its own folder: it is ended all the same
                log.warning("%s: %s", run_id, error)
                run.take_order({"t": time.time(), "order": "stop", "why": "engine down --stop-runs"})
        while self.world.live:
            await asyncio.sleep(0.05)
            for run_id in [*self.world.live]:
                self.look(run_id)
