"""Follows the foreign sources of one run and writes what they tell into adopted.jsonl, each number exactly once.

The engine is the file's only writer. How far each source was read is told by the lines themselves, so an engine that
was killed at any moment goes on where its last whole line says. What lay in a source before the run began is not its.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engine import rundir
from engine.adopt import Adopt, Line, encode, number, record, whole
from engine.errors import UsageError
from engine.rundir import MAX_LINE

if TYPE_CHECKING:
    from engine.adopt_text import Reader
    from engine.records import Spec

CHUNK = 1 << 18
"""Bytes of a source that are read in one go."""
FILES = 200
"""Event files at most, among the first ENTRIES names of their folder."""
ENTRIES = 5000
STATE_LIMIT = 64 << 20
Place = tuple[int, ...]
"""How far a source was read: the numbers behind its name in "from"."""


class Adopter:
    """The sources of one run. Any of them may not be there yet, vanish, or begin anew."""

    def __init__(self, folder: Path, spec: Spec) -> None:
        assert spec.adopt is not None
        self.path = folder / rundir.ADOPTED
        self.log = folder / rundir.LOG
        self.adopt: Adopt = spec.adopt
        self.cwd = spec.code.cwd if spec.code and spec.code.cwd else spec.cwd
        self.folder = folder
        self.places: dict[str, Place] = {}
        self.last: int | None = None
        self.behind = False
        """Whether the last pull ran out of time with more to read."""
        self._state: tuple[int, int, int] | None = None
        self._plan: int | None = None
        self._reader: Reader | None = None
        for line in rundir.read(self.path):
            self._took(line)

    def _took(self, line: Line) -> None:
        if isinstance(at := line.get("from"), str):
            name, _, place = at.rpartition(" ")
            with contextlib.suppress(ValueError):
                self.places[name] = tuple(int(part) for part in place.split(":"))
        if (step := whole(line.get("step"))) is not None:
            self.last = step
        if line.get("event") == "plan":
            self._plan = whole(line.get("steps"))

    def _in(self, path: str) -> Path:
        return Path(self.cwd, path.replace("{run}", str(self.folder)))

    # -- before the run begins -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Note how much of each source is older than the run; call it before its process starts. Raises OSError."""
        lines = []
        for source, path in self._files():
            with contextlib.suppress(OSError):
                state = path.stat()
                lines.append({"from": f"{source} {state.st_ino}:{state.st_size}"})
        if entries := self._entries():
            lines.append({"from": f"state {len(entries)}:{_sums(entries)[-1]}"})
        self._write([{"t": time.time(), "event": "adopt", **line} for line in lines])

    def _files(self) -> Iterator[tuple[str, Path]]:
        """The files that are read by offset, each with the name of its source; the log is never older than the run."""
        if self.adopt.file:
            yield "file", self._in(self.adopt.file)
        if self.adopt.tensorboard:
            top = self._in(self.adopt.tensorboard)
            for path in _event_files(top):
                yield f"tensorboard {path.relative_to(top)}", path

    # -- while it lives ------------------------------------------------------------------------------------------

    def pull(self, moment: float) -> None:
        """Take in what is new, for about so many seconds. A full disk delays it: nothing is taken that is not kept."""
        until = time.monotonic() + moment
        self.behind = False
        try:
            if self.adopt.stdout:
                self._pull_log(until)
            for source, path in self._files():
                if time.monotonic() >= until:
                    self.behind = True
                    break
                take = self._events if source.startswith("tensorboard") else self._json
                self._pull_file(source, path, take, until)
            if self.adopt.trainer_state:
                self._pull_state()
        except OSError:
            self.behind = True

    def end(self) -> None:
        """Say that all was read. A full disk delays that, too."""
        try:
            self._write([rundir.ADOPTED_WHOLE])
        except OSError:
            self.behind = True

    def _pull_log(self, until: float) -> None:
        from engine.adopt_text import TooSlow, pieces

        while True:
            offset, *rest = self.places.get("log", (0,))
            data = _bytes(self.log, offset)
            if not data:
                return
            lines: list[Line] = []
            end = offset
            try:
                for behind, text in pieces(data):
                    end = offset + behind
                    try:
                        found = self._text(rest).read(text, time.time())
                    except TooSlow:
                        self.adopt = msgspec.structs.replace(self.adopt, stdout=False)
                        lines.append(self._warning("a --metrics-pattern needs too long on a line; it is given up"))
                        return
                    if found is not None:
                        lines.append({**found, "from": f"log {end}:{self._marked()}"})
                    if (steps := self._text(rest).steps) is not None and steps != self._plan:
                        self._plan = steps
                        where = f"log {end}:{self._marked()}"
                        lines.append({"t": time.time(), "event": "plan", "steps": steps, "from": where})
                    if time.monotonic() >= until:
                        self.behind = True
                        break
            except UsageError as error:
                self.adopt = msgspec.structs.replace(self.adopt, stdout=False)
                lines.append(self._warning(str(error)))
                return
            finally:
                self._write(lines)
            if end == offset and len(data) == CHUNK:
                end += CHUNK  # no line of anybody's is that long
            self.places["log"] = (end, self._marked())
            if self.behind or end == offset:
                return

    def _text(self, rest: list[int]) -> Reader:
        if self._reader is None:
            from engine.adopt_text import Reader

            marked = rest[0] if rest and rest[0] >= 0 else None
            self._reader = Reader(self.adopt.patterns, marked, self.last)
        return self._reader

    def _marked(self) -> int:
        return -1 if self._reader is None or self._reader.marked is None else self._reader.marked

    def _pull_file(self, source: str, path: Path, take: Any, until: float) -> None:
        """Read a file from where it was left; one that is another file now, or shrank, is read from its beginning."""
        while True:
            inode, offset = self.places.get(source, (0, 0))
            try:
                state = path.stat()
            except OSError:
                return
            if state.st_ino != inode or state.st_size < offset:
                inode, offset = state.st_ino, 0
            data = _bytes(path, offset)
            if not data:
                return
            end, lines = take(source, data, f"{source} {inode}:", offset)
            self._write(lines)
            self.places[source] = (inode, end)
            if end == offset:
                return
            if time.monotonic() >= until:
                self.behind = True
                return

    def _json(self, _: str, data: bytes, where: str, offset: int) -> tuple[int, list[Line]]:
        """Finished lines that are objects with a step."""
        end = data.rfind(b"\n") + 1
        if not end and len(data) == CHUNK:
            end = len(data)
        lines: list[Line] = []
        behind = offset
        for raw in data[:end].split(b"\n")[:-1]:
            behind += len(raw) + 1
            try:
                found = json.loads(raw) if raw and len(raw) <= MAX_LINE else None  # msgspec refuses NaN
            except (ValueError, RecursionError):
                found = None
            if isinstance(found, dict):
                line = record(found, time.time(), (self.last if self.last is not None else -1) + 1)
                if line is not None:
                    self.last = whole(line["step"])
                    lines.append({**line, "from": f"{where}{behind}"})
        return offset + end, lines

    def _events(self, source: str, data: bytes, where: str, offset: int) -> tuple[int, list[Line]]:
        """Scalars of event files; those of one step are one line."""
        from engine.adopt_events import Damaged, records, scalars, skip

        if long := skip(data):
            return offset + long, []
        inner = Path(source.partition(" ")[2]).parent
        lines: list[Line] = []
        end = 0
        try:
            for scalar in scalars(data):
                tag = scalar.tag if inner == Path() else f"{inner}/{scalar.tag}"
                if not lines or lines[-1]["step"] != scalar.step or tag in lines[-1]:
                    lines.append({"t": scalar.t or time.time(), "step": scalar.step})
                lines[-1][tag[:200]] = scalar.value
                lines[-1]["from"] = f"{where}{offset + scalar.end}"
            end = max((behind for behind, _ in records(data)), default=0)
        except Damaged:
            end = len(data)  # nothing behind can be found
        return offset + end, lines

    # -- trainer_state.json --------------------------------------------------------------------------------------

    def _pull_state(self) -> None:
        """Hugging Face writes the whole history anew with each checkpoint."""
        entries = self._entries()
        if not entries:
            return
        sums = _sums(entries)
        count, known = self.places.get("state", (0, 0))
        if count > len(entries) or (count and sums[count - 1] != known):
            count = 0  # another training wrote it
        lines: list[Line] = []
        for at in range(count, len(entries)):
            line = record(entries[at], time.time())
            if line is not None:
                lines.append({**line, "from": f"state {at + 1}:{sums[at]}"})
        self._write(lines)
        self.places["state"] = (len(entries), sums[-1])

    def _entries(self) -> list[dict[str, Any]]:
        """The history, if it has changed: of the newest checkpoint, where the path is an output folder."""
        if not self.adopt.trainer_state:
            return []
        path = self._in(self.adopt.trainer_state)
        if path.is_dir():
            found = [*path.glob("checkpoint-*/trainer_state.json"), *path.glob("trainer_state.json")]
            if not found:
                return []
            path = max(found, key=lambda one: one.stat().st_mtime_ns)
        try:
            state = path.stat()
            sign = state.st_ino, state.st_size, state.st_mtime_ns
            if sign == self._state:
                return []
            history = json.loads(rundir.contents(path, limit=STATE_LIMIT)).get("log_history", [])
        except (OSError, ValueError, RecursionError, AttributeError):
            return []  # not there, or being written
        self._state = sign
        return [entry for entry in history if isinstance(entry, dict)] if isinstance(history, list) else []

    # -- writing -------------------------------------------------------------------------------------------------

    def _warning(self, text: str) -> Line:
        return {"t": time.time(), "event": "warning", "text": text, "from": f"log {self.places.get('log', (0,))[0]}"}

    def _write(self, lines: list[Line]) -> None:
        """Append in one go; only what is on the disk counts as taken. Raises OSError."""
        if not lines:
            return
        clean = [{key: _plain(value) for key, value in line.items()} for line in lines]
        _append(self.path, b"".join(map(encode, clean)))
        for line in clean:
            self._took(line)


