"""The run folder on disk: names, appends, reads that forgive a torn tail, and locks that tell who lives.

Standard library only: the supervisor imports this and must stay small. One writer per file; a line counts once its
newline is there (DESIGN §2). Nothing here decides anything.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time

SPEC = "spec.json"
ORDERS = "orders.jsonl"
LIFECYCLE = "lifecycle.jsonl"
METRICS = "metrics.jsonl"
ADOPTED = "adopted.jsonl"
EVENTS = "events.jsonl"
LOG = "log.txt"
PATCH = "code.patch"
HOOKS = "hooks.jsonl"
MEMORY = "memory.jsonl"
SUPERVISOR_LOCK = "supervisor.lock"
TRAINER_LOCK = "trainer.lock"

MAX_LINE = 1 << 20
"""Bytes; a longer line is not ours and is passed over when reading."""

MAX_READ = 64 << 20
"""Bytes that are read of one file in one go; ours are far smaller."""

TYPE_CHECKING = False  # known to type checkers by its name
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Line = dict[str, object]
ADOPTED_WHOLE: Line = {"event": "adopted"}
"""The last line of ADOPTED: the run has ended and its sources were read to their end."""


def open_plain(path: str | os.PathLike[str]) -> int:
    """Open a plain file for reading. Raises FileNotFoundError too for a link, a pipe, a folder or a device there.

    A run may put anything into its folder: a link would lead out of it, a pipe would block whoever opens it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENOTDIR):
            raise FileNotFoundError(errno.ENOENT, "not a plain file", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "not a plain file", str(path))
    return fd


def contents(path: str | os.PathLike[str], *, at: int = 0, last: int | None = None, limit: int = MAX_READ) -> bytes:
    """Read a plain file: what it has now from `at` on, or its last bytes, and never more than `limit`. Raises OSError.

    Python's own files take three times as long for it, and run folders are made of small ones.
    """
    fd = open_plain(path)
    try:
        size = os.fstat(fd).st_size
        if last is not None:
            at, limit = max(0, size - last), min(limit, last)
        most = min(limit, size - at)  # memory for all that is asked for is taken first
        parts = []
        while most > 0 and (block := os.pread(fd, most, at)):
            parts.append(block)
            at, most = at + len(block), most - len(block)
        return parts[0] if len(parts) == 1 else b"".join(parts)
    finally:
        os.close(fd)


def append(path: str | os.PathLike[str], record: Line, *, sync: bool = False) -> None:
    """Append one JSON line in one write; a torn tail left by somebody's death is closed with a newline first.

    sync: wait until the line is on the disk (orders, lifecycle). Raises OSError, with the file as it was but for
    a torn tail that readers pass over, when the disk is full.
    """
    data = json.dumps(record, separators=(",", ":"), default=str).encode() + b"\n"
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if _torn(fd):
            data = b"\n" + data
        if os.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def _torn(fd: int) -> bool:
    size = os.fstat(fd).st_size
    return size > 0 and os.pread(fd, 1, size - 1) != b"\n"


def parse(data: bytes) -> list[Line]:
    """Read the finished lines of data; torn, foreign or damaged lines are passed over."""
    found: list[Line] = []
    for raw in data.split(b"\n")[:-1]:
        if not raw or len(raw) > MAX_LINE:
            continue
        try:
            line = json.loads(raw)
            if b"\\ud" in raw.lower():  # half a character can be parsed, but neither encoded nor shown
                json.dumps(line, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            found.append(line)
    return found


def read(path: str | os.PathLike[str]) -> list[Line]:
    """Read every finished line of a file; a missing file has none, nor has one that is not plain."""
    try:
        return parse(contents(path))
    except FileNotFoundError:
        return []


def read_last(path: str | os.PathLike[str], last: int) -> list[Line]:
    """Read the finished lines among the last bytes of a file, less the one that those bytes begin within."""
    try:
        data = contents(path, last=last)
    except FileNotFoundError:
        return []
    return parse(data if len(data) < last else data.partition(b"\n")[2])


def pauses(lifecycle: Iterable[Mapping[str, object]]) -> tuple[float | None, float]:
    """Give since when a run is paused, if it is, and the seconds it was in pause before, as its supervisor saw it."""
    since: float | None = None
    total = 0.0
    for line in lifecycle:
        t = line.get("t")
        if not isinstance(t, int | float) or not abs(t) < 1e12:  # neither a time nor a number that a float can hold
            continue
        if line.get("event") == "paused" and since is None:
            since = float(t)
        elif line.get("event") in ("resumed", "exited") and since is not None:
            total += max(0.0, t - since)
            since = None
    return since, total


def write_new(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a whole file beside and rename it, synced; readers see the old file, the new one, never a part."""
    beside = f"{os.fspath(path)}.{os.getpid()}.new"
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    except BaseException:
        os.unlink(beside)
        raise
    finally:
        os.close(fd)
    os.rename(beside, path)


def held(path: str | os.PathLike[str]) -> bool:
    """Tell whether somebody holds the lock; probed with a shared lock for an instant, created by nobody."""
    try:
        fd = open_plain(path)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


class Probe:
    """The same question asked again and again: once somebody held it the file stays open, and asking is one call.

    It is the file that was there at first: should another take its place, whoever holds this one still lives.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd: int | None = None

    def held(self) -> bool:
        try:
            if self._fd is None:
                self._fd = open_plain(self.path)
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        self.close()  # and with it our own lock
        return False

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def take(path: str | os.PathLike[str], *, patience: float = 1.0, inherit: bool = False) -> int | None:
    """Take the lock for as long as the returned descriptor (or a copy of it) is open; None if somebody has it.

    patience: seconds to go on trying, because a probe holds a shared lock for an instant and must never win.
    inherit: let children keep the descriptor, and with it the lock.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | (0 if inherit else os.O_CLOEXEC), 0o600)
    if inherit:
        os.set_inheritable(fd, True)
    give_up = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                os.close(fd)
                return None
            time.sleep(0.002)
        else:
            return fd


def start_time(pid: int) -> str | None:
    """Give the kernel's start time of a process; with the pid it names one process and no later one.

    None when there is no such process. Elsewhere than Linux, where /proc is missing, always None.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return None
