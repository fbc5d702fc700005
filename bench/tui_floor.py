"""The least a Textual app takes for a key: a plain table whose cursor moves, and two such screens to change between.

For bench/tui.py, which measures it beside the real one, in the same terminal and while the same runs go on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import DataTable, Static

NAMES = ("one", "two")


class Plain(Screen[None]):
    """A line and a table of as many cells as a list of runs shows."""

    CSS = "DataTable { height: 1fr; }"

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        yield Static(f"screen {self._title}")
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns(*(f"column {i}" for i in range(12)))
        table.add_rows([[f"{row}.{i}" for i in range(12)] for row in range(1000)])


class Floor(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "switch_mode('one')", "one"),
        Binding("2", "switch_mode('two')", "two"),
        Binding("j", "move(1)", "down"),
        Binding("k", "move(-1)", "up"),
    ]
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {name: partial(Plain, name) for name in NAMES}
    DEFAULT_MODE = NAMES[0]

    def action_move(self, way: int) -> None:
        table = self.screen.query_one(DataTable)
        table.move_cursor(row=table.cursor_row + way)
