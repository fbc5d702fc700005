"""What a training script calls to record numbers: one line, one write, nothing that waits.

    from engine import runlog
    runlog.log(step, loss=0.1, lr=3e-4)
    runlog.event("checkpoint", step=step, path="checkpoints/step-000500")

Inside a run the folder comes from ENGINE_RUN. No lock, no thread, no fsync: a line that was written survives kill -9 of
the process; a power cut can take the last seconds. A full disk never stops training: lost lines are counted and the
count is told in the next line that fits. Outside a run nothing is recorded, which is said once on stderr.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

import msgspec

_encode = msgspec.json.Encoder().encode
_now = time.time
_write = os.write


class Writer:
    """The two files of one run folder, opened for appending; the only writer of both."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = os.fspath(folder)
        self.lost = 0
        self._metrics = self._open("metrics.jsonl")
        self._events = self._open("events.jsonl")

    def _open(self, name: str) -> int:
        path = os.path.join(self.folder, name)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            _write(fd, b"\n")  # closes a line torn by an earlier death, so that ours stays whole
        return fd

    def log(self, step: int, **scalars: float) -> None:
        """Append one line of numbers at a step. NaN and infinities are kept as null, a gap in every chart.

        Raises TypeError for a value that is not a number (a tensor: call .item() where you want to wait for it).
        """
        scalars["step"] = step
        scalars["t"] = _now()
        if not self.lost:  # the usual way, without one more call
            data = _encode(scalars) + b"\n"
            try:
                if _write(self._metrics, data) == len(data):
                    return
            except OSError:
                pass  # a full or broken disk is told by the count, training goes on
            self.lost = 1
        else:
            self._put(self._metrics, scalars)

    def event(self, kind: str, **fields: object) -> None:
        """Append one line that says what happened: a checkpoint, a phase, a warning."""
        self._put(self._events, {"t": _now(), "event": kind, **fields})

    def promise(self, seconds: float | None) -> None:
        """Say that the next line comes within so many seconds, from now on; None takes that back.

        A run that is silent for longer counts as hung, and its supervisor ends it: promise more before what takes long.
        """
        self.event("promise", within=seconds)

    def _put(self, fd: int, line: Mapping[str, object]) -> None:
        data = _encode(line) + b"\n"
        if self.lost:  # the last write may have stopped in the middle of a line
            data = b"\n" + _encode({**line, "lost_lines": self.lost}) + b"\n"
        try:
            if _write(fd, data) == len(data):
                self.lost = 0
                return
        except OSError:
            pass
        self.lost += 1

    def close(self) -> None:
        os.close(self._metrics)
        os.close(self._events)


_writer: Writer | None = None
_silent = False


def open(folder: str | os.PathLike[str]) -> Writer:  # noqa: A001 - reads as runlog.open
    """Bind log() and event() to a run folder, for a program that is told it otherwise than by ENGINE_RUN."""
    global _writer
    _writer = Writer(folder)
    globals().update(log=_writer.log, event=_writer.event)  # runlog.log is then the method itself: no extra call
    return _writer


def mute() -> None:
    """Record nothing in this process: one of several of a run, and not the one that writes."""
    nothing = {"log": lambda step, **scalars: None, "event": lambda kind, **fields: None}
    globals().update(nothing, promise=lambda seconds: None)


def _bind() -> Writer | None:
    global _silent
    if _writer is not None:
        return _writer
    folder = os.environ.get("ENGINE_RUN")
    if folder:
        return open(folder)
    if not _silent:
        _silent = True
        print("runlog: not inside a run (ENGINE_RUN is not set): numbers are not recorded", file=sys.stderr)
    return None


def log(step: int, **scalars: float) -> None:
    """Append one line of numbers at a step to the run's metrics.jsonl; about 2 µs."""
    if writer := _bind():
        writer.log(step, **scalars)


def event(kind: str, **fields: object) -> None:
    """Append one line to the run's events.jsonl."""
    if writer := _bind():
        writer.event(kind, **fields)


def promise(seconds: float | None) -> None:
    """Say that the next line comes within so many seconds; a run that is silent for longer is ended as hung."""
    if writer := _bind():
        writer.promise(seconds)
