"""`engine queue`: what waits, why, and when it is thought to start; --plan draws it."""

from __future__ import annotations

from typing import Annotated

import typer

from engine import when
from engine.cli import gantt, table, talk, words
from engine.messages import GetPlan, PlanReply
from engine.records import LIVE, WAITING, Plan, Turn

WHY = 30
"""Characters of a line that a reason gets, whatever else must go; it wraps."""
LISTED = 12
"""Runs without a start that are told of below the chart."""


def queue(
    plan: Annotated[bool, typer.Option("--plan", help="Draw who is on which device when.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON: runs with their starts and ends.")] = False,
) -> None:
    """List what waits in its order, with the reason, and when it is thought to start and end.

    That is the scheduler played forward, with each run taking as long as runs like it took; `?` is where none has ended
    yet. Runs are taken to end well.
    """
    found = talk.ask(GetPlan(), PlanReply).plan
    if as_json:
        talk.json_out(found)
        return
    waiting = [turn for turn in found.turns if turn.state in WAITING]
    if plan and any(turn.start is not None for turn in found.turns):
        talk.out(gantt.chart(found, table.width() or 100, colour=talk.colour()))
        talk.out(_unplaced(waiting))
    elif waiting and not plan:
        talk.table(_columns(found.now), waiting)
    talk.say(summary(found))


def _unplaced(waiting: list[Turn]) -> str:
    """Tell those the chart can't show, with the reason."""
    lines = [f"?  {turn.run}  {turn.reason}" for turn in waiting if turn.start is None]
    more = [f"?  and {len(lines) - LISTED} more; `engine queue` lists them"] if len(lines) > LISTED else []
    limit = table.width()
    kept = [*lines[:LISTED], *more]
    return "\n" + "\n".join(kept if limit is None else [_cut(line, limit) for line in kept]) if kept else ""


def _cut(line: str, limit: int) -> str:
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _columns(now: float) -> tuple[table.Column, ...]:
    column = table.Column
    return (
        column("", lambda t: str(t.place or ""), right=True),
        column("RUN", lambda t: t.run, keep=True),
        column("NAME", lambda t: t.name, shrink=True),
        column("NEEDS", _needs, spare=1),
        column("STARTS", lambda t: _at(t.start, now), right=True, keep=True),
        column("TAKES", lambda t: f"~{words.span(t.takes)}" if t.takes is not None else "?", right=True, keep=True),
        column("ENDS", lambda t: _at(t.end, now), right=True, keep=True),
        column("FROM", lambda t: t.how.removeprefix("from "), shrink=True, spare=2),
        column("WHY", lambda t: t.reason, shrink=True, wrap=True, least=WHY),
    )


def _needs(turn: Turn) -> str:
    if turn.gpus is None:
        return "any"
    return f"{turn.gpus} GPU{'s' * (turn.gpus > 1)}" if turn.gpus else "CPU"


def _at(t: float | None, now: float) -> str:
    """`~16:05`: about then."""
    if t is None:
        return "?"
    return "now" if t <= now + 1 else f"~{when.clock(t, now)}"


def summary(plan: Plan) -> str:
    """Say in one line how much there is and when all is done."""
    live = sum(turn.state in LIVE for turn in plan.turns)
    waiting = sum(turn.state in WAITING for turn in plan.turns) + plan.beyond
    if not live and not waiting:
        return "nothing runs and nothing waits."
    head = f"{live} live, {waiting} waiting"
    if plan.paused is not None:
        head = f"the queue is paused since {when.clock(plan.paused, plan.now)}; {head}"
    if plan.until is not None:
        return f"{head}; all done about {when.clock(plan.until, plan.now)} (in {words.span(plan.until - plan.now)})."
    parts = []
    if plan.unknown:
        parts.append(f"of {plan.unknown} nobody knows when {'it ends' if plan.unknown == 1 else 'they end'}")
    known = [turn.end for turn in plan.turns if turn.end is not None]
    if known:
        parts.append(f"the others by about {when.clock(max(known), plan.now)}")
    if plan.cut:
        parts.append("planning took too long, so later starts are left out")
    if plan.beyond:
        parts.append(f"the last {plan.beyond} are not planned")
    return "; ".join([head, *parts]) + "."
