"""Curves of a run read from its folder alone, a bounded amount at a time, for screens that follow it live.

`parse` is also how the store reads metrics.jsonl, so that a screen and the database never differ on what a line says.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from engine.rundir import ADOPTED, MAX_LINE, METRICS
from engine.thinning import decimate, shortened

Row = dict[str, float | None]
Axis = Literal["step", "epoch", "time", "clock"]
NAME_LIMIT = 200
"""Characters; a longer metric name is not a name."""
STEP_LIMIT = float(1 << 53)
"""A step beyond is no longer a whole number when read as a float."""
GAP = math.nan
LEAST_KEPT = 64
"""Points of a curve; of fewer nothing can be thinned out."""
LOOK_AHEAD = 64 << 20
"""Bytes that are searched at a time for the end of a line that is too long; what is behind counts as another line."""
AT_ONCE = 128 << 10
"""Bytes that are decoded in one go, in which no other thread gets to run: a screen has one that waits for keys."""
_rows = msgspec.json.Decoder(list[Row]).decode
_anything = msgspec.json.Decoder().decode


def parse(data: bytes) -> tuple[list[Row], int]:
    """Read finished lines of metrics.jsonl: the rows, and how many lines were passed over in whole or in part.

    data: whole lines with their newlines. Null stays None. What is not a number is left out of its row (and
    counted); a line that is torn, foreign or without a whole `step` is no row.
    """
    if not data:
        return [], 0
    lines = data.count(b"\n")
    # Whole-chunk decoding is 3x as fast. Rows hold numbers only, so "}\n{" is found between lines and nowhere
    # else; with as many rows as lines, each line was one whole object.
    if data.startswith(b"{") and data.endswith(b"}\n") and data.count(b"}\n{") == lines - 1 and len(data) <= MAX_LINE:
        try:
            rows = _rows(b"[" + data[:-1].replace(b"\n", b",") + b"]")
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        else:
            if len(rows) == lines and all(map(_fits, rows)):
                return rows, 0
    return _one_by_one(data)


def _fits(row: Row) -> bool:
    step = row.get("step")
    return step is not None and step.is_integer() and -STEP_LIMIT < step < STEP_LIMIT and len(row) < 512


def _one_by_one(data: bytes) -> tuple[list[Row], int]:
    found: list[Row] = []
    passed = 0
    for raw in data.split(b"\n")[:-1]:
        if not raw:
            continue
        try:
            line = _anything(raw) if len(raw) <= MAX_LINE else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            line = None
        if not isinstance(line, dict):
            passed += 1
            continue
        line.pop("from", None)  # of adopted numbers, which events may lie between
        if "event" in line and "step" not in line:
            continue
        row: Row = {}
        for name, value in line.items():
            if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
                row[name] = _number(value)
        if len(line) >= 512 or not _fits(row):
            passed += 1
            continue
        passed += len(row) != len(line)
        found.append(row)
    return found, passed


def _number(value: float | None) -> float | None:
    try:
        return None if value is None or not math.isfinite(value) else float(value)
    except OverflowError:  # an integer of more digits than a float holds
        return None


def open_plain(path: str | os.PathLike[str]) -> int | None:
    """Open a regular file that is not a link, for reading; None when there is none. Never waits on a pipe."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


@dataclass
class Piece:
    data: bytes
    """Whole lines, at most MAX_LINE bytes."""
    end: int
    """The offset behind it."""
    passed: int = 0
    """Lines too long to be ours that lie before it."""


def pieces(fd: int, offset: int) -> Iterator[Piece]:
    """Give the finished lines from an offset to the end of the file, about a megabyte at a time."""
    while data := os.pread(fd, MAX_LINE, offset):
        end = data.rfind(b"\n") + 1
        if end:
            offset += end
            yield Piece(data[:end], offset)
        elif len(data) < MAX_LINE or (after := _next_line(fd, offset + len(data))) is None:
            return  # a line that is not finished yet
        else:
            offset = after
            yield Piece(b"", offset, passed=1)


def _next_line(fd: int, offset: int) -> int | None:
    """Give where the line after a too long one begins, or how far was looked for that; None at the end of the file.

    Holes, which hold no newline, are leapt over: a file of a terabyte may consist of nothing else.
    """
    until = offset + LOOK_AHEAD
    while data := os.pread(fd, MAX_LINE, offset):
        if (at := data.find(b"\n")) >= 0:
            return offset + at + 1
        offset += len(data)
        try:
            found = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return None  # a hole up to the end
            found = offset
        until += found - offset
        offset = found
        if offset >= until:
            return offset
    return None


