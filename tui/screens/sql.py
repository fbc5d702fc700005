"""SQL on runs.duckdb: what there is to the left, a query above, its rows or their picture below."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from engine.errors import BadQuery, EngineError
from engine.recipes import RECIPES
from engine.records import RunRow, Sync
from tui import sql as sqls
from tui.completion import Catalogue, Column, Relation, complete
from tui.feed import ask
from tui.history import History
from tui.keys import SQL, bindings
from tui.present import Cell, Part, cell
from tui.screens.base import BaseScreen
from tui.sql import NODES, Node, Row
from tui.sqltext import line_and_column
from tui.widgets.chart import Chart
from tui.widgets.editor import SqlEditor
from tui.widgets.lines import Lines
from tui.widgets.offers import Offers
from tui.widgets.table import Table
from tui.world import CONNECTED, World

if TYPE_CHECKING:
    from engine.store_sql import Answer, Question

FIRST = "SELECT *\nFROM run_summary\nORDER BY submitted DESC"
NOTHING: Cell = (
    ("F5", "key"), (" runs the query", "rest"), ("   F8", "key"), (" earlier ones", "rest"), ("   tab", "key"),
    (" completes a name", "rest"),
)  # fmt: skip
SIDE_FROM = 100
"""Columns of the terminal from which the catalogue is shown without being asked for."""


class SqlScreen(BaseScreen):
    """Screen 7. Reads in workers, through engine.store_sql: read-only and shut off from other files."""

    WHERE = SQL
    NAME = "sql"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(SQL)]
    AUTO_FOCUS = "#editor"
    DEFAULT_CSS = """
    SqlScreen #sql { height: 1fr; }
    SqlScreen #side { width: 34; height: 100%; }
    SqlScreen #tables { height: 1fr; }
    SqlScreen #about { height: 6; }
    SqlScreen #work { width: 1fr; height: 100%; }
    SqlScreen #editor { height: 11; background: $background; padding: 0; scrollbar-size-vertical: 1; }
    SqlScreen #editor > .text-area--gutter { color: $faint; }
    SqlScreen #verdict { height: 1; padding: 0 1; }
    SqlScreen #result, SqlScreen #plot { height: 1fr; overflow-x: auto; }
    SqlScreen.-tight #editor { height: 7; }
    SqlScreen.-tight #about { height: 4; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._catalogue = Catalogue()
        self._opened: set[str] = {"recipes"}
        self._history = History()
        self._back = -1
        """Place in the history; -1 is what is typed now."""
        self._typed = ""
        self._question: Question | None = None
        self._asked_at = 0.0
        self._answer: Answer | None = None
        self._sorted: tuple[int, bool] | None = None
        self._side: bool | None = None
        self._loading = False

    def compose(self) -> ComposeResult:
        yield Lines(id="top")
        with Horizontal(id="sql"):
            with Vertical(id="side"):
                yield Table[Node](NODES, cell("reading…", "rest"), key=lambda node: node.key, id="tables")
                yield Lines(id="about", classes="pane")
            with Vertical(id="work"):
                yield SqlEditor(id="editor")
                yield Lines(id="verdict")
                yield Table[tuple[int, Row]]((), NOTHING, key=lambda row: str(row[0]), id="result", wide=True)
                yield Chart("", id="plot")
        yield Offers(id="offers")
        yield Lines(id="foot")

    @property
    def editor(self) -> SqlEditor:
        return self.query_one("#editor", SqlEditor)

    @property
    def result(self) -> Table[tuple[int, Row]]:
        return self.query_one("#result", Table)

    @property
    def tables(self) -> Table[Node]:
        return self.query_one("#tables", Table)

    @property
    def offers(self) -> Offers:
        return self.query_one("#offers", Offers)

    @property
    def answer(self) -> Answer | None:
        """What the last query that went well gave."""
        return self._answer

    @property
    def running(self) -> bool:
        return self._question is not None

    def on_mount(self) -> None:
        for name, title, keys in (
            ("tables", "Tables", "enter"),
            ("about", "", ""),
            ("editor", "Query", "read only"),
            ("result", "Result", ""),
            ("plot", "", "F7 rows"),
        ):
            pane = self.query_one(f"#{name}")
            pane.add_class("pane")
            pane.border_title = f" {title} " if title else ""
            pane.border_subtitle = f" {keys} " if keys else ""
        self.query_one("#plot").display = False
        self.editor.text = FIRST
        self.begin()
        self._load()

    def target(self) -> RunRow | None:
        return None

    def show(self, world: World) -> None:
        width, height = self.app.size
        self.set_class(height < 32, "-tight")
        side = width >= SIDE_FROM if self._side is None else self._side
        if self.query_one("#side").display != side:
            self.query_one("#side").display = side
        self.show_frame(world)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.ready:
            self.take()
            if not self._catalogue.relations:
                self._load()

    def take(self) -> None:
        """Put the query somebody wants to see here into the editor, and ask it."""
        text, self.paddock.sql_wanted = self.paddock.sql_wanted, ""
        if text:
            self._replace(text.strip())
            self.action_run()

    def on_resize(self) -> None:
        super().on_resize()
        if self.ready:
            self.offers.hide()
            self.editor.offering = False

    def tick(self) -> None:
        super().tick()
        if self.running:
            seconds = time.monotonic() - self._asked_at
            self._say([(f"running for {sqls.took(seconds)}", "attention"), ("   esc", "key"), (" stops it", "rest")])

    # -- what there is ---------------------------------------------------------------------------------------------

    def _load(self) -> None:
        if not self._loading:
            self._loading = True
            self._read_catalogue()

    @work(thread=True, group="catalogue")
    def _read_catalogue(self) -> None:
        from engine.store_catalogue import catalogue

        problem, found = "", Catalogue()
        try:
            found = Catalogue(
                tuple(
                    Relation(
                        one.name, one.kind, one.comment, tuple(Column(c.name, c.type, c.comment) for c in one.columns)
                    )
                    for one in catalogue(self.paddock.workspace.database)
                )
            )
        except EngineError as error:
            problem = str(error)
        self.paddock.back(partial(self._known, found, problem))

    def _known(self, found: Catalogue, problem: str) -> None:
        self._loading = False
        if not self.ready:
            return
        self._catalogue = found
        self._show_nodes(problem)
        if problem:
            self._say([(f"✗ {problem}", "trouble")])

    def _show_nodes(self, problem: str = "") -> None:
        recipes = [(recipe.name, recipe.sql) for recipe in RECIPES]
        rows = sqls.nodes(self._catalogue, recipes if self._catalogue.relations else [], self._opened)
        self.tables.show(rows, empty=cell("nothing yet" if problem else "reading…", "rest"))

    @on(Table.Chosen, "#tables")
    def _looked_at(self, event: Table.Chosen) -> None:
        node = self.tables.chosen_row
        about = self.query_one("#about", Lines)
        if node is None:
            about.show([])
            return
        comment = node.comment
        if node.kind == "recipe":
            comment = next((recipe.about for recipe in RECIPES if recipe.name == node.text), "")
        about.show(sqls.wrapped(node.text, node.about, comment, about.size.width, about.size.height))

    @on(Table.Opened, "#tables")
    def _entered(self, event: Table.Opened) -> None:
        node = self.tables.chosen_row
        if node is None:
            return
        if node.kind == "recipe":
            self._replace(node.puts)
            self.editor.focus()
        elif node.kind == "column":
            self.editor.put(node.puts)
            self.editor.focus()
        else:
            self._opened ^= {node.key}
            self._show_nodes()

    # -- the query -------------------------------------------------------------------------------------------------

    def _replace(self, text: str) -> None:
        self.editor.text = text
        self.editor.move_cursor(self.editor.document.end)
        self._back = -1

    def action_run(self) -> None:
        """Ask the selection, or the whole text."""
        query = self.editor.selected_text or self.editor.text
        if not query.strip():
            self._say([("Nothing to run: type a query, or take one of the recipes.", "attention")])
            return
        from engine.store_sql import Question

        if self._question is not None:
            self._question.stop()
        self._close_offers()
        self.editor.mark(None)
        self._history.add(query)
        self._back = -1
        self._question = Question(self.paddock.workspace.database, query, patience=3.0, most=sqls.MOST)
        self._asked_at = time.monotonic()
        self._say([("running…", "rest")])
        self._ask(self._question, self.paddock.world.link.state == CONNECTED)

    @work(thread=True, group="sql")
    def _ask(self, question: Question, up_to_date: bool) -> None:
        behind = ""
        if up_to_date:
            try:
                ask(self.paddock.workspace, Sync())
            except EngineError as error:
                behind = str(error)
        try:
            answer = question.ask()
        except EngineError as error:
            self.paddock.back(partial(self._failed, question, error))
        else:
            self.paddock.back(partial(self._answered, question, answer, behind))

    def _answered(self, question: Question, answer: Answer, behind: str) -> None:
        if not self.ready or question is not self._question:
            return
        self._question, self._answer, self._sorted = None, answer, None
        self.result.show_columns(sqls.columns(answer))
        empty = "The query gave no rows." if answer.names else "Done; it answers nothing."
        self.result.show(list(enumerate(answer.rows)), empty=cell(empty, "rest"))
        self.result.action_edge(-1)
        self.result.border_title = f" Result · {sqls.title(answer)} "
        said: list[Part] = [("✓ ", "good"), (sqls.title(answer), "rest")]
        if answer.more:
            said = [("▲ ", "attention"), (sqls.title(answer), "attention"), ("   F10", "key"), (" writes all", "rest")]
        if behind:
            said += [(f"   the database may be behind: {behind}", "attention")]
        self._say(said)
        self._draw()

    def _failed(self, question: Question, error: EngineError) -> None:
        if not self.ready or question is not self._question:
            return
        self._question = None
        if isinstance(error, BadQuery) and error.at is not None:
            offset = self.editor.text.find(question.query)
            at = error.at + max(0, offset)
            line, column = line_and_column(self.editor.text, at)
            self.editor.mark(at)
            self._say([(f"✗ line {line + 1}, column {column + 1}: {error}", "trouble")])
        else:
            self._say([(f"✗ {error}", "trouble")])

    def _say(self, line: list[Part]) -> None:
        self.query_one("#verdict", Lines).show([line])

    # -- offers ----------------------------------------------------------------------------------------------------

    @on(SqlEditor.Changed, "#editor")
    def _edited(self) -> None:
        self._offer(asked=False)

    @on(SqlEditor.Asked)
    def _wanted(self) -> None:
        self._offer(asked=True)

    def _offer(self, *, asked: bool) -> None:
        editor = self.editor
        if not editor.has_focus:
            return
        found = complete(editor.text, editor.at, self._catalogue, asked=asked)
        if not found.offers:
            self._close_offers()
            return
        if asked and len(found.offers) == 1:
            editor.put(found.offers[0].text, found.start)
            self._close_offers()
            return
        editor.offering = True
        self.offers.show_offers(found.offers, editor.below_cursor)

    def _close_offers(self) -> None:
        self.editor.offering = False
        self.offers.hide()

    @on(SqlEditor.Steered)
    def _steered(self, event: SqlEditor.Steered) -> None:
        way = {"up": -1, "down": 1, "pageup": -8, "pagedown": 8}.get(event.key)
        if way is not None:
            self.offers.steer(way)
        elif event.key == "escape":
            self._close_offers()
        else:
            self._take_offer()

    @on(Offers.Picked)
    def _take_offer(self) -> None:
        editor, offer = self.editor, self.offers.chosen
        if offer is not None:
            start = complete(editor.text, editor.at, self._catalogue, asked=True).start
            with self.prevent(SqlEditor.Changed):
                editor.put(offer.text, start)
        self._close_offers()

    # -- history ---------------------------------------------------------------------------------------------------

    @on(SqlEditor.Past)
    def _past(self, event: SqlEditor.Past) -> None:
        queries = self._history.queries
        if self._back == -1:
            self._typed = self.editor.text
        place = self._back - event.way
        if not -1 <= place < len(queries):
            return
        text = self._typed if place == -1 else queries[place]
        with self.prevent(SqlEditor.Changed):
            self.editor.text = text
            self.editor.move_cursor(self.editor.document.end if event.way < 0 else (0, 0))
        self._back = place
        if place >= 0:
            self._say([(f"{place + 1} of {len(queries)} earlier queries", "rest"), ("   ↓", "key"), (" back", "rest")])
        else:
            self._say([])

    # -- keys ------------------------------------------------------------------------------------------------------

    def action_plot(self) -> None:
        plot = self.query_one("#plot", Chart)
        plot.display = not plot.display
        self.result.display = not plot.display
        self._draw()

    def _draw(self) -> None:
        plot = self.query_one("#plot", Chart)
        if plot.display and self._answer is not None:
            from tui.sqlplot import picture

            plot.show(picture(self._answer, id(self._answer)))
            plot.border_title = self.result.border_title

    def action_side(self) -> None:
        side = self.query_one("#side")
        self._side = not side.display
        side.display = self._side
        (self.tables if self._side else self.editor).focus()

    def action_back(self) -> None:
        """One level: offers, a query that runs, the editor, the screen."""
        if self.editor.offering:
            self._close_offers()
        elif self._question is not None:
            self._question.stop()
        elif self.editor.has_focus:
            (self.result if self.result.display and self.result.rows else self.tables).focus()
        else:
            self.paddock.action_go("dashboard")
