"""`tui` over a slow line: how many bytes each key takes to the terminal, and how long they are on their way.

    python bench/tui_slow.py                    --slow through 3,000 bytes a second at 200x50 and 80x24; four minutes
    python bench/tui_slow.py --speed 0          the bytes alone: as fast as it writes them
    python bench/tui_slow.py --size 80x24 --fast    one size; without --slow

The line is a pty of which no more is read than the speed allows, a twentieth of a second's worth at a time: its buffer
of 4 kB fills, and writes to it then wait, as those into ssh do. The scene is the recorded one of the tests. A
key's bytes are those until the line is silent but for what blinks.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # the repository in place of bench/, so that no file here shadows a module
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import fcntl
import os
import select
import struct
import tempfile
import termios
import time
from collections import deque

from bench.tui_terminal import Terminal
from engine.workspace import Workspace
from tests.tui import scene

SLICE = 0.05
SILENT = 1.2
"""Seconds with hardly a byte after which all that a key takes has come; numbers of --slow come every 5 s."""
BLINKS = 300
"""Bytes that cursors which blink write meanwhile."""
KEYS = {
    "palette": b":", "esc": b"\x1b", "cursor": b"j", "runs": b"2", "cursor in runs": b"j", "dashboard": b"1",
    "run": b"\r", "log": b"l", "back": b"\x1b", "help": b"?", "esc of help": b"\x1b", "stop?": b"x",
    "esc of stop?": b"\x1b", "sql": b"7", "back from sql": b"\x1b",
}  # fmt: skip


class Line(Terminal):
    """A terminal at the other end of a slow line. speed: bytes a second; 0: as fast as they come."""

    def __init__(self, *arguments: str, speed: int, size: tuple[int, int], environ: dict[str, str]) -> None:
        super().__init__(*arguments, environ=environ)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.speed = speed
        self.seen = b""
        self.came: deque[tuple[float, int]] = deque()
        self._next = time.perf_counter()

    def _read(self, wait: float) -> None:
        if self.speed:
            time.sleep(max(0.0, self._next - time.perf_counter()))
            self._next = max(self._next, time.perf_counter() - SLICE) + SLICE
        if select.select([self._fd], [], [], 0 if self.speed else wait)[0]:
            got = os.read(self._fd, round(self.speed * SLICE) or 1 << 16)
            self.bytes += len(got)
            self._tail += got
            self.came.append((time.perf_counter(), len(got)))

    def silence(self, seconds: float = 150.0) -> float:
        """Read on until hardly anything has come for a while; the moment of what came last before that."""
        begun = last = time.perf_counter()
        while time.perf_counter() - last < SILENT:
            if time.perf_counter() > begun + seconds:
                raise TimeoutError(f"the line was not silent for {SILENT} s within {seconds:.0f} s")
            self._read(SLICE)
            while self.came and self.came[0][0] < time.perf_counter() - SILENT:
                self.came.popleft()
            if sum(size for _, size in self.came) > BLINKS:
                last = self.came[-1][0]
        return last

    def begin(self) -> None:
        self.bytes, self._tail = 0, b""
        self.came.clear()
        self._next = time.perf_counter()


def measured(arguments: list[str], speed: int, size: tuple[int, int], folder: Path) -> None:
    workspace = Workspace(folder / "w")
    seen = folder / "state" / "paddock"
    for each in (seen, workspace.root):
        each.mkdir(parents=True)
    (seen / "tui.json").write_text('{"tour": true}')
    environ = {"ENGINE_HOME": str(workspace.root), "PYTHONPATH": sys.path[0],
               "XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder / "config")}  # fmt: skip
    with scene.box(workspace), Line(*arguments, speed=speed, size=size[::-1], environ=environ) as line:
        begun = time.perf_counter()
        line.expect(b"Devices")
        told("start", line.silence() - begun, line.bytes)
        for name, key in KEYS.items():
            line.begin()
            begun = time.perf_counter()
            os.write(line._fd, key)
            told(name, line.silence() - begun, line.bytes)


def told(what: str, seconds: float, size: int) -> None:
    print(f"{what:<16} {seconds:6.1f} s {size:8,} bytes", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", type=int, default=3000, metavar="BYTES", help="a second; 0: no limit")
    parser.add_argument("--size", action="append", metavar="WxH", help="200x50 and 80x24 if not told")
    parser.add_argument("--fast", action="store_true", help="without --slow")
    options = parser.parse_args()
    for text in options.size or ["200x50", "80x24"]:
        width, height = (int(part) for part in text.split("x"))
        print(f"{text}, {options.speed or 'as many'} bytes a second{'' if options.fast else ', --slow'}", flush=True)
        with tempfile.TemporaryDirectory(prefix="slow-") as folder:
            measured([] if options.fast else ["--slow"], options.speed, (width, height), Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
