"""Pictures of curves as lines of text: a legend, a plot of braille dots with its axes; pure functions."""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field
from rich.cells import cell_len

from engine import braille, ticks
from tui import present
from tui.present import Part

if TYPE_CHECKING:
    from engine.braille import Floats

LEAST_ROWS, LEAST_WIDTH = 2, 16
"""Of the plot and of the chart; below there is only a legend."""
LONE = 3
"""Dots to each side of a point that has no other beside it."""


class Curve(Struct, frozen=True, dict=True):
    """role: its colour. quiet: drawn, but not in the legend.

    dotted: a level to compare with; that of a single point goes from end to end of the chart.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    role: str
    dotted: bool = False
    quiet: bool = False

    @cached_property
    def arrays(self) -> tuple[Floats, Floats]:
        """xs and ys with ascending xs."""
        return braille.ordered(self.xs, self.ys)

    @property
    def last(self) -> float | None:
        return next((y for y in reversed(self.ys) if braille.fine(y)), None)

    def at(self, x: float) -> float | None:
        """The value of the point that is nearest; None beyond the ends and at a gap. A level's is one everywhere."""
        xs, ys = self.arrays
        if self.dotted and len(xs) == 1:
            return self.last
        if not len(xs) or not xs[0] <= x <= xs[-1]:
            return None
        after = int(xs.searchsorted(x))
        near = after if after == 0 or xs[after] - x < x - xs[after - 1] else after - 1
        value = float(ys[near])
        return value if braille.fine(value) else None


class Band(Struct, frozen=True, dict=True):
    """The room between two curves, such as two quantiles: a ground behind the curves, with edges of its role."""

    xs: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    role: str = "faint"
    name: str = ""

    @cached_property
    def under(self) -> Curve:
        return Curve("", self.xs, self.low, self.role)

    @cached_property
    def over(self) -> Curve:
        return Curve("", self.xs, self.high, self.role)


class Picture(Struct, frozen=True, dict=True):
    """What a chart shows. `version` changes with the data: equal versions are not drawn again."""

    title: str
    curves: tuple[Curve, ...] = ()
    x_name: str = "step"
    log: bool = False
    seams: tuple[float, ...] = ()
    """Where on the x axis a further attempt at the run began: a faint line from top to bottom."""
    empty: str = "no values yet"
    version: object = None
    bands: tuple[Band, ...] = ()
    shows: tuple[float, ...] = ()
    """Values of y that are always in sight: 0 and 100 of a share, or none."""
    along: tuple[float, float] | None = None
    """The least and the greatest x that are in sight with its curves: those of the charts beside it."""
    x_kind: str = "number"
    """number; span: seconds since a start; time: unix seconds by the clock here; date: unix seconds in UTC."""

    @cached_property
    def reach(self) -> tuple[float, float] | None:
        """From the first to the last x of all that is drawn; None when there is nothing."""
        every = [c for c in (*self.curves, *(band.over for band in self.bands)) if len(c.xs)]
        found = [e for curve in every if (e := braille.extent(*curve.arrays, log=self.log)) is not None]
        return _across(self, found) if found else None


class View(Struct, frozen=True):
    """How charts that belong together are looked at. All in units of x.

    window: what is shown, None for everything. at: where the crosshair is. picked: what the mouse is just marking.
    over: where the pointer is; without a crosshair the values there are told.
    """

    window: tuple[float, float] | None = None
    at: float | None = None
    picked: tuple[float, float] | None = None
    over: float | None = None

    @property
    def told(self) -> float | None:
        """Where values are told, and an upright line is."""
        return self.over if self.at is None else self.at


EVERYTHING = View()


class Drawn(Struct, frozen=True):
    """Lines of parts, and where in them the plot is: its first column, its width in cells, and what x it spans."""

    lines: list[list[Part]] = field(default_factory=list)
    left: int = 0
    columns: int = 0
    x_range: tuple[float, float] = (0.0, 0.0)

    def x_of(self, column: int) -> float:
        """The x in the middle of a column of the widget, held to the plot."""
        place = min(max(0, column - self.left), self.columns - 1)
        low, high = self.x_range
        return low + (2 * place + 0.5) / max(1, 2 * self.columns - 1) * (high - low)


def draw(picture: Picture, width: int, height: int, view: View = EVERYTHING) -> list[list[Part]]:
    """All lines of a chart: the legend, the plot with its y axis, the x axis and its labels."""
    return lay_out(picture, width, height, view).lines


