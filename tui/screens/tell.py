"""A few lines to read, closed by any key that leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.folding import folded
from tui.screens.reading import ReadingScreen
from tui.widgets.lines import Line


class TellScreen(ReadingScreen):
    """Shows lines, folded to its width; scrolls where there are many."""

    DEFAULT_CSS = """
    TellScreen { align: center middle; background: $background 65%; }
    TellScreen #box { width: 90; max-width: 96%; height: auto; max-height: 80%; border: round $primary;
        border-title-color: $primary; border-subtitle-color: $rest; background: $surface; padding: 1 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f4", "close", "close", show=False)]

    def laid_out(self) -> Sequence[Line]:
        width = min(90, self.app.size.width * 96 // 100) - 6
        return [part for line in self._lines for part in folded(line, width, 6)]
