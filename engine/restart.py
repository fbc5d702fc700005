"""What an engine takes in when it comes up: every run, from its folder or from what was kept of it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from engine import ended, folders, rundir
from engine.allocator import staying
from engine.records import ENDED

if TYPE_CHECKING:
    from engine.core import Daemon

log = logging.getLogger("engine")


def load(daemon: Daemon) -> list[str]:
    """Let the world of a daemon know every run; gives the ids of those whose folders had to be read."""
    read = []
    now = time.time()
    world, shelf, workspace = daemon.world, daemon.shelf, daemon.workspace
    with staying():  # looking all that is read over again and again takes a third of the time
        shelf.open()
        daemon.memories.load(now)
        for line in rundir.read(workspace.queue):
            world.take_queue(line)
        for run_id in folders.scan(workspace):
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
    signed = ended.sign(str(folder))
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
