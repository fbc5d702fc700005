"""Curves as braille dots: each dot column gets one vertical span, so cost follows width, and no extreme is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # numpy takes 0.1 s and is only needed once there is a curve
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Dots = NDArray[np.int16]

FAR = 1e300
"""Values beyond are gaps: no axis can show them beside others, and their differences overflow."""
NEAR = 1e-290
"""What differs by less is the same: the quotient would overflow."""
_OUT = 1e12
"""Dots; further out of the canvas the slope of a line through it does not change any more."""


class Spans(NamedTuple):
    """For each dot column the highest and the lowest dot of a curve; last < first where there is none."""

    first: Dots
    last: Dots

    @property
    def there(self) -> NDArray[np.bool_]:
        return self.first <= self.last


class Extent(NamedTuple):
    low_x: float
    high_x: float
    low_y: float
    high_y: float


def fine(value: float) -> bool:
    return -FAR < value < FAR


def ordered(xs: Sequence[float], ys: Sequence[float]) -> tuple[Floats, Floats]:
    """xs and ys as arrays with ascending xs; points whose x is not fine are left out. Arrays that are so stay as is."""
    import numpy as np

    x, y = np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64)
    if len(x) and not ((x[1:] >= x[:-1]).all() and x[0] > -FAR and x[-1] < FAR):  # false where any is NaN, too
        known = np.abs(x) < FAR
        x, y = x[known], y[known]
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
    return x, y


def extent(x: Floats, y: Floats, *, log: bool = False, window: tuple[float, float] | None = None) -> Extent | None:
    """How far the points reach that can be shown; None if there are none. x ascends.

    window: only what lies there counts; when nothing does, the points beside it that a line is drawn between.
    """
    import numpy as np

    if window is not None:
        start, stop = int(np.searchsorted(x, window[0], "left")), int(np.searchsorted(x, window[1], "right"))
        if start == stop:
            start, stop = max(0, start - 1), stop + 1
        x, y = x[start:stop], y[start:stop]
    if not len(x):
        return None
    floor = 0.0 if log else -FAR
    low, high = np.fmin.reduce(y), np.fmax.reduce(y)
    if not (low > floor and high < FAR and y[0] == y[0] and y[-1] == y[-1]):
        good = (y > floor) & (y < FAR)
        if not good.any():
            return None
        x, y = x[good], y[good]
        low, high = y.min(), y.max()
    if log:
        low, high = np.log10(low), np.log10(high)
    return Extent(float(x[0]), float(x[-1]), float(low), float(high))


def spans(
    xs: Sequence[float] | Floats,
    ys: Sequence[float] | Floats,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    columns: int,
    rows: int,
    *,
    log: bool = False,
) -> Spans:
    """The dots of a curve on a canvas of columns x rows cells, 2 x 4 dots each: the extremes of every dot column.

    xs ascend. A value that is not fine breaks the line. What lies outside of the ranges is clipped. Neighbouring
    spans touch, so that a curve is connected whatever its slope. log: y_range is in powers of ten, and what has no
    logarithm is a gap.
    """
    import numpy as np

    x, y = np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64)
    wide, high = 2 * columns, 4 * rows
    low_x, high_y = x_range[0], y_range[1]
    scale_x = (wide - 1) / (x_range[1] - low_x) if x_range[1] - low_x > NEAR else 0.0
    scale_y = (high - 1) / (high_y - y_range[0]) if high_y - y_range[0] > NEAR else 0.0

    # Points place[c] to place[c + 1] lie in dot column c.
    edges = low_x + (np.arange(wide + 1) - 0.5) / scale_x if scale_x else np.array([-np.inf] + wide * [np.inf])
    place = np.searchsorted(x, edges)
    column = np.flatnonzero(place[1:] > place[:-1])
    starts = place[column]
    # A line goes from the last point of a column to the first of the next that has any, over those between.
    right = np.concatenate((starts, place[-1:]))
    a_column, b_column = np.concatenate(((-1,), column)), np.concatenate((column, (wide,)))
    if right[0] == 0 or right[-1] == len(x):
        inside = slice(int(right[0] == 0), len(right) - int(right[-1] == len(x)))
        right, a_column, b_column = right[inside], a_column[inside], b_column[inside]
    with np.errstate(all="ignore"):
        floor = 0.0 if log else -FAR
        shown = y[: place[-1]]
        greatest = least = y[:0]
        if len(starts):
            # fmin and fmax pass over NaN, and are as fast as minimum and maximum.
            greatest, least = np.fmax.reduceat(shown, starts), np.fmin.reduceat(shown, starts)
            if np.fmin.reduce(least) <= floor or np.fmax.reduce(greatest) >= FAR:
                good = (shown > floor) & (shown < FAR)
                greatest = np.maximum.reduceat(np.where(good, shown, -np.inf), starts)
                least = np.minimum.reduceat(np.where(good, shown, np.inf), starts)
        left_y, right_y = y[right - 1], y[right]
        values = np.concatenate((greatest, least, left_y, right_y))
        gone = ~((values > floor) & (values < FAR))
        if scale_y:
            dots = np.minimum(np.maximum((high_y - (np.log10(values) if log else values)) * scale_y, -_OUT), _OUT)
        else:
            dots = np.full(len(values), (high - 1) / 2)
        dots[gone] = np.nan
        some, lines = len(starts), len(right)
        tops, ends = np.full(wide, np.inf), np.full(wide, -np.inf)
        tops[column], ends[column] = dots[:some], dots[some : 2 * some]
        ay, by = dots[2 * some : 2 * some + lines], dots[2 * some + lines :]
        ax, bx = np.minimum(np.maximum((x[np.concatenate((right - 1, right))] - low_x) * scale_x, -_OUT), _OUT).reshape(
            2, lines
        )
        first = np.maximum(a_column, 0)
        count = np.minimum(b_column, wide - 1) - first + 1
        count[np.isnan(ay + by)] = 0
        line = np.repeat(np.arange(lines), count)
        crossed = np.arange(len(line)) + (first - np.cumsum(count) + count)[line]
        slope, base = (by - ay) / (bx - ax), ay - (by - ay) / (bx - ax) * ax
        enter = np.where(crossed == a_column[line], ay[line], base[line] + slope[line] * (crossed - 0.5))
        leave = np.where(crossed == b_column[line], by[line], base[line] + slope[line] * (crossed + 0.5))
        np.fmin.at(tops, crossed, np.fmin(enter, leave))
        np.fmax.at(ends, crossed, np.fmax(enter, leave))
    return _rounded(tops, ends, high)


def _rounded(tops: Floats, ends: Floats, high: int) -> Spans:
    """A dot that is only half covered belongs to the neighbour, so that lines are one dot thin."""
    import numpy as np

    there = tops <= ends  # not where there is nothing (inf, -inf), nor where there are gaps alone (nan)
    top, end = np.where(there, tops, 0.0), np.where(there, ends, 0.0)
    first, last = np.ceil(top - 0.499), np.floor(end + 0.499)
    thin = first > last
    first[thin] = last[thin] = np.rint((top[thin] + end[thin]) / 2)
    first, last = np.maximum(first, 0), np.minimum(last, high - 1)
    there &= first <= last
    first[~there], last[~there] = 0, -1
    return Spans(first.astype(np.int16), last.astype(np.int16))


# Bits of a braille cell from the top: left dots 1 2 3 7, right dots 4 5 6 8 (Unicode block U+2800).
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


class Canvas:
    """columns x rows cells. A later curve replaces the cells it touches, so that colours do not bleed.

    Behind the dots each cell has a ground, which dots do not change.
    """

    def __init__(self, columns: int, rows: int) -> None:
        import numpy as np

        self.columns, self.rows = columns, rows
        self._bits = np.zeros((rows, columns), dtype=np.uint8)
        self._role = np.zeros((rows, columns), dtype=np.uint8)
        self._ground = np.zeros((rows, columns), dtype=np.uint8)
        self._roles, self._grounds = [""], [""]
        self._dots = np.arange(4 * rows, dtype=np.int16)[:, None]

    def draw(self, curve: Spans, role: str, *, dotted: bool = False) -> None:
        """Draw the spans of one curve; dotted leaves every other cell out."""
        import numpy as np

        there = curve.there
        if not there.any():
            return
        rows = slice(int(curve.first[there].min()) // 4, int(curve.last[there].max()) // 4 + 1)
        dots = self._dots[4 * rows.start : 4 * rows.stop]
        lit = ((dots >= curve.first) & (dots <= curve.last)).view(np.uint8)
        bits = np.zeros_like(self._bits[rows])
        for side, column in enumerate(_BITS):
            for row, bit in enumerate(column):
                bits |= lit[row::4, side::2] * np.uint8(bit)
        if dotted:
            bits[:, 1::2] = 0
        touched = bits > 0
        np.copyto(self._bits[rows], bits, where=touched)
        self._role[rows][touched] = _number(self._roles, role)

    def upright(self, dot: int, role: str) -> None:
        """A line from top to bottom in one dot column."""
        import numpy as np

        there = np.arange(2 * self.columns) == dot
        self.draw(Spans(np.where(there, 0, 0), np.where(there, 4 * self.rows - 1, -1)), role)

    def fill(self, over: Spans, under: Spans, role: str) -> None:
        """Give the cells a ground whose middle lies between two curves."""
        import numpy as np

        middle = 4 * np.arange(self.rows)[:, None] + 1.5
        inside = (middle >= over.first) & (middle <= under.last) & over.there & under.there
        self._ground[inside[:, 0::2] | inside[:, 1::2]] = _number(self._grounds, role)

    def shade(self, first: int, last: int, role: str) -> None:
        """Give whole columns of cells a ground, both ends included."""
        self._ground[:, max(0, first) : max(0, last + 1)] = _number(self._grounds, role)

    def lines(self) -> list[list[tuple[str, str]]]:
        """The cells of each row as (text, role), neighbours of one look joined; on a ground `role on ground`."""
        import numpy as np

        if not self.columns:
            return [[] for _ in range(self.rows)]
        bits = self._bits
        codes = np.where(bits, 0x2800 + bits.astype(np.uint32), 0x20).astype("<u4")
        # An empty cell looks the same in any role: it goes with the one before it.
        seen = np.maximum.accumulate(np.where(bits, np.arange(self.columns), 0), axis=1)
        look = np.take_along_axis(self._role, seen, 1) * np.uint16(256) + self._ground
        changes = (np.flatnonzero(look[:, 1:] != look[:, :-1])).tolist()
        text = codes.tobytes().decode("utf-32-le")
        found: list[list[tuple[str, str]]] = [[] for _ in range(self.rows)]
        # Places in the whole text at which a part ends: where the look changes, and at the ends of the rows.
        width = self.columns
        stops = sorted([at // (width - 1) * width + at % (width - 1) + 1 for at in changes] if width > 1 else [])
        stops = sorted({*stops, *range(width, width * self.rows + 1, width)})
        looks, start = look.ravel(), 0
        for stop in stops:
            role, under = divmod(int(looks[start]), 256)
            found[start // width].append((text[start:stop], _on(self._roles[role], self._grounds[under])))
            start = stop
        return found


def _on(role: str, ground: str) -> str:
    return f"{role or 'text'} on {ground}" if ground else role


def _number(names: list[str], name: str) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)
