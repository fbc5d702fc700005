"""The plan of a queue as a chart in text: a lane for each device, time from left to right, `?` where nobody knows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from engine.records import LIVE, Plan, Turn

TICKS = (
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    86400,
    172800,
    604800,
    1209600,
    2592000,
    7776000,
)
"""Seconds between two times on the axis."""
LEAST = 600.0
"""Seconds that the axis shows at least."""
UNKNOWN_SHARE = 0.18
"""Part of the axis that is added for what has no known end, so that it is seen to go on."""
GREEN, CYAN, DIM = "32", "36", "2"


class Bar(NamedTuple):
    """left, right: columns, right excluded. open: its end is not known."""

    turn: Turn
    left: int
    right: int
    open: bool


class Lane(NamedTuple):
    label: str
    bars: list[Bar]


def chart(plan: Plan, width: int, *, colour: bool = False) -> str:
    """Draw the plan so many columns wide."""
    lanes = _lanes(plan)
    if not lanes:
        return ""
    margin = max(len(label) for label, _ in lanes) + 2
    room = max(20, width - margin)
    seconds = _seconds(plan)
    text = [_axis(plan.now, seconds, room, margin, colour)]
    for label, turns in lanes:
        lane = Lane(label, [bar for turn in turns if (bar := _bar(turn, plan.now, seconds, room))])
        text += _draw(lane, room, margin, colour)
    return "\n".join(line.rstrip() for line in text) + "\n"


def _seconds(plan: Plan) -> float:
    """How much time the axis shows."""
    known = [turn.end for turn in plan.turns if turn.end is not None]
    starts = [turn.start for turn in plan.turns if turn.start is not None]
    last = max([*known, *starts, plan.now + LEAST]) - plan.now
    is_open = any(turn.start is not None and turn.end is None for turn in plan.turns)
    return last * (1 + UNKNOWN_SHARE) if is_open else last


def _lanes(plan: Plan) -> list[tuple[str, list[Turn]]]:
    """Put each run with a start on its devices; runs that are on one at the same time lie below each other."""
    found: list[tuple[str, list[Turn]]] = []
    cpu = [turn for turn in plan.turns if turn.start is not None and turn.labels == ("CPU",)]
    names = [*plan.lanes]
    names += sorted({label for turn in plan.turns for label in turn.labels if turn.start is not None} - {*names, "CPU"})
    for name in names:
        rows = _pack([turn for turn in plan.turns if turn.start is not None and name in turn.labels]) or [[]]
        found += [(name if i == 0 else "", row) for i, row in enumerate(rows)]
    if cpu:
        rows = _pack(cpu)
        found += [(f"CPU {i + 1}" if plan.cpu_slots > 1 else "CPU", row) for i, row in enumerate(rows)]
    return found


def _pack(turns: Sequence[Turn]) -> list[list[Turn]]:
    """Lay runs into as few rows as hold them one after the other."""
    rows: list[list[Turn]] = []
    for turn in sorted(turns, key=lambda turn: (turn.state not in LIVE, turn.start or 0.0, turn.place or 0)):
        for row in rows:
            end = row[-1].end
            if end is not None and end <= (turn.start or 0.0) + 1e-6:
                row.append(turn)
                break
        else:
            rows.append([turn])
    return rows


def _bar(turn: Turn, now: float, seconds: float, room: int) -> Bar | None:
    assert turn.start is not None
    left = round(max(0.0, turn.start - now) / seconds * room)
    right = room if turn.end is None else round((turn.end - now) / seconds * room)
    left = min(left, room - 1)
    return Bar(turn, left, min(room, max(left + 1, right)), turn.end is None)


def _draw(lane: Lane, room: int, margin: int, colour: bool) -> list[str]:
    """Two lines: the names, and the bars below them. A bar too narrow for its run's id shows the number, or nothing."""
    names, cells = [" "] * room, [" "] * room
    inks = [""] * room
    for bar in lane.bars:
        turn, size = bar.turn, bar.right - bar.left
        live = turn.state in LIVE
        stroke = "━" if live else "─"
        ink = GREEN if live else CYAN
        for column in range(bar.left, bar.right):
            cells[column], inks[column] = stroke, ink
        if not live and size > 1:
            cells[bar.left] = "├"
        if bar.open:
            for column in range(max(bar.left + 1, bar.right - max(4, size // 3)), bar.right):
                cells[column] = "╌" if not live else "╍"
            cells[bar.right - 1] = "?"
        elif size > 1:
            cells[bar.right - 1] = "┥" if live else "┤"
        name = _name(turn, size)
        names[bar.left : bar.left + len(name)] = name
    return [
        f"{lane.label:<{margin}}" + "".join(names),
        " " * margin + _inked(cells, inks, colour),
    ]


def _name(turn: Turn, size: int) -> str:
    """What fits over the bar with a blank behind it: id and name, the id, its number, or nothing."""
    number = turn.run.rpartition("-")[2].lstrip("0") or "0"
    for text in (f"{turn.run} {turn.name}".strip(), turn.run, number):
        if len(text) < size:
            return text
    return ""


def _inked(cells: Sequence[str], inks: Sequence[str], colour: bool) -> str:
    if not colour:
        return "".join(cells)
    text, last = "", ""
    for cell, ink in zip(cells, inks, strict=True):
        if ink != last:
            text += "\x1b[0m" if not ink else f"\x1b[{ink}m"
            last = ink
        text += cell
    return text + ("\x1b[0m" if last else "")


def _axis(now: float, seconds: float, room: int, margin: int, colour: bool) -> str:
    """Times of day that are round, `now` at the left; days where the axis is long."""
    wide = 12 if seconds > 86400 else 8
    step = next((tick for tick in TICKS if tick / seconds * room >= wide), TICKS[-1])
    cells = [" "] * (room + margin)
    offset = time.localtime(now).tm_gmtoff
    t = (now + offset) // step * step - offset + step
    label = "now"
    cells[margin : margin + len(label)] = label
    free = margin + len(label) + 1
    while t < now + seconds:
        column = margin + round((t - now) / seconds * room)
        at = time.localtime(t)
        if seconds <= 86400:
            text = time.strftime("%H:%M", at)
        elif step < 86400:
            text = time.strftime("%a %H:%M", at)
        else:
            text = time.strftime("%a %d %b", at)
        if column >= free and column + 1 + len(text) <= len(cells):
            cells[column : column + 1 + len(text)] = f"╷{text}"
            free = column + len(text) + 2
        t += step
    line = "".join(cells)
    return f"\x1b[{DIM}m{line}\x1b[0m" if colour else line
