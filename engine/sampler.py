"""What the box does, once a second: devices and host for the screens, the scheduler and a daily file."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from engine import kin
from engine.devices import Devices, DeviceSample, ProcessSample, Sample, foreign
from engine.schedule import Slot
from engine.workspace import Workspace

IDLE_EVERY = 10.0
"""Seconds between recorded samples while nothing of ours runs."""
PROCESSES_EVERY = 2.0
"""Seconds between looks at the machine's processes, at least; on one with thousands of them it is more."""
SHARE = 0.003
"""Part of a core that these may take."""
_encode = msgspec.json.Encoder().encode
Memory = dict[str, int]
"""Resident bytes of each run's processes."""


class Sampler:
    """Owns NVML and runs/host/; `sample` is called in a thread, one call at a time."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.devices = Devices(workspace.root)
        self.opened = False
        self.recorded = 0.0
        self.counted = -math.inf
        """When processes may be looked at again, on the monotonic clock."""

    def sample(self, ours: Mapping[int, str]) -> tuple[Sample, Memory]:
        """ours: the leading process of each live run. The memory of their processes is given when it was due only."""
        if not self.opened:
            self.devices.open()
            self.opened = True
            return self.devices.sample(ours, host=False), {}  # a start waits for this; the rest is 60 ms of psutil
        return self.devices.sample(ours), self._memory(ours)

    def _memory(self, ours: Mapping[int, str]) -> Memory:
        now = time.monotonic()
        if not ours or now < self.counted:
            return {}
        begun = time.thread_time()
        found = kin.residents(ours)
        self.counted = now + max(PROCESSES_EVERY, (time.thread_time() - begun) / SHARE)
        return found

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
