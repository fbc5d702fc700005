"""Curves as braille dots: each dot column gets one vertical span, so cost follows width, not points."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

# Bits of a braille cell from the top: left dots 1 2 3 7, right dots 4 5 6 8 (Unicode block U+2800).
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_MASKS = tuple(
    tuple(tuple(sum(side[top : end + 1]) for end in range(4)) for top in range(4)) for side in _BITS
)  # [side][first dot][last dot]

Span = tuple[int, int]


FAR = 1e300
"""Values beyond are gaps: no axis can show them beside others, and their differences overflow."""


NEAR = 1e-290
"""What differs by less is the same: the quotient would overflow."""


def fine(value: float) -> bool:
    return -FAR < value < FAR


def spans(
    xs: Sequence[float],
    ys: Sequence[float],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    columns: int,
    rows: int,
) -> list[Span | None]:
    """The highest and lowest dot of a curve in each of 2 x columns dot columns; None where there is no curve.

    xs ascend. A value that is not fine breaks the line. What lies outside of the ranges is clipped. Neighbouring
    spans touch, so that a curve is connected whatever its slope.
    """
    wide, high = 2 * columns, 4 * rows
    low_x, high_x = x_range
    low_y, high_y = y_range
    scale_x = (wide - 1) / (high_x - low_x) if high_x - low_x > NEAR else 0.0
    scale_y = (high - 1) / (high_y - low_y) if high_y - low_y > NEAR else 0.0
    tops: list[float] = [math.inf] * wide
    ends: list[float] = [-math.inf] * wide
    before: tuple[float, float] | None = None
    for x, y in zip(xs, ys, strict=True):
        if not (fine(x) and fine(y)):
            before = None
            continue
        here = ((x - low_x) * scale_x, (high_y - y) * scale_y if scale_y else (high - 1) / 2)
        _join(before or here, here, tops, ends)
        before = here
    found: list[Span | None] = []
    for top, end in zip(tops, ends, strict=True):
        if top > end:  # nothing in this column
            found.append(None)
            continue
        # A dot that is only half covered belongs to the neighbour, so that lines are one dot thin.
        first, last = math.ceil(top - 0.499), math.floor(end + 0.499)
        if first > last:
            first = last = round((top + end) / 2)
        first, last = max(0, first), min(high - 1, last)
        found.append((first, last) if first <= last else None)
    return found


def _join(a: tuple[float, float], b: tuple[float, float], tops: list[float], ends: list[float]) -> None:
    """Extend the spans of all columns from a to b by the piece of the line that crosses them."""
    last = len(tops) - 1
    (ax, ay), (bx, by) = a, b
    first, final = round(ax), round(bx)
    if final < 0 or first > last:
        return
    if first == final:
        tops[first] = min(tops[first], ay, by)
        ends[first] = max(ends[first], ay, by)
        return
    slope = (by - ay) / (bx - ax)
    for column in range(max(0, first), min(last, final) + 1):
        enter = ay if column == first else ay + slope * (column - 0.5 - ax)
        leave = by if column == final else ay + slope * (column + 0.5 - ax)
        tops[column] = min(tops[column], enter, leave)
        ends[column] = max(ends[column], enter, leave)


class Canvas:
    """columns x rows cells. A later curve replaces the cells it touches, so that colours do not bleed."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._bits = [bytearray(columns) for _ in range(rows)]
        self._roles: list[list[str]] = [[""] * columns for _ in range(rows)]

    def draw(self, curve: Sequence[Span | None], role: str, *, dotted: bool = False) -> None:
        """Draw the spans of one curve; dotted leaves every other cell out."""
        fresh: dict[tuple[int, int], int] = {}
        for x, span in enumerate(curve):
            if span is None or (dotted and (x // 2) % 2):
                continue
            column, side = divmod(x, 2)
            first, last = span
            for row in range(first // 4, last // 4 + 1):
                mask = _MASKS[side][max(0, first - 4 * row)][min(3, last - 4 * row)]
                fresh[row, column] = fresh.get((row, column), 0) | mask
        for (row, column), mask in fresh.items():
            self._bits[row][column] = mask
            self._roles[row][column] = role

    def line(self, row: int) -> list[tuple[str, str]]:
        """The cells of one row as (text, role), neighbours of one role joined."""
        parts: list[tuple[str, str]] = []
        for bits, role in zip(self._bits[row], self._roles[row], strict=True):
            text = chr(0x2800 + bits) if bits else " "
            if parts and parts[-1][1] == role:
                parts[-1] = (parts[-1][0] + text, role)
            else:
                parts.append((text, role))
        return parts


def decimate(xs: Sequence[float], ys: Sequence[float], buckets: int) -> tuple[list[float], list[float]]:
    """At most 2 points a bucket, the lowest and the highest in their order; gaps stay gaps."""
    if len(xs) <= 2 * buckets:
        return list(xs), list(ys)
    kept_x: list[float] = []
    kept_y: list[float] = []
    size = len(xs)
    for bucket in range(buckets):
        start, stop = size * bucket // buckets, size * (bucket + 1) // buckets
        real = [i for i in range(start, stop) if fine(ys[i])]
        if not real:
            kept_x.append(xs[start])
            kept_y.append(math.nan)
            continue
        least, most = min(real, key=ys.__getitem__), max(real, key=ys.__getitem__)
        for i in sorted({least, most}):
            kept_x.append(xs[i])
            kept_y.append(ys[i])
    return kept_x, kept_y


# -- axes -----------------------------------------------------------------------------------------------------------


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart) from low to high, at most `most` of them."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low or most < 1:
        return [low] if math.isfinite(low) else []
    rough = (high - low) / max(1, most)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * 10
    for factor in (1, 2, 5, 10):
        step = factor * power
        if math.floor(high / step + 1e-9) - math.ceil(low / step - 1e-9) + 1 <= most:
            break
    start = math.ceil(low / step - 1e-9)
    stop = math.floor(high / step + 1e-9)
    return [i * step for i in range(start, stop + 1)]


def tick_labels(values: Sequence[float]) -> list[str]:
    """The shortest decimals that keep neighbours apart; thousands as k and M."""
    if not values:
        return []
    step = min((abs(b - a) for a, b in itertools.pairwise(values)), default=abs(values[0]) or 1.0)
    top = max(abs(v) for v in values)
    if top < 1e-4 or top >= 1e12:
        return ["0" if v == 0 else f"{v:.1e}" for v in values]
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if top >= 10 * limit or (top >= limit and step >= limit):
            return ["0" if v == 0 else _fixed(v / limit, step / limit) + unit for v in values]
    return [_fixed(v, step) for v in values]


def _fixed(value: float, step: float) -> str:
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return f"{value:.{min(decimals, 9)}f}"
