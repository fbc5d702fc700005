"""The line that answers four questions: is anything wrong, what runs, what is next, when is all of it done."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine import when
from engine.records import Plan
from tui import present
from tui.alerts import Alert
from tui.keys import label, offer
from tui.present import Part
from tui.widgets.strips import cut, fill, width_of
from tui.world import CONNECTED, World

Link = tuple[int, int, int, str]
_INK = re.compile("\x1b\\[([0-9]*)m")
_INKS = {"32": "good", "36": "ours", "2": "rest"}
AGAIN = 30.0
"""Seconds after which the plan is asked for again while nothing else has changed."""


def lines(
    world: World, found: Sequence[Alert], plan: Plan | None, width: int, rows: int, now: float
) -> tuple[list[list[Part]], list[Link]]:
    """The line, and below it as many alerts as there is room for; what is left out is counted."""
    shown = list(found[: max(0, rows - 1)])
    more = len(found) - len(shown)
    head = _verdict(world, found, more if shown else 0)
    ahead = _ahead(world, plan, now)
    room = width - width_of(head)
    while ahead and width_of(_joined(ahead)) + 3 > room:
        ahead.pop(0 if len(ahead) > 1 else -1)
    right = _joined(ahead)
    links: list[Link] = []
    made = [[*fill(tuple(head), max(0, width - width_of(right))), *right]]
    for y, alert in enumerate(shown, 1):
        way = offer(alert.key, f" {alert.does}") if alert.key else []
        key: list[Part] = [("  ", "text"), *way] if way else []
        text = cut((("▲ ", alert.role), (alert.text, alert.role)), width - width_of(key))
        made.append([*text, *key])
        if alert.run:
            links.append((y, 0, width_of(text), f"screen.choose('{alert.run}')"))
    return made, links


def _verdict(world: World, found: Sequence[Alert], more: int) -> list[Part]:
    if not world.known:
        return []
    if not found:
        return [("✓ ", "good"), ("nothing is wrong", "good")]
    role = "trouble" if any(alert.role == "trouble" for alert in found) else "attention"
    things = "1 thing wants" if len(found) == 1 else f"{len(found)} things want"
    said: list[Part] = [(f"▲ {things} you", f"{role} bold")]
    if any(alert.run for alert in found):
        said += [("   ", "text"), (label("dashboard.alert"), "key"), (" goes there", "rest")]
    return [*said, (f"   {more} not shown" if more else "", "rest")]


def _ahead(world: World, plan: Plan | None, now: float) -> list[list[Part]]:
    """What runs, what is next and when the queue is empty: the last is kept longest."""
    found: list[list[Part]] = []
    if world.running:
        ends = [row.until for row in world.running if row.until is not None and row.until > now]
        said = f"the first of {len(world.running)} ends" if len(world.running) > 1 else f"{world.running[0].id} ends"
        if ends:
            found.append([(f"{said} ~", "rest"), (when.clock(min(ends), now), "text")])
    if world.queue and plan is not None and plan.paused is None:
        ids = {row.id for row in world.queue}
        starts = [turn for turn in plan.turns if turn.run in ids and turn.start is not None]
        if starts:
            first = min(starts, key=lambda turn: turn.start or 0.0)
            at = when.clock(first.start or now, now) if (first.start or now) > now + 5 else "now"
            on = f" on {', '.join(first.labels)}" if first.labels else ""
            found.append([("next ", "rest"), (first.run, "strong"), (" ~", "rest"), (at, "text"), (on, "rest")])
    if plan is not None and (world.queue or world.running):
        what = "queue empty" if world.queue else "all done"
        if plan.until is not None:
            found.append([(f"{what} ~", "rest"), (when.clock(plan.until, now), "strong")])
        elif plan.unknown:
            whose = "a run" if plan.unknown == 1 else f"{plan.unknown} runs"
            found.append([(f"{what}: nobody knows when {whose} will end", "rest")])
    return found


def _joined(parts: Sequence[Sequence[Part]]) -> list[Part]:
    made: list[Part] = []
    for part in parts:
        made += [*([("   ·   ", "faint")] if made else []), *part]
    return made


def rests_on(world: World, now: float) -> tuple[object, ...]:
    """What a plan rests on: another one is wanted when this is another, () when there is nothing to plan."""
    if world.link.state != CONNECTED or not (world.queue or world.running):
        return ()
    paused = world.status.queue_paused if world.status else None
    states = tuple((row.id, row.state, row.place) for row in (*world.running, *world.queue))
    return states, paused, int(now / AGAIN)


def inked(line: str) -> list[Part]:
    """A line of engine.cli.gantt in our colours: green what runs, blue what is planned, grey the axis."""
    found: list[Part] = []
    role = "text"
    for place, part in enumerate(_INK.split(line)):
        if place % 2:
            role = _INKS.get(part, "text")
        elif part:
            found.append((part, role))
    return found


def why(world: World, run: str, now: float) -> list[list[Part]]:
    """All there is to say on why a run waits, or how it ended: the reason whole, and what stands in its way."""
    row = world.rows.get(run)
    if row is None:
        return []
    sign, role = present.MARKS.get(row.state, ("·", "rest"))
    made: list[list[Part]] = [[(f"{sign} {row.id} ", role), (row.state, role)], []]
    made += [[(part.strip(), "text")] for part in (row.reason or "It is next.").split(", ") if part.strip()]
    facts = [
        ("needs", present.needs(row)),
        ("priority", str(row.priority) if row.priority else ""),
        ("after", ", ".join(row.after)),
        ("after, however", ", ".join(row.after_any)),
        ("not before", when.clock(row.begin, now) if row.begin else ""),
        ("memory", f"{present.size(row.predicted)} predicted from {row.predicted_from} runs" if row.predicted else ""),
        ("takes", f"about {present.duration(row.takes)}, as runs like it" if row.takes else ""),
        ("attempt", f"{row.attempt}, after {row.because}" if row.because else ""),
    ]
    made.append([])
    made += [[(f"{name:<16}", "rest"), (text, "text")] for name, text in facts if text]
    return made
