"""How far each file of the run folders was read, and reading on from there: the rows of `files`.

A file that is another one than was read, or shrank, raises Changed.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.rundir import MAX_LINE
from engine.series import open_plain
from engine.store_facts import Line
from engine.store_rows import Rows
from engine.store_scan import Sign

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TAIL = 64
WHOLE_LIMIT = 16 << 20
"""Bytes; a spec or evaluation that is larger is none of ours."""
Passed = Callable[[int], None]
"""Told how many lines were passed over, now or when what was gathered is written."""
Take = Callable[[bytes, Passed], None]
_decode = msgspec.json.Decoder().decode


class Changed(Exception):
    """A file is not the one that was read before."""


@dataclass
class Mark:
    """How far a file was read: a row of `files`."""

    file_id: int
    path: str
    run_id: int | None
    inode: int
    size: int = 0
    mtime: int = 0
    tail: int = 0
    passed: int = 0


class Marks:
    """The marks of one transaction. known: those of the runs that are read, by path below runs/."""

    def __init__(self, con: DuckDBPyConnection, runs: Path) -> None:
        self.con = con
        self.runs = runs
        self.known: dict[str, Mark] = {}
        self._moved: dict[str, Mark] = {}
        self._next = 0

    def begin(self) -> None:
        """Find the next number, before anything is deleted: none is given twice in a transaction."""
        self._next = self.con.execute("SELECT coalesce(max(file_id), 0) + 1 FROM files").fetchall()[0][0]

    def load(self, run_ids: Sequence[int]) -> None:
        """Read the marks of these runs, and of what belongs to none."""
        found = self.con.execute(
            "SELECT file_id, path, run_id, inode, size, mtime, tail, passed FROM files "
            "WHERE run_id IS NULL OR run_id IN (SELECT unnest(?::INTEGER[]))",
            [run_ids],
        ).fetchall()
        self.known = {row[1]: Mark(*row) for row in found}

    def of(self, path: str, run_id: int | None, inode: int) -> Mark:
        """The mark of a file that is being read, a new one where it has none; it will be written."""
        mark = self.known.get(path)
        if mark is None:
            mark = self.known[path] = Mark(self._next, path, run_id, inode)
            self._next += 1
        self._moved[path] = mark
        return mark

    def below(self, folder: str) -> list[str]:
        return [path for path in self.known if path.startswith(f"{folder}/")]

    def drop(self, path: str) -> None:
        self.known.pop(path, None)
        self._moved.pop(path, None)

    def open(self, path: str, stack: ExitStack) -> int | None:
        """Open a file of lines for reading on. Raises Changed if it is not the one that was read."""
        fd = open_plain(self.runs / path)
        mark = self.known.get(path)
        if fd is None:
            if mark is not None:
                raise Changed(path)
            return None
        stack.callback(os.close, fd)
        if mark is not None:
            found = os.fstat(fd)
            if found.st_ino != mark.inode or found.st_size < mark.size or tail_of(fd, mark.size) != mark.tail:
                raise Changed(path)
        return fd

    def differs(self, path: str, signed: Sign | None) -> bool:
        """Whether a file that is written as a whole was read, and was another then."""
        mark = self.known.get(path)
        return mark is not None and signed != (mark.inode, mark.size, mark.mtime)

    def whole(self, path: str) -> Line | None:
        """Read a file that is one JSON object; None for anything else."""
        fd = open_plain(self.runs / path)
        if fd is None:
            return None
        with open(fd, "rb") as file:
            data = file.read(WHOLE_LIMIT + 1)
        try:
            found = _decode(data) if len(data) <= WHOLE_LIMIT else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def write(self, rows: Rows) -> None:
        """Hand on the marks that moved, as rows of `files` in place of those that are there."""
        if not self._moved:
            return
        ids = [mark.file_id for mark in self._moved.values()]
        self.con.execute("DELETE FROM files WHERE file_id IN (SELECT unnest(?::INTEGER[]))", [ids])
        for m in self._moved.values():
            rows.add("files", m.file_id, m.path, m.run_id, m.inode, m.size, m.mtime, m.tail, m.passed)
        self._moved = {}


def objects(data: bytes) -> tuple[list[Line], int]:
    """Read finished lines that are JSON objects; gives them, and how many lines were none."""
    found: list[Line] = []
    passed = 0
    for raw in data.split(b"\n")[:-1]:
        if not raw:
            continue
        try:
            line = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            line = None
        if isinstance(line, dict) and len(raw) <= MAX_LINE:
            found.append(line)
        else:
            passed += 1
    return found, passed


def tail_of(fd: int, size: int) -> int:
    """A checksum of the last bytes that were read: a file that shrank and grew again does not pass for the same."""
    start = max(0, size - TAIL)
    return zlib.crc32(os.pread(fd, size - start, start))
