"""A few lines over the screen that are read and put away: why a run waits, how it ended, the plan of the queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer
from textual.screen import ModalScreen

from tui.present import Part
from tui.widgets.lines import Lines
from tui.widgets.strips import width_of


class CardScreen(ModalScreen[None]):
    """Closes with any key that could mean it."""

    DEFAULT_CSS = """
    CardScreen { align: center middle; background: $background 65%; }
    CardScreen #box {
        width: auto; max-width: 96%; height: auto; max-height: 90%; border: round $primary; background: $surface;
        border-title-color: $primary; border-subtitle-color: $rest; padding: 1 2; scrollbar-size-vertical: 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,w,t,question_mark", "close", "close", show=False),
        Binding("j", "scroll(1)", "down", show=False),
        Binding("k", "scroll(-1)", "up", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[Sequence[Part]]) -> None:
        super().__init__()
        self._title, self._lines = title, lines

    def compose(self) -> ComposeResult:
        with ScrollableContainer(id="box"):
            yield Lines(id="card")

    def on_mount(self) -> None:
        box, card = self.query_one("#box"), self.query_one("#card", Lines)
        box.border_title, box.border_subtitle = f" {self._title} ", " esc closes "
        card.styles.height = max(1, len(self._lines))
        card.styles.width = max(40, *(width_of(line) for line in self._lines)) if self._lines else 40
        card.show(self._lines)
        box.focus()

    def action_close(self) -> None:
        self.dismiss(None)

    def action_scroll(self, way: int) -> None:
        self.query_one("#box").scroll_relative(y=way, animate=False)
