"""What a query gave: rows that can be sorted, or their picture; both are made in workers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.worker import Worker

from tui import sql as sqls
from tui.charts import Picture
from tui.columns import Column
from tui.keys import offer
from tui.present import Cell, cell
from tui.sql import Row
from tui.widgets.chart import Chart
from tui.widgets.pane import framed
from tui.widgets.table import Table

if TYPE_CHECKING:
    from engine.store_sql import Answer
    from tui.app import PaddockApp


class ResultPane(Vertical):
    """Shows an Answer. An answer that came meanwhile makes what is still being sorted or drawn void."""

    DEFAULT_CSS = """
    ResultPane { height: 1fr; }
    ResultPane #result, ResultPane #plot { height: 1fr; overflow-x: auto; }
    """

    class Drawn(Message):
        """The picture shows another answer."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.answer: Answer | None = None
        self._serial = 0
        """Grows with each answer."""
        self._drawn = 0
        self._order_by: tuple[int, bool] | None = None

    def compose(self) -> ComposeResult:
        keys = *offer("sql.run", " runs the query   "), *offer("sql.history", " earlier ones   ")
        nothing: Cell = (*keys, ("tab", "key"), (" completes a name", "rest"))
        yield framed(Table[tuple[int, Row]]((), nothing, key=lambda row: str(row[0]), id="result", wide=True))
        yield framed(Chart("", id="plot", focusable=True))

    def on_mount(self) -> None:
        self.table.border_title = "Result"
        self.plot.display = False

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        cast("PaddockApp", self.app).on_worker_state_changed(event)

    @property
    def table(self) -> Table[tuple[int, Row]]:
        return self.query_one("#result", Table)

    @property
    def plot(self) -> Chart:
        return self.query_one("#plot", Chart)

    @property
    def shown(self) -> Table[tuple[int, Row]] | Chart:
        return self.plot if self.plot.display else self.table

    def show(self, answer: Answer, columns: list[Column[tuple[int, Row]]]) -> None:
        self.answer, self._order_by = answer, None
        self._serial += 1
        self.table.show_columns(columns)
        empty = "The query gave no rows." if answer.names else "Done; it answers nothing."
        self.table.show(list(enumerate(answer.rows)), empty=cell(empty, "rest"))
        self.table.action_edge(-1)
        self.table.border_title = f"Result · {sqls.title(answer)}"
        self._draw()

    # -- sorting -----------------------------------------------------------------------------------------------------

    @on(Table.HeaderClicked, "#result")
    def _sort(self, event: Table.HeaderClicked) -> None:
        event.stop()
        if self.answer is None:
            return
        place = self.table.columns.index(event.column)
        down = self._order_by == (place, False)
        self._order_by = place, down
        self._order(self.answer, place, down)

    @work(thread=True, group="sort", exclusive=True, exit_on_error=False)
    def _order(self, answer: Answer, place: int, down: bool) -> None:
        rows = sqls.ordered(list(enumerate(answer.rows)), place, down=down)
        keys = [str(number) for number, _ in rows]
        cast("PaddockApp", self.app).back(partial(self._ordered, answer, place, down, rows, keys))

    def _ordered(self, answer: Answer, place: int, down: bool, rows: list[tuple[int, Row]], keys: list[str]) -> None:
        if not self.is_mounted or answer is not self.answer or self._order_by != (place, down):
            return
        self.table.show(rows, keys=keys)
        column, way = self.table.columns[place], "↓" if down else "↑"
        self.table.border_title = f"Result · {sqls.title(answer)} · {column.title} {way}"

    # -- the picture -------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """From the rows to their picture, and back."""
        self.plot.display = not self.plot.display
        self.table.display = not self.plot.display
        self.shown.focus()  # where letters are keys: zoom and crosshair
        self._draw()

    def _draw(self) -> None:
        if self.plot.display and self.answer is not None and self._drawn != self._serial:
            self._picture(self.answer, self._serial)

    @work(thread=True, group="picture", exclusive=True, exit_on_error=False)
    def _picture(self, answer: Answer, serial: int) -> None:
        from tui.sqlplot import picture

        cast("PaddockApp", self.app).back(partial(self._pictured, picture(answer, serial), serial))

    def _pictured(self, made: Picture, serial: int) -> None:
        if self.is_mounted and serial == self._serial:
            self._drawn = serial
            self.plot.show(made)
            self.plot.border_title = self.table.border_title
            self.post_message(self.Drawn())
