"""What runs hold of the machine's memory: every process and whose it is, from one look around for all runs.

Asking psutil for each run's descendants reads the whole process table once a run: with 100 runs on a box of 300
processes that is half a core.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

# psutil is imported where it is used: 20 ms that `engine ls` does not need.


class Process(NamedTuple):
    """One line of the process table; resident in bytes, shared pages counted."""

    pid: int
    parent: int
    session: int
    resident: int


def residents(leaders: Mapping[int, str]) -> dict[str, int]:
    """Give the resident bytes of each run: its leading process and all it started. A run without any is left out.

    leaders: the leading process of each run. A process belongs to a run by its session, which is the leader's, or by
    its parents; shared pages count for each.
    """
    if not leaders:
        return {}
    table = {process.pid: process for process in everybody()}
    owner: dict[int, str] = {}
    found: dict[str, int] = {}
    for process in table.values():
        if run := _owner(process, table, leaders, owner):
            found[run] = found.get(run, 0) + process.resident
    return found


def _owner(process: Process, table: Mapping[int, Process], leaders: Mapping[int, str], known: dict[int, str]) -> str:
    """Find whose a process is, and remember it for all on the way up; "" for nobody's."""
    path: list[int] = []
    run = ""
    at: Process | None = process
    while at is not None:
        if at.pid in known:
            run = known[at.pid]
            break
        path.append(at.pid)
        known[at.pid] = ""  # a table that changed while it was read may lead in a circle
        if run := leaders.get(at.pid) or leaders.get(at.session, ""):
            break
        at = table.get(at.parent)
    for pid in path:
        known[pid] = run
    return run


def everybody() -> Iterator[Process]:
    """Give all processes that can be seen; on Linux one short read each."""
    if not os.path.isdir("/proc/self"):
        yield from _everybody_by_psutil()
        return
    page = os.sysconf("SC_PAGE_SIZE")
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        try:
            fd = os.open(f"/proc/{name}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # it has ended
            continue
        try:
            fields = os.read(fd, 4096).rpartition(b")")[2].split()
            yield Process(int(name), int(fields[1]), int(fields[3]), page * int(fields[21]))
        except (OSError, IndexError, ValueError):
            continue
        finally:
            os.close(fd)


def _everybody_by_psutil() -> Iterator[Process]:
    import psutil

    for process in psutil.process_iter(["ppid", "memory_info"]):
        told = process.info
        try:
            session = os.getsid(process.pid)
        except OSError:
            session = 0
        if told["memory_info"] is not None:
            yield Process(process.pid, told["ppid"] or 0, session, told["memory_info"].rss)
