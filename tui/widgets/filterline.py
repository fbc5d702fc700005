"""A one-line text field that filters while one types and gives the place back when it is left."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class FilterLine(Input):
    """enter keeps the filter, escape clears it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "clear", "clear", show=False)]

    class Left(Message):
        """A person is done with it."""

    def action_clear(self) -> None:
        self.value = ""
        self.post_message(self.Left())