@dataclass
class Curve:
    """One metric as four columns of equal length; NaN where a line said null or nothing."""

    step: array[float]
    value: array[float]
    t: array[float]
    epoch: array[float]
    old: int = 0
    """How many points at its start were thinned out, and how often."""
    times: int = 0

    @classmethod
    def empty(cls) -> Curve:
        return cls(array("d"), array("d"), array("d"), array("d"))

    def hold(self, most: int) -> None:
        """Keep about half of `most` points: all parts of a long curve alike, and each with its extremes."""
        columns = [self.step, self.value, self.t, self.epoch]
        before, new = [column[: self.old] for column in columns], [column[self.old :] for column in columns]
        for _ in range(self.times):
            new = shortened(new, by=1)
        columns = [old + more for old, more in zip(before, new, strict=True)]
        while len(columns[1]) > most // 2:
            columns = shortened(columns, by=1)
            self.times += 1
        self.old = len(columns[1])
        self.step, self.value, self.t, self.epoch = columns


class Series:
    """All curves of one run, 32 bytes a point. One thread at a time; the folder may vanish or not be there yet.

    most: points that are kept of a curve; of a longer one those that stand out, see engine.thinning.kept().
    """

    def __init__(self, folder: str | os.PathLike[str], most: int | None = None) -> None:
        if most is not None and most < LEAST_KEPT:
            raise ValueError(f"most = {most}: expected at least {LEAST_KEPT}")
        self.most = most
        self.path = Path(folder) / METRICS
        self.adopted = Path(folder) / ADOPTED
        """Of a program that writes no metrics of ours."""
        self.passed = 0
        """Lines passed over in whole or in part."""
        self.behind = False
        """Whether the last refresh ran out of time with more to read."""
        self._curves: dict[str, Curve] = {}
        self._offset = 0
        self._inode = 0

    def refresh(self, *, most: int = 8 << 20, seconds: float = 0.05) -> bool:
        """Take in new finished lines, for about that many bytes and seconds; tell whether anything changed."""
        fd = open_plain(self.path)
        if fd is None:
            fd = open_plain(self.adopted)
        if fd is None:
            return self._restart(0)
        try:
            found = os.fstat(fd)
            changed = False
            if found.st_ino != self._inode or found.st_size < self._offset:
                changed = self._restart(found.st_ino)
            self.behind = False
            until, start = time.monotonic() + seconds, self._offset
            for piece in pieces(fd, self._offset):
                self._take(piece)
                changed = True
                if time.monotonic() >= until or self._offset - start >= most:
                    self.behind = os.fstat(fd).st_size > self._offset
                    break
            return changed
        finally:
            os.close(fd)

    def _restart(self, inode: int) -> bool:
        """Forget everything: the file is another one now."""
        had = bool(self._curves)
        self._curves.clear()
        self._offset, self._inode, self.passed, self.behind = 0, inode, 0, False
        return had

    def _take(self, piece: Piece) -> None:
        self.passed += piece.passed
        start = 0
        while start < len(piece.data):
            end = piece.data.find(b"\n", start + AT_ONCE) + 1 or len(piece.data)
            self._append(*parse(piece.data[start:end]))
            start = end
        self._offset = piece.end

    def _append(self, rows: list[Row], passed: int) -> None:
        self.passed += passed
        for row in rows:
            step, t, epoch = row.pop("step"), row.pop("t", None), row.pop("epoch", None)
            for name, value in row.items():
                curve = self._curves.get(name)
                if curve is None:
                    if len(name) > NAME_LIMIT:
                        continue
                    curve = self._curves[name] = Curve.empty()
                curve.step.append(GAP if step is None else step)
                curve.value.append(GAP if value is None else value)
                curve.t.append(GAP if t is None else t)
                curve.epoch.append(GAP if epoch is None else epoch)
                if self.most is not None and len(curve.value) >= self.most:
                    curve.hold(self.most)

    def curve(self, name: str) -> Curve | None:
        """All points of a metric, or None when it was never logged."""
        return self._curves.get(name)

    def curves(self) -> list[Curve]:
        return list(self._curves.values())

    def names(self) -> list[str]:
        """The metrics that were logged, in the order they first appeared."""
        return list(self._curves)

    def points(self, name: str, x: Axis = "step", width: int | None = None) -> tuple[Sequence[float], Sequence[float]]:
        """Give xs and ys of a metric, in the order logged; two empty sequences for one that was never logged.

        x: "step"; "epoch" (NaN where none was logged); "time", seconds since the curve's first point; "clock", unix
        seconds.
        width: columns to decimate to, which keeps every extreme.
        """
        curve = self._curves.get(name)
        if curve is None:
            return array("d"), array("d")
        if x == "time":
            first = next((t for t in curve.t if t == t), 0.0)
            xs = array("d", (t - first for t in curve.t))
        else:
            xs = curve.epoch if x == "epoch" else curve.t if x == "clock" else curve.step
        return (xs, curve.value) if width is None else decimate(xs, curve.value, width)

    def last(self, name: str) -> float:
        """The value logged last; NaN when it was null or there is none."""
        curve = self._curves.get(name)
        return curve.value[-1] if curve is not None and curve.value else GAP
