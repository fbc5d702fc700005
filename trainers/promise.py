"""How long a run may be silent: what it promises its engine, from how long it was silent so far.

A hung run is found without anybody saying how long is too long. Nothing that is only slow may be taken for one: a
promise is twenty times the longest silence of its kind, and never less than ten minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from engine import runlog

TIMES = 20
LEAST = {"steps": 600.0, "checkpoint": 1800.0, "evaluate": 3600.0, "begin": 3600.0}
"""Seconds promised of each kind of silence before one is known. begin: data, weights, compilation, the first steps."""


class Promises:
    """Of one run."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._longest: dict[str, float] = {}
        self._kind = "begin"
        self._since = clock()
        self._promised = 0.0

    def now(self, kind: str) -> None:
        """A silence of this kind begins; the one before, which lasted until now, is remembered."""
        at = self._clock()
        self._longest[self._kind] = max(self._longest.get(self._kind, 0.0), at - self._since)
        self._kind, self._since = kind, at
        wanted = max(LEAST[kind], TIMES * self._longest.get(kind, 0.0))
        if not self._promised / 2 < wanted <= self._promised:  # one line for each change, not for each step
            self._promised = 1.25 * wanted if kind == "steps" else wanted
            runlog.promise(round(self._promised, 1))


_run = Promises()


def begin() -> None:
    """A run begins in this process."""
    global _run
    _run = Promises()
    _run.now("begin")


def now(kind: str) -> None:
    """Of the run in this process, a silence of this kind begins."""
    _run.now(kind)
