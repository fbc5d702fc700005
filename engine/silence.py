"""Whether a run still says anything: its files, looked at by its supervisor now and then. Standard library only."""

from __future__ import annotations

import os
import time

from engine import rundir

LOOK = 60.0
UNKNOWN = 2.0
"""Seconds between two looks at one that has promised nothing yet."""
RECENT = 64 << 10
"""Bytes of events from their end among which a new promise is looked for."""
TOLD = (rundir.METRICS, rundir.EVENTS, rundir.LOG, rundir.ADOPTED)


class Silence:
    """How long nothing was written, time in pause left out, and how long that may be.

    longest: seconds after which a run counts as hung, as asked for with it; None goes by what the run itself promises
    in its events (`runlog.promise`), and one that promises nothing may be silent for ever.
    """

    def __init__(self, folder: str, longest: float | None = None) -> None:
        self.folder = folder
        self.longest = longest
        self.promised = longest is None
        self._events: tuple[int, int, int] | None = None
        self._hear()
        self.heard = time.monotonic()
        self.looked = self.heard
        self._signs = self._look()

    def _look(self) -> list[tuple[int, int, int]]:
        found = []
        for name in TOLD:
            try:
                told = os.lstat(os.path.join(self.folder, name))
            except OSError:
                continue
            found.append((told.st_ino, told.st_size, told.st_mtime_ns))
        return found

    @property
    def every(self) -> float:
        """Seconds between two looks; a hung run is found so much later at most."""
        return UNKNOWN if self.longest is None else min(self.longest / 10, LOOK)

    def _hear(self) -> None:
        """Take in the last promise, if there are new events."""
        if not self.promised:
            return
        path = os.path.join(self.folder, rundir.EVENTS)
        try:
            told = os.lstat(path)
            signed = told.st_ino, told.st_size, told.st_mtime_ns
            if signed == self._events:
                return
            self._events = signed
            lines = rundir.read_last(path, RECENT)
        except OSError:
            return
        for line in reversed(lines):
            if line.get("event") == "promise":
                within = line.get("within")
                if not isinstance(within, int | float) or isinstance(within, bool) or not 0 < within < 1e9:
                    within = None
                self.longest = within
                return

    def hung(self) -> float | None:
        """Look, if it is time; the seconds of silence if these are too many."""
        now = time.monotonic()
        if now < self.looked + self.every:
            return None
        self.looked = now
        self._hear()
        signs = self._look()
        if signs != self._signs:
            self._signs, self.heard = signs, now
        silent = now - self.heard
        return silent if self.longest is not None and silent >= self.longest else None

    def paused(self, seconds: float) -> None:
        """Leave out a pause that is over; it may have begun before anybody listened."""
        self.heard = min(time.monotonic(), self.heard + seconds)
