"""From the start of `tui` to its first frame in a real terminal, before any engine answers; and with data on it.

    python bench/tui.py

Beside it what nobody can do without: Python with Textual imported, which does nothing yet.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from engine.client import connect
from engine.errors import EngineDown
from engine.records import Down
from engine.workspace import Workspace

STARTS = 9
LIMIT_MS = 700
FRAME, DATA = b"Devices", "◆".encode()  # the mark of an engine that answers


def start(home: str) -> tuple[float, float]:
    """Seconds to the first frame, and to the first facts from the engine."""
    begin = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(ENGINE_HOME=home, TERM="xterm-256color", COLORTERM="truecolor")
        os.execv(sys.executable, [sys.executable, "-m", "tui"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    seen, times = b"", {}
    while len(times) < 2 and time.perf_counter() - begin < 30:
        if select.select([terminal], [], [], 0.05)[0]:
            seen += os.read(terminal, 1 << 16)
            for what in (FRAME, DATA):
                if what in seen:
                    times.setdefault(what, time.perf_counter() - begin)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(terminal)
    return times.get(FRAME, float("nan")), times.get(DATA, float("nan"))


def bare(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begin


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        start(home)  # warms the disk, and starts the engine, as everybody's first call does
        rounds = [(*start(home), bare("import textual.app"), bare("pass")) for _ in range(STARTS)]
        frame, data, textual, python = (1000 * statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"first frame            {frame:6.0f} ms   limit {LIMIT_MS}")
        print(f"with the engine's data {data:6.0f} ms")
        print(f"import textual.app     {textual:6.0f} ms   first frame is {frame / textual:.1f}x of it")
        print(f"bare Python            {python:6.0f} ms")
        try:
            connect(Workspace(Path(home)), start=False).call(Down(stop_runs=True))
        except EngineDown:
            pass


if __name__ == "__main__":
    main()
