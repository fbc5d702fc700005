"""What psutil tells of this machine: how busy it is, and whose process a pid is."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

# psutil is imported where it is used: 20 ms that `engine ls` does not need.


class HostSample(msgspec.Struct, frozen=True):
    """The machine at one moment; what can't be read is None.

    cpu: per cent of all cores since the sample before (None at the first). load1: processes, a minute's mean.
    memory and disk in bytes, the disk being the one that holds the workspace. cores: those this process may
    use, not those of the machine. Limits of a container's cgroup are not looked at.
    """

    cpu: float | None
    load1: float | None
    memory_used: int | None
    memory_total: int | None
    disk_free: int | None
    disk_total: int | None
    cores: int


class Host:
    """Samples the machine that this process runs on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # psutil.cpu_percent keeps its last reading per thread, and the daemon samples from a pool of them.
        self._busy: float | None = None
        self._total = 0.0

    def sample(self) -> HostSample:
        """Read everything once; about 0.15 ms."""
        used, total = _memory()
        free, size = _disk(self._folder)
        return HostSample(
            cpu=self._cpu(),
            load1=_load(),
            memory_used=used,
            memory_total=total,
            disk_free=free,
            disk_total=size,
            cores=cores(),
        )

    def _cpu(self) -> float | None:
        import psutil

        try:
            times = psutil.cpu_times()
        except (OSError, psutil.Error, ValueError):
            return None
        # Linux counts a guest's time in user time too.
        total: float = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        busy: float = total - times.idle - getattr(times, "iowait", 0.0)
        before, passed = self._busy, total - self._total
        self._busy, self._total = busy, total
        if before is None or passed <= 0:
            return None
        return round(min(100.0, max(0.0, 100.0 * (busy - before) / passed)), 1)


def cores() -> int:
    """Count the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _load() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _memory() -> tuple[int | None, int | None]:
    import psutil

    try:
        memory = psutil.virtual_memory()
    except (OSError, psutil.Error, ValueError):
        return None, None
    return memory.total - memory.available, memory.total


def _disk(folder: Path) -> tuple[int | None, int | None]:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None, None
    return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize


class Who(msgspec.Struct, frozen=True):
    """A process as first seen; name and user are None when it can't be looked at (another pid namespace).

    chain: the process, its session and group leaders, then its parents.
    """

    name: str | None
    user: str | None
    chain: tuple[int, ...]

    def run(self, ours: Mapping[int, str]) -> str | None:
        """Find the run this process belongs to, `ours` giving the run of each process we started."""
        return next((ours[pid] for pid in self.chain if pid in ours), None)


class Processes:
    """Remembers who a process is for as long as it is asked for, so that a sample costs no look into /proc.

    The chain stays as it was at first sight: a worker whose parent has died still belongs to its run.
    """

    def __init__(self) -> None:
        self._known: dict[int, Who] = {}

    def who(self, pid: int) -> Who:
        known = self._known.get(pid)
        if known is None:
            known = self._known[pid] = _look(pid)
        return known

    def keep(self, pids: Collection[int]) -> None:
        """Forget all others; a pid that comes back later is looked at afresh."""
        for pid in self._known.keys() - set(pids):
            del self._known[pid]


def _look(pid: int) -> Who:
    import psutil

    name = user = None
    chain = [pid]
    for leader in (os.getsid, os.getpgid):
        try:
            chain.append(leader(pid))
        except OSError:  # gone, or not in our pid namespace
            pass
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            name = process.name()
            chain += [parent.pid for parent in process.parents()]
            user = process.username()
    except (psutil.Error, OSError):
        pass
    return Who(name, user, tuple(dict.fromkeys(chain)))