def lay_out(picture: Picture, width: int, height: int, view: View = EVERYTHING) -> Drawn:
    """Draw a chart; its cost follows from its size, and little from how many points there are."""
    rows = height - 3
    box = _box(picture, view.window)
    lines: list[list[Part]] = [legend(picture, width, view.told if box else None)]
    if box is None or rows < LEAST_ROWS or width < LEAST_WIDTH:
        middle = (height - 1) // 2
        lines += [[] for _ in range(max(0, middle - 1))]
        if box is None:
            lines += [[(line.center(width), "rest")] for line in textwrap.wrap(picture.empty, max(10, width))]
        return Drawn(lines)
    x_range, y_range = box
    values = _y_ticks(y_range, rows, picture.log)
    labels = [present.number(10 ** min(v, 300)) for v in values] if picture.log else ticks.tick_labels(values)
    gutter = max((len(label) for label in labels), default=0)
    columns = width - gutter - 2
    at_row = {}
    for value, label in zip(values, labels, strict=True):
        at_row[round((y_range[1] - value) / (y_range[1] - y_range[0]) * (4 * rows - 1)) // 4] = label
    for row, inked in enumerate(_plot(picture, view, x_range, y_range, columns, rows)):
        label = at_row.get(row, "")
        lines.append([(f"{label:>{gutter}}", "rest"), (" ┤" if label else " │", "line"), *inked])
    lines += _x_axis(picture, x_range, gutter, columns, view.told)
    return Drawn(lines, gutter + 2, columns, x_range)


def _plot(
    picture: Picture, view: View, x_range: tuple[float, float], y_range: tuple[float, float], columns: int, rows: int
) -> list[list[Part]]:
    """In painter's order: grounds, upright lines, the edges of bands, curves; the first curve lies on top of none."""
    canvas = braille.Canvas(columns, rows)

    def dots(curve: Curve) -> braille.Spans:
        xs, ys = curve.arrays
        if len(xs) == 1:  # a single dot is not seen: a dash, or a level from end to end
            x, half = float(xs[0]), LONE * (x_range[1] - x_range[0]) / (2 * columns)
            ends = x_range if curve.dotted else (max(x_range[0], x - half), min(x_range[1], x + half))
            xs, ys = braille.ordered(ends, (float(ys[0]),) * 2)
        return braille.spans(xs, ys, x_range, y_range, columns, rows, log=picture.log)

    def dot(x: float) -> int:
        return round((x - x_range[0]) / (x_range[1] - x_range[0]) * (2 * columns - 1))

    edges = [(dots(band.over), dots(band.under), band.role) for band in picture.bands]
    for over, under, _ in edges:
        canvas.fill(over, under, "band")
    if view.picked is not None:
        start, end = (dot(min(max(x, x_range[0]), x_range[1])) // 2 for x in sorted(view.picked))
        canvas.shade(start, end, "cursor")
    for seam in picture.seams:
        if x_range[0] < seam < x_range[1]:
            canvas.upright(dot(seam), "faint")
    for over, under, role in edges:
        canvas.draw(over, role)
        canvas.draw(under, role)
    if view.told is not None and x_range[0] <= view.told <= x_range[1]:
        canvas.shade(dot(view.told) // 2, dot(view.told) // 2, "cursor")
        canvas.upright(dot(view.told), "rest" if view.at is not None else "faint")
    for curve in picture.curves:
        if len(curve.xs):
            canvas.draw(dots(curve), curve.role, dotted=curve.dotted)
    return [[(text, role or "text") for text, role in line] for line in canvas.lines()]


# -- legend ---------------------------------------------------------------------------------------------------------


def legend(picture: Picture, width: int, at: float | None = None) -> list[Part]:
    """The title, and for each curve its sign, its name and its value, the last one or that at the crosshair.

    What does not fit is counted: +3.
    """
    parts: list[Part] = [(picture.title, "strong")]
    if picture.log:
        parts.append((" log", "rest"))
    entries = [_entry(curve, at) for curve in picture.curves if not curve.quiet]
    entries += [[("  ░ ", band.role), (band.name, "rest")] for band in picture.bands if band.name]
    if picture.seams:
        entries.append([(f"  │ attempt {len(picture.seams) + 1}", "rest")])
    entries = [entry for entry in entries if entry]
    free = width - sum(cell_len(text) for text, _ in parts)
    for i, entry in enumerate(entries):
        size = sum(cell_len(text) for text, _ in entry)
        left = len(entries) - i - 1
        if size > free - (5 if left else 0) and i:
            parts.append((f"  +{left + 1}", "rest"))
            break
        parts += entry
        free -= size
    return parts


def _entry(curve: Curve, at: float | None) -> list[Part]:
    value = curve.last
    if value is None:
        return []
    if at is not None:
        value = curve.at(at)
    sign = ("  ╍ " if curve.dotted else "  ━ ", curve.role)
    name = (f"{curve.name} " if curve.name else "", "rest")
    bold = f"{curve.role} bold"
    return [sign, name, (present.number(value), bold) if value is not None else (present.NONE, "rest")]


# -- axes -----------------------------------------------------------------------------------------------------------


def _box(
    picture: Picture, window: tuple[float, float] | None
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """What to show: all finite points with a little air above and below; None if there are none."""
    every = [c for c in (*picture.curves, *(c for b in picture.bands for c in (b.over, b.under))) if len(c.xs)]
    log = picture.log
    found = [e for curve in every if (e := braille.extent(*curve.arrays, log=log, window=window)) is not None]
    if not found:
        return None
    low_x, high_x = _across(picture, found)
    low_y = min(*(e.low_y for e in found), *(shows := tuple(filter(math.isfinite, picture.shows))), math.inf)
    high_y = max(*(e.high_y for e in found), *shows, -math.inf)
    span = high_y - low_y
    air = 0.04 * span if span > braille.NEAR else 0.1 if log else max(0.05 * abs(high_y), 1e-9 if high_y else 0.5)
    bottom = low_y - air
    if low_y >= 0 > bottom and not log:
        bottom = 0.0
    x_range = window if window is not None and window[1] - window[0] > braille.NEAR else (low_x, _ahead(low_x, high_x))
    if x_range[0] == high_x:  # a lone point stands in the middle, not on the axis
        x_range = (2 * low_x - x_range[1], x_range[1])
    return x_range, (bottom, high_y + air)


def _across(picture: Picture, found: Sequence[braille.Extent]) -> tuple[float, float]:
    """From the least to the greatest x of what was found of its curves and of what stands beside it."""
    ends = [*(picture.along or ()), *(x for e in found for x in (e.low_x, e.high_x))]
    return min(ends), max(ends)


def _ahead(low: float, high: float) -> float:
    """A little more room to the right, in round steps: a growing curve then moves its old part only now and then."""
    if high - low <= braille.NEAR:
        return low + max(1.0, abs(low) * 1e-6)
    step = 10.0 ** math.floor(math.log10((high - low) / 10))
    step *= next(factor for factor in (1, 2, 5, 10) if factor * step * 40 >= high - low)
    return low + math.ceil((high - low) / step - 1e-9) * step


def _y_ticks(y_range: tuple[float, float], rows: int, log: bool) -> list[float]:
    most = max(2, rows // 2 if rows < 14 else rows // 3)
    if not log or y_range[1] - y_range[0] < 1:  # under a decade round exponents say little, so does one tick
        return ticks.ticks(*y_range, most)
    low, high = math.floor(y_range[0]), math.ceil(y_range[1])
    found = [e + part for e in range(low, high + 1) for part in (0.0, math.log10(2), math.log10(5))]
    found = [v for v in found if y_range[0] <= v <= y_range[1]]
    whole = [v for v in found if v == int(v)]
    return found if len(found) <= most else whole[:: max(1, math.ceil(len(whole) / most))]


def _x_axis(
    picture: Picture, x_range: tuple[float, float], gutter: int, columns: int, at: float | None
) -> list[list[Part]]:
    """The axis with its ticks, and round numbers under them; the last one carries what x is.

    Under the crosshair stands where it is.
    """
    most = max(3, columns // 12)
    if picture.x_kind == "span":
        marks = ticks.spans(*x_range, most)
    elif picture.x_kind in ("time", "date"):
        marks = ticks.dates(*x_range, most, utc=picture.x_kind == "date")
    else:
        values = ticks.ticks(*x_range, most)
        marks = list(zip(values, ticks.tick_labels(values), strict=True))
    axis = ["─"] * columns
    text = [" "] * (columns + 1)
    name = picture.x_name
    limit = columns - cell_len(name) - 1 if name else columns + 1
    text[columns + 1 - len(name) :] = name
    free = 0
    here, first, last = "", 0, -1
    if at is not None and x_range[0] <= at <= x_range[1]:
        here = f" {x_text(at, picture.x_kind)} "
        middle = round((at - x_range[0]) / (x_range[1] - x_range[0]) * (2 * columns - 1)) // 2
        axis[middle] = "┴"
        first = min(max(0, middle - len(here) // 2), max(0, columns + 1 - len(here)))
        last = first + len(here) - 1
        if last >= limit:  # part of a name says nothing
            text[columns + 1 - len(name) :] = " " * len(name)
    for value, label in marks:
        place = round((value - x_range[0]) / (x_range[1] - x_range[0]) * (columns - 1))
        start = min(max(0, place - len(label) // 2), columns + 1 - len(label))
        if start < free or start + len(label) > limit or (here and start <= last + 1 and start + len(label) >= first):
            continue
        if axis[place] == "─":
            axis[place] = "┬"
        text[start : start + len(label)] = label
        free = start + len(label) + 2
    pad = " " * gutter
    under: list[Part] = [(f"{pad} {''.join(text)}", "rest")]
    if here:
        whole = f"{pad} {''.join(text)}"
        start = gutter + 1 + first
        under = [(whole[:start], "rest"), (here, "badge"), (whole[start + len(here) :], "rest")]
    return [[(f"{pad} └{''.join(axis)}", "line")], under]


def x_text(value: float, kind: str) -> str:
    """One place on an x axis: 9,180; 16.72; 1h 20m; 2026-11-03; 14:02:11."""
    if kind == "span":
        return ticks.span(value)
    if kind == "date":
        when = time.gmtime(value)
        return time.strftime("%Y-%m-%d" if value % ticks.DAY == 0 else "%Y-%m-%d %H:%M", when)
    if kind == "time":
        return time.strftime("%m-%d %H:%M:%S", time.localtime(value))
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
