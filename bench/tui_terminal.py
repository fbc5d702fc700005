"""A program in a terminal of its own, looked at from outside: what it writes and when, its CPU time, its memory."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

SIZE = (50, 200)
"""Lines, columns."""


class Took(NamedTuple):
    """Milliseconds: by the clock, and without the time in which its main thread was ready but other processes had the
    processor (/proc/PID/schedstat), which is what an unshared machine would show."""

    clock: float
    alone: float


class Terminal:
    """Starts `python -m tui` in a pty, or something else of Python."""

    def __init__(
        self, *arguments: str, program: Sequence[str] = ("-m", "tui"), environ: Mapping[str, str] | None = None
    ) -> None:
        self.begun = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            for name in ("COLUMNS", "LINES", "TMUX"):
                os.environ.pop(name, None)
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", **(environ or {}))
            os.execv(sys.executable, [sys.executable, *program, *arguments])
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
        self.bytes = 0
        self._tail = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._fd)

    def expect(self, *marks: bytes, seconds: float = 60.0) -> float:
        """Read until all the marks were seen since the last key; gives the moment (time.perf_counter)."""
        give_up = time.perf_counter() + seconds
        missing = {mark for mark in marks if mark not in self._tail}
        while missing:
            if time.perf_counter() > give_up:
                raise TimeoutError(f"waited {seconds:.0f} s for {missing} in vain")
            self._read(0.05)
            missing = {mark for mark in missing if mark not in self._tail}
        return time.perf_counter()

    def idle(self, seconds: float) -> None:
        """Let it go on for a while."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            self._read(min(left, 0.05))

    def _read(self, wait: float) -> None:
        if select.select([self._fd], [], [], wait)[0]:
            got = os.read(self._fd, 1 << 16)
            self.bytes += len(got)
            self._tail = (self._tail + got)[-(1 << 20) :]

    def press(self, key: bytes, *marks: bytes) -> Took:
        """Send a key and wait until the terminal shows what it does."""
        self._tail = b""
        waited = self._waited()
        begin = time.perf_counter()
        os.write(self._fd, key)
        clock = self.expect(*marks) - begin
        return Took(1000 * clock, 1000 * (clock - min(clock, self._waited() - waited)))

    def forget(self) -> None:
        self._tail = b""

    def _waited(self) -> float:
        """Seconds its main thread was ready to run and did not."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_bytes().split()[1]) / 1e9

    def since_start(self, moment: float) -> Took:
        clock = moment - self.begun
        return Took(1000 * clock, 1000 * (clock - min(clock, self._waited())))

    def cpu(self) -> float:
        """Seconds of processor all its threads have used."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_bytes().split()[0]) for task in tasks) / 1e9

    def memory(self) -> tuple[float, float]:
        """MiB resident, and in proportion of what is shared (PSS)."""
        found = {}
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in ("Rss", "Pss"):
                found[name] = int(value.split()[0]) / 1024
        return found["Rss"], found["Pss"]
