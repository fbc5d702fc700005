"""What the box does, once a second: devices and host for the screens, the scheduler and a daily file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
import psutil

from engine.devices import Devices, DeviceSample, ProcessSample, Sample, foreign
from engine.schedule import Slot
from engine.workspace import Workspace

IDLE_EVERY = 10.0
"""Seconds between recorded samples while nothing of ours runs."""
_encode = msgspec.json.Encoder().encode
Memory = dict[str, tuple[int | None, int | None]]
"""Per run: resident bytes of its processes, bytes on its devices."""


class Sampler:
    """Owns NVML and runs/host/; `sample` is called in a thread, one call at a time."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.devices = Devices(workspace.root)
        self.opened = False
        self.recorded = 0.0

    def sample(self, ours: Mapping[int, str]) -> tuple[Sample, Memory]:
        """ours: the leading process of each live run. Device memory is None where NVML can't tell."""
        if not self.opened:
            self.devices.open()
            self.opened = True
        sample = self.devices.sample(ours)
        memory: Memory = {run_id: (resident(pid), None) for pid, run_id in ours.items()}
        for device in sample.devices:
            for process in device.processes:
                if process.run in memory and process.memory is not None:
                    held, before = memory[process.run]
                    memory[process.run] = held, (before or 0) + process.memory
        return sample, memory

    def record(self, sample: Sample, *, busy: bool) -> bool:
        """Append the sample to today's file: each while runs live, else now and then. Tells whether it did."""
        if not busy and sample.t - self.recorded < IDLE_EVERY:
            return False
        self.recorded = sample.t
        self.write({"kind": "sample", **msgspec.to_builtins(sample)})
        return True

    def write(self, line: Mapping[str, object]) -> None:
        """Append one line to runs/host/<day>.jsonl. A full disk loses the sample and nothing else."""
        day = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%d")
        with contextlib.suppress(OSError), open(self.workspace.host / f"{day}.jsonl", "ab") as file:
            file.write(_encode(line) + b"\n")

    def close(self) -> None:
        self.devices.close()


def resident(pid: int) -> int | None:
    """Sum the resident bytes of a process and its descendants; shared pages count for each."""
    try:
        leader = psutil.Process(pid)
        family = [leader, *leader.children(recursive=True)]
    except psutil.Error:
        return None
    total = 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def labels(sample: Sample) -> dict[str, str]:
    """Name each device as people do: GPU0; the slices of GPU0 are GPU0.0, GPU0.1."""
    made: dict[str, str] = {}
    slices: dict[int, int] = {}
    for device in sample.devices:
        if device.mig:
            number = slices[device.index] = slices.get(device.index, -1) + 1
            made[device.uuid] = f"GPU{device.index}.{number}"
        else:
            made[device.uuid] = f"GPU{device.index}"
    return made


def slots(sample: Sample) -> list[Slot]:
    """Give the devices the scheduler may use, each with who else is on it."""
    names = labels(sample)
    return [
        Slot(
            device.uuid,
            names[device.uuid],
            device.memory_free or 0,
            device.memory_total or 0,
            stranger=stranger(sample, device),
        )
        for device in sample.devices
        if device.visible
    ]


def stranger(sample: Sample, device: DeviceSample) -> str:
    """Say who uses a device that is not ours, or why it can't be used; empty when it is free for us."""
    if device.error:
        return f"not to be used: {device.error}"
    others = foreign(sample, device.uuid)
    if not others:
        return ""
    return f"used by {', '.join(map(_who, others[:2]))}" + (f" and {len(others) - 2} more" if len(others) > 2 else "")


def _who(process: ProcessSample) -> str:
    held = f"{process.memory / (1 << 30):.1f} GiB" if process.memory is not None else "memory n/a"
    if not process.pid:
        return f"a process that can't be seen from here ({held})"
    return f"{process.name or 'a process'} (pid {process.pid}, {process.user or 'user n/a'}, {held})"
