"""A few lines to read, closed by any key that leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from tui.folding import folded
from tui.widgets.lines import Line, Lines


class TellScreen(ModalScreen[None]):
    """Shows lines, folded to its width; scrolls where there are many."""

    DEFAULT_CSS = """
    TellScreen { align: center middle; background: $background 65%; }
    TellScreen #box { width: 90; max-width: 96%; height: auto; max-height: 80%; border: round $primary;
        border-title-color: $primary; border-subtitle-color: $rest; background: $surface; padding: 1 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,f4", "leave", "close", show=False)]

    def __init__(self, title: str, lines: Sequence[Line]) -> None:
        super().__init__()
        self._title, self._lines = title, lines

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="box"):
            yield Lines(id="lines")

    def on_mount(self) -> None:
        box = self.query_one("#box")
        box.border_title, box.border_subtitle = f" {self._title} ", " esc closes "
        width = min(90, self.app.size.width * 96 // 100) - 6
        shown = [part for line in self._lines for part in folded(line, width, 6)]
        lines = self.query_one("#lines", Lines)
        lines.styles.height = len(shown)
        lines.show(shown)
        box.focus()

    def action_leave(self) -> None:
        self.dismiss(None)
