"""What all runs are sorted by, kept for each column: of 10,000 runs those are looked at again that have news."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress, repeat
from operator import is_, is_not
from typing import Any

from engine.records import RunRow
from tui.runcolumns import RunColumn


class Sorting:
    """By one column. rows: all runs, the newest first."""

    def __init__(self, column: RunColumn, rows: Sequence[RunRow], now: float) -> None:
        self._keys, self._at = column.keys, now
        self._newest = [row.id for row in rows]
        self._key: dict[str, Any] = dict(zip(self._newest, column.keys(rows, now), strict=True))
        self._moving = {row.id for row in rows if row.ended is None} if column.clock and not column.age else set()
        """Runs whose key changes with the clock."""
        self._stale: set[str] = set()
        self._apart: tuple[list[str], list[str]] | None = None
        """Runs in the order they were given last, and those that have no key; None where a key is another one since."""

    def hear(self, rows: Iterable[RunRow]) -> None:
        """These have news."""
        self._stale.update(row.id for row in rows)

    def moved(self, rows: Sequence[RunRow]) -> bool:
        """Whether any of these would come elsewhere now than when order() was asked last, were it for its values."""
        return [*self._keys(rows, self._at)] != [self._key[row.id] for row in rows]

    def order(self, rows: Mapping[str, RunRow], now: float, *, down: bool) -> list[str]:
        """All runs by the key; among equals, and where there is none, the newest first."""
        self._look(rows, now)
        if self._apart is None:
            self._apart = self._newest, []
            if None in (keys := self._key.values()):
                keyed, bare = (map(test, keys, repeat(None)) for test in (is_not, is_))
                self._apart = [*compress(self._newest, keyed)], [*compress(self._newest, bare)]
        ordered, rest = self._apart
        try:  # what is in order the other way round is soon turned; equals keep theirs
            ordered = sorted(ordered, key=self._key.__getitem__, reverse=down)
        except TypeError:  # a setting that is a number in one run and a word in another: numbers first
            told = {run: (isinstance(self._key[run], str), self._key[run]) for run in ordered}
            ordered = sorted(ordered, key=told.__getitem__, reverse=down)
        self._apart = ordered, rest
        return [*ordered, *rest]

    def _look(self, rows: Mapping[str, RunRow], now: float) -> None:
        """Read the keys of runs that have news or move with the clock."""
        again = [rows[run] for run in self._stale | self._moving]
        self._stale.clear()
        self._at = now
        for row, key in zip(again, self._keys(again, now), strict=True):
            if self._key[row.id] != key:
                self._key[row.id], self._apart = key, None
