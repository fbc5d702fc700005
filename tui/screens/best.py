"""Which model to use: the leaderboard by validation, why a run stands where it does, and the step into production."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from engine.records import RunRow
from tui import best, elsewhere, heat, why
from tui.answers import BESIDE, Near, Ranking, look_near, rank, rival_of, row_of
from tui.folding import folded
from tui.forecast import picture
from tui.keys import BEST, bindings, hint, label, offer
from tui.present import Cell, cell
from tui.screens.wishing import Wishing
from tui.screens.work import SETTLED
from tui.shares import Row
from tui.widgets.chart import Chart
from tui.widgets.ground import Beside
from tui.widgets.lines import Lines
from tui.widgets.pane import ScrollPane, framed
from tui.widgets.strips import pieces
from tui.widgets.table import Table
from tui.world import World

PANES = ("why", "symbols", "forecast")
"""Below the leaderboard, where there is room for one of them only."""


class BestScreen(Wishing):
    """Screen 5. The cursor stays on its run while the leaderboard changes."""

    WHERE = BEST
    NAME = "best"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - as Textual declares it
    CSS = """
    BestScreen #asked { height: 1; margin-bottom: 0; }
    BestScreen #said { padding: 0 2; }
    BestScreen #near { height: 1fr; }
    BestScreen #symbols { height: 100%; }
    BestScreen #forecast { width: 1fr; height: 100%; }
    BestScreen #why-pane { height: 100%; scrollbar-size-vertical: 1; }
    BestScreen.-tight .pane { border: none; border-top: solid $line; padding: 0 1; }
    BestScreen.-tight .pane:focus { border: none; border-top: solid $primary; }
    BestScreen.-narrow #near > * { width: 100%; display: none; }
    BestScreen.-narrow.-show-why #why-pane, BestScreen.-narrow.-show-symbols #symbols,
    BestScreen.-narrow.-show-forecast #forecast { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(BEST)]
    AUTO_FOCUS = "#board"
    ROWS = (
        Row("near", ("symbols", "forecast", "why-pane")),
        Row("panes", ("board", "near"), down=True),
    )

    def __init__(self) -> None:
        super().__init__()
        self._near: Near | None = None
        self._near_asked: tuple[Ranking | None, str, list[str]] = (None, "", [])
        self._symbol = ""
        self._by = heat.ORDERS[0]
        self._pane = PANES[0]
        self._why_width = 0
        """Cells of a line of the pane that says why, when it was last filled."""

    def compose(self) -> ComposeResult:
        yield Lines(id="top")
        yield Lines(id="asked")
        empty = cell("Reading the leaderboard…", "rest")
        yield framed(Table[best.Line]((), empty, key=lambda line: line.id, id="board", markable=True))
        yield Lines(id="said")
        with Beside(id="near"):
            yield framed(Table[heat.Symbol]((), cell("", "rest"), key=lambda row: row.name, id="symbols"))
            yield framed(Chart("forecast", id="forecast"))
            with ScrollPane(id="why-pane", classes="pane"):
                yield Lines(id="why")
        yield Lines(id="foot")

    def on_mount(self) -> None:
        self.recall()
        for name, title, keys in (
            ("board", "Best", hint("best.mark", "best.open", "best.promote")),
            ("symbols", "Skill by symbol, %", ""),
            ("forecast", "", ""),
            ("why-pane", "Why", ""),
        ):
            pane = self.query_one(f"#{name}")
            pane.border_title = title
            pane.border_subtitle = keys
        self._show_pane()
        # Until there is a ranking that tells how much room they take: it may wait long for what is being written.
        self.query_one("#said").display = self.query_one("#near").display = False
        self.begin()

    def arrived(self) -> None:
        self.ask_again()

    @property
    def board(self) -> Table[best.Line]:
        return self.query_one("#board", Table)

    @property
    def symbols(self) -> Table[heat.Symbol]:
        return self.query_one("#symbols", Table)

    def target(self) -> RunRow | None:
        return self.paddock.world.rows.get(self.board.chosen or "")

    # -- asking ----------------------------------------------------------------------------------------------------

    def show(self, world: World) -> None:
        self.show_frame(world)
        if self.news(world) and self.found is not None:
            self.soon("rank", self.ask_again, SETTLED)
        size = (self.app.size.width, self.app.size.height, self.has_class("-narrow"))
        if self.found is not None and self.fresh("all", self.found, world.rows, size, self.paddock.marked):
            self._fill(self.found)

    def ask_again(self) -> None:
        """Rank anew, with what was logged and validated meanwhile."""
        wish, workspace = self.wanted, self.paddock.workspace
        far = self.paddock.far
        self.work("rank", lambda: elsewhere.rank(far, wish) if far else rank(workspace, wish), self._ranked)

    def _ranked(self, found: Ranking) -> None:
        self.found = found
        self.show(self.paddock.world)
        self._look()

    def _look(self) -> None:
        """Read what is told of the run under the cursor, if it is not that already."""
        found, run = self.found, self.board.chosen
        if found is None or found.board is None or row_of(found.board, run) is None or run is None:
            return
        board, workspace = found.board, self.paddock.workspace
        symbols = [self._symbol] if self._symbol else [row.name for row in self.symbols.rows]
        if self._near_asked[0] is found and self._near_asked[1:] == (run, symbols):
            return  # the cursor of a new ranking tells where it is, too
        self._near_asked = found, run, symbols
        rival = rival_of(board, run)
        far = self.paddock.far

        def look() -> Near:
            return elsewhere.look_near(far, run, rival) if far else look_near(workspace, run, rival, symbols)

        self.work("near", look, self._looked)

    def _looked(self, near: Near) -> None:
        self._near = near
        self.query_one("#forecast", Chart).show(picture(near))
        self._tell_panes()
        if self.found is not None:
            self._show_why(self.found)

    # -- showing ---------------------------------------------------------------------------------------------------

    def _fill(self, found: Ranking) -> None:
        width = self.app.size.width
        asked, links = pieces(best.asked(found), width)
        self.query_one("#asked", Lines).show([asked], links)
        self._arrange(found, width)
        self._tell_panes()
        rows = best.lines(found, self.paddock.world.rows)
        if found.board is not None and self.fresh("board", found, width):
            self.board.show_columns(best.columns(found, width))
        self.board.show(rows, empty=self._empty(found))
        if (
            rows and rows[0].row.is_naive and not self._near_asked[1]
        ):  # first of all the best run, though naive is before
            self.board.choose(next((line.id for line in rows if not line.row.is_naive), ""))
        self.board.mark(self.paddock.marked)
        self._fill_symbols(found)
        self._show_why(found)
        if self.shaped("near") or self.shaped("panes"):
            self.lay()
            self.call_after_refresh(self._fitted)

    def _fitted(self) -> None:
        """Where a person gave the panes their sizes, their columns are known only once they are laid out."""
        self.lay()
        if self.found is not None:
            self._fill_symbols(self.found)
            self._show_why(self.found)

    def reshaped(self, row: Row) -> None:
        self.fresh("all")
        super().reshaped(row)

    def _empty(self, found: Ranking) -> Cell:
        if found.trouble:
            return ((found.trouble, "attention"), ("   ", "text"), *offer("best.metric", " another metric"))
        return (
            ("No run has a result yet. ", "rest"),
            *offer("everywhere.new-run", " queues one; its validation brings it here."),
        )

    def _arrange(self, found: Ranking, width: int) -> None:
        """The leaderboard gets what it needs, at most half of the screen; its sentence what it takes."""
        height = self.app.size.height
        said = best.said(found, width - 6)
        tight = height < 30 or width < 100
        self.set_class(tight, "-tight")
        rows = len(found.board.rows) if found.board is not None else 0
        frame = 1 if tight else 2
        most = max(5, height - 3 - len(said) - (9 if tight else max(14, height // 2 - 3)))
        if not rows or not self.shaped("panes"):
            self.board.styles.height = 1 + frame + min(rows, most - 1 - frame) if rows else "1fr"
        shown = self.query_one("#said", Lines)
        shown.display = bool(said)
        shown.styles.height = max(1, len(said))
        shown.show(said)
        self.query_one("#near").display = bool(rows)

    def _fill_symbols(self, found: Ranking) -> None:
        width = self.app.size.width
        wide, runs = width >= 190, min(len(found.beside), BESIDE if width >= 190 else 2)
        narrow = self.has_class("-narrow")
        shaped = self.shaped("near") and not narrow
        if not shaped:
            self.symbols.styles.width = heat.width_for(runs) if width >= 140 else "100%" if narrow else 36
            self.query_one("#why-pane").styles.width = "100%" if narrow else 52 if wide else 46
        width = heat.width_for(runs) - 5 if width >= 140 and not shaped else max(20, self.symbols.size.width)
        if not self.fresh("symbols", found, width, self._by):
            return
        rows = heat.symbols(found.symbols, found.beside, self._by)
        self.symbols.show_columns(heat.columns(found.beside, width))
        self.symbols.show(rows, empty=cell("No results by symbol yet.", "rest"))
        self.symbols.border_subtitle = f"{label('best.order')} {self._by}"

    def _show_why(self, found: Ranking) -> None:
        pane, shown = self.query_one("#why-pane"), self.query_one("#why", Lines)
        row = row_of(found.board, self.board.chosen)
        width = max(30, pane.size.width - 1)
        lines = why.why(found, row, self._near, width) if row is not None else []
        if row is None and found.board is not None and found.board.rows:
            told = (" repeats the last price; it is what a model has to beat", "rest")
            lines = folded([("naive", "attention"), told], width, 4)
        shown.styles.height = max(1, len(lines))
        shown.show(lines)
        if width != self._why_width:  # not laid out for it yet: once more when it is
            self._why_width = width
            self.call_after_refresh(self._show_why, found)

    def _show_pane(self) -> None:
        for name in PANES:
            self.set_class(name == self._pane, f"-show-{name}")
        self._tell_panes()

    def _tell_panes(self) -> None:
        """On a small terminal, where one of them is shown, its title has the key of the next one: `v symbols`."""
        after = PANES[(PANES.index(self._pane) + 1) % len(PANES)]
        more = f" · {label('best.pane')} {after}" if self.has_class("-narrow") else ""
        self.query_one("#why-pane").border_title = f"Why{more}"
        self.symbols.border_title = f"Skill by symbol, %{more}"
        near = self._near
        of = "" if near is None else f"{near.run} · {near.symbol}" if near.symbol else near.run
        self.query_one("#forecast").border_title = f"{of}{more}".removeprefix(" · ")

    # -- moving ----------------------------------------------------------------------------------------------------

    @on(Table.Chosen, "#board")
    def _chosen(self, event: Table.Chosen) -> None:
        event.stop()
        self.show_frame(self.paddock.world)
        if self.found is not None:
            self._show_why(self.found)
            self.soon("near", self._look)

    @on(Table.Chosen, "#symbols")
    def _symbol_chosen(self, event: Table.Chosen) -> None:
        event.stop()
        if event.table.has_focus and event.key is not None and event.key != self._symbol:
            self._symbol = event.key
            self.soon("near", self._look)

    @on(Table.Opened, "#board")
    def _opened(self, event: Table.Opened) -> None:
        event.stop()
        if row_of(self.found.board if self.found else None, event.key) is not None:
            self.paddock.open_run(event.key)

    def action_order(self) -> None:
        self._by = heat.ORDERS[(heat.ORDERS.index(self._by) + 1) % len(heat.ORDERS)]
        if self.found is not None:
            self._fill_symbols(self.found)

    def action_pane(self) -> None:
        """On a small terminal, the next of what is below the leaderboard."""
        if self.has_class("-narrow"):
            self._pane = PANES[(PANES.index(self._pane) + 1) % len(PANES)]
            self._show_pane()
            self.call_after_refresh(self.show, self.paddock.world)
        else:
            self.notify("All three are shown already: why, symbols and forecast.", timeout=3)

    def action_mark(self) -> None:
        if self._mark(self.board.chosen):
            self.board.action_move(1)

    @on(Table.Marked, "#board")
    def _marked(self, event: Table.Marked) -> None:
        self._mark(event.key)

    def _mark(self, run: str | None) -> bool:
        """Mark a run, or not any more; naive's line is none."""
        if run is None or row_of(self.found.board if self.found else None, run) is None:
            return False
        self.paddock.marked = self.paddock.marked ^ {run}
        self.board.mark(self.paddock.marked)
        return True
