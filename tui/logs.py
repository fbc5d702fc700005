"""The end of a log file that somebody else writes: bounded, followed, terminal codes and progress bars resolved."""

from __future__ import annotations

import os
import re
from collections import deque
from pathlib import Path

from tui.present import Cell, Part

KEPT_LINES = 5000
FIRST_READ = 1 << 19
"""Bytes from the end that are read when a log is opened, and the most of one later read."""

_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_TIME = re.compile(r"^(?:\d{4}-\d\d-\d\d[T ])?\d\d:\d\d:\d\d(?:[.,]\d+)?Z?\s?")
_SKILL = re.compile(r"(?<![\w.])[+\-−]\d+(?:\.\d+)? ?%")
_TROUBLE = re.compile(
    r"\b(?:error|traceback|exception|fatal|killed|out of memory|oom|failed|nan|inf)\b|\w+(?:Error|Exception):", re.I
)
_ATTENTION = re.compile(r"\b(?:\w*warn(?:ing)?|deprecated|retry(?:ing)?|slow|stopp(?:ed|ing)|interrupted)\b", re.I)
_GOOD = re.compile(r"\b(?:best|checkpoint|saved|finished|done)\b", re.I)


class LogTail:
    """Reads what was added since the last look; use it from one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.left_out = False
        """Whether older lines than the kept ones exist."""
        self._at: int | None = None
        self._open = b""
        self._shown_open = False

    def refresh(self) -> bool:
        """Read on; True when there is something new. A missing file is an empty one."""
        try:
            with open(self.path, "rb") as file:
                return self._read(file.fileno())
        except FileNotFoundError:
            return False

    def _read(self, fd: int) -> bool:
        size = os.fstat(fd).st_size
        if self._at is None or size < self._at:  # new, or written anew
            self.lines.clear()
            self._open, self._shown_open = b"", False
            self._at = max(0, size - FIRST_READ)
            self.left_out = self._at > 0
        if size == self._at:
            return False
        if size - self._at > FIRST_READ:  # it grew faster than a screen can show
            self._at, self._open, self.left_out = size - FIRST_READ, b"", True
        data = os.pread(fd, size - self._at, self._at)
        if self._at > 0 and not self.lines and not self._open:
            data = data.partition(b"\n")[2] or data  # begin at a whole line
        self._at = size
        self._take(self._open + data)
        return True

    def _take(self, data: bytes) -> None:
        if self._shown_open:
            self.lines.pop()
        *whole, self._open = data.split(b"\n")
        if len(self.lines) + len(whole) > KEPT_LINES:
            self.left_out = True
        for raw in whole[-KEPT_LINES:]:
            self.lines.append(clean(raw))
        self._open = self._open[-(1 << 16) :]
        last = clean(self._open)
        self._shown_open = bool(last)
        if last:
            self.lines.append(last)


def clean(raw: bytes) -> str:
    """One line as a terminal would leave it: after the last carriage return, without codes, tabs as spaces."""
    text = _CODES.sub("", raw.decode("utf-8", "replace")).rstrip("\r")
    text = text.rpartition("\r")[2].expandtabs(4)
    return "".join(c if c.isprintable() else "·" for c in text)


def colored(line: str) -> Cell:
    """Give a line its colours: time grey, trouble red, attention amber, good green, a signed percentage by its sign."""
    parts: list[Part] = []
    if found := _TIME.match(line):
        parts.append((found.group(), "rest"))
        line = line[found.end() :]
    role = (
        "trouble"
        if _TROUBLE.search(line)
        else "attention"
        if _ATTENTION.search(line)
        else "good"
        if _GOOD.search(line)
        else "text"
    )
    at = 0
    if role in ("text", "good"):
        for found in _SKILL.finditer(line):
            parts += [
                (line[at : found.start()], role),
                (found.group(), "good" if found.group()[0] == "+" else "trouble"),
            ]
            at = found.end()
    parts.append((line[at:], role))
    return tuple(part for part in parts if part[0])
