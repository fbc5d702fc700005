"""The file of what is kept of ended runs: read at a start, longer with each run that ends, believed where it is whole.

runs/.engine/ended.cache is a reading of the folders and nothing else: a run whose files are no longer the same is read
from its folder, and so is every run when the file is missing, damaged, or of another version of this program.

It is a row of parts: a line with `ended.head`, the digest of the rest of the part and its size, then a list of
`ended.Kept` as MessagePack. From the first part on that is not exactly as it was written nothing is believed. Of two
that tell of one run the later counts.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from engine import ended, rundir
from engine.ended import Kept
from engine.run import Run
from engine.stamps import FILES, Stamps, sign
from engine.state import World
from engine.workspace import Workspace

MOST = 1 << 30
"""Bytes of the whole file that are read: half a million runs."""
STALE = 1000
"""Runs in the file that are no more as it tells, before it is written anew and not only made longer."""
log = logging.getLogger("engine")


class Shelf:
    """One per daemon: opened when it comes up, and closed to what it did not ask for; runs that end are added."""

    def __init__(self, workspace: Workspace, stamps: Stamps | None = None) -> None:
        """stamps: what tells how the files are, taken since the workspace was taken."""
        self.runs = str(workspace.runs)
        self.path = workspace.ended
        self.due: set[str] = set()
        """Runs that have ended since, to be added in a quiet moment."""
        self._stamps = stamps
        self._signed: dict[str, bytes] = {}
        """Of each folder the signs of FILES, where a second process took them."""
        self._head = ""
        """Of the program that runs: its files may be others when a run ends."""
        self._kept: dict[str, Kept] = {}
        """What was not asked for yet."""
        self._good: set[str] = set()
        """Of which runs it still holds."""
        self._told = 0
        """How many runs the file tells of, some of them twice."""
        self._sound = True
        """More can be written at its end."""
        self._fresh: list[bytes] = []
        """What is not in the file yet."""

    def open(self) -> None:
        """Read the file."""
        self._head = ended.head()
        try:
            for part in self._parts(rundir.contents(self.path, limit=MOST)):
                self._told += len(part)
                self._kept.update((kept.told.brief.id, kept) for kept in part)
        except FileNotFoundError:
            pass
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning("%s is not used: %s", self.path, error)
            self._sound = False

    async def ask(self) -> None:
        """Hear how the files are, where somebody was asked; a disk that was not read for long takes its time."""
        if self._stamps is not None:
            self._signed = await asyncio.to_thread(self._stamps.take)

    def _parts(self, data: bytes) -> Iterator[list[Kept]]:
        at = 0
        while at < len(data):
            line, newline, _ = data[at : at + 200].partition(b"\n")
            size = line.rpartition(b" ")[2]
            begin = at + len(line) + 1
            body = data[begin : begin + int(size)] if newline and size.isdigit() and len(size) < 12 else b""
            if not body or line != self._line(body):
                self._sound = False
                return
            yield ended.decode_all(body)
            at = begin + len(body)

    def _line(self, body: bytes) -> bytes:
        return f"{self._head} {sha256(body).hexdigest()} {len(body)}".encode()

    def get(self, run_id: str) -> Kept | None:
        """Give what is known of a run, if its folder is still as it was then."""
        if (kept := self._kept.get(run_id)) is None:
            return None
        names, folder = ended.rests_on(kept.told.brief, kept.told.exited or {}), f"{self.runs}/{run_id}"
        files = self._signed.pop(run_id, b"") or b"".join(sign(folder))
        if files + b"".join(sign(folder, names[len(FILES) :])) != kept.sign:
            return None
        del self._kept[run_id]
        self._good.add(run_id)
        return kept

    def put(self, run: Run, signed: Sequence[bytes]) -> None:
        """Take in a run that was just read from its folder; see `ended.encode`."""
        if (data := ended.encode(run, signed)) is not None:
            self._fresh.append(data)

    def close(self) -> None:
        """Bring the file up to date after all was asked for; what can't be written costs the next start some time."""
        try:
            for left in self.path.parent.glob(f"{self.path.name}.*.new"):
                left.unlink()  # by an engine that was killed over it; this one has the workspace to itself
            if not self._sound or self._told - len(self._good) > max(STALE, len(self._good)):
                rundir.write_new(self.path, self._part([*self._again(), *self._fresh]))
                self._sound, self._fresh = True, []
        except OSError as error:
            log.warning("%s is not written: %s", self.path, error.strerror)
        self.write()
        self._kept, self._good, self._signed = {}, set(), {}

    def _again(self) -> list[bytes]:
        """Read what still holds once more: to have it at hand until now would be 8 MB that the engine has for good."""
        if not self._good:
            return []
        parts = self._parts(rundir.contents(self.path, limit=MOST))
        found = {kept.told.brief.id: kept for part in parts for kept in part}
        return [ended.again(found[run_id]) for run_id in found.keys() & self._good]

    def keep(self, world: World, seconds: float) -> None:
        """Add runs that have ended, for about so long: each is read as the next start would read it."""
        give_up = time.monotonic() + seconds
        if not self._sound:
            self.due.clear()
        while self.due and time.monotonic() < give_up:
            run_id = self.due.pop()
            if (read := ended.reread(Path(self.runs) / run_id, world, time.time())) is not None:
                self.put(*read)
        self.write()

    def write(self) -> None:
        """Write what is new at the end of the file, unless that is damaged: then the next start reads the folders."""
        fresh, self._fresh = self._fresh, []
        if not fresh or not self._sound:
            return
        part = self._part(fresh)
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                before = os.fstat(fd).st_size
                if os.write(fd, part) != len(part):  # the disk is full
                    os.ftruncate(fd, before)
            finally:
                os.close(fd)
        except OSError as error:
            self._sound = False
            log.warning("%s is not written: %s", self.path, error.strerror)

    def _part(self, bodies: Sequence[bytes]) -> bytes:
        body = msgspec.msgpack.encode([*map(msgspec.Raw, bodies)])
        return self._line(body) + b"\n" + body
