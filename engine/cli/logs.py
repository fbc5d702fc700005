"""What a run wrote, read from its folder: bulk bytes do not go through the socket."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from engine import rundir
from engine.cli import talk
from engine.cli.follow import OUTCOMES
from engine.errors import NothingToShow
from engine.messages import RunDetail, ShowRun
from engine.records import ENDED, RunRow

POLL = 0.1
ASK_EVERY = 0.5
"""Seconds between two questions to the engine whether the run has ended."""
BLOCK = 1 << 16


def show(word: str, follow: bool, lines: int | None, metrics: bool = False, as_json: bool = False) -> int:
    """Print the log, or its last lines; with follow go on to the run's end and give the exit code of its outcome.

    metrics: the file of numbers instead, its own or the one that the engine made of foreign sources. as_json: one
    object with all of it.
    """
    with talk.engine() as client:

        def ask(what: str) -> RunDetail:
            return talk.expect(client.call(ShowRun(what)), RunDetail)

        detail = ask(word)
        path = Path(detail.folder) / (rundir.METRICS if metrics else rundir.LOG)
        if metrics and (detail.spec.adopt or detail.spec.imported) and not path.exists():
            path = Path(detail.folder) / rundir.ADOPTED
        row = detail.row
        if not follow:
            if not path.exists():
                raise NothingToShow(f"{row.id} is {row.state} and has written nothing yet.")
            if as_json:
                told = _lines(path, _start(path, lines), metrics)
                talk.json_out({"run": row.id, "state": row.state, "lines": told})
            else:
                _copy(path, _start(path, lines), metrics)
            return 0
        at = _start(path, lines) if path.exists() else 0
        at = _copy(path, at, metrics)
        asked = time.monotonic()
        while row.state not in ENDED:
            time.sleep(POLL)
            at = _copy(path, at, metrics)
            if time.monotonic() - asked >= ASK_EVERY:
                row, asked = ask(row.id).row, time.monotonic()
        _copy(path, at, metrics)
    _told(row)
    return OUTCOMES.get(row.state, 1)


def _told(row: RunRow) -> None:
    talk.say(f"{row.id} ended: {row.state}{f' ({row.reason})' if row.reason else ''}.")


def _start(path: Path, lines: int | None) -> int:
    """Where the last so many lines begin, read backwards; 0 for all."""
    if lines is None:
        return 0
    with path.open("rb") as file:
        end = at = file.seek(0, 2)
        if lines == 0 or end == 0:
            return end
        file.seek(end - 1)
        wanted = lines + (file.read(1) == b"\n")
        tail = b""
        while at > 0 and tail.count(b"\n") < wanted:
            size = min(BLOCK, at)
            at -= size
            file.seek(at)
            tail = file.read(size) + tail
        if tail.count(b"\n") < wanted:
            return 0
        cut = len(tail)
        for _ in range(wanted):
            cut = tail.rindex(b"\n", 0, cut)
        return at + cut + 1


def _lines(path: Path, at: int, numbers: bool) -> list[object]:
    """The lines of a log as texts, or of a file of numbers as objects; what is damaged is passed over."""
    with path.open("rb") as file:
        file.seek(at)
        data = file.read()
    if numbers:
        return [line for line in rundir.parse(data) if line != rundir.ADOPTED_WHOLE]
    return [*data.decode(errors="replace").splitlines()]


def _copy(path: Path, at: int, numbers: bool = False) -> int:
    """Write what the file has from a place on; the new place. A file that is not there yet has nothing.

    numbers: leave out the engine's own mark behind them, that all of a foreign source was read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return at
    with file:
        file.seek(at)
        while block := file.readline(BLOCK) if numbers else file.read(BLOCK):
            at += len(block)
            if numbers and b"adopted" in block and rundir.parse(block) == [rundir.ADOPTED_WHOLE]:
                continue
            try:
                sys.stdout.buffer.write(block)
            except BrokenPipeError:
                talk.quiet_end()
    try:
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        talk.quiet_end()
    return at
