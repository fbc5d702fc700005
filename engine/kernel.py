"""What the kernel knows of an end: processes it killed for memory, who sent a signal, whether the machine went down.

Standard library only, for the supervisor. Where the kernel does not tell, neither do we.
"""

from __future__ import annotations

import os

Facts = dict[str, object]


def oom_kills() -> int | None:
    """Count the processes that the kernel has ended for memory in our control group; None where it does not tell."""
    try:
        with open("/proc/self/cgroup") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return None
    for _, controllers, path in groups:
        if controllers == "":
            places = (f"/sys/fs/cgroup{path}/memory.events", "/sys/fs/cgroup/memory.events")
        elif "memory" in controllers.split(","):
            places = (f"/sys/fs/cgroup/memory{path}/memory.oom_control", "/sys/fs/cgroup/memory/memory.oom_control")
        else:
            continue
        for place in places:
            try:
                with open(place) as file:
                    counts = dict(line.split() for line in file if len(line.split()) == 2)
                return int(counts["oom_kill"])
            except (OSError, ValueError, KeyError):
                continue
    return None


def killed(pid: int, born: str | None) -> str:
    """Give the kernel's own line that it has ended a process for memory, or "" (it may not be readable).

    born: its start time in the kernel's ticks; an older line means another process of that number.
    """
    begun = int(born) * 1_000_000 // os.sysconf("SC_CLK_TCK") if born and born.isdigit() else 0
    try:
        fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    found = ""
    try:
        os.lseek(fd, 0, os.SEEK_DATA)
        while True:
            try:
                record = os.read(fd, 8192).decode(errors="replace")
            except BrokenPipeError:
                continue  # overwritten meanwhile: the next read goes on after it
            named = record.partition("Killed process ")[2].split(" ")[0]
            stamp = record.split(",", 3)[2:3]
            if named == str(pid) and stamp and stamp[0].isdigit() and int(stamp[0]) >= begun - 1_000_000:
                found = record.partition(";")[2].splitlines()[0][:200]
    except OSError:
        return found
    finally:
        os.close(fd)


def sender(pid: int, uid: int) -> Facts:
    """Name who sent a signal while he can still be asked."""
    found: Facts = {"pid": pid, "uid": uid}
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(400).split(b"\0")
        found["command"] = " ".join(b" ".join(words).decode(errors="replace").split())[:120]
    except OSError:
        pass
    return found


def booted() -> float:
    """When this machine came up, in whole unix seconds by the clock of now; 0 where the kernel does not tell."""
    try:
        with open("/proc/stat") as file:
            return float(next(line for line in file if line.startswith("btime ")).split()[1])
    except (OSError, StopIteration, ValueError):
        return 0.0


def boot_id() -> str:
    """The kernel's name for the time since this machine came up, which no moved clock changes."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""
