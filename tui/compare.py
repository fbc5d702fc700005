"""Runs side by side as people read them: one line a run with its metrics, and one line a setting that differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from engine.board import direction_of
from engine.compare import Comparison
from engine.differ import short, terminal
from tui import present
from tui.answers import Compared
from tui.columns import Column
from tui.keys import label
from tui.present import NONE, Cell, Part, cell

if TYPE_CHECKING:
    from engine.records import RunRow

LEAST, MOST = 2, 8
"""Runs that are compared at once."""
FIRST = ("val_pct_mae", "val_skill")
"""What stands before the other metrics."""
BEST = "★"
WIDE, RUN, NAMED = 160, 14, 34
"""Cells of a screen from which names of runs are shown, of a run without its name, and with it at most."""
TESTED = 34
"""Cells of the longest test against the first: `better, p = 0.0066  1,000 windows`."""


class Side(Struct, frozen=True):
    """A run. values: by metric. best: the metrics it is the best by. against: the test against the first, in words."""

    run: str
    number: int
    role: str
    name: str = ""
    family: str = ""
    state: str = ""
    values: tuple[tuple[str, float | None], ...] = ()
    best: frozenset[str] = frozenset()
    against: Cell = ()

    def value(self, metric: str) -> float | None:
        return dict(self.values).get(metric)


class Setting(Struct, frozen=True):
    """A field of a part of engine.differ. values: of each run, in their order; "-" where it has none."""

    part: str
    name: str
    values: tuple[str, ...]
    differs: bool = True

    @property
    def key(self) -> str:
        return f"{self.part} {self.name}"


def chosen(marked: frozenset[str], order: Sequence[str]) -> tuple[str, ...]:
    """Which marked runs are compared: the first MOST of them in the order of the lists, others by their ids."""
    known = [run for run in order if run in marked]
    return (*known, *sorted(marked - set(known)))[:MOST]


def sides(
    found: Compared, runs: Sequence[str], rows: Mapping[str, RunRow], roles: Mapping[str, str], sort: str
) -> list[Side]:
    """One line a run; by a metric the best first and what has none last, else as they were marked."""
    made = []
    comparison = found.found
    for number, run in enumerate(runs, 1):
        row = rows.get(run)
        values, best = _metrics(comparison, run)
        made.append(Side(
            run, number, roles.get(run, "text"), row.name if row else "", row.family if row else "",
            row.state if row else "", values, best, _against(comparison, run),
        ))  # fmt: skip
    if not sort:
        return made
    sign = 1.0 if direction_of(sort) == "min" else -1.0
    return sorted(made, key=lambda side: (side.value(sort) is None, sign * (side.value(sort) or 0.0), side.number))


def _metrics(found: Comparison | None, run: str) -> tuple[tuple[tuple[str, float | None], ...], frozenset[str]]:
    if found is None or run not in found.runs:
        return (), frozenset()
    at = found.runs.index(run)
    values = tuple((metric.name, metric.values[at]) for metric in found.metrics)
    return values, frozenset(metric.name for metric in found.metrics if metric.best == at)


def _against(found: Comparison | None, run: str) -> Cell:
    if found is None or found.note:
        return cell(NONE, "faint")
    if found.runs and run == found.runs[0]:
        return cell("the first", "rest")
    test = found.tests.get(run)
    if test is None or not test.words:
        return cell("can't be told", "faint")
    role = "rest" if test.same else "good" if (test.stat or 0) < 0 else "trouble"
    return ((test.words, role), (f"  {test.windows:,} windows", "faint"))


def metrics_shown(found: Comparison | None) -> list[str]:
    """The metrics in the order of their columns: what the leaderboard shows, the rest of validation, naive's own."""
    names = [metric.name for metric in found.metrics] if found is not None else []
    dull = ("dm_stat", "dm_pvalue", "naive_pct_mae")
    rest = [name for name in names if name not in FIRST and name.partition("_")[2] not in dull]
    return [*(name for name in FIRST if name in names), *sorted(rest, key=lambda name: "naive_" in name)]


def named(rows: Sequence[Side], width: int) -> int:
    """Cells of the column of runs with their names, on a screen of that width."""
    longest = max((len(row.run) + 2 + len(row.name) for row in rows if row.name), default=0)
    return max(RUN, min(longest, NAMED)) if width >= WIDE else RUN


