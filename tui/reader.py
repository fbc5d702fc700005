"""Reads the curves and the log of the run that is looked at, in a thread, straight from its folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from tui import faults
from tui.logs import LogTail
from tui.series import mean, pace, tokens

EVERY = 1.0
"""Seconds between two looks at a folder."""
SETTLED = 0.08
"""Seconds for which a wish for another run must stay before its folder is read: a cursor on its way down a list would
have every run that it passes read, and the keys wait for that."""

KEPT = 1 << 15
"""Points of a curve that are kept while it is looked at, forty times as many as a screen has columns of dots: a run of
weeks takes no more memory than one of an hour."""

Points = tuple[Sequence[float], Sequence[float]]


class Wish(Struct, frozen=True):
    """What to read. x: step, epoch, time or tokens. smooth: also give exponential means of the noisy curves."""

    run: str = ""
    x: str = "step"
    smooth: bool = False


class Reading(Struct, frozen=True):
    """What was read: curves by name, smoothed ones by name + "~", and the end of the log."""

    wish: Wish
    version: int
    """Grows when the curves do; a log that grew alone leaves it."""
    curves: Mapping[str, Points] = field(default_factory=dict)
    seams: tuple[float, ...] = ()
    """Where on the x axis a further attempt at the run began."""
    log: tuple[str, ...] = ()
    log_left_out: bool = False
    trouble: str = ""
    clock: Points = ((), ())
    """Places on the x axis and the unix seconds of each, of the curve with the most points."""


class Reader:
    """Calls `publish` in its thread whenever there is something new; run() in a thread, the rest from any."""

    def __init__(self, runs: Path, publish: Callable[[Reading], None]) -> None:
        self._runs = runs
        self._publish = publish
        self._wish = Wish()
        self._news = threading.Event()
        self._stopped = False
        self._series: Any = None
        self._log: LogTail | None = None
        self._done: Wish | None = None
        self._version = 0
        self._drawn: Mapping[str, Points] = {}
        self._seams: tuple[float, ...] = ()
        self._clock: Points = ((), ())
        self._fault = ""

    def look_at(self, wish: Wish) -> None:
        if wish != self._wish:
            self._wish = wish
            self._news.set()

    def stop(self) -> None:
        self._stopped = True
        self._news.set()

    def run(self) -> None:
        while not self._stopped:
            behind = self._series is not None and self._series.behind
            self._news.wait(0.0 if behind else EVERY if self._wish.run else None)
            self._news.clear()
            while not self._stopped and self._elsewhere and self._news.wait(SETTLED):
                self._news.clear()
            wish = self._wish
            if wish.run and not self._stopped:
                try:
                    reading = self._read(wish)
                    self._fault = ""
                except Exception as error:  # the edge of this thread: tried again
                    reading = self._failed(wish, error)
                if reading is not None:
                    self._publish(reading)

    def _failed(self, wish: Wish, error: Exception) -> Reading | None:
        """Tell a fault once for each run that it happens to."""
        fault = f"{wish.run} {error!r}"
        if fault == self._fault:
            return None
        self._fault, self._done = fault, wish
        self._version += 1
        return Reading(wish, self._version, trouble=faults.said(error))

    @property
    def _elsewhere(self) -> bool:
        """Whether another run is wished for than was read last."""
        return self._done is not None and self._wish.run != self._done.run

    def _read(self, wish: Wish) -> Reading | None:
        # numpy comes with the series and takes 0.1 s: not before the first frame.
        from engine.lineage import Lineage, attempts

        folder = self._runs / wish.run
        fresh = self._done is None or wish != self._done
        if self._done is None or wish.run != self._done.run:
            self._series = Lineage([self._runs / run for run in attempts(wish.run)], KEPT)
            self._log = LogTail(folder / "log.txt")
        assert self._log is not None
        try:
            news = self._series.refresh()
            more = self._log.refresh()
        except OSError as error:
            self._done = wish
            self._version += 1
            return Reading(wish, self._version, trouble=f"{error.strerror}: {error.filename}")
        self._done = wish
        if not (news or more or fresh):
            return None
        if news or fresh:
            self._version += 1
            self._drawn, self._clock, self._seams = self._curves(wish)
        return Reading(
            wish, self._version, self._drawn, self._seams, tuple(self._log.lines), self._log.left_out, clock=self._clock
        )

    def _curves(self, wish: Wish) -> tuple[dict[str, Points], Points, tuple[float, ...]]:
        """All points of all curves, the time of each place on the x axis, and the seams on it."""
        axis = wish.x if wish.x in ("step", "epoch", "time") else "step"
        found = {name: self._series.points(name, axis) for name in self._series.names()}
        densest = max(found, key=lambda name: len(found[name][0]), default="")
        clock = (found[densest][0], self._series.points(densest, "clock")[0]) if densest else ((), ())
        seams = self._series.seams(axis)
        if densest and not {"steps_per_s", "windows_per_s"} & found.keys():
            rate = pace(clock[0], self._series.points(densest, "step")[0], clock[1])
            if len(rate[0]):
                found["steps_per_s"] = rate
        if wish.x == "tokens":
            total = tokens(found)
            if total is None:
                return {}, ((), ()), ()
            found = {name: (total(xs), ys) for name, (xs, ys) in found.items()}
            clock, seams = (total(clock[0]), clock[1]), total(seams)
        if wish.smooth:
            found |= {f"{name}~": (xs, mean(ys)) for name, (xs, ys) in found.items() if len(ys) > 10}
        return found, clock, tuple(map(float, seams))
