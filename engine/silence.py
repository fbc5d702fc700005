"""Whether a run still says anything: its files, looked at by its supervisor now and then. Standard library only."""

from __future__ import annotations

import os
import time

from engine import rundir

TOLD = (rundir.METRICS, rundir.EVENTS, rundir.LOG, rundir.ADOPTED)


class Silence:
    """How long nothing was written, time in pause left out. longest: seconds after which a run counts as hung."""

    def __init__(self, folder: str, longest: float) -> None:
        self.folder = folder
        self.longest = longest
        self.every = min(longest / 10, 60.0)
        """Seconds between two looks; a hung run is found so much later at most."""
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

    def hung(self) -> float | None:
        """Look, if it is time; the seconds of silence if these are too many."""
        now = time.monotonic()
        if now < self.looked + self.every:
            return None
        self.looked = now
        signs = self._look()
        if signs != self._signs:
            self._signs, self.heard = signs, now
        silent = now - self.heard
        return silent if silent >= self.longest else None

    def paused(self, seconds: float) -> None:
        """Leave out a pause that is over; it may have begun before anybody listened."""
        self.heard = min(time.monotonic(), self.heard + seconds)
