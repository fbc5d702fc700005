"""The far end of a line: a terminal that shows what is written to it, and a driver that writes into a real pipe.

Nothing of ours is stood in for: the program draws into a pipe in place of a pty, so that a test can see each byte, and
leave them unread for as long as it likes.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import threading
from codecs import getincrementaldecoder
from collections.abc import Awaitable, Callable
from typing import Any

from textual.driver import Driver
from textual.drivers._writer_thread import WriterThread
from textual.drivers.headless_driver import HeadlessDriver

from engine.workspace import Workspace
from tests.tui.pilot import Journey
from tui.app import PaddockApp

TOKENS = re.compile(r"\x1b\[([0-9;?<>=$ ]*)([@-~])|\x1b\](.*?)(?:\x1b\\|\x07)|([\r\n])|([^\x1b\r\n])", re.S)
BEGUN = re.compile(r"(?:\x1b(?:\[[0-9;?<>=$ ]*|\].*)?)?", re.S)
"""What may be left of a piece of the line: a sequence whose end is in the next one."""
WIDE = re.compile(
    r"[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\U0001f300-\U0001f64f]"
)
PLAIN = ("", "", frozenset())
Cell = tuple[str, tuple[str, str, frozenset[str]]]
_OFF = {"22": ("1", "2"), "23": ("3",), "24": ("4", "21"), "25": ("5", "6"), "27": ("7",), "28": ("8",), "29": ("9",),
        "55": ("53",)}  # fmt: skip
_SEEN_ON_BLANKS = {"4", "21", "7", "9", "53"}


class Glass:
    """Understands what ECMA-48 says of the sequences that are written here; fails at any other.

    colored: what is erased gets the ground that is set (terminfo's bce).
    """

    def __init__(self, width: int, height: int, *, colored: bool = True) -> None:
        self.width, self.height, self.colored = width, height, colored
        self.cells: list[list[Cell]] = [[(" ", PLAIN)] * width for _ in range(height)]
        self.x = self.y = 0
        self.front, self.ground, self.attributes = PLAIN
        self.last = self._rest = ""

    def feed(self, text: str) -> None:
        text, at = self._rest + text, 0
        while found := TOKENS.match(text, at):
            at = found.end()
            numbers, final, _, control, sign = found.groups()
            if sign:
                self._put(sign)
            elif control == "\r":
                self.x = 0
            elif control == "\n":
                assert self.y < self.height - 1, "it would scroll"
                self.y += 1
            elif final and not numbers.startswith(("?", "<", ">", "=")):
                self._control(final, numbers)
        self._rest = text[at:]
        assert BEGUN.fullmatch(self._rest), f"what is {self._rest!r}?"

    def _control(self, final: str, numbers: str) -> None:
        first = int(numbers.partition(";")[0] or 0)
        if final == "H":
            second = int(numbers.partition(";")[2] or 1)
            self.y, self.x = max(1, first) - 1, second - 1
            assert self.y < self.height
            assert self.x < self.width
        elif final == "C":
            assert self.x < self.width, "behind the last column terminals differ in where that is"
            self.x += max(1, first)
        elif final == "m":
            self._look([part or "0" for part in numbers.split(";")])
        elif final == "K":
            self._erase(self.x, self.width)
        elif final == "X":
            self._erase(self.x, self.x + first)
        elif final == "J":
            assert first == 2
            blank = self._blank()
            self.cells = [[blank] * self.width for _ in range(self.height)]
        elif final == "b":
            for _ in range(first):
                self._put(self.last)
        else:
            raise AssertionError(f"what is CSI {numbers} {final}?")

    def _look(self, codes: list[str]) -> None:
        while codes:
            code = codes.pop(0)
            if code == "0":
                self.front, self.ground, self.attributes = PLAIN
            elif code in ("38", "48"):
                count = 4 if codes[0] == "2" else 2
                color, codes = ";".join(codes[:count]), codes[count:]
                self.front, self.ground = (color, self.ground) if code == "38" else (self.front, color)
            elif code in ("39", "49"):
                self.front, self.ground = ("", self.ground) if code == "39" else (self.front, "")
            elif code[:-1] in ("3", "9"):
                self.front = code
            elif code[:-1] in ("4", "10") and len(code) > 1:
                self.ground = str(int(code) - 10)
            elif code in _OFF:
                self.attributes -= {*_OFF[code]}
            else:
                self.attributes |= {code}

    def _put(self, sign: str) -> None:
        width = 2 if WIDE.match(sign) else 1
        assert self.x + width <= self.width, f"{sign!r} behind the edge"
        look = self.front, self.ground, self.attributes
        if sign == " " and not self.attributes & _SEEN_ON_BLANKS:
            look = "", self.ground, frozenset()
        row = self.cells[self.y]
        for x in range(self.x, self.x + width):  # half a sign does not stay
            if row[x][0] == "" and x == self.x and x:
                row[x - 1] = " ", ("", row[x - 1][1][1], frozenset())
        row[self.x : self.x + width] = [(sign, look), *[("", look)] * (width - 1)]
        if self.x + width < self.width and row[self.x + width][0] == "":
            row[self.x + width] = " ", ("", row[self.x + width][1][1], frozenset())
        self.x += width
        self.last = sign

    def _erase(self, start: int, stop: int) -> None:
        assert start < self.width
        assert not self.attributes & _SEEN_ON_BLANKS, "terminals differ in what that leaves"
        self.cells[self.y][start:stop] = [self._blank()] * (min(stop, self.width) - start)

    def _blank(self) -> Cell:
        return " ", ("", self.ground if self.colored else "", frozenset[str]())

    @property
    def text(self) -> str:
        return "\n".join("".join(sign for sign, _ in row) for row in self.cells)


class Line:
    """What was written, on a glass, and a pipe that is read or not."""

    def __init__(self, glass: Glass) -> None:
        self.glass = glass
        self.bytes = 0
        self.readable, self.writable = os.pipe()
        fcntl.fcntl(self.readable, fcntl.F_SETPIPE_SZ, 4096)  # as much as the kernel keeps of a pty
        self._let = threading.Event()
        self._let.set()
        self.reader = threading.Thread(target=self._read, name="far end", daemon=True)

    def stop(self) -> None:
        """Take nothing any more."""
        self._let.clear()

    def go_on(self) -> None:
        self._let.set()

    def _read(self) -> None:
        decode = getincrementaldecoder("utf-8")().decode
        while self._let.wait() and (got := os.read(self.readable, 1024)):
            self.glass.feed(decode(got))
            self.bytes += len(got)


def driver_to(line: Line) -> type[Driver]:
    """A driver that writes to the line; keys do not come from it, the pilot presses them."""

    class PipeDriver(HeadlessDriver):
        @property
        def is_headless(self) -> bool:
            return False

        def start_application_mode(self) -> None:
            line.reader.start()
            self._file = os.fdopen(line.writable, "w", encoding="utf-8")
            self._writer_thread = WriterThread(self._file)
            self._writer_thread.start()
            super().start_application_mode()

        def write(self, data: str) -> None:
            self._writer_thread.write(data)

        def close(self) -> None:
            line.go_on()
            self._writer_thread.stop()
            self._file.close()
            line.reader.join()
            os.close(line.readable)

    return PipeDriver


def over_a_line(
    workspace: Workspace, way: Callable[[Journey, Line], Awaitable[None]], size: tuple[int, int], **options: Any
) -> None:
    """Start the app at this end of a line, go the way, leave."""
    line = Line(Glass(*size))
    app = PaddockApp(workspace, **options)
    app.driver_class = driver_to(line)

    async def run() -> None:
        async with app.run_test(headless=False, size=size, notifications=True) as pilot:
            try:
                await way(Journey(app, pilot), line)
            finally:
                line.go_on()
                app.feed.stop()
                app.reader.stop()

    asyncio.run(run())
