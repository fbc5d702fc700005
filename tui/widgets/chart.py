"""A chart of a few curves with a legend and axes, drawn once per change and then only looked up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from engine import braille
from tui import present
from tui.present import Part
from tui.theme import palette_of
from tui.widgets.strips import strip


@dataclass(frozen=True)
class Curve:
    """role: its colour. dotted: a level to compare with. quiet: drawn, but not in the legend."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    role: str
    dotted: bool = False
    quiet: bool = False

    @property
    def last(self) -> float | None:
        return next((y for y in reversed(self.ys) if braille.fine(y)), None)


@dataclass(frozen=True)
class Picture:
    """What a chart shows. `version` changes with the data: equal versions are not drawn again."""

    title: str
    curves: tuple[Curve, ...] = ()
    x_name: str = "step"
    log: bool = False
    seams: tuple[float, ...] = ()
    """Where on the x axis a further attempt at the run began: a faint line from top to bottom."""
    empty: str = "no values yet"
    version: object = None


class Chart(Widget):
    """Draws the last Picture it was given."""

    def __init__(self, title: str, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._picture = Picture(title)
        self._drawn: tuple[object, ...] = ()
        self._version = 0
        self._lines: list[list[Part]] = []
        self._strips: dict[int, Strip] = {}

    @property
    def picture(self) -> Picture:
        return self._picture

    def show(self, picture: Picture) -> None:
        if picture.version is None or picture.version != self._picture.version or picture.title != self._picture.title:
            self._picture = picture
            self._version += 1
            self._redraw()

    def _redraw(self) -> None:
        """Draw anew and have only those lines painted that came out differently."""
        before, (width, height) = self._lines, self.size
        self._lines = draw(self._picture, width, height)
        if len(before) != len(self._lines):
            self._strips = {}
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if old != new:
                self._strips.pop(y, None)
                self.refresh(Region(0, y, width, 1))
        self._drawn = (self._version, *self._drawn[1:])

    def render_line(self, y: int) -> Strip:
        palette = palette_of(self)
        width, height = self.size
        base = self.rich_style
        drawn = (self._version, width, height, palette, base)
        if self._drawn != drawn:
            if drawn[:3] != self._drawn[:3]:
                self._lines = draw(self._picture, width, height)
            self._drawn = drawn
            self._strips = {}
        if y not in self._strips:
            parts = self._lines[y] if y < len(self._lines) else []
            self._strips[y] = strip(parts, palette, width, base)
        return self._strips[y]


def draw(picture: Picture, width: int, height: int) -> list[list[Part]]:
    """All lines of a chart: the legend, the plot with its y axis, the x axis and its labels."""
    curves = [_prepared(curve, picture.log) for curve in picture.curves]
    lines: list[list[Part]] = [_legend(picture)]
    rows = height - 3
    box = _range(curves, log=picture.log)
    if box is None or rows < 2 or width < 16:
        middle = (height - 1) // 2
        lines += [[] for _ in range(max(0, middle - 1))]
        if box is None:
            lines.append([(picture.empty.center(width), "rest")])
        return lines
    x_range, y_range = box
    values = _y_ticks(y_range, rows, picture.log)
    labels = [present.number(10 ** min(v, 300)) for v in values] if picture.log else braille.tick_labels(values)
    gutter = max((len(label) for label in labels), default=0)
    columns = width - gutter - 2
    canvas = braille.Canvas(columns, rows)
    for seam in picture.seams:
        if x_range[0] < seam < x_range[1]:
            upright = braille.spans([seam, seam], list(y_range), x_range, y_range, columns, rows)
            canvas.draw(upright, "faint")
    for curve in curves:
        xs, ys = braille.decimate(curve.xs, curve.ys, 2 * columns)
        canvas.draw(braille.spans(xs, ys, x_range, y_range, columns, rows), curve.role, dotted=curve.dotted)
    at_row = {}
    for value, label in zip(values, labels, strict=True):
        at_row[round((y_range[1] - value) / (y_range[1] - y_range[0]) * (4 * rows - 1)) // 4] = label
    for row in range(rows):
        label = at_row.get(row, "")
        lines.append([(f"{label:>{gutter}}", "rest"), (" ┤" if label else " │", "line"), *_ink(canvas.line(row))])
    return [*lines, *_x_axis(x_range, picture.x_name, gutter, columns)]


def _ink(parts: list[Part]) -> list[Part]:
    return [(text, role or "text") for text, role in parts]


def _prepared(curve: Curve, log: bool) -> Curve:
    if not log:
        return curve
    ys = [math.log10(y) if y > 0 else math.nan for y in curve.ys]
    return Curve(curve.name, curve.xs, ys, curve.role, curve.dotted, curve.quiet)


def _legend(picture: Picture) -> list[Part]:
    parts: list[Part] = [(picture.title, "strong")]
    if picture.log:
        parts.append((" log", "rest"))
    for curve in picture.curves:
        if curve.last is not None and not curve.quiet:
            parts += [
                ("  ╍ " if curve.dotted else "  ━ ", curve.role),
                (f"{curve.name} " if curve.name else "", "rest"),
                (present.number(curve.last), f"{curve.role} bold"),
            ]
    if picture.seams:
        parts.append((f"  │ attempt {len(picture.seams) + 1}", "rest"))
    return parts


def _range(curves: Sequence[Curve], *, log: bool) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """What to show: all finite points with a little air above and below; None if there are none."""
    points = [(x, y) for c in curves for x, y in zip(c.xs, c.ys, strict=True) if braille.fine(x) and braille.fine(y)]
    if not points:
        return None
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = min(y for _, y in points), max(y for _, y in points)
    span = high_y - low_y
    air = 0.04 * span if span > braille.NEAR else 0.1 if log else max(0.05 * abs(high_y), 1e-9 if high_y else 0.5)
    bottom = low_y - air
    if low_y >= 0 > bottom and not log:
        bottom = 0.0
    return (low_x, _ahead(low_x, high_x)), (bottom, high_y + air)


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
        return braille.ticks(*y_range, most)
    low, high = math.floor(y_range[0]), math.ceil(y_range[1])
    found = [e + part for e in range(low, high + 1) for part in (0.0, math.log10(2), math.log10(5))]
    found = [v for v in found if y_range[0] <= v <= y_range[1]]
    whole = [v for v in found if v == int(v)]
    return found if len(found) <= most else whole[:: max(1, math.ceil(len(whole) / most))]


def _x_axis(x_range: tuple[float, float], name: str, gutter: int, columns: int) -> list[list[Part]]:
    """The axis with its ticks, and round numbers under them; the last one carries what x is."""
    values = braille.ticks(*x_range, max(2, columns // 12))
    labels = braille.tick_labels(values)
    axis = ["─"] * columns
    text = [" "] * (columns + 1)
    free = 0
    limit = columns - cell_len(name) - 1
    for value, label in zip(values, labels, strict=True):
        at = round((value - x_range[0]) / (x_range[1] - x_range[0]) * (columns - 1))
        start = min(max(0, at - len(label) // 2), columns + 1 - len(label))
        if start < free or start + len(label) > limit:
            continue
        axis[at] = "┬"
        text[start : start + len(label)] = label
        free = start + len(label) + 2
    text[columns + 1 - len(name) :] = name
    pad = " " * gutter
    return [
        [(f"{pad} └{''.join(axis)}", "line")],
        [(f"{pad} {''.join(text)}", "rest")],
    ]
