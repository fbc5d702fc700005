"""The GPUs as NVML tells them, known by UUID."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from engine.host import Host, HostSample, Processes
from engine.nvml import Nvml
from engine.visible import bound, cuda_env, visible

__all__ = [
    "DeviceSample",
    "Devices",
    "HostSample",
    "ProcessSample",
    "Sample",
    "cuda_env",
    "foreign",
]

MIB = 1 << 20
# A desktop's windows: their memory is missing from memory_free anyway and does not make a GPU busy.
GRAPHICS_IGNORED = 1024 * MIB
MIXED_IGNORED = 300 * MIB
# A driver keeps some memory for itself; more than this without a process is somebody in another container.
HIDDEN_SHARE, HIDDEN_FLOOR = 0.05, 512 * MIB
# Devices are listed again this often (a driver that came late, slices made anew), and sooner after a failure.
REFRESH_S, RETRY_S = 60.0, 5.0
NAMELESS = "GPU"


class ProcessSample(msgspec.Struct, frozen=True):
    """A process on a device; memory in bytes.

    run: the id of our run that it belongs to. pid 0 stands for memory that no visible process accounts for.
    kind: "compute", "graphics" or "both".
    """

    pid: int
    memory: int | None
    name: str | None
    user: str | None
    run: str | None
    kind: str = "compute"


class DeviceSample(msgspec.Struct, frozen=True):
    """A GPU, or a MIG slice of one, at one moment; None is "n/a".

    index: the GPU's number in NVML's (PCI) order, for a slice its parent's. utilisation in per cent, memory in
    bytes, power in watts, temperature in °C. A slice shows its chip's temperature but no power, which is known
    only for the whole board. visible: whether CUDA_VISIBLE_DEVICES or Slurm lets runs use it. error: why the
    device as a whole does not answer; what is known of it is then from before.
    """

    uuid: str
    index: int
    name: str
    utilisation: float | None
    memory_used: int | None
    memory_total: int | None
    memory_free: int | None
    power: float | None
    power_limit: float | None
    temperature: int | None
    processes: tuple[ProcessSample, ...]
    mig: bool
    visible: bool
    error: str | None = None


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What the box did at one moment; t in unix seconds."""

    t: float
    devices: tuple[DeviceSample, ...] = ()
    host: HostSample | None = None
    why_none: str = ""
    """Why there are no devices, when there are none."""
    warnings: tuple[str, ...] = ()
    """What a person should know: a GPU that does not answer, a CUDA_VISIBLE_DEVICES that names nothing."""


@dataclass(frozen=True)
class Known:
    """What is asked for once. parent: of a slice, its GPU's handle. lost: why a listed device stopped to answer."""

    handle: Any
    uuid: str
    index: int
    name: str
    memory_total: int | None
    power_limit: float | None
    parent: Any = None
    visible: bool = True
    lost: str | None = None


