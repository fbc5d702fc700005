"""A one-line text field that filters while one types and gives the place back when it is left."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import Reactive
from textual.strip import Strip
from textual.widgets import Input

from tui.theme import palette_of
from tui.widgets.strips import strip


class FilterLine(Input):
    """enter keeps the filter, escape clears it. asks: what is typed here, told before it for as long as one types."""

    virtual_size = Reactive(Size(0, 0))
    """Of its text: of no matter to where anything lies, though Textual would lay the screen out for each letter."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "clear", "clear", show=False)]

    class Left(Message):
        """A person is done with it."""

    def __init__(self, *, asks: str = "", **options: Any) -> None:
        super().__init__(compact=True, **options)
        self._asks = ""
        self.ask(asks)

    def ask(self, asks: str) -> None:
        """Ask for something else."""
        self._asks = f" {asks} " if asks else " "
        self.styles.padding = (0, 1, 0, cell_len(self._asks))
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """What is asked stands in the padding, where neither the cursor nor the mouse gets."""
        lines, held = super().render_lines(crop), cell_len(self._asks)
        if not lines or crop.y or crop.x or crop.width < held:
            return lines
        asked = strip([(self._asks, "key")], palette_of(self), held, self.rich_style)
        return [Strip.join((asked, lines[0].crop(held))), *lines[1:]]

    def action_clear(self) -> None:
        self.value = ""
        self.post_message(self.Left())
