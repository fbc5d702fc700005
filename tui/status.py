"""The lines above and below every screen: where one is, how the engine is, what can be pressed."""

from __future__ import annotations

import time

from engine import when
from engine.query_fields import skill
from tui import present
from tui.keys import Key, footer, offer, struck
from tui.places import PLACES
from tui.present import Part
from tui.widgets.strips import fill, width_of
from tui.world import AWAY, CONNECTED, World

Link = tuple[int, int, int, str]

ROOMY = 110
"""Columns from which the names of the other screens are shown too, not only their digits."""


def top_line(world: World, here: str, width: int, *, readonly: bool, run: str = "") -> tuple[list[Part], list[Link]]:
    """Program, screens, counts, the best run and the engine, in what fits."""
    left: list[Part] = [(" paddock ", "badge")]
    links: list[Link] = []
    if readonly:
        left.append((" read only ", "badge attention"))
    for place in PLACES:
        active = place.name == here
        barred = readonly and place.name == "new"
        text = f"{place.name} {run}" if active and place.name == "run" and run else place.name
        start = width_of(left) + 2
        digit = (place.digit, "key" if active else "struck" if barred else "rest")
        if active or width >= ROOMY:
            left += [("  ", "text"), digit, (f" {text}", "strong" if active else "faint" if barred else "rest")]
        else:
            left += [("  ", "text"), digit]
        links.append((0, start, width_of(left), place.go))
    right = engine_parts(world)
    room = width - width_of(left) - width_of(right)
    if (best := best_parts(world)) and width_of(best) + 40 < room:
        right = [*best, ("   ", "text"), *right]
        room = width - width_of(left) - width_of(right)
    counts = count_parts(world, short=room < 62)
    middle: list[Part] = [("   ", "text"), *counts] if world.known and width_of(counts) + 5 < room else []
    return [*left, *fill(tuple(middle), max(0, room - 1)), *right, (" ", "text")], links


def count_parts(world: World, *, short: bool) -> list[Part]:
    parts: list[Part] = []
    looks = (("running", "●", "good"), ("queued", "○", "ours"), ("done", "✓", "rest"), ("failed", "✗", "trouble"))
    for name, sign, role in looks:
        amount = world.counts[name]
        quiet = amount == 0 or name == "done"
        parts += [
            (f"{sign} ", role if amount else "faint"),
            (f"{amount}" if short else f"{amount} {name}", "rest" if quiet else "text"),
            ("  " if short else "   ", "text"),
        ]
    return parts


def best_parts(world: World) -> list[Part]:
    best = world.best
    if best is None:
        return []
    ((text, role),) = present.skill_cell(skill(best))
    return [("best vs naive ", "rest"), (text, role if role == "rest" else f"{role} bold"), (f" {best.id}", "rest")]


def engine_parts(world: World) -> list[Part]:
    """How the connection is; what is wrong stands in the message line of the dashboard."""
    if world.link.state == CONNECTED:
        paused: list[Part] = []
        if world.status is not None and (since := world.status.queue_paused) is not None:
            paused = [(f"‖ queue paused since {when.clock(since, time.time())}", "attention bold"), ("   ", "text")]
        return [*paused, ("◆", "good"), (" engine", "rest")]
    if world.link.state == AWAY:
        return [("◇ engine away", "attention bold")]
    return [("◇ engine …", "ours")]


def away_line(world: World, now: float) -> list[Part]:
    """What starts the engine, what happens next, and why it does not answer; empty when all is well.

    The reason comes last: it names the workspace, whose path may be longer than the screen is wide.
    """
    if world.link.state == CONNECTED and world.link.why:
        return [("▲ ", "attention"), (world.link.why, "attention")]
    if world.link.state != AWAY:
        return []
    wait = max(0, round(world.link.retry_at - now))
    first: list[Part] = [("▲ ", "attention"), *offer("everywhere.start-engine", " starts the engine   ")]
    return [*first, (f"trying again in {wait}s   ", "rest"), (world.link.why, "attention")]


def foot_line(where: str, width: int, *, readonly: bool) -> tuple[list[Part], list[Link]]:
    """As many keys as fit; help, command and leave always. Those that can't be used stand struck out, last."""
    keys = footer(where, readonly=readonly)
    last = [pair for pair in keys if pair[1].action in ("app.command_palette", "app.keys", "app.leave")]
    first = [pair for pair in keys if pair not in last]
    parts: list[Part] = []
    links: list[Link] = []
    room = width - 1 - sum(_key_width(*pair) for pair in last)
    for label, key in [*first, *last]:
        size = _key_width(label, key)
        if (label, key) in first and width_of(parts) + size > room:
            continue
        start = width_of(parts) + 1
        parts += [(f" {label}", "key"), (f" {key.foot}  ", "rest")]
        links.append((0, start, start + size - 2, key.action))
    for label, key in struck(where) if readonly else []:
        if width_of(parts) + _key_width(label, key) <= width:
            parts += [(" ", "text"), (f"{label} {key.foot}", "struck"), ("  ", "text")]
    return parts, links


def _key_width(label: str, key: Key) -> int:
    return len(label) + len(key.foot) + 4


def leaving(world: World) -> str:
    """What the shell shows after `q`."""
    running, queued = world.counts["running"], world.counts["queued"]
    if not running and not queued:
        return "Nothing runs and nothing waits. `tui` shows it all again."
    runs = f"{running} running" + (f", {queued} queued" if queued else "")
    return f"Training goes on: {runs}. `tui` shows it all again, `engine ls` in one line each."
