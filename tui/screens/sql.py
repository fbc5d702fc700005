"""SQL on runs.duckdb: what there is to the left, a query above, its rows or their picture below."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import ScreenResume

from engine.errors import BadQuery
from engine.records import RunRow
from tui import elsewhere, faults, shares, sqlwork
from tui import sql as sqls
from tui.charts import EVERYTHING
from tui.columns import Column
from tui.completion import Catalogue
from tui.feed import up_to_date
from tui.folding import folded
from tui.keys import SQL, bindings, label, offer
from tui.present import Part
from tui.screens.keeping import Keeping
from tui.screens.queries import QueriesScreen
from tui.sql import Row
from tui.sqltext import line_and_column
from tui.widgets.catalogue import CataloguePane
from tui.widgets.editor import SqlEditor
from tui.widgets.ground import Below, Beside
from tui.widgets.lines import Lines
from tui.widgets.pane import framed
from tui.widgets.querypane import QueryPane
from tui.widgets.resultpane import ResultPane
from tui.widgets.table import Table
from tui.world import CONNECTED, World

if TYPE_CHECKING:
    from engine.store_sql import Answer, Question

    Asked = Question | elsewhere.Question

FIRST = "SELECT *\nFROM run_summary\nORDER BY submitted DESC"
SIDE_FROM = 100
"""Columns of the terminal from which the catalogue is shown without being asked for."""


class SqlScreen(Keeping):
    """Screen 7. Reads in workers, through engine.store_sql: read-only and shut off from other files."""

    WHERE = SQL
    NAME = "sql"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(SQL)]
    AUTO_FOCUS = "#editor"
    ROWS = (
        shares.Row("panes", ("query", "answer"), down=True),
        shares.Row("side", ("side", "work")),
    )
    CSS = """
    SqlScreen #sql { height: 1fr; }
    SqlScreen #work { width: 1fr; height: 100%; }
    SqlScreen #query { height: 11; padding: 0; }
    SqlScreen #query:focus-within { border: round $primary; }
    SqlScreen #verdict { height: 1; padding: 0 1; }
    SqlScreen.-tight #query { height: 8; }
    SqlScreen.-tight #about { height: 4; }
    """

    most = sqls.MOST
    """Rows that are fetched of a result."""

    def __init__(self) -> None:
        super().__init__()
        self._question: Asked | None = None
        self._asked_at = 0.0
        self._wants_side: bool | None = None
        """What a person chose; None follows the width."""
        self._loading = False
        self._said: list[Part] = []
        """How the last query went; folded anew where there is another width."""

    def compose(self) -> ComposeResult:
        yield Lines(id="top")
        with Beside(id="sql"):
            yield CataloguePane(id="side")
            with Below(id="work"):
                yield framed(QueryPane(id="query"))
                yield Lines(id="verdict")
                yield ResultPane(id="answer")
        yield Lines(id="foot")

    @property
    def editor(self) -> SqlEditor:
        return self.pane.editor

    @property
    def side(self) -> CataloguePane:
        return self.query_one("#side", CataloguePane)

    @property
    def given(self) -> ResultPane:
        return self.query_one("#answer", ResultPane)

    @property
    def result(self) -> Table[tuple[int, Row]]:
        return self.given.table

    @property
    def answer(self) -> Answer | None:
        """What the last query that went well gave."""
        return self.given.answer

    @property
    def running(self) -> bool:
        return self._question is not None

    def on_mount(self) -> None:
        pane = self.query_one("#query")
        pane.border_title, pane.border_subtitle = "Query", "read only"
        self.given.plot.border_subtitle = f"{label('sql.plot')} rows"
        self.editor.text = FIRST
        self.begin()

    def arrived(self) -> None:
        self._load()

    def target(self) -> RunRow | None:
        return None

    def show(self, world: World) -> None:
        width, height = self.app.size
        self.set_class(height < 32, "-tight")
        side = width >= SIDE_FROM if self._wants_side is None else self._wants_side
        if self.side.display != side:
            self.side.display = side
            self.call_after_refresh(self.lay)
        if self._said:
            self._say(self._said)
        self.show_frame(world)

    def on_screen_resume(self, _: ScreenResume) -> None:  # Textual calls the base class's as well
        if self.ready:
            self.take()
            if self._seen and not self.pane.catalogue.relations:
                self._load()

    def take(self) -> None:
        """Put the query somebody wants to see here into the editor, and ask it."""
        text, self.paddock.sql_wanted = self.paddock.sql_wanted, ""
        if text:
            self.pane.take(text.strip())
            self.action_run()

    def on_resize(self) -> None:
        super().on_resize()
        if self.ready:
            self.pane.close()

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

    @work(thread=True, group="catalogue", exit_on_error=False)
    def _read_catalogue(self) -> None:
        try:
            far = self.paddock.far
            read = sqlwork.read_catalogue(self.paddock.workspace) if far is None else elsewhere.read_catalogue(far)
            found, problem = read, ""
        except Exception as error:  # the edge of a worker
            found, problem = Catalogue(), faults.said(error)
        self.paddock.back(partial(self._catalogued, found, problem))

    def _catalogued(self, found: Catalogue, problem: str) -> None:
        self._loading = False
        if not self.ready:
            return
        self.pane.catalogue = found
        self.side.show(found, problem and "nothing to ask yet")
        if problem:
            self._say([(f"✗ {problem}", "trouble")])

    @on(CataloguePane.Put)
    def _put(self, event: CataloguePane.Put) -> None:
        if event.whole:
            self.pane.take(event.text)
        else:
            self.editor.put(event.text)
        self.editor.focus()

    # -- the query -------------------------------------------------------------------------------------------------

    def action_run(self) -> None:
        """Ask the selection, or the whole text."""
        query = self.pane.wanted
        if not query.strip():
            self._say([("Nothing to run: type a query, or take one of the recipes.", "attention")])
            return
        from engine.store_sql import Question

        if self._question is not None:
            self._question.stop()
        self.pane.asked(query)
        far = self.paddock.far
        self._question = (
            Question(self.paddock.workspace.database, query, patience=3.0, most=self.most)
            if far is None
            else elsewhere.Question(far, query, most=self.most)
        )
        self._asked_at = time.monotonic()
        self._say([("running…", "rest")])
        self._ask(self._question, self.paddock.world.link.state == CONNECTED)

    @work(thread=True, group="sql", exit_on_error=False)
    def _ask(self, question: Asked, newest: bool) -> None:
        behind = up_to_date(self.paddock.workspace) if newest and self.paddock.far is None else ""
        try:
            answer = question.ask()
            columns = sqls.columns(answer)
        except Exception as error:  # the edge of a worker
            self.paddock.back(partial(self._failed, question, error))
        else:
            self.paddock.back(partial(self._answered, question, answer, columns, behind))

    def _answered(
        self,
        question: Asked,
        answer: Answer,
        columns: list[Column[tuple[int, Row]]],
        behind: str,
    ) -> None:
        if not self.ready or question is not self._question:
            return
        self._answered_query = question.query
        self._question = None
        self.given.show(answer, columns)
        said: list[Part] = [("✓ ", "good"), (sqls.title(answer), "rest")]
        if answer.more:
            said = [
                ("▲ ", "attention"),
                (sqls.title(answer), "attention"),
                ("   ", "text"),
                *offer("sql.export", " writes all"),
            ]
        if behind:
            said += [(f"   the database may be behind: {behind}", "attention")]
        self._say(said)

    def _failed(self, question: Asked, error: Exception) -> None:
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
            self._say([(f"✗ {faults.said(error)}", "trouble")])

    def _say(self, line: list[Part]) -> None:
        """In as many lines as it takes, at most three."""
        self._said = line
        verdict = self.query_one("#verdict", Lines)
        lines = folded(line, max(20, verdict.size.width), 3)
        if verdict.styles.height is None or verdict.styles.height.value != len(lines):
            verdict.styles.height = len(lines)
        verdict.show(lines)

    # -- keys ------------------------------------------------------------------------------------------------------

    def action_plot(self) -> None:
        self.given.turn()

    @on(ResultPane.Drawn)
    def _drawn(self) -> None:
        self.look(EVERYTHING)  # a zoom was one of the picture before

    def action_side(self) -> None:
        self._wants_side = self.side.display = not self.side.display
        self.call_after_refresh(self.lay)
        (self.side.table if self._wants_side else self.editor).focus()

    def action_history(self) -> None:
        def chosen(query: str | None) -> None:
            if query is not None:
                self.pane.take(query)
            self.editor.focus()

        self.pane.close()
        self.app.push_screen(QueriesScreen(self.pane.history.queries), chosen)

    def action_back(self) -> None:
        """One level: offers, a query that runs, the zoom of the plot, the editor, the screen."""
        if self.editor.offering:
            self.pane.close()
        elif self._question is not None:
            self._question.stop()
        elif self.given.plot.display and self.let_go():
            pass
        elif self.editor.has_focus:
            (self.given.shown if self.result.rows else self.side.table).focus()
        else:
            self.paddock.action_go("dashboard")
