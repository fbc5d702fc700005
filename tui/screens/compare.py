"""The marked runs side by side: their metrics, curves, settings that differ, and symbols; live while they train."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from engine.records import RunRow
from tui import compare, elsewhere, heat
from tui.answers import Compared, put_beside
from tui.keys import COMPARE, ZOOM, bindings, hint, label, named
from tui.present import cell
from tui.screens.overlaying import Overlaying
from tui.screens.work import SETTLED
from tui.shares import Row
from tui.theme import run_roles
from tui.widgets.chart import Chart
from tui.widgets.ground import Beside
from tui.widgets.lines import Lines
from tui.widgets.pane import framed
from tui.widgets.table import Table
from tui.world import World

PANES = ("fields", "curves", "symbols")
"""Below the runs, where there is room for one of them only."""
HIGH = 60
"""Lines of a terminal from which on curves have more than they need."""
NAMES = {"fields": "settings", "curves": "curves", "symbols": "symbols"}
"""What people call them."""


class CompareScreen(Overlaying):
    """Screen 4. Each run keeps its colour in all panes; the others are tested against the first."""

    WHERE = COMPARE
    NAME = "compare"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - as Textual declares it
    CSS = """
    CompareScreen #told { height: 1; }
    CompareScreen #curves { height: 3fr; min-height: 8; }
    CompareScreen #curves > * { width: 1fr; height: 100%; }
    CompareScreen #below { height: 2fr; }
    CompareScreen #fields { width: 1fr; height: 100%; overflow-x: auto; scrollbar-size-horizontal: 0; }
    CompareScreen #symbols { height: 100%; }
    CompareScreen.-tight .pane { border: none; border-top: solid $line; padding: 0 1; }
    CompareScreen.-tight .pane:focus { border: none; border-top: solid $primary; }
    CompareScreen.-narrow #curves, CompareScreen.-narrow #below { display: none; height: 1fr; }
    CompareScreen.-narrow #error { display: none; }
    CompareScreen.-narrow.-show-curves #curves, CompareScreen.-narrow.-show-fields #below,
    CompareScreen.-narrow.-show-symbols #below { display: block; }
    CompareScreen.-narrow.-show-curves #error { display: block; }
    CompareScreen.-narrow.-show-curves #loss { display: none; }
    CompareScreen.-narrow.-show-fields #symbols, CompareScreen.-narrow.-show-symbols #fields { display: none; }
    CompareScreen.-empty #curves, CompareScreen.-empty #below { display: none; }
    CompareScreen.-empty.-narrow #curves, CompareScreen.-empty.-narrow #below { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(COMPARE)]
    AUTO_FOCUS = "#runs"
    ROWS = (
        Row("below", ("fields", "symbols")),
        Row("curves", ("loss", "error")),
        Row("panes", ("curves", "below"), down=True),
    )

    def __init__(self) -> None:
        super().__init__()
        self._sort = ""
        self._first = ""
        self._equal = False
        self._by = heat.ORDERS[0]
        self._pane = PANES[0]

    def compose(self) -> ComposeResult:
        yield Lines(id="top")
        yield Lines(id="told")
        yield framed(Table[compare.Side]((), cell(""), key=lambda side: side.run, id="runs"))
        with Beside(id="curves"):
            yield framed(Chart("loss", id="loss"))
            yield framed(Chart("val pct_mae", id="error"))
        with Beside(id="below"):
            yield framed(Table[compare.Setting]((), cell(""), key=lambda row: row.key, id="fields", wide=True))
            yield framed(Table[heat.Symbol]((), cell(""), key=lambda row: row.name, id="symbols"))
        yield Lines(id="foot")

    def on_mount(self) -> None:
        for name, title, keys in (
            ("runs", "Compare", hint("compare.sort-next", "compare.first", "compare.remove")),
            ("loss", "", ""),
            ("error", "", ""),
            ("fields", "What differs", hint("compare.equal", "compare.diff")),
            ("symbols", "Skill by symbol, %", ""),
        ):
            pane = self.query_one(f"#{name}")
            pane.border_title = title
            pane.border_subtitle = keys
        self.query_one("#loss", Chart).offer("compare.smooth", "compare.log-scale", "compare.x-axis")
        self.query_one("#error", Chart).offer(*ZOOM, "compare.metric:another metric")
        self._show_pane()
        self.begin()

    def target(self) -> RunRow | None:
        return self.paddock.world.rows.get(self.table.chosen or "")

    # -- which runs ------------------------------------------------------------------------------------------------

    def show(self, world: World) -> None:
        order = [row.id for rows in (world.running, world.queue, world.finished) for row in rows]
        runs = compare.chosen(self.paddock.marked, order)
        if self._first in runs:
            runs = (self._first, *(run for run in runs if run != self._first))
        changed, self.runs = runs != self.runs, runs
        news = self.news(world)  # asked for in any case: else the next word of the engine would be news
        if changed:
            self._roles = run_roles(runs)
            self.ask_again()
            self._read_curves()
        elif news and len(runs) >= compare.LEAST:
            self.soon("compare", self.ask_again, SETTLED)
        self._fill(world)
        self.show_frame(world)

    def ask_again(self) -> None:
        """Compare anew, with what was logged and validated meanwhile."""
        runs, workspace = self.runs, self.paddock.workspace
        if len(runs) >= compare.LEAST:
            far = self.paddock.far
            put = (lambda: elsewhere.put_beside(far, runs)) if far else (lambda: put_beside(workspace, runs))
            self.work("compare", put, self._compared)

    def _compared(self, found: Compared) -> None:
        self.found = found
        if self.paddock.far:  # the curves came with it
            self._read_curves()
        self._fill(self.paddock.world)

    # -- showing ---------------------------------------------------------------------------------------------------

    def _fill(self, world: World) -> None:
        few = len(self.runs) < compare.LEAST
        self.set_class(few, "-empty")
        height, width = self.app.size.height, self.app.size.width
        tight = height < 30 or width < 100
        self.set_class(tight, "-tight")
        marked = len(self.paddock.marked)
        told = [] if few else compare.told(self.found, marked, self.runs)
        self.query_one("#told", Lines).show([told])
        found = self.found.found if set(self.found.runs) == set(self.runs) else None
        sort = self._sort if self._sort in compare.metrics_shown(found) else ""
        rows = [] if few else compare.sides(self.found, self.runs, world.rows, self._roles, sort)
        self.table.styles.height = "1fr" if few else 1 + len(rows) + (1 if tight else 2)
        if self.fresh("runs", self.found, sort, width, names := compare.named(rows, width)):
            self.table.show_columns(compare.columns(found, sort, width, names))
        self.table.show(rows, empty=compare.how_to_mark(marked))
        if not few:
            self._fill_fields()
            self._fill_symbols()
            self._share_height(len(rows))
            self.lay()
            if self.shaped("below"):
                self.call_after_refresh(self._fill_symbols)

    def _share_height(self, runs: int) -> None:
        """On a high terminal the curves give of their lines to symbols that would have to be scrolled for."""
        if self.shaped("panes"):
            return
        height = self.app.size.height
        room = height - runs - 6  # the lines around, and the table of the runs
        rows = max(len(self.query_one(f"#{name}", Table).rows) for name in ("fields", "symbols"))
        high = height >= HIGH and not self.has_class("-narrow") and rows + 3 > 2 * room // 5
        self.query_one("#below").styles.height = min(rows + 3, 3 * room // 5) if high else None

    def _fill_fields(self) -> None:
        if not self.fresh("fields", self.found, self.runs, self._equal, self._next_pane()):
            return
        pane = self.query_one("#fields", Table)
        rows = compare.settings(self.found, self.runs, equal=self._equal)
        pane.show_columns(compare.setting_columns(self.runs, self._roles, rows))
        waiting = not self.found.trouble and (self.found.found is None or not set(self.runs) <= set(self.found.runs))
        nothing = (
            "Reading…"
            if waiting
            else named("Nothing differs in config, code, environment and data; {compare.equal} shows what they share.")
        )
        pane.show(rows, empty=cell(nothing, "rest"))
        self._tell_fields()

    @on(Table.Shifted, "#fields")
    def _tell_fields(self) -> None:
        """Its title: what it shows, which columns are out of sight, and on a small terminal the key of what else is."""
        pane = self.query_one("#fields", Table)
        title = "What differs, and what does not" if self._equal else "What differs"
        parts = [title, pane.away if pane.rows else "", self._next_pane()]
        pane.border_title = " · ".join(filter(None, parts))

    def _next_pane(self) -> str:
        """The key that shows another pane below, where there is room for one alone: `v curves`."""
        if not self.has_class("-narrow"):
            return ""
        return f"{label('compare.pane')} {NAMES[PANES[(PANES.index(self._pane) + 1) % len(PANES)]]}"

    def _fill_symbols(self) -> None:
        pane = self.query_one("#symbols", Table)
        found = self.found.found
        most = self.app.size.width if self.has_class("-narrow") else self.app.size.width // 2
        width = min(heat.width_for(len(self.runs)), most)
        if self.has_class("-narrow"):
            pane.styles.width = "100%"
        elif self.shaped("below"):
            width = max(24, pane.outer_size.width)
        else:
            pane.styles.width = width
        if not self.fresh("symbols", self.found, self.runs, width, self._by, self._next_pane()):
            return
        rows = heat.symbols(found.symbols if found is not None else {}, self.runs, self._by)
        pane.show_columns(heat.columns(self.runs, width - 5))
        pane.show(rows, empty=cell("No results by symbol yet.", "rest"))
        pane.border_title = " · ".join(filter(None, ("Skill by symbol, %", self._next_pane())))
        pane.border_subtitle = f"{label('compare.order')} {self._by}"

    def _show_pane(self) -> None:
        for name in PANES:
            self.set_class(name == self._pane, f"-show-{name}")
        self._tell_fields()
        self.query_one("#error").border_title = self._next_pane()

    # -- keys ------------------------------------------------------------------------------------------------------

    def action_pane(self) -> None:
        """On a small terminal, the next of what is below the runs."""
        if not self.has_class("-narrow"):
            self.notify("All panes are shown already.", timeout=3)
            return
        self._pane = PANES[(PANES.index(self._pane) + 1) % len(PANES)]
        self._show_pane()
        self.call_after_refresh(self.show, self.paddock.world)

    def action_back(self) -> None:
        self.let_go()

    def action_equal(self) -> None:
        self._equal = not self._equal
        self._fill(self.paddock.world)

    def action_order(self) -> None:
        self._by = heat.ORDERS[(heat.ORDERS.index(self._by) + 1) % len(heat.ORDERS)]
        self._fill(self.paddock.world)

    def action_sort(self, way: int) -> None:
        """By the next metric, or the one before; past the last one back to the order they were marked in."""
        names = ["", *compare.metrics_shown(self.found.found)]
        at = names.index(self._sort) if self._sort in names else 0
        self._sort = names[(at + way) % len(names)]
        self._fill(self.paddock.world)
        self.notify(f"sorted by {self._sort}" if self._sort else "in the order of the lists", timeout=2)

    @on(Table.HeaderClicked, "#runs")
    def _sort_by(self, event: Table.HeaderClicked) -> None:
        event.stop()
        name = compare.metric_of(event.column.title)
        if name:
            self._sort = "" if name == self._sort else name
            self._fill(self.paddock.world)

    def action_first(self) -> None:
        """Test the others against the run under the cursor."""
        if (run := self.table.chosen) is not None:
            self._first = run
            self.show(self.paddock.world)

    def action_remove(self) -> None:
        run = self.table.chosen
        if run is not None and len(self.runs) >= compare.LEAST:
            self.paddock.marked = self.paddock.marked - {run}
            self.show(self.paddock.world)

    @on(Table.Chosen, "#runs")
    def _chosen(self, event: Table.Chosen) -> None:
        event.stop()
        self.show_frame(self.paddock.world)

    @on(Table.Opened, "#runs")
    def _opened(self, event: Table.Opened) -> None:
        event.stop()
        self.paddock.open_run(event.key)
