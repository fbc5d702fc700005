"""Skill by symbol as a table of coloured cells: a row a symbol, a column a run; the number stands beside the colour."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from engine.store_runs import BySymbol
from tui.columns import Column
from tui.present import Cell, cell

STRONG = 0.02
"""The skill from which the colour is full: an error 2 % less, or more, than naive's."""
BLOCK, LEAST = 6, 2
"""Cells of colour beside a number, in a wide and in a narrow place."""
ORDERS = ("worst first", "best first", "by name")


class Symbol(Struct, frozen=True):
    name: str
    skills: tuple[float | None, ...]
    """Of each run; None where it was not scored on this symbol."""


def symbols(found: BySymbol, runs: Sequence[str], order: str = ORDERS[0]) -> list[Symbol]:
    """The rows in one of ORDERS, worst and best by the first run; a symbol that it lacks comes last."""
    rows = [Symbol(name, tuple(row.get(run, (None, None))[0] for run in runs)) for name, row in found.items()]
    if order == "by name":
        return sorted(rows, key=lambda row: row.name)
    sign = 1 if order == "worst first" else -1
    return sorted(rows, key=lambda row: (row.skills[0] is None, sign * (row.skills[0] or 0.0), row.name))


def heat(skill: float | None, block: int) -> Cell:
    """`██████  +2.9`: in per cent, one colour for better than naive and one for worse, each weak and strong."""
    if skill is None:
        return cell(f"{'':<{block}}{'–':>6}", "faint")
    if abs(skill) < 0.0005:
        return (("·" * block, "faint"), ("   0.0", "rest"))
    kind = "good" if skill > 0 else "trouble"
    role = kind if abs(skill) >= STRONG else f"{kind} weak"
    text = f"{100 * skill:+.1f}" if abs(skill) < 9.995 else f"{100 * skill:+.0f}"
    return (("█" * block, role), (f"{text.replace('-', '−'):>6}", "text" if kind == "good" else "rest"))


def width_for(runs: int) -> int:
    """What a table of so many runs takes with all its colour, frame and scroll bar included."""
    return 8 + runs * (BLOCK + 8) + 5


def columns(runs: Sequence[str], width: int) -> list[Column[Symbol]]:
    """width: of the table; what has no room keeps its number and loses colour, then runs from the last on."""
    each = (width - 8) // max(1, len(runs)) - 2
    block = min(BLOCK, max(LEAST, each - 6))
    made = [Column[Symbol]("SYMBOL", 6, lambda row, _: cell(row.name))]
    for place, run in enumerate(runs):

        def fill(row: Symbol, _: float, place: int = place) -> Cell:
            return heat(row.skills[place], block)

        title = run if len(run) <= block + 6 else run.rpartition("-")[2][: block + 6]
        made.append(Column(title, block + 6, fill, rank=place and 1 + place, right=True))
    return made