def _plain(value: object) -> object:
    """Infinities and NaN as null."""
    n = number(value)
    return None if isinstance(n, float) and (n != n or n in (float("inf"), float("-inf"))) else value


def _sums(entries: list[dict[str, Any]]) -> list[int]:
    """A checksum of the entries up to each."""
    sums: list[int] = []
    for entry in entries:
        sums.append(zlib.crc32(json.dumps(entry, sort_keys=True).encode(), sums[-1] if sums else 0))
    return sums


def _event_files(top: Path) -> list[Path]:
    found: list[Path] = []
    seen = 0
    for place, folders, names in os.walk(top):
        folders.sort()
        found += [Path(place, name) for name in sorted(names) if "tfevents" in name]
        seen += len(names) + len(folders)
        if seen > ENTRIES:
            break
    return found[:FILES]


def _append(path: Path, data: bytes) -> None:
    """Append all or nothing: what did not fit is cut off again. A line torn by an engine's death is closed first."""
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            data = b"\n" + data
        try:
            done = os.write(fd, data)
        except OSError:
            os.ftruncate(fd, size)
            raise
        if done != len(data):
            os.ftruncate(fd, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(fd)


def _bytes(path: Path, offset: int) -> bytes:
    """What a plain file has from an offset on, at most CHUNK bytes; a pipe or what is not there has nothing."""
    try:
        fd = rundir.open_plain(os.path.realpath(path))
    except OSError:
        return b""
    try:
        return os.pread(fd, CHUNK, offset)
    finally:
        os.close(fd)
