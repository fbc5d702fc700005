"""The card of a run that has ended: how, with the facts of its cause, and the last it said."""

from __future__ import annotations

from engine.messages import RunDetail
from engine.query_fields import skill
from tui import present
from tui.details import fact
from tui.logs import colored
from tui.present import Part

WIDEST = 110
"""Characters of a line of its log."""


def ending(detail: RunDetail) -> list[list[Part]]:
    row, cause = detail.row, detail.cause
    sign, role = present.MARKS.get(row.state, ("·", "rest"))
    made: list[list[Part]] = [[(f"{sign} {row.id} ", role), (row.state, role)]]
    if row.started is not None and row.ended is not None:
        made[0].append((f" after {present.duration(row.ended - row.started)}", "rest"))
    text = cause.text if cause is not None else row.reason or present.ended_by(row)
    if text:
        made += [[], [(text, "trouble" if row.state in ("failed", "lost") else "text")]]
    if cause is not None:
        told = (fact(name, value) for name, value in cause.facts.items() if value not in (None, ""))
        made += [[(f"{label:<16}", "rest"), (shown, "text")] for label, shown in told]
    if row.best is not None:
        made += [[], [("best val_pct_mae ", "rest"), (present.metric(row.best), "good bold"), ("   ", "text"),
                      *present.skill_cell(skill(row))]]  # fmt: skip
    if len(detail.attempts) > 1:
        tried = ", ".join(f"{one.id} {one.state}" for one in detail.attempts)
        made.append([("attempts        ", "rest"), (tried, "text")])
    if detail.log:
        made += [[], [("its last lines", "title")]]
        made += [list(colored(line[:WIDEST])) for line in detail.log]
    return made
