"""The way of a loss from a run's first line to its last, short enough for a cell of a list."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

SPARK = 40
"""Means that are kept of a run at most, and half as many at least once it has logged so often."""
DRAWN = 10
"""Cells of a run's curve in a list: of an ended run no more is told, which was half of what 10,000 of them say."""


def squeeze(values: Sequence[float], width: int) -> tuple[float, ...]:
    """Means of `width` equal stretches, so that a long curve fits a short line."""
    if len(values) <= width:
        return tuple(values)
    edges = [len(values) * i // width for i in range(width + 1)]
    return tuple(sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges))


class Curve(list[float]):
    """Means of equally many values each, all of them in order; what is not enough for one more is not in it yet.

    means: at most SPARK to begin with, of `each` values.
    """

    def __init__(self, means: Iterable[float] = (), each: int = 1) -> None:
        super().__init__(means)
        self._each, self._sum, self._count = each, 0.0, 0

    def add(self, value: float) -> None:
        self._sum += value
        self._count += 1
        if self._count < self._each:
            return
        if len(self) == SPARK:
            self[:] = [(a + b) / 2 for a, b in zip(self[::2], self[1::2], strict=True)]
            self._each *= 2  # of which the newest values are half
            return
        self.append(self._sum / self._count)
        self._sum, self._count = 0.0, 0
