"""Which columns a list shows, and in what order: settings and metrics of the database are among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from tui.columns import Column
from tui.key import COLUMNS
from tui.keys import bindings, footer
from tui.present import Cell, Part, cell
from tui.screens.over import OverScreen
from tui.widgets.filterline import FilterLine
from tui.widgets.lines import Lines
from tui.widgets.pane import Box
from tui.widgets.table import Table

Choice = tuple[str, str]
"""Name and what it is."""


class ColumnsScreen(OverScreen[tuple[str, ...] | None]):
    """Gives the names that were chosen, in their order, or None after escape."""

    CSS = """
    ColumnsScreen { align: center middle; background: $background 65%; }
    ColumnsScreen #box { width: 84; max-width: 96%; height: 80%; border: round $primary; border-title-color: $primary;
      border-subtitle-color: $rest; background: $surface; padding: 0 1; }
    ColumnsScreen Table { height: 1fr; background: $surface; }
    ColumnsScreen #narrow { height: 1; background: $panel; margin: 0; dock: none; }
    ColumnsScreen #keys { height: 1; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(COLUMNS), Binding("q", "leave", "no", show=False)]

    def __init__(self, chosen: Sequence[str], choices: Sequence[Choice], default: Sequence[str]) -> None:
        super().__init__()
        self._chosen, self._default = list(chosen), tuple(default)
        self._choices = dict(choices)
        self._choices |= {name: "unknown here" for name in chosen if name not in self._choices}

    def compose(self) -> ComposeResult:
        columns: tuple[Column[Choice], ...] = (
            Column("", 2, self._sign, right=True),
            Column("COLUMN", min(28, max(map(len, self._choices))), self._called),
            Column("WHAT IT IS", 20, lambda one, _: cell(one[1], "rest"), flex=1),
        )
        with Box(id="box"):
            yield FilterLine(id="narrow", asks="/", placeholder="part of a name")
            yield Table(columns, cell("no column is called so", "rest"), key=lambda one: one[0], id="choices")
            yield Lines(id="keys")

    def on_mount(self) -> None:
        box = self.query_one("#box")
        box.border_title = "Columns"
        keys: list[Part] = []
        for label, key in footer(COLUMNS, readonly=False):
            if key.where == (COLUMNS,):
                keys += [(f" {label}", "key"), (f" {key.foot} ", "rest")]
        self.query_one("#keys", Lines).show([keys])
        self.query_one("#narrow").display = False
        self._show()
        self.table.focus()

    @property
    def table(self) -> Table[Choice]:
        return self.query_one("#choices", Table)

    def _called(self, one: Choice, _: float) -> Cell:
        return cell(one[0], "strong" if one[0] in self._chosen else "text")

    def _sign(self, one: Choice, _: float) -> Cell:
        if one[0] not in self._chosen:
            return cell("·", "faint")
        return cell(str(self._chosen.index(one[0]) + 1), "ours bold")

    def _show(self) -> None:
        """What is shown first, in its order; then the others."""
        words = self.query_one("#narrow", FilterLine).value.lower().split()
        names = [*self._chosen, *(name for name in self._choices if name not in self._chosen)]
        rows = [(name, self._choices[name]) for name in names]
        table = self.table
        table.show([one for one in rows if all(word in " ".join(one).lower() for word in words)])
        table.show_columns(table.columns)  # the numbers of others have changed, too
        self.query_one("#box").border_subtitle = f"{len(self._chosen)} of {len(names)}"

    def action_take(self) -> None:
        name = self.table.chosen
        if name is None:
            return
        place = self.table.place
        if name in self._chosen:
            self._chosen.remove(name)
        else:
            self._chosen.append(name)
        self._show()
        if place + 1 < len(self.table.rows) and name not in self._chosen:
            self.table.choose(self.table.rows[place][0])

    def action_shift(self, way: int) -> None:
        name = self.table.chosen
        if name in self._chosen:
            place = self._chosen.index(name)
            to = min(max(0, place + way), len(self._chosen) - 1)
            self._chosen.insert(to, self._chosen.pop(place))
            self._show()
            self.table.choose(name)

    def action_default(self) -> None:
        self._chosen = list(self._default)
        self._show()

    def action_narrow(self) -> None:
        line = self.query_one("#narrow", FilterLine)
        line.display = True
        self.set_focus(line)  # at once: focus() would let the next key that was typed go to the list

    @on(Input.Changed, "#narrow")
    def _typed(self) -> None:
        self._show()

    @on(Input.Submitted, "#narrow")
    @on(FilterLine.Left)
    def _leave_line(self, event: Input.Submitted | FilterLine.Left) -> None:
        event.stop()
        line = self.query_one("#narrow", FilterLine)
        line.display = bool(line.value)
        self.table.focus()

    @on(Table.Opened)
    def action_done(self) -> None:
        self.dismiss(tuple(self._chosen))

    def action_leave(self) -> None:
        self.dismiss(None)
