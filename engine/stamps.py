"""What the files of all runs are at a start, asked by a second process while the engine's modules come in.

To ask for 50,000 files takes as long as to import the engine: on two cores both happen at once. Whatever it does not
tell, because it was killed or could not be started, the engine asks for itself.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from engine import rundir

FILES = rundir.SPEC, rundir.ORDERS, rundir.LIFECYCLE, rundir.EVENTS, rundir.METRICS
"""What every reading of a run rests on."""
_one = struct.Struct("QqqI").pack
NOTHING = _one(0, 0, 0, 0)
_entry = struct.Struct("H")
SIZE = len(NOTHING) * len(FILES)


def sign(folder: str, names: Sequence[str] = FILES) -> list[bytes]:
    """Give inode, size, time of change and mode of files in a folder; zeros for one that is missing."""
    found = []
    for name in names:
        try:
            told = os.lstat(f"{folder}/{name}")
        except OSError:
            found.append(NOTHING)
        else:
            found.append(_one(told.st_ino, told.st_size, told.st_mtime_ns, told.st_mode))
    return found


class Stamps:
    """Asks from now on, and tells once. Only for a process that has one thread."""

    def __init__(self, runs: Path, *locks: int) -> None:
        """locks: descriptors that only the engine itself may hold."""
        self._read, write = os.pipe()
        try:
            self.child = os.fork()
        except OSError:  # no more processes: nothing is told
            self.child = 0
        else:
            if not self.child:
                _ask(os.fspath(runs), write, (self._read, *locks))
        os.close(write)

    def take(self) -> dict[str, bytes]:
        """Wait for the process, and give what it found by the names of the folders: `sign` of FILES, in one piece."""
        with open(self._read, "rb") as told:
            data = told.read()
        if self.child:
            os.waitpid(self.child, 0)
        found, at = {}, 0
        while at + _entry.size <= len(data):
            (length,) = _entry.unpack_from(data, at)
            name = data[at + _entry.size : (at := at + _entry.size + length)]
            if at + SIZE > len(data):
                break  # it was killed over this one
            found[os.fsdecode(name)] = data[at : (at := at + SIZE)]
        return found


def _ask(runs: str, write: int, others: Sequence[int]) -> NoReturn:
    """Be the second process."""
    with contextlib.suppress(BaseException):
        for fd in others:
            os.close(fd)
        told = bytearray()
        for name in os.listdir(runs):
            raw = os.fsencode(name)
            told += _entry.pack(len(raw)) + raw + b"".join(sign(f"{runs}/{name}"))
        with open(write, "wb") as pipe:
            pipe.write(told)
    os._exit(0)
