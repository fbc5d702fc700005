"""How high each pane of the dashboard is, for any size of terminal and any amount of runs."""

from __future__ import annotations

from msgspec import Struct

LEAST_CHARTS = 9


class Plan(Struct, frozen=True):
    """Heights with frames; 0 is not shown. frame: lines a frame takes (1: only a rule above)."""

    frame: int
    devices: int
    running: int
    beside: bool
    """Queue and finished runs side by side."""
    queue: int
    finished: int
    detail: int
    columns: int
    """Panes of the detail: loss, error, log."""
    outlook: int = 1
    """The line that says whether anything is wrong, and the alerts below it."""


def plan(width: int, height: int, devices: int, running: int, queued: int, finished: int, alerts: int = 0) -> Plan:
    """Lists get what they need first, within bounds; the charts of the chosen run take all that is left.

    width, height: of the terminal. devices: lines of the devices panel. The rest: amounts of runs, and of alerts.
    """
    roomy = width >= 100 and height >= 30
    frame = 2 if roomy else 1
    outlook = 1 + min(alerts, (6 if height >= 60 else 3) if roomy and height >= 40 else 1)
    body = height - 2 - outlook
    beside = width >= 116
    device_lines = min(devices, max(1, body // 6) if not roomy else max(3, body // 5))
    top = device_lines + frame
    running_lines = _lines(running, least=1, most=max(3, body // (4 if roomy else 5)))
    run = running_lines + frame
    left = body - top - run
    nothing = running + queued + finished == 0
    if beside:
        wanted = max(_lines(queued, 1, 99), _lines(finished, 1, 99)) + frame
        most = max(5, min(left - LEAST_CHARTS, max(left // 3, 6)))
        lists = min(wanted, most)
        detail = left - lists
        if detail < LEAST_CHARTS or nothing:
            lists, detail = left, 0
        return Plan(frame, top, run, True, lists, lists, detail, 3 if width >= 150 else 2, outlook)
    queue = min(_lines(queued, 1, 99) + frame, max(3, 2 * left // 5))
    rest = left - queue
    wanted = max(5, min(_lines(finished, 1, 99) + frame, rest // 3))
    detail = rest - wanted
    if detail < LEAST_CHARTS or nothing:
        return Plan(frame, top, run, False, queue, rest, 0, 0, outlook)
    return Plan(frame, top, run, False, queue, wanted, detail, 1 if width < 90 else 2, outlook)


def _lines(rows: int, least: int, most: int) -> int:
    """A header and the rows, or one line that says what to do."""
    return 1 if rows == 0 else 1 + min(max(rows, least), most)
