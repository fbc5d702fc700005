"""Text that is marked with the mouse, and in the clipboard when the button is let go."""

from __future__ import annotations

from typing import Any

from rich.cells import get_character_cell_size
from rich.segment import Segment
from textual.events import MouseDown, MouseMove, MouseUp
from textual.strip import Strip

from tui.theme import palette_of
from tui.widgets.pane import Pane

Place = tuple[int, int]
"""Line and column of cells, in what the widget shows all of."""


class Marking(Pane):
    """A pane of lines. Textual's own marking knows no lines that are drawn by a widget itself."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._held: Place | None = None
        self._marked: tuple[Place, Place] | None = None

    def text_of(self, line: int) -> str:
        """A line as it can be read; "" behind the last."""
        raise NotImplementedError

    @property
    def marks(self) -> bool:
        """Whether something is marked."""
        return self._marked is not None

    def unmark(self) -> None:
        if self._marked is not None:
            self._marked = None
            self.refresh()

    def _span(self, line: int) -> tuple[int, int] | None:
        """The columns of a line that are marked: from the first to behind the last."""
        if self._marked is None:
            return None
        (top, left), (bottom, right) = sorted(self._marked)
        if not top <= line <= bottom:
            return None
        width = sum(map(get_character_cell_size, self.text_of(line)))
        return (left if line == top else 0), min(right + 1 if line == bottom else width, width)

    @property
    def marked_text(self) -> str:
        if self._marked is None:
            return ""
        lines = range(min(self._marked)[0], max(self._marked)[0] + 1)
        return "\n".join(self._cut(line) for line in lines).rstrip()

    def _cut(self, line: int) -> str:
        start, stop = self._span(line) or (0, 0)
        kept, column = "", 0
        for sign in self.text_of(line):
            if start <= column < stop:
                kept += sign
            column += get_character_cell_size(sign)
        return kept.rstrip()

    def shaded(self, drawn: Strip, line: int, left: int = 0) -> Strip:
        """A drawn line with what is marked of it; left: the column that it begins with."""
        span = self._span(line)
        if span is None:
            return drawn
        width = drawn.cell_length
        start, stop = (min(max(0, column - left), width) for column in span)
        if start >= stop:
            return drawn
        inside = Segment.apply_style(drawn.crop(start, stop), post_style=palette_of(self).cursor)
        return Strip.join([drawn.crop(0, start), Strip(inside, stop - start), drawn.crop(stop, width)])

    # -- the mouse -----------------------------------------------------------------------------------------------

    def _mark_at(self, event: MouseDown | MouseMove) -> Place:
        left, top = self.gutter.left, self.gutter.top
        return max(0, event.y - top + self.scroll_offset.y), max(0, event.x - left + self.scroll_offset.x)

    def on_mouse_down(self, event: MouseDown) -> None:
        self.unmark()
        if event.button == 1 and event.get_content_offset(self) is not None:
            self._held = self._mark_at(event)
            self.capture_mouse()

    def on_mouse_move(self, event: MouseMove) -> None:
        if self._held is None:
            return
        row = event.y - self.gutter.top
        if row < 0 or row >= self.size.height:  # beyond its edge there may be more of it
            self.scroll_relative(y=-1 if row < 0 else 1, animate=False)
        if (place := self._mark_at(event)) != self._held or self._marked is not None:
            self._marked = self._held, place
            self.refresh()

    def on_mouse_up(self, _: MouseUp) -> None:
        if self._held is None:
            return
        self._held = None
        self.release_mouse()
        if text := self.marked_text:
            self.app.copy_to_clipboard(text)
            lines = text.count("\n") + 1
            what = f"{lines} lines are" if lines > 1 else f"“{text[:40]}{'…' if len(text) > 40 else ''}” is"
            self.notify(f"{what} in the clipboard", timeout=2, markup=False)
