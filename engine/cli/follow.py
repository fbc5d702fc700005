"""Watch runs to their end: lines redrawn in place at a terminal, occasional plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from engine.cli import talk, words
from engine.errors import TimedOut
from engine.messages import Changed, Snapshot
from engine.notice import notice
from engine.records import ENDED, WAITING, RunRow

OUTCOMES = {"ok": 0, "failed": 1, "stopped": 8, "lost": 8}
"""Exit code of a followed run by its end."""
EVERY = 0.2
PLAIN_EVERY = 10.0
"""Seconds between two plain lines of a run whose state and phase stay the same."""
BAR = 20


def follow(ids: Sequence[str], *, bell: bool = False) -> tuple[int, list[RunRow]]:
    """Show the progress of the runs on stderr until all have ended; (the exit code of the worst, their last rows).

    Ctrl-C ends the watching only; the runs go on, which is said.
    """
    if not ids:
        return 0, []
    screen = Redrawn() if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else Plain()
    try:
        rows = watch(ids, _ringing(screen.show) if bell else screen.show)
    except KeyboardInterrupt:
        screen.end()
        talk.say(f"{', '.join(ids)} {'goes' if len(ids) == 1 else 'go'} on; `engine stop {ids[0]}` would stop it.")
        raise
    screen.end()
    return worst(rows), rows


def wait(ids: Sequence[str], *, first: bool, patience: float | None, bell: bool) -> list[RunRow]:
    """Wait in silence until all runs have ended, or the first of them; the rows of those that have. Raises TimedOut.

    patience: seconds, or None to wait for ever.
    """
    show = _ringing(_quietly) if bell else _quietly
    rows = watch(ids, show, first=first, patience=patience)
    return [row for row in rows if row.state in ENDED]


def _quietly(rows: Sequence[RunRow]) -> None:
    pass


def _ringing(show: Callable[[Sequence[RunRow]], None]) -> Callable[[Sequence[RunRow]], None]:
    """Let each end ring at the terminal, once."""
    rung: set[str] = set()

    def ring(rows: Sequence[RunRow]) -> None:
        show(rows)
        for row in rows:
            if row.state in ENDED and row.id not in rung:
                rung.add(row.id)
                _write(notice(title(row), f"{row.state} {row.reason}".strip(), os.environ))

    return ring


def worst(rows: Sequence[RunRow]) -> int:
    """The exit code of the worst outcome."""
    return max((OUTCOMES.get(row.state, 1) for row in rows), default=0)


class Show:
    """Shows the rows each time one of them changed."""

    def show(self, rows: Sequence[RunRow]) -> None:
        raise NotImplementedError

    def end(self) -> None:
        """Leave the terminal as it should be."""


def watch(
    ids: Sequence[str],
    show: Callable[[Sequence[RunRow]], None],
    *,
    first: bool = False,
    patience: float | None = None,
) -> list[RunRow]:
    """Call show(rows) at the start and after every change, until all have ended, or the first of them.

    A run that the engine itself tries again is watched through all its attempts.
    Raises EngineDown, and TimedOut after `patience` seconds.
    """
    latest: dict[str, RunRow] = {}
    enough = any if first else all
    give_up = None if patience is None else time.monotonic() + patience
    with talk.engine() as client:
        for news in client.watch(EVERY):  # at least one message a second: the samples
            fresh = _take(latest, news, ids)
            ids = [_onward(run_id, latest) for run_id in ids]
            if fresh:
                rows = [latest[run_id] for run_id in ids if run_id in latest]
                show(rows)
                if len(rows) == len(ids) and enough(row.state in ENDED for row in rows):
                    return rows
            if give_up is not None and time.monotonic() >= give_up:
                left = [run_id for run_id in ids if run_id not in latest or latest[run_id].state not in ENDED]
                raise TimedOut(f"{words.span(patience)} are over; {', '.join(left)} go{'es' * (len(left) == 1)} on.")
    return [latest[run_id] for run_id in ids if run_id in latest]


def _take(latest: dict[str, RunRow], news: Snapshot | Changed, ids: Sequence[str]) -> bool:
    fresh = False
    for row in news.rows:
        if (row.id in ids or row.because) and latest.get(row.id) != row:
            latest[row.id] = row
            fresh = True
    return fresh


def _onward(run_id: str, latest: Mapping[str, RunRow]) -> str:
    """Give the last attempt that the engine has made at a run."""
    while (row := latest.get(run_id)) and (later := latest.get(row.later)) and later.because:
        run_id = later.id
    return run_id


class Redrawn(Show):
    """One line a run, written over itself."""

    def __init__(self) -> None:
        self.lines = 0

    def show(self, rows: Sequence[RunRow]) -> None:
        try:
            limit = os.get_terminal_size(sys.stderr.fileno()).columns
        except OSError:
            limit = 80
        size = max(len(title(row)) for row in rows)
        text = f"\x1b[{self.lines}F" if self.lines else ""
        for row in rows:
            line = progress(row, size)
            text += (line if len(line) < limit else line[: limit - 2] + "…") + "\x1b[K\n"
        _write(text)
        self.lines = len(rows)


class Plain(Show):
    """A line when a run's state or phase changed, and now and then in between."""

    def __init__(self) -> None:
        self.told: dict[str, tuple[str, str]] = {}
        self.at: dict[str, float] = {}

    def show(self, rows: Sequence[RunRow]) -> None:
        now = time.monotonic()
        for row in rows:
            key = (row.state, row.phase or (row.reason if row.state in WAITING else ""))
            if self.told.get(row.id) == key and (row.state in ENDED or now - self.at.get(row.id, 0.0) < PLAIN_EVERY):
                continue
            self.told[row.id], self.at[row.id] = key, now
            _write(progress(row, 0) + "\n")


def title(row: RunRow) -> str:
    return f"{row.id} {row.name}".strip()


def progress(row: RunRow, size: int) -> str:
    """One line: id and name, state, then bar, epoch, step, loss, rate and time left while it runs, or how it ended."""
    head = f"{title(row):<{size}}  "
    if row.state in WAITING:
        return f"{head}{row.state}  {row.reason}".rstrip()
    scores = [f"val {row.best:.4g}%" if row.best is not None else ""]
    if row.naive is not None:
        scores.append(f"naive {row.naive:.4g}%")
    if row.state in ENDED:
        took = words.span(row.ended - row.started) if row.ended and row.started else ""
        parts = [row.state, took, *(scores if row.state == "ok" else [row.reason])]
        return head + "  ".join(part for part in parts if part)
    share = row.step / row.steps if row.step is not None and row.steps else None
    parts = [
        row.phase if row.state == "running" and row.phase else row.state,
        f"{words.bar(share, BAR)} {100 * share:3.0f}%" if share is not None else "",
        _of("epoch", row.epoch, row.epochs),
        _of("step", row.step, row.steps),
        f"loss {row.loss:.4g}" if row.loss is not None else "",
        scores[0],
        f"{row.steps_per_s:.3g} it/s" if row.steps_per_s else "",
        f"ETA {words.span(row.eta)}" if row.eta else "",
        row.warning,
    ]
    return head + "  ".join(part for part in parts if part)


def _of(name: str, value: float | None, whole: float | None) -> str:
    """`epoch 0.25/2`, `step 10/80`."""
    if value is None:
        return ""
    of = f"/{whole:.4g}" if isinstance(whole, float) else f"/{whole}" if whole else ""
    return f"{name} {f'{value:.2f}' if isinstance(value, float) else value}{of}"


def _write(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except BrokenPipeError:
        pass  # nobody looks; the run is what matters
