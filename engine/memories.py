"""What runs hold of the devices, seen each second, and what they needed at most, kept in runs/memory.jsonl.

A peak that nobody may have seen is kept as a lower bound, from which nothing is predicted.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from engine import memory, rundir
from engine.attempts import ran_out
from engine.devices import DeviceSample, Sample
from engine.live import number, whole
from engine.records import ENDED
from engine.run import Run
from engine.schedule import CPU
from engine.workspace import Workspace

if TYPE_CHECKING:
    from engine.state import World

NAME = "memory.jsonl"
GROWTH = 1.02
"""A height is written down when it is more than that much above the last: allocators grow in many small steps."""
MISSED = 2.0
"""Seconds that may go by unwatched, as between two samples or over a restart of the engine."""
SHARE = 0.1
"""Part of a long run's life that may: what it does again and again is seen all the same. Its end must be."""
TAIL = 256 << 10
"""Bytes at the end of the samples in which the last one is looked for; one of 8 GPUs has 4 KB."""
log = logging.getLogger("engine")


class Memories:
    """One per daemon, the only writer of its files. Nothing here may keep a run from starting or ending.

    Each new height is written down in the run's folder, so that another engine knows it.
    """

    def __init__(self, workspace: Workspace, world: World) -> None:
        self.workspace = workspace
        self.path = workspace.runs / NAME
        self.world = world
        self.blind = (0.0, 0.0)
        """From when to when no engine looked, before this one did."""
        self.known: set[str] = set()
        """Runs that were remembered by an engine before."""
        self.written: dict[str, int] = {}

    def load(self, now: float) -> None:
        """Read what earlier runs needed, and since when nobody looked."""
        for line in rundir.read(self.path):
            self.world.peaks.add(line)
            self.known.add(str(line.get("run")))
        self.blind = (last_look(self.workspace) or 0.0, now)

    def restore(self, run: Run) -> None:
        """Take in what an engine before saw of a run."""
        for line in rundir.read(self.workspace.run(run.id) / rundir.MEMORY):
            run.peak = max(run.peak, whole(line.get("peak")) or 0)
            run.unseen = max(run.unseen, number(line.get("unseen")) or 0.0)
        self.written[run.id] = run.peak

    def watch(self, sample: Sample) -> list[str]:
        """Take in what live runs hold now; gives those that hold something else than before."""
        by_uuid = {device.uuid: device for device in sample.devices}
        changed = []
        for run_id in self.world.live:
            run = self.world.runs[run_id]
            found = {uuid: held(by_uuid[uuid], run) for uuid in run.devices if uuid in by_uuid}
            if not found or run.started is None:
                continue
            known = {uuid: bytes_ for uuid, bytes_ in found.items() if bytes_ is not None}
            run.on_devices = known or None
            before, run.device_memory = run.device_memory, sum(known.values()) if known else None
            if run.device_memory != before:
                changed.append(run_id)
            run.peak = max(run.peak, *known.values()) if known else run.peak
            if run.peak > GROWTH * self.written.get(run_id, 0):
                self._write(run)
        return changed

    def _write(self, run: Run) -> None:
        """Write down a height that was not reached before."""
        self.written[run.id] = run.peak
        line: dict[str, object] = {
            "t": time.time(),
            "peak": run.peak,
            "unseen": round(run.unseen + self._missed(run), 1),
        }
        try:
            rundir.append(self.workspace.run(run.id) / rundir.MEMORY, line)
        except OSError as error:
            log.warning("%s: what it holds is not written down: %s", run.id, error)

    def _missed(self, run: Run) -> float:
        """Seconds of its life that went by before this engine came and after the one before was last heard of."""
        begun, ended = run.started_at or 0.0, run.since if run.state in ENDED else self.blind[1]
        return max(0.0, min(ended, self.blind[1]) - max(begun, self.blind[0]))

    def at_least(self, run: Run) -> bool:
        """Whether so much of an ended run was not watched that it may have held more than was seen."""
        missed = self._missed(run)
        life = run.since - (run.started_at or run.since)
        end_missed = run.since <= self.blind[1] and missed > MISSED
        return end_missed or run.unseen + missed > max(MISSED, SHARE * life)

    def remember(self, run: Run) -> None:
        """Write down what an ended run needed, once; those that wait for their turn learn from it.

        What it said itself at its end counts whoever was watching.
        """
        seen, run.peak = run.peak, 0
        self.written.pop(run.id, None)
        whole_life = run.state == "ok" or run.progress.finished is not None
        said = run.progress.memory if whole_life else None
        peak = max(seen, said or 0) if CPU not in run.devices else 0
        oom = ran_out(run)
        if not peak or run.id in self.known or run.brief.imported:
            return
        if not (oom or run.state == "ok" or (run.state == "stopped" and run.progress.step)):
            return  # what a run held that failed at its first line says nothing about the next
        asked = run.progress.oom.get("requested") if run.progress.oom is not None else 0
        line = memory.line(
            run.spec, time.time(), peak, run.state, asked if isinstance(asked, int) else 0,
            at_least=said is None and self.at_least(run),
        )  # fmt: skip
        self.known.add(run.id)
        try:
            rundir.append(self.path, line)
        except OSError as error:
            log.warning("%s: what it needed is not written down: %s", run.id, error)
        self.world.peaks.add(line)


def last_look(workspace: Workspace) -> float | None:
    """Give when an engine of this workspace took its last sample, unix seconds; None where none ever did."""
    try:
        with os.scandir(workspace.host) as entries:
            days = sorted(entry.path for entry in entries if entry.name.endswith(".jsonl"))
        lines = rundir.read_last(days[-1], TAIL) if days else []
    except OSError:
        return None
    times = (number(line.get("t")) for line in reversed(lines) if line.get("kind") == "sample")
    return next((t for t in times if t is not None), None)


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
