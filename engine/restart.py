"""What an engine takes in when it comes up: every run, from its folder or from what was kept of it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from engine import ended, folders, rundir
from engine.allocator import staying
from engine.records import ENDED
from engine.stamps import sign

if TYPE_CHECKING:
    from engine.core import Daemon

SLICE = 0.1
"""Seconds of reading after which those who wait may be told how far it is."""
log = logging.getLogger("engine")


async def load(daemon: Daemon) -> list[str]:
    """Let the world of a daemon know every run; gives the ids of those whose folders had to be read.

    It stops in the middle where the engine is told to end.
    """
    read: list[str] = []
    now = time.time()
    world, shelf, workspace = daemon.world, daemon.shelf, daemon.workspace
    with staying():  # looking all that is read over again and again takes a third of the time
        shelf.open()
        await shelf.ask()
        daemon.memories.load(now)
        for line in rundir.read(workspace.queue):
            world.take_queue(line)
        found = [*folders.scan(workspace)]
        due = time.monotonic() + SLICE
        for number, run_id in enumerate(found):
            if time.monotonic() > due:
                daemon.loaded = number, len(found)
                await asyncio.sleep(0)
                if daemon.over.is_set():
                    break
                due = time.monotonic() + SLICE
            if (kept := shelf.get(run_id)) is not None:
                daemon.settled(ended.restore(world, kept, f"{shelf.runs}/{run_id}"))
            elif _load_folder(daemon, run_id, now):
                read.append(run_id)
                daemon.readings.stale.add(run_id)
            else:
                log.warning("%s: spec.json is missing or damaged; the folder is left alone", run_id)
    return read


def _load_folder(daemon: Daemon, run_id: str, now: float) -> bool:
    """Read a run's folder; False if it is no run."""
    folder = daemon.workspace.run(run_id)
    signed = sign(str(folder), ended.ALL)
    if (read := folders.load(folder)) is None:
        return False
    run = daemon.world.found(*read)
    daemon.memories.restore(run)
    daemon.follow(run)
    daemon.world.seen(run_id, folders.look(folder), now)
    if run.state in ENDED:
        daemon.close(run)
        if run_id not in daemon.unread:
            daemon.shelf.put(run, signed)
            ended.lighten(run, str(folder))
    return True
