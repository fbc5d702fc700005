"""A text area for SQL: coloured by our own tokens, with hooks for the first and the last line."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Offset
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import TextAreaTheme

from tui.sqltext import COMMENT, KEYWORD, NUMBER, QUOTED, STRING, tokens
from tui.theme import palette_of

ROLES = {
    KEYWORD: "ours bold",
    STRING: "good",
    NUMBER: "second",
    COMMENT: "faint",
    QUOTED: "spark",
    "wrong": "trouble bold",
}


class SqlEditor(TextArea):
    """Posts what the screen decides on: a step past the first or last line, and keys that an open list of offers takes.

    offering: while it is set, up, down, enter, tab and escape are posted as Steered instead of moving the cursor.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+a", "select_all", "select all", show=False),
        Binding("tab", "offer", "complete", show=False, priority=True),
    ]

    _wrong: tuple[int, int] | None = None
    """First and last character of what is shown as wrong; asked for before __init__ ends."""
    _wrong_in = ""
    """The text that this is about: another may be too short to have these characters."""

    class Past(Message):
        """The cursor was pushed above the first (-1) or below the last (1) line."""

        def __init__(self, way: int) -> None:
            self.way = way
            super().__init__()

    class Steered(Message):
        """A key for the list of offers."""

        def __init__(self, key: str) -> None:
            self.key = key
            super().__init__()

    class Asked(Message):
        """Offers are wanted now, whatever was typed."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, soft_wrap=True, tab_behavior="focus", show_line_numbers=True)
        self.highlight_cursor_line = False
        self.offering = False

    def on_mount(self) -> None:
        self.watch(self.app, "theme", self._dress)

    def _dress(self) -> None:
        """Take the colours of the app's theme."""
        palette = palette_of(self)
        styles = {kind: palette[role] for kind, role in ROLES.items()}
        self.register_theme(TextAreaTheme("paddock", gutter_style=palette["faint"], syntax_styles=styles))
        self.theme = "paddock"

    # -- places ----------------------------------------------------------------------------------------------------

    @property
    def at(self) -> int:
        """The cursor as a character of the text."""
        return self.index(self.cursor_location)

    def index(self, location: tuple[int, int]) -> int:
        row, column = location
        return sum(len(line) + 1 for line in self.document.lines[:row]) + column

    def location(self, at: int) -> tuple[int, int]:
        before = self.text[:at].split("\n")
        return len(before) - 1, len(before[-1])

    def mark(self, at: int | None) -> None:
        """Show a character's word as wrong, and put the cursor there; None takes the mark away."""
        self._wrong = None
        if at is not None:
            at = min(at, max(0, len(self.text) - 1))
            found = next((token for token in tokens(self.text) if token.start <= at < token.end), None)
            self._wrong = (found.start, found.end) if found else None
            self._wrong_in = self.text
            self.move_cursor(self.location(at))
        self._build_highlight_map()
        self.refresh()

    def put(self, text: str, start: int | None = None) -> None:
        """Put a text in place of what is between `start` and the cursor, or of the selection."""
        if start is None:
            self.replace(text, *self.selection, maintain_selection_offset=False)
        else:
            self.replace(text, self.location(start), self.cursor_location, maintain_selection_offset=False)

    @property
    def below_cursor(self) -> Offset:
        """The cell of the screen under the cursor."""
        return self.cursor_screen_offset + Offset(0, 1)

    # -- colours ---------------------------------------------------------------------------------------------------

    def _build_highlight_map(self) -> None:
        """Fill Textual's map of lines to (first byte, last byte, name) from our tokens."""
        self._line_cache.clear()
        self._highlights.clear()
        text = self.text
        spans = [(token.start, token.end, token.kind) for token in tokens(text) if token.kind in ROLES]
        if self._wrong is not None and text == self._wrong_in:
            spans.append((*self._wrong, "wrong"))
        lines = text.split("\n")
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line) + 1)
        row = 0
        for start, end, kind in spans:
            if start < starts[row]:
                row = 0
            while starts[row + 1] <= start:
                row += 1
            here = row
            while here < len(lines) and starts[here] < end:
                line = lines[here]
                first, last = max(0, start - starts[here]), min(len(line), end - starts[here])
                if last > first:
                    span = len(line[:first].encode()), len(line[:last].encode()), kind
                    self._highlights[here].append(span)
                here += 1

    # -- keys ------------------------------------------------------------------------------------------------------

    def action_offer(self) -> None:
        if self.offering:
            self.post_message(self.Steered("tab"))
        elif self.text[: self.at].strip() and not self.text[: self.at][-1:].isspace():
            self.post_message(self.Asked())
        else:
            self.screen.focus_next()

    async def on_key(self, event: events.Key) -> None:
        """Before the text area itself: an open list of offers takes the keys that move in it."""
        if self.offering and event.key in ("up", "down", "enter", "escape", "pageup", "pagedown"):
            event.stop()
            event.prevent_default()
            self.post_message(self.Steered(event.key))

    def action_cursor_up(self, select: bool = False) -> None:
        if self.navigator.is_first_wrapped_line(self.cursor_location) and not select:
            self.post_message(self.Past(-1))
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        if self.navigator.is_last_wrapped_line(self.cursor_location) and not select:
            self.post_message(self.Past(1))
        else:
            super().action_cursor_down(select)
