"""What is kept of a query: its command line in the clipboard, a view, a file of its rows."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work

from tui import faults, sqlwork
from tui import sql as sqls
from tui.keys import offer
from tui.present import Part
from tui.screens.ask import AskScreen
from tui.screens.base import BaseScreen
from tui.widgets.querypane import QueryPane

if TYPE_CHECKING:
    from engine.store_sql import Answer


class Keeping(BaseScreen):
    """A screen with a QueryPane #query, and lines of its own for what is said."""

    def __init__(self) -> None:
        super().__init__()
        self._answered_query = ""

    @property
    def pane(self) -> QueryPane:
        return self.query_one("#query", QueryPane)

    @property
    def answer(self) -> Answer | None:
        """What the last query that went well gave."""
        raise NotImplementedError

    def _say(self, line: list[Part]) -> None:
        raise NotImplementedError

    def _load(self) -> None:
        """Read anew what tables and views there are."""
        raise NotImplementedError

    def action_copy(self) -> None:
        """The same question at the command line."""
        query = self.pane.wanted
        self.app.copy_to_clipboard(shlex.join(["engine", "sql", query.strip()]))
        self.notify("the query as an `engine sql` command is in the clipboard", timeout=3)

    def action_save_view(self) -> None:
        query = self.pane.wanted.strip()
        if self.paddock.refuse() or not query:
            return
        from engine.store_own import wrong_name

        def named(name: str | None) -> None:
            if name:
                self._do(partial(sqlwork.save_view, self.paddock.workspace, name, query))

        detail = "kept in views/NAME.sql; every DuckDB client sees it."
        question = AskScreen("Save the query as a view called", detail, wrong_name, placeholder="better_than_naive")
        self.app.push_screen(question, named)

    @work(thread=True, group="files", exit_on_error=False)
    def _do(self, do: Callable[[], list[Part]]) -> None:
        """Have something saved or written, and say how it went."""
        try:
            said = do()
        except Exception as error:  # the edge of a worker
            said = [(f"✗ {faults.said(error)}", "trouble")]
        self.paddock.back(partial(self._done, said))

    def _done(self, said: list[Part]) -> None:
        if self.ready:
            self._say(said)
            self._load()

    def action_export(self) -> None:
        answer, query = self.answer, self._answered_query
        if answer is None or not answer.names:
            self._say([("Nothing to write yet: ", "attention"), *offer("sql.run", " runs the query first.")])
            return

        def named(text: str | None) -> None:
            if text:
                path = Path(text).expanduser().absolute()
                self._do(partial(sqlwork.write, self.paddock.far or self.paddock.workspace, query, answer, path))

        what = "all rows, asked again," if answer.more else sqls.rows(len(answer.rows))
        detail = f"{what} as the ending says: .csv .json .md .parquet"
        self.app.push_screen(AskScreen("Write the result to", detail, sqlwork.wrong_file, text="result.csv"), named)
