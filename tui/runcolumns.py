"""The columns that the list of all runs can show: each with what fills it and what it sorts by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

from msgspec import Struct

from engine.query_fields import Known, Stored, best, skill, took
from engine.records import ENDED, LIVE, WAITING, RunRow
from tui import present
from tui.columns import Column, curve
from tui.present import Cell, cell

Key = float | str | None
Keys = Callable[[Sequence[RunRow], float], Iterable[Key]]
Columns = Mapping[Stored, Mapping[str, str | float]]
USUAL = ("state", "val_pct_mae", "skill", "took", "ago", "family", "tags", "about")
"""The columns of somebody who has chosen none yet, those first that a narrow terminal should show."""
FURTHER = (("loss", "ago"), ("spark", "loss"), ("on", "family"), ("commit", "on"), ("steps", "spark"))
"""What a wide terminal shows besides, those first that should come first; each with the column it stands behind."""
TOLD = 48
"""Cells that are for what is told of a run, before there is room for a further column."""


class RunColumn(Struct, frozen=True):
    """keys: what runs sort by at a moment, None where one has nothing there: that comes last both ways.

    down: whether the largest come first when one begins to sort by it. asked: its name in SQL, "" where there is none.
    """

    name: str
    title: str
    width: int
    fill: Callable[[RunRow, float], Cell]
    keys: Keys
    help: str
    right: bool = False
    flex: int = 0
    clock: bool = False
    down: bool = False
    asked: str = ""
    age: bool = False
    """The cell tells how long ago it was: what comes last has the smallest one."""

    def arrow(self, *, down: bool) -> str:
        return "↓" if down != self.age else "↑"

    def column(self, arrow: str = "") -> Column[RunRow]:
        title = self.title + arrow
        width = max(self.width, len(title))
        return Column(title, width, self.fill, right=self.right, flex=self.flex, clock=self.clock)


def by(read: Callable[[RunRow], Key]) -> Keys:
    """Runs sort by what is read of each."""
    return lambda rows, _: map(read, rows)


def _amount(value: float | None, shown: Callable[[float | None], str], role: str = "text") -> Cell:
    return cell(shown(value), role if value is not None else "faint")


def _state(row: RunRow, _: float) -> Cell:
    return cell(row.state, present.STATE_ROLES.get(row.state, "rest"))


STATE_ORDER = {state: place for place, state in enumerate((
    "orphaned", "running", "paused", "stopping", "finishing", "starting", "queued", "held", "failed", "lost", "stopped",
    "ok",
))}  # fmt: skip


def _took(row: RunRow, now: float) -> Cell:
    return _amount(took(row, now), present.duration, "rest")


def _ago(row: RunRow, now: float) -> Cell:
    return cell(present.ago(now - row.submitted) if row.submitted else present.NONE, "rest")


def _ended(row: RunRow, now: float) -> Cell:
    return _amount(None if row.ended is None else now - row.ended, present.ago, "rest")


def _done(row: RunRow, _: float) -> Cell:
    part = present.progress(row)
    bar = present.bar(part, 8, "bar rest" if row.state in ENDED else "bar")
    return (*bar, (f" {present.percent(row):>4}", "rest" if row.state in ENDED else "text"))


def _tags(row: RunRow, _: float) -> Cell:
    return cell(" ".join(f"#{tag}" for tag in row.tags), "second")


def about(row: RunRow, _: float = 0.0) -> Cell:
    """The one thing to know of a run: why it waits, what is wrong, how it ended, else what it is."""
    if row.state in WAITING:
        return present.reason(row)
    if row.state in LIVE:
        return tuple(part for part in present.note(row) if part[1] != "second")
    if row.state == "ok":  # the tags stand in a column of their own
        name = ((f"{row.name}  ", "text"),) if row.name else ()
        told: Cell = (*name, (row.what or ("" if name else "defaults"), "rest"))
    else:
        told = present.cause(row)
    return ((f"✎ {row.note}  ", "attention"), *told) if row.note else told


def _about(row: RunRow) -> Key:
    """The text of it, for an order: of most runs without making the cell, which takes ten times as long."""
    if row.state == "ok" and not row.note and not row.name:
        return row.what or "defaults"
    return present.plain(about(row)) or None


def _text(value: str, role: str = "text") -> Cell:
    return cell(value or present.NONE, role if value else "faint")


def usual(width: int, run: int) -> tuple[str, ...]:
    """The columns for somebody who has chosen none, in a list of so many cells of which the run takes `run`."""
    names, gap = [*USUAL], 2
    spare = width - 4 - run - sum(CATALOG[name].width + gap for name in USUAL) - (TOLD - CATALOG["about"].width)
    for name, before in FURTHER:
        spare -= CATALOG[name].width + gap
        if spare < 0:
            break
        names.insert(names.index(before) + 1, name)
    return tuple(names)


# What a run is called comes first in every list and is not chosen; its cell is told by the list, which knows the folds.
CATALOG: dict[str, RunColumn] = {column.name: column for column in (
    RunColumn("state", "STATE", 9, _state, by(lambda r: STATE_ORDER.get(r.state)), "its state", asked="state"),
    RunColumn("family", "FAMILY", 8, lambda r, _: cell(r.family, "rest"), by(attrgetter("family")), "its family",
              asked="family"),
    RunColumn("name", "NAME", 14, lambda r, _: _text(r.name), by(lambda r: r.name or None), "its name", asked="name"),
    RunColumn("val_pct_mae", "VAL", 7, lambda r, _: _amount(best(r), present.metric, "strong"), by(best),
              "validation error in per cent, of the best checkpoint", right=True, asked="val_pct_mae"),
    RunColumn("last_val", "LAST VAL", 8, lambda r, _: _amount(r.metric, present.metric), by(attrgetter("metric")),
              "validation error of the last validation", right=True),
    RunColumn("skill", "vs NAIVE", 8, lambda r, _: present.skill_cell(skill(r)), by(skill),
              "how much better than the naive forecast", right=True, down=True, asked="skill"),
    RunColumn("loss", "LOSS", 8, lambda r, _: _amount(r.loss, present.number), by(attrgetter("loss")),
              "the last training loss", right=True, asked="loss"),
    RunColumn("spark", "CURVE", 10, curve, by(lambda r: None), "the loss, all the way"),
    RunColumn("done", "DONE", 13, _done, by(present.progress), "how far it is", down=True),
    RunColumn("steps", "STEPS", 7, lambda r, _: _amount(r.step, present.count, "rest"), by(attrgetter("step")),
              "steps that are done", right=True, down=True, asked="steps"),
    RunColumn("epoch", "EPOCH", 7, lambda r, _: _text(present.epochs(r), "rest"), by(attrgetter("epoch")),
              "epochs that are done", down=True),
    RunColumn("took", "TOOK", 7, _took, lambda rows, now: [took(row, now) for row in rows],
              "how long it ran, or has been running", right=True, clock=True, down=True, asked="took"),
    RunColumn("eta", "ETA", 7, lambda r, _: _amount(r.eta, present.duration), by(attrgetter("eta")),
              "how long it still takes", right=True),
    RunColumn("ago", "AGO", 4, _ago, by(lambda r: r.submitted or None), "how long ago it was queued", right=True,
              clock=True, down=True, asked="submitted", age=True),
    RunColumn("ended", "ENDED", 5, _ended, by(attrgetter("ended")), "how long ago it ended", right=True, clock=True,
              down=True, asked="ended", age=True),
    RunColumn("on", "ON", 6, lambda r, _: _text(present.where(r), "rest"), by(lambda r: ",".join(r.labels) or None),
              "the devices it has or had"),
    RunColumn("steps_per_s", "STEP/S", 6, lambda r, _: _amount(r.steps_per_s, present.rate, "rest"),
              by(attrgetter("steps_per_s")), "steps a second", right=True, down=True),
    RunColumn("windows_per_s", "WIN/S", 6, lambda r, _: _amount(r.windows_per_s, present.rate, "rest"),
              by(attrgetter("windows_per_s")), "windows a second", right=True, down=True),
    RunColumn("gpu_memory", "GPU MEM", 9, lambda r, _: _amount(r.device_memory, present.size, "rest"),
              by(attrgetter("device_memory")), "memory on its device", right=True, down=True),
    RunColumn("memory", "MEMORY", 9, lambda r, _: _amount(r.memory, present.size, "rest"), by(attrgetter("memory")),
              "memory of its processes", right=True, down=True, asked="memory"),
    RunColumn("attempt", "TRY", 3, lambda r, _: cell(str(r.attempt), "rest" if r.attempt > 1 else "faint"),
              by(attrgetter("attempt")), "which attempt at the run it is", right=True, down=True, asked="attempt"),
    RunColumn("priority", "PRIO", 4, lambda r, _: cell(str(r.priority), "rest" if r.priority else "faint"),
              by(attrgetter("priority")), "its priority", right=True, down=True, asked="priority"),
    RunColumn("commit", "COMMIT", 8, lambda r, _: _text(r.commit[:7] + "*" * (r.dirty and bool(r.commit)), "rest"),
              by(lambda r: r.commit or None), "its commit; * is with changes", asked="commit"),
    RunColumn("tags", "TAGS", 14, _tags, by(lambda r: " ".join(r.tags) or None), "its tags"),
    RunColumn("note", "NOTE", 18, lambda r, _: _text(r.note), by(lambda r: r.note or None), "its note", flex=1,
              asked="note"),
    RunColumn("what", "WHAT", 20, lambda r, _: _text(r.what, "rest"), by(lambda r: r.what or None),
              "what was set by hand, or its command", flex=1),
    RunColumn("about", "ABOUT", 18, about, by(_about),
              "why it waits, what is wrong, how it ended, else what it is", flex=2),
)}  # fmt: skip


def stored_column(name: str, known: Known, columns: Columns) -> RunColumn | None:
    """The column of a setting or metric by its name; None when the database has no such thing."""
    found = known.find(name)
    if not found:
        return None

    def value(row: RunRow) -> Key:
        return next((got for one in found if (got := columns.get(one, {}).get(row.id)) is not None), None)

    def key(row: RunRow) -> Key:
        return got if (got := value(row)) == got else None  # what is no number has no place among numbers

    def fill(row: RunRow, _: float) -> Cell:
        got = value(row)
        shown = _setting(got) if found[0].of == "param" else present.number(got if isinstance(got, float) else None)
        return cell(shown, "text" if got is not None else "faint")

    param = found[0].of == "param"
    what = f"the setting {', '.join(one.name for one in found)}" if param else "a metric, as the database knows it"
    title = name.removeprefix("last.").rpartition(".")[2]
    return RunColumn(name, title.upper()[:14], 8, fill, by(key), what, right=True, down=False, asked=name)


def _setting(value: Key) -> str:
    """As people write it: 0.0003, 64, adamw."""
    if value is None:
        return present.NONE
    return value[:24] if isinstance(value, str) else f"{value:.6g}"