class Devices:
    """Samples GPUs and host; use it from one thread at a time.

    A call takes about a millisecond, but a sick driver can hold one for seconds: a daemon samples in a thread.
    """

    def __init__(self, workspace: Path = Path("."), environ: Mapping[str, str] | None = None) -> None:
        self._environ = dict(os.environ if environ is None else environ)
        self._host = Host(workspace)
        self._processes = Processes()
        self._nvml = Nvml()
        self._known: tuple[Known, ...] = ()
        self._warnings: tuple[str, ...] = ()
        self._listed: float | None = None  # when, on the monotonic clock; None while not open
        self.driver: str | None = None
        """The driver's version."""

    def open(self) -> None:
        """Load NVML and list the devices; a machine without them is normal."""
        self._nvml.connect()
        self._list()
        self.driver, _ = self._nvml.ask("SystemGetDriverVersion")

    def close(self) -> None:
        """Shut NVML down; open() may follow."""
        self._nvml.close()
        self._known = ()
        self._listed = None

    def sample(self, our_pids: Mapping[int, str], *, host: bool = True) -> Sample:
        """Read every device and, unless it can wait, the host. our_pids: the run id of each process that we started."""
        if self._listed is not None:
            age = time.monotonic() - self._listed
            if age > (RETRY_S if self._nvml.lost else REFRESH_S):
                if self._nvml.up:
                    self._list()
                else:
                    self.open()
        devices = tuple(self._device(known, our_pids) for known in self._known)
        if not self._nvml.up:  # it may have failed under these very calls
            devices, self._known, self._warnings = (), (), ()
        self._processes.keep({p.pid for device in devices for p in device.processes})
        why = ""
        if not devices:
            why = self._nvml.why or "; ".join(self._warnings) or "the driver shows no GPU"
        return Sample(
            t=time.time(),
            devices=devices,
            host=self._host.sample() if host else None,
            why_none=why,
            warnings=self._warnings,
        )

    def _list(self) -> None:
        """Find the devices and what does not change; one that is lost stays listed as it was known."""
        self._listed = time.monotonic()
        self._nvml.lost = False
        before = self._known
        found: list[Known] = []
        warnings: list[str] = []
        count, why = self._nvml.ask("DeviceGetCount")
        if count is None:
            warnings.append(f"NVML does not say how many GPUs there are ({why or 'n/a'})")
        for index in range(count or 0):
            handle, lost = self._nvml.ask("DeviceGetHandleByIndex", index)
            gpu, lost = (None, lost) if handle is None else self._facts(handle, index)
            if gpu is None:
                found += [replace(k, lost=lost or "no answer") for k in before if k.index == index]
                warnings.append(f"GPU {index} does not answer: {lost or 'n/a'}")
                continue
            mode, _ = self._nvml.ask("DeviceGetMigMode", handle)
            if not mode or not mode[0]:
                found.append(gpu)
                continue
            slices = self._slices(gpu)
            found += slices
            if not slices:
                warnings.append(f"GPU {index} is in MIG mode but has no slices (nvidia-smi mig -cgi ... -C makes them)")
        name, value = bound(self._environ, len({k.index for k in found}))
        allowed, complaint = visible(value, [(k.index, k.uuid) for k in found], name)
        if complaint:
            warnings.append(complaint)
        self._known = tuple(replace(k, visible=k.uuid in allowed) for k in found)
        self._warnings = tuple(warnings)

    def _slices(self, gpu: Known) -> list[Known]:
        most, _ = self._nvml.ask("DeviceGetMaxMigDeviceCount", gpu.handle)
        lost, slices = self._nvml.lost, []
        for number in range(most or 0):
            handle, _ = self._nvml.ask("DeviceGetMigDeviceHandleByIndex", gpu.handle, number)
            if handle is None:  # an empty place (NOT_FOUND), which is no failure
                self._nvml.lost = lost
                continue
            part, _ = self._facts(handle, gpu.index)
            if part is not None:
                name = part.name if part.name != NAMELESS else f"{gpu.name} MIG"
                slices.append(replace(part, parent=gpu.handle, name=name, power_limit=None))
        return slices

    def _facts(self, handle: Any, index: int) -> tuple[Known | None, str | None]:
        uuid, lost = self._nvml.ask("DeviceGetUUID", handle)
        if not uuid:
            return None, lost
        name, _ = self._nvml.ask("DeviceGetName", handle)
        memory, _ = self._nvml.ask("memory", handle)
        limit, _ = self._nvml.ask("DeviceGetEnforcedPowerLimit", handle)
        total = None if memory is None else memory.total
        return Known(handle, uuid, index, name or NAMELESS, total, _watts(limit)), None

    def _device(self, known: Known, ours: Mapping[int, str]) -> DeviceSample:
        lost = known.lost
        memory = rates = temperature = power = None
        processes: tuple[ProcessSample, ...] = ()
        if lost is None:
            memory, lost = self._nvml.ask("memory", known.handle)
        if lost is None:
            processes, lost = self._on(known.handle, ours)
        if lost is None:
            whole = known.handle if known.parent is None else known.parent
            temperature, lost = self._nvml.ask("temperature", whole)
        if lost is None and known.parent is None:  # NVML has neither for a slice
            rates, lost = self._nvml.ask("DeviceGetUtilizationRates", known.handle)
            if lost is None:
                power, lost = self._nvml.ask("DeviceGetPowerUsage", known.handle)
        if lost is not None:  # what was read before the failure tells of another moment
            memory = rates = temperature = power = None
            processes = ()
        return DeviceSample(
            uuid=known.uuid,
            index=known.index,
            name=known.name,
            utilisation=None if rates is None else float(rates.gpu),
            memory_used=None if memory is None else memory.used,
            memory_total=known.memory_total,
            memory_free=None if memory is None else memory.free,
            power=_watts(power),
            power_limit=known.power_limit,
            temperature=temperature,
            processes=processes,
            mig=known.parent is not None,
            visible=known.visible,
            error=lost,
        )

    def _on(self, handle: Any, ours: Mapping[int, str]) -> tuple[tuple[ProcessSample, ...], str | None]:
        found: dict[int, tuple[int | None, str]] = {}
        for kind in ("compute", "graphics"):
            listed, lost = self._nvml.ask(kind, handle)
            if lost is not None:
                return (), lost
            for process in listed or ():
                seen = "both" if found.get(process.pid, (0, kind))[1] != kind else kind
                found[process.pid] = (process.usedGpuMemory, seen)
        samples = []
        for pid, (memory, kind) in sorted(found.items()):
            who = self._processes.who(pid)
            samples.append(ProcessSample(pid, memory, who.name, who.user, who.run(ours), kind))
        return tuple(samples), None


def _watts(milliwatts: int | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1000


def foreign(sample: Sample, device: str) -> list[ProcessSample]:
    """List who else uses a device (its UUID): processes that belong to none of our runs.

    Left out are windows on a desktop: processes that only draw, up to 1 GiB, and those that draw and compute,
    up to 300 MiB. A compute process always counts, even if its memory is not told. Where no process of ours
    is seen and more than 5 % of the memory + 512 MiB is used by nobody visible, somebody in another container
    has it: a ProcessSample with pid 0. In such places our own runs can be invisible too, so ask this of
    devices that no run of ours holds.
    """
    found = next((d for d in sample.devices if d.uuid == device), None)
    if found is None:
        return []
    others = [p for p in found.processes if p.run is None and not _desktop(p)]
    hidden = _hidden(found)
    if hidden and not others:
        others.append(ProcessSample(0, hidden, None, None, None))
    return others


def _desktop(process: ProcessSample) -> bool:
    limit = {"graphics": GRAPHICS_IGNORED, "both": MIXED_IGNORED}.get(process.kind, -1)
    return (process.memory or 0) <= limit


def _hidden(device: DeviceSample) -> int:
    if device.memory_used is None or device.memory_total is None:
        return 0
    if any(p.run is not None or p.memory is None for p in device.processes):
        return 0
    unexplained = device.memory_used - sum(p.memory or 0 for p in device.processes)
    return unexplained if unexplained > HIDDEN_SHARE * device.memory_total + HIDDEN_FLOOR else 0
