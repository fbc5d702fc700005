"""A few lines over the screen that are read and put away: why a run waits, how it ended, the plan of the queue."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer

from tui.screens.reading import ReadingScreen
from tui.widgets.strips import width_of


class CardScreen(ReadingScreen):
    """As wide as its lines; closes with any key that could mean it."""

    DEFAULT_CSS = """
    CardScreen { align: center middle; background: $background 65%; }
    CardScreen #box {
        width: auto; max-width: 96%; height: auto; max-height: 90%; border: round $primary; background: $surface;
        border-title-color: $primary; border-subtitle-color: $rest; padding: 1 2; scrollbar-size-vertical: 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("w,t,question_mark", "close", "close", show=False)]
    BOX = ScrollableContainer

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#lines").styles.width = max(40, *map(width_of, self._lines)) if self._lines else 40
