"""Follow a growing jsonl file: the finished lines since the last look, a bounded amount at a time."""

from __future__ import annotations

import os

import msgspec

from engine.rundir import MAX_LINE, Line, contents

_decode = msgspec.json.Decoder().decode
CHUNK = 1 << 20
"""Bytes read at most in one look."""


class Tail:
    """One file, from an offset on. The file may not exist yet, and may shrink (then it is read anew)."""

    def __init__(self, path: str | os.PathLike[str], *, last: int | None = None) -> None:
        """last: begin at most this many bytes before the end, at the next whole line."""
        self.path = os.fspath(path)
        self.offset = 0
        self.shut = False
        """It could not be read at the last look."""
        self._full = True
        """The last look may not have taken all there was."""
        if last is not None:
            self.skip(last)

    def skip(self, last: int) -> None:
        """Go on at most this many bytes before the end, at the next whole line."""
        size = self.size()
        if size - self.offset <= last:
            return
        try:
            head = contents(self.path, at=size - last - 1, limit=MAX_LINE)
        except OSError:
            return
        self.offset = size - last + head.find(b"\n") if b"\n" in head else size

    def size(self) -> int:
        try:
            return os.lstat(self.path).st_size
        except OSError:
            return 0

    def read(self) -> list[Line]:
        """Give the new finished lines, up to CHUNK bytes; damaged ones are passed over."""
        size = self.size()
        if size < self.offset:
            self.offset = 0
        self._full = False
        if size == self.offset:
            return []
        try:
            data = contents(self.path, at=self.offset, limit=CHUNK)
        except OSError:
            self.shut = True
            return []
        self.shut = not data
        self._full = len(data) == CHUNK
        end = data.rfind(b"\n") + 1
        if not end and len(data) == CHUNK:
            end = len(data)  # no line of ours is that long: pass over it
        self.offset += end
        return lines_of(data[:end])

    def glimpses(self, count: int, size: int) -> list[bytes]:
        """Give whole lines out of each of `count` pieces of `size` bytes, evenly over what lies before the offset."""
        try:
            pieces = [contents(self.path, at=self.offset * i // count, limit=size) for i in range(count)]
        except OSError:
            return []
        return [piece[piece.find(b"\n") + 1 : piece.rfind(b"\n") + 1] for piece in pieces]

    @property
    def behind(self) -> bool:
        """Tell whether there is more to read than the last look took."""
        return self._full and not self.shut and self.size() > self.offset + CHUNK


def lines_of(data: bytes) -> list[Line]:
    """Decode lines; damaged ones are passed over."""
    found: list[Line] = []
    for raw in data.split(b"\n"):
        if not raw:
            continue
        try:
            line = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(line, dict):
            found.append(line)
    return found


def last_line(path: str | os.PathLike[str]) -> str:
    """Give the last line of a log that says something, cut to 200 characters."""
    try:
        lines = contents(path, last=4096).decode(errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:200] if said else ""
