"""The curve of a run over all its attempts: what a later one did again is shown once, and where it began is told."""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Sequence

from engine import ids
from engine.series import GAP, Axis, Curve, Series
from engine.thinning import decimate


def attempts(run_id: str) -> tuple[str, ...]:
    """Give the ids of a run's attempts up to this one: toto-0007, toto-0007.2, toto-0007.3."""
    base, number = ids.base(run_id), ids.number(run_id)[1]
    return (base, *(f"{base}.{count}" for count in range(2, number + 1)))


class Lineage:
    """The curves of several attempts as one, with the interface of Series; of a missing folder there is nothing.

    A later attempt goes on from a checkpoint, so it repeats steps that an earlier one had done: those of the earlier
    one are left out. On the time axis the attempts follow one another without the pause between them.
    """

    def __init__(self, folders: Sequence[str | os.PathLike[str]], most: int | None = None) -> None:
        """most: points that are kept of a curve of one attempt, see Series."""
        self.parts = [Series(folder, most) for folder in folders]

    @property
    def behind(self) -> bool:
        return any(part.behind for part in self.parts)

    @property
    def passed(self) -> int:
        return sum(part.passed for part in self.parts)

    def refresh(self) -> bool:
        """Take in new finished lines of every attempt; tell whether anything changed."""
        news = [part.refresh() for part in self.parts]
        return any(news)

    def names(self) -> list[str]:
        return list(dict.fromkeys(name for part in self.parts for name in part.names()))

    def points(self, name: str, x: Axis = "step", width: int | None = None) -> tuple[Sequence[float], Sequence[float]]:
        """Give xs and ys of a metric over all attempts, in their order; see Series.points."""
        import numpy as np  # 0.1 s, and nobody asks for points before there is something to draw

        found_x, found_y = [np.empty(0)], [np.empty(0)]
        # Where each began is looked for in all its points: only for the axis that needs it.
        starts = self._starts() if x == "time" else [0.0] * len(self.parts)
        for part, end, start in zip(self.parts, self._ends(), starts, strict=True):
            curve = part.curve(name)
            if curve is None:
                continue
            if len(self.parts) == 1 and x != "time":  # as nearly all runs are: nothing to put together
                xs, ys = _along(curve, x)[:], curve.value[:]
                return (xs, ys) if width is None else decimate(xs, ys, width)
            kept = ~(np.array(curve.step) >= end) if end < math.inf else slice(None)
            found_x.append(np.array(_along(curve, x))[kept] - start)
            found_y.append(np.array(curve.value)[kept])
        xs = array("d", np.concatenate(found_x).tobytes())
        ys = array("d", np.concatenate(found_y).tobytes())
        return (xs, ys) if width is None else decimate(xs, ys, width)

    def last(self, name: str) -> float:
        """The value logged last, by the latest attempt that logged it."""
        for part in reversed(self.parts):
            if part.curve(name) is not None:
                return part.last(name)
        return GAP

    def seams(self, x: Axis = "step") -> list[float]:
        """Where on the x axis each later attempt begins, of those that go on from what is shown of an earlier one."""
        found = []
        ends, starts = self._ends(), self._starts()
        shown = False
        for part, end, start in zip(self.parts, ends, starts, strict=True):
            first = min((curve.step[0] for curve in part.curves()), default=math.inf)
            if shown and first < end:
                curve = min(part.curves(), key=lambda curve: curve.step[0])
                found.append(_along(curve, x)[0] - (start if x == "time" else 0.0))
            shown = shown or first < end
        return found

    def _ends(self) -> list[float]:
        """For each attempt the step from which on a later one did it again."""
        found, end = [], math.inf
        for part in reversed(self.parts):
            found.append(end)
            end = min(end, *(curve.step[0] for curve in part.curves()), math.inf)
        return found[::-1]

    def _starts(self) -> list[float]:
        """For each attempt what to take off its times, so that it follows the one before it at once."""
        found, before = [], 0.0
        for part, end in zip(self.parts, self._ends(), strict=True):
            times = [t for curve in part.curves() for t in (curve.t[0],) if t == t]
            first = min(times, default=0.0)
            found.append(first - before)
            if part is self.parts[-1]:
                break  # nothing follows it
            kept = [t for curve in part.curves() for t, step in zip(curve.t, curve.step, strict=True) if step < end]
            before += max((t - first for t in kept if t == t), default=0.0)
        return found


def _along(curve: Curve, x: Axis) -> array[float]:
    if x in ("time", "clock"):
        return curve.t
    return curve.epoch if x == "epoch" else curve.step
