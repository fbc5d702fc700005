"""The tour of the first start: a box at the lower edge, so that what it speaks of can be seen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.folding import folded
from tui.present import Part
from tui.screens.over import OverScreen
from tui.tour import steps
from tui.widgets.lines import Lines
from tui.widgets.pane import Box


class TourScreen(OverScreen[None]):
    """A few steps; esc ends it at any of them, and it does not come again by itself."""

    DEFAULT_CSS = """
    TourScreen { align: center bottom; background: $background 0%; }
    TourScreen #box {
        width: 92; max-width: 100%; height: 7; border: round $primary; background: $surface; padding: 0 2;
        border-title-color: $primary; border-subtitle-color: $rest; margin-bottom: 1;
    }
    TourScreen #step { height: 5; }
    """
    LEAVE = "end"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space,right", "step(1)", "next", show=False),
        Binding("left,backspace", "step(-1)", "back", show=False),
        Binding("escape", "end", "end", show=False),
        Binding("q", "app.leave", "leave", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._steps = steps()
        self._at = 0

    def compose(self) -> ComposeResult:
        with Box(id="box"):
            yield Lines(id="step")

    def on_mount(self) -> None:
        self._show()

    def _show(self) -> None:
        title, lines = self._steps[self._at]
        box = self.query_one("#box")
        box.border_title = title
        box.border_subtitle = f"{self._at + 1} of {len(self._steps)}"
        last = self._at + 1 == len(self._steps)
        answers: list[Part] = [(" enter ", "key"), ("done" if last else "next", "text"), ("     esc ", "key"),
                               ("ends the tour", "rest")]  # fmt: skip
        told = [part for line in lines for part in folded(line, min(92, self.app.size.width) - 6, 3)]
        shown = self.query_one("#step", Lines)
        shown.styles.height, box.styles.height = len(told) + 3, len(told) + 5
        below = len(told) + 2
        links = [(below, 0, 12, "screen.step(1)"), (below, 12, 40, "screen.end")]
        shown.show([[], *told, [], answers], links)

    def on_resize(self) -> None:
        self._show()

    def action_step(self, way: int) -> None:
        if self._at + way >= len(self._steps):
            self.dismiss(None)
        else:
            self._at = max(0, self._at + way)
            self._show()

    def action_end(self) -> None:
        self.dismiss(None)
