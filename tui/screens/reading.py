"""Lines over the screen that are read and put away: what all cards, help and differences share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer
from textual.geometry import Size

from tui.screens.over import OverScreen
from tui.widgets.lines import Line, Lines
from tui.widgets.pane import ScrollPane


class ReadingScreen(OverScreen[None]):
    """A box that scrolls. A subclass has its looks, the keys that opened it, and may lay out its lines."""

    LEAVE = "close"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "close", "close", show=False),
        Binding("j", "scroll(1)", "down", show=False),
        Binding("k", "scroll(-1)", "up", show=False),
    ]
    BOX: ClassVar[type[ScrollableContainer]] = ScrollPane
    HINT = "esc closes"

    def __init__(self, title: str, lines: Sequence[Line] = ()) -> None:
        super().__init__()
        self._title, self._lines = title, lines
        self._laid_for = Size()

    def laid_out(self) -> Sequence[Line]:
        """The lines as they are shown."""
        return self._lines

    def compose(self) -> ComposeResult:
        with self.BOX(id="box"):
            yield Lines(id="lines")

    def on_mount(self) -> None:
        box = self.query_one("#box")
        box.border_title, box.border_subtitle = self._title, self.HINT
        self.lay_out()
        box.focus()

    def on_resize(self) -> None:
        if self._laid_for != self.app.size:
            self.lay_out()

    def lay_out(self) -> None:
        self._laid_for = self.app.size
        shown, lines = self.query_one("#lines", Lines), self.laid_out()
        shown.styles.height = max(1, len(lines))
        shown.show(lines)

    def action_close(self) -> None:
        self.dismiss(None)

    def action_scroll(self, way: int) -> None:
        self.query_one("#box").scroll_relative(y=way, animate=False)