def columns(found: Comparison | None, sort: str, width: int, run: int) -> list[Column[Side]]:
    """width: of the screen. run: of the column of runs."""
    room = width - 34 - run - sum(max(10, len(name) + 2) + 2 for name in metrics_shown(found))
    size = min(38, max(22, room))
    made = [
        Column[Side]("", 3, lambda side, _: ((f"{side.number} ", "rest"), ("●", side.role))),
        Column[Side]("RUN", run, _run),
        Column[Side]("", 1, lambda side, _: (present.MARKS.get(side.state, ("·", "rest")),)),
        Column[Side]("FAMILY", 9, lambda side, _: cell(side.family, "rest"), rank=40),
    ]
    for place, name in enumerate(metrics_shown(found)):

        def fill(side: Side, _: float, name: str = name) -> Cell:
            return metric(side, name)

        arrow = (" ▼" if direction_of(name) == "min" else " ▲") if name == sort else ""
        made.append(Column(name + arrow, max(10, len(name) + 2), fill, rank=10 + place if place else 0, right=True))
    if found is not None:
        made.insert(
            6 if len(made) > 5 else 4,
            # How many windows is told where all of it has room.
            Column("AGAINST 1", size, lambda side, _: side.against if size >= TESTED else side.against[:1], rank=5),
        )
    return made


def metric_of(title: str) -> str:
    """The metric that a column's title tells; "" for other columns."""
    name = title.removesuffix(" ▼").removesuffix(" ▲")
    return name if name and name.upper() != name else ""


def _run(side: Side, _: float) -> Cell:
    return ((side.run, f"{side.role} bold"), *([(f"  {side.name}", "rest")] if side.name else []))


def metric(side: Side, name: str) -> Cell:
    """The value, with a star where it is the best one."""
    value = side.value(name)
    if value is None:
        return cell(NONE, "faint")
    if name.endswith("_skill"):
        text, role = present.plain(present.skill_cell(value)), present.skill_cell(value)[0][1]
    else:
        text, role = (present.metric(value) if abs(value) >= 0.01 else present.number(value)), "text"
    return ((f"{text} {BEST}", "good bold"),) if name in side.best else ((f"{text}  ", role),)


# -- settings ---------------------------------------------------------------------------------------------------------


def settings(found: Compared, runs: Sequence[str], *, equal: bool) -> list[Setting]:
    """What differs by kind, then, if asked for, the fields of the config that are the same in all."""
    if found.found is None or not set(runs) <= set(found.found.runs):
        return []
    at = [found.found.runs.index(run) for run in runs]
    made = []
    for one in found.found.differences:
        values = tuple(short(one.values[i]) for i in at)
        if len(set(values)) > 1 and not terminal(one):
            made.append(Setting(one.part, one.name, values))
    if equal:
        taken = {one.name for one in made}
        for name, by_run in found.settings.items():
            if name not in taken:
                made.append(Setting("settings", name, tuple(by_run.get(run, "-") for run in runs), differs=False))
    return made


def setting_columns(runs: Sequence[str], roles: Mapping[str, str], rows: Sequence[Setting]) -> list[Column[Setting]]:
    """A column a run: what differs from the first is bright, what is as there is grey."""
    names = max((len(row.name) for row in rows), default=8)
    made = [Column[Setting]("FIELD", min(30, max(8, names)), _name)]
    for place, run in enumerate(runs):

        def fill(row: Setting, _: float, place: int = place, run: str = run) -> Cell:
            text = row.values[place] if place < len(row.values) else "-"
            if not row.differs:
                return cell(text, "faint")
            other = place > 0 and text != row.values[0]
            return cell(text, roles.get(run, "text") if other or place == 0 else "rest")

        width = max([len(run), *(min(28, len(row.values[place])) for row in rows if place < len(row.values))])
        made.append(Column(run, max(8, width), fill))
    return made


def _name(row: Setting, _: float) -> Cell:
    marks = {"run": "text", "settings": "text", "code": "second", "environment": "spark", "data": "attention"}
    return cell(row.name, marks.get(row.part, "text") if row.differs else "faint")


# -- lines ------------------------------------------------------------------------------------------------------------


def told(found: Compared, marked: int, runs: Sequence[str], left_out: str = "") -> list[Part]:
    """What is compared, and what was left out, in one line."""
    parts: list[Part] = [(f" {len(runs)} runs", "strong")]
    if marked > len(runs):
        parts.append((f" of {marked} marked: {MOST} at most are compared, these are the first", "attention"))
    if left_out:
        parts.append((f"   {left_out}", "attention"))
    if found.trouble:
        return [*parts, (f"   {found.trouble}", "trouble")]
    if found.found is not None and found.found.note:
        parts.append((f"   ▲ {found.found.note}", "attention"))
    elif found.found is not None and found.found.tests:
        parts.append(("   over the validation windows they share with run 1", "rest"))
    if found.found is not None and found.found.logged:
        parts.append(("   none is evaluated: the best values logged while training", "attention"))
    if found.behind:
        parts.append((f"   the database may be behind: {found.behind}", "attention"))
    return parts


def how_to_mark(marked: int) -> Cell:
    """What to do where there are too few."""
    so_far = "One run is marked. " if marked else ""
    return (
        (f"{so_far}Mark two runs or more with ", "rest"), (label("runs.mark"), "key"), (", in ", "rest"),
        (label("everywhere.go-runs"), "key"),
        (" runs or ", "rest"), (label("everywhere.go-best"), "key"), (" best.", "rest"),
    )  # fmt: skip
