"""The queries that were asked before, newest first, with a filter; enter takes one up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from tui.columns import Column
from tui.present import cell
from tui.screens.over import OverScreen
from tui.widgets.lines import Lines
from tui.widgets.pane import Box
from tui.widgets.table import Table

Query = tuple[int, str]
COLUMNS: tuple[Column[Query], ...] = (
    Column("", 3, lambda query, _: cell(str(query[0] + 1), "faint"), right=True),
    Column("QUERY", 20, lambda query, _: cell(" ".join(query[1].split())), flex=1),
)


class QueriesScreen(OverScreen[str | None]):
    """Gives the chosen query, or None after escape."""

    DEFAULT_CSS = """
    QueriesScreen { align: center middle; background: $background 65%; }
    QueriesScreen #box { width: 110; max-width: 96%; height: 80%; border: round $primary; background: $surface;
        padding: 0 1; border-title-color: $primary; border-subtitle-color: $rest; }
    QueriesScreen Input { background: $panel; padding: 0 1; }
    QueriesScreen Table { height: 1fr; }
    QueriesScreen #whole { height: 7; border-top: solid $line; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f8", "leave", "no", show=False),
        Binding("down", "move(1)", "down", show=False, priority=True),
        Binding("up", "move(-1)", "up", show=False, priority=True),
    ]

    def __init__(self, queries: Sequence[str]) -> None:
        super().__init__()
        self._queries = list(enumerate(queries))

    def compose(self) -> ComposeResult:
        with Box(id="box"):
            yield Input(placeholder="part of a query", compact=True, id="words")
            yield Table[Query](
                COLUMNS, cell("Nothing was asked yet.", "rest"), key=lambda query: str(query[0]), id="asked"
            )
            yield Lines(id="whole")

    @property
    def asked(self) -> Table[Query]:
        return self.query_one("#asked", Table)

    def on_mount(self) -> None:
        box = self.query_one("#box")
        box.border_title, box.border_subtitle = "earlier queries", "enter takes it up   esc closes"
        self.asked.show(self._queries)
        self.query_one("#words").focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        words = event.value.lower().split()
        found = [query for query in self._queries if all(word in query[1].lower() for word in words)]
        empty = "No earlier query has these words in it." if self._queries else "Nothing was asked yet."
        self.asked.show(found, empty=cell(empty, "rest"))

    @on(Table.Chosen)
    def _chosen(self) -> None:
        query = self.asked.chosen_row
        lines = query[1].split("\n") if query is not None else []
        shown = lines[:6] if len(lines) <= 6 else [*lines[:5], f"… {len(lines) - 5} more lines"]
        self.query_one("#whole", Lines).show([[(line, "rest")] for line in shown])

    @on(Input.Submitted)
    @on(Table.Opened)
    def _taken(self) -> None:
        query = self.asked.chosen_row
        self.dismiss(query[1] if query is not None else None)

    def action_move(self, way: int) -> None:
        self.asked.action_move(way)

    def action_leave(self) -> None:
        self.dismiss(None)
