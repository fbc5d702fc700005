"""What runs hold of the devices, seen each second, and what they needed at most, kept in runs/memory.jsonl."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from engine import memory, rundir
from engine.attempts import ran_out
from engine.devices import DeviceSample, Sample
from engine.run import Run
from engine.workspace import Workspace

if TYPE_CHECKING:
    from engine.state import World

NAME = "memory.jsonl"
log = logging.getLogger("engine")


class Memories:
    """One per daemon, the file's only writer. Nothing here may keep a run from starting or ending."""

    def __init__(self, workspace: Workspace, world: World) -> None:
        self.path = workspace.runs / NAME
        self.world = world

    def load(self) -> None:
        """Read what earlier runs needed."""
        for line in rundir.read(self.path):
            self.world.peaks.add(line)

    def watch(self, sample: Sample) -> None:
        """Take in what live runs hold now."""
        by_uuid = {device.uuid: device for device in sample.devices}
        for run_id in self.world.live:
            run = self.world.runs[run_id]
            found = {uuid: held(by_uuid[uuid], run) for uuid in run.devices if uuid in by_uuid}
            if not found or run.started is None:
                continue
            known = {uuid: bytes_ for uuid, bytes_ in found.items() if bytes_ is not None}
            run.on_devices = known or None
            run.device_memory = sum(known.values()) if known else None
            run.peak = max(run.peak, *known.values()) if known else run.peak

    def remember(self, run: Run) -> None:
        """Write down what an ended run needed, once; those that wait for their turn learn from it."""
        peak, run.peak = run.peak, 0
        oom = ran_out(run)
        if not peak or not (oom or run.state == "ok" or (run.state == "stopped" and run.progress.step)):
            return  # what a run held that failed at its first line says nothing about the next
        asked = run.progress.oom.get("requested") if run.progress.oom is not None else 0
        line = memory.line(run.spec, time.time(), peak, run.state, asked if isinstance(asked, int) else 0)
        try:
            rundir.append(self.path, line)
        except OSError as error:
            log.warning("%s: what it needed is not written down: %s", run.id, error)
        self.world.peaks.add(line)


def held(device: DeviceSample, run: Run) -> int | None:
    """Bytes that a run holds on a device; None where nobody can tell.

    In a container NVML gives the host's process numbers, or none: then no process is known as the run's. All that is
    used on a device that it has alone is its own.
    """
    ours = [process.memory for process in device.processes if process.run == run.id]
    if ours and None not in ours:
        return sum(bytes_ or 0 for bytes_ in ours)
    if run.claim is not None or any(process.run not in (None, run.id) for process in device.processes):
        return None
    return device.memory_used
