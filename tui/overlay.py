"""Curves of several runs in one picture each: read from their folders, each run in the colour it keeps."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from tui.keys import named
from tui.pictures import ends
from tui.reader import KEPT, Points
from tui.series import mean, placed, tokens, unit
from tui.widgets.chart import Curve, Picture

LOSS, VAL, NAIVE = "loss", "val_pct_mae", "val_naive_pct_mae"
_LOGGED = {"tokens": "tokens or points_per_s", "epoch": "epochs"}
WORN = ("loss", "val_loss", "epoch", "t", "step")
"""Not taken for a metric to compare by, where a run has none of ours."""


class Curves(Struct, frozen=True):
    """What was read: run -> name -> points; a smoothed curve is name + "~". version grows with the data."""

    version: int = 0
    x: str = "step"
    smooth: bool = False
    x_name: str = "step"
    """What x counts: of tokens, some runs may tell those and others the values they have seen."""
    without: tuple[str, ...] = ()
    """Runs that have values but no place on this axis."""
    runs: Mapping[str, Mapping[str, Points]] = field(default_factory=dict)
    behind: bool = False
    """There is more in the files than was read at once."""

    def names(self) -> list[str]:
        return list(dict.fromkeys(name for curves in self.runs.values() for name in curves))


class Overlay:
    """Reads the curves of runs over all their attempts. read() is for workers, one at a time: others wait."""

    def __init__(self, runs: Path) -> None:
        self._folder = runs
        self._lock = threading.Lock()
        self._open: dict[str, Any] = {}
        self._last = Curves()

    def read(self, runs: Sequence[str], x: str, smooth: bool) -> Curves:
        """Take in what is new of these runs; the same Curves again when nothing is."""
        from engine.lineage import Lineage, attempts  # numpy takes 0.1 s: not before the first frame

        with self._lock:
            self._open = {
                run: self._open.get(run) or Lineage([self._folder / one for one in attempts(run)], KEPT) for run in runs
            }
            news = [self._refreshed(one) for one in self._open.values()]
            last = self._last
            if not any(news) and (last.x, last.smooth) == (x, smooth) and set(last.runs) == set(runs):
                return last
            found: dict[str, dict[str, Points]] = {}
            without, units = [], []
            for run, one in self._open.items():
                points = self._points(one, x, smooth)
                there = points and (x not in _LOGGED or any(placed(xs) for xs, _ in points.values()))
                found[run] = points if there else {}
                if x == "tokens" and there:
                    units.append(unit(points))
                elif not there and one.names():
                    without.append(run)
            x_name = " or ".join(dict.fromkeys(units)) if units else x
            behind = any(one.behind for one in self._open.values())
            self._last = Curves(last.version + 1, x, smooth, x_name, tuple(without), found, behind)
            return self._last

    @staticmethod
    def _refreshed(series: Any) -> bool:
        try:
            return bool(series.refresh())
        except OSError:  # its folder is gone: what was read stays
            return False

    @staticmethod
    def _points(series: Any, x: str, smooth: bool) -> dict[str, Points]:
        found = {name: series.points(name, "step" if x == "tokens" else x) for name in series.names()}
        if x == "tokens":
            total = tokens(found)
            found = {name: (total(xs), ys) for name, (xs, ys) in found.items()} if total is not None else {}
        if smooth and len(found.get(LOSS, ((), ()))[1]) > 10:
            xs, ys = found[LOSS]
            found[f"{LOSS}~"] = (xs, mean(ys))
        return found


def losses(curves: Curves, roles: Mapping[str, str], *, log: bool) -> Picture:
    """The training loss of each run, smoothed where that was read."""
    return _picture("loss", curves, LOSS, roles, log=log)


def logged(curves: Curves) -> list[str]:
    """The names of all that can be drawn."""
    return sorted(name for name in curves.names() if name not in ("epoch", "t", "step") and name[-1] != "~")


def errors(curves: Curves, roles: Mapping[str, str], wanted: str = "") -> Picture:
    """The validation error of each run with naive's as a level; where none has one, the first other value.

    wanted: the metric to draw instead, where one of them has it.
    """
    names = curves.names()
    if wanted != VAL and wanted in names:
        return _picture(wanted, curves, wanted, roles)
    if VAL in names:
        return _picture("val pct_mae", curves, VAL, roles, naive=True)
    other = next((name for name in names if name not in WORN), None)
    if other is None:
        return Picture("val pct_mae", empty=_empty(curves, "no validation yet"), version=("none", curves.version))
    return _picture(other, curves, other, roles)


def _picture(
    title: str, curves: Curves, name: str, roles: Mapping[str, str], *, log: bool = False, naive: bool = False
) -> Picture:
    drawn: list[Curve] = []
    level: float | None = None
    for run, found in curves.runs.items():
        smoothed = found.get(f"{name}~")
        xs, ys = found.get(name, ((), ()))
        if not len(xs) or run not in roles:
            continue
        if smoothed is not None:
            drawn.insert(0, Curve("", xs, ys, "faint", quiet=True))
        drawn.append(Curve(run, *(smoothed or (xs, ys)), roles[run]))
        if naive and len(found.get(NAIVE, ((), ()))[1]):
            level = found[NAIVE][1][-1]
    if level is not None:
        drawn.insert(0, Curve("naive", drawn[0].xs[:1], [level], "attention", dotted=True))
    version = (name, curves.version, tuple(roles.items()), log)
    x_kind = "span" if curves.x == "time" else "number"
    if drawn and (without := [run for run in curves.without if run in roles]):
        title += f" · {', '.join(without)}: no {_LOGGED[curves.x]}"
    along = ends(xs for run in roles for xs, _ in curves.runs.get(run, {}).values())
    return Picture(
        title, tuple(drawn), curves.x_name, log=log, version=version, along=along, x_kind=x_kind, empty=_empty(curves)
    )  # fmt: skip


def _empty(curves: Curves, otherwise: str = "no values yet") -> str:
    """Why nothing is drawn: there may be values, none of which has a place on this axis."""
    if not curves.without:
        return otherwise
    return named(f"no run logs {_LOGGED[curves.x]}: {{compare.x-axis}} goes on to the next x axis")
