"""A log that follows its end until somebody scrolls away, and says which of both it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from tui.keys import LOG, bindings
from tui.logs import colored
from tui.theme import palette_of
from tui.widgets.marking import Marking
from tui.widgets.pane import Scrolled
from tui.widgets.strips import strip, width_of

DRAWN = 200
"""Drawn lines that are kept, 3 kB each: more than any screen shows."""


class LogView(Scrolled, Marking, can_focus=True):
    """Shows the lines it is given, without wrapping; scrolls both ways."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(LOG, "widget")]

    class Follows(Message):
        """It began or ceased to follow the end."""

        def __init__(self, view: LogView, follows: bool) -> None:
            self.view, self.follows = view, follows
            super().__init__()

        @property
        def control(self) -> LogView:
            return self.view

    def __init__(self, empty: str, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._empty = empty
        self._lines: tuple[str, ...] = ()
        self._follows = True
        self._strips: dict[str, Strip] = {}
        self._strips_for: tuple[object, ...] = ()
        self._pointed: int | None = None

    @property
    def follows(self) -> bool:
        return self._follows

    @property
    def lines(self) -> tuple[str, ...]:
        return self._lines

    def text_of(self, line: int) -> str:
        return self._lines[line] if line < len(self._lines) else ""

    def show(self, lines: Sequence[str], empty: str | None = None) -> None:
        before, self._empty = self._empty, self._empty if empty is None else empty
        if tuple(lines) == self._lines:
            if not self._lines and before != self._empty:
                self.refresh()
            return
        self._lines = tuple(lines)
        self._measure()
        self.refresh()

    def point(self, line: int | None) -> None:
        """Mark a line and bring it to the lower third of the view; None: mark nothing."""
        if line != self._pointed:
            self._pointed = line
            self._to_point()
            self.refresh()

    def _to_point(self) -> None:
        if self._pointed is not None and self.size.height:  # a log on a tab that is not shown has none
            if self._follows:
                self._follows = False
                self.post_message(self.Follows(self, False))
            self.scroll_to(y=max(0, self._pointed - 2 * self.size.height // 3), animate=False, immediate=True)

    @property
    def pointed(self) -> int | None:
        """The line that is marked."""
        return self._pointed

    def _measure(self) -> None:
        widest = max((len(line) for line in self._lines[-500:]), default=0) if self._scrolls_x else 0
        self.virtual_size = Size(max(widest, self.scrollable_content_region.width), len(self._lines))
        if self._follows:
            self._to_end()
            self.call_after_refresh(self._to_end)  # once more when the layout knows how far down that is

    def _to_end(self) -> None:
        if self._follows:
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)

    @property
    def _scrolls_x(self) -> bool:
        return bool(self.styles.overflow_x == "auto")

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._pointed is not None:
            return
        follows = new_value >= self.max_scroll_y
        if follows != self._follows and (follows or new_value < old_value):
            self._follows = follows
            self.post_message(self.Follows(self, follows))

    def action_follow(self) -> None:
        self._follows, self._pointed = True, None
        self.scroll_to(y=self.max_scroll_y, animate=False)
        self.post_message(self.Follows(self, True))

    def on_resize(self, _: Resize) -> None:
        self._measure()
        self._to_point()

    def render_line(self, y: int) -> Strip:
        palette = palette_of(self)
        width, base = self.scrollable_content_region.width, self.base
        place = self.scroll_offset.y + y
        if not self._lines:
            return strip(((self._empty if y == 0 else "", "rest"),), palette, width, base)
        if place >= len(self._lines):
            return Strip.blank(width, base)
        if self._strips_for != (width, palette, base) or len(self._strips) >= DRAWN:
            self._strips_for, self._strips = (width, palette, base), {}
        line = self._lines[place]
        drawn = self._strips.get(line)
        if drawn is None:
            parts = colored(line)
            # Where the line can be scrolled sideways nothing is cut; elsewhere an ellipsis says that it is.
            drawn = strip(parts, palette, max(width, width_of(parts)) if self._scrolls_x else width, base)
            self._strips[line] = drawn
        drawn = drawn.crop_extend(self.scroll_offset.x, self.scroll_offset.x + width, base)
        if place == self._pointed:  # over what the line brings: each part of it has a ground of its own
            return Strip(Segment.apply_style(drawn, post_style=palette.cursor), width)
        return self.shaded(drawn, place, self.scroll_offset.x)
