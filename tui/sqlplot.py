"""A result as a picture: its first number or time is x, the other numbers are curves, a text parts them. Pure."""

from __future__ import annotations

import datetime
import math
from typing import Any

from engine.store_sql import Answer
from engine.thinning import decimate
from tui.charts import Curve, Picture
from tui.sql import is_number, is_time

CURVES = 8
"""More are told, not drawn: nobody could tell them apart."""
POINTS = 2000
"""Stretches of x that keep their extremes; more than any terminal has dots."""
ROLES = ("ours", "second", "good", "attention", "spark", "trouble", "strong", "rest")


def picture(answer: Answer, version: object) -> Picture:
    """Give a picture that says itself why there is nothing to draw; of many rows it takes a while: in a worker."""
    numbers = [place for place, type_ in enumerate(answer.types) if is_number(type_)]
    times = [place for place, type_ in enumerate(answer.types) if is_time(type_)]
    texts = [place for place, type_ in enumerate(answer.types) if type_ == "VARCHAR"]
    if not numbers:
        return Picture("result", empty="nothing to draw: no column holds numbers", version=version)
    along = min([*times, *numbers]) if len(numbers) > 1 or times else None
    ys = [place for place in numbers if place != along]
    parts = _parting(answer, texts)
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for number, row in enumerate(answer.rows):
        x = float(number) if along is None else _number(row[along])
        for y in ys:
            name = answer.names[y]
            if parts is not None:
                name = str(row[parts]) if len(ys) == 1 else f"{row[parts]} {name}"
            xs, values = curves.setdefault(name, ([], []))
            xs.append(x)
            values.append(_number(row[y]))
    start = 0.0
    x_name = "row" if along is None else answer.names[along]
    if along in times:
        start = min((x for xs, _ in curves.values() for x in xs if math.isfinite(x)), default=0.0)
        x_name = f"{x_name}, seconds"
    drawn = [
        Curve(name, *decimate(*_sorted([x - start for x in xs], values), POINTS), ROLES[place])
        for place, (name, (xs, values)) in enumerate(list(curves.items())[:CURVES])
    ]
    more = len(curves) - len(drawn)
    title = ", ".join(answer.names[y] for y in ys[:3]) + (" …" if len(ys) > 3 else "")
    title += f" (first {CURVES} of {len(curves)} curves)" if more else ""
    return Picture(title, tuple(drawn), x_name, empty="no values", version=version)


def _parting(answer: Answer, texts: list[int]) -> int | None:
    """The text that parts the curves: the first with few values; else that with the fewest, where they come again."""
    rows = answer.rows[:2000]
    counts = {place: len({row[place] for row in rows}) for place in texts}
    few = [place for place, count in counts.items() if 1 < count <= CURVES]
    again = [place for place, count in counts.items() if CURVES < count <= len(rows) // 2]
    return few[0] if few else min(again, key=counts.__getitem__, default=None)


def _number(value: Any) -> float:
    """NaN, which is drawn as a gap, where there is none."""
    if value is None:
        return math.nan
    if isinstance(value, datetime.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
        return aware.timestamp()
    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC).timestamp()
    return float(value)


def _sorted(xs: list[float], ys: list[float]) -> tuple[list[float], list[float]]:
    """By x: a query without ORDER BY gives its rows as they come."""
    pairs = sorted((pair for pair in zip(xs, ys, strict=True) if math.isfinite(pair[0])), key=lambda pair: pair[0])
    return [x for x, _ in pairs], [y for _, y in pairs]
