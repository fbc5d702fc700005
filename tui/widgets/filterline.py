"""A one-line text field that filters while one types and gives the place back when it is left."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive
from textual.widgets import Input


class FilterLine(Input):
    """enter keeps the filter, escape clears it."""

    virtual_size = Reactive(Size(0, 0))
    """Of its text: of no matter to where anything lies, though Textual would lay the screen out for each letter."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "clear", "clear", show=False)]

    class Left(Message):
        """A person is done with it."""

    def action_clear(self) -> None:
        self.value = ""
        self.post_message(self.Left())
