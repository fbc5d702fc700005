"""A few lines of coloured text that cost nothing when they don't change; parts can be clicked."""

from __future__ import annotations

from collections.abc import Sequence

from textual.events import Click
from textual.geometry import Region
from textual.strip import Strip

from tui.present import Part
from tui.theme import palette_of
from tui.widgets.marking import Marking
from tui.widgets.strips import strip

Line = Sequence[Part]


class Lines(Marking):
    """Shows the lines it is given; only those that differ are drawn again."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._lines: tuple[tuple[Part, ...], ...] = ()
        self._links: tuple[tuple[int, int, int, str], ...] = ()

    @property
    def lines(self) -> tuple[tuple[Part, ...], ...]:
        return self._lines

    @property
    def text(self) -> str:
        return "\n".join("".join(text for text, _ in line) for line in self._lines)

    def text_of(self, line: int) -> str:
        return "".join(text for text, _ in self._lines[line]) if line < len(self._lines) else ""

    def show(self, lines: Sequence[Line], links: Sequence[tuple[int, int, int, str]] = ()) -> None:
        """links: (line, first column, end column, action) of what can be clicked."""
        before, self._lines = self._lines, tuple(tuple(line) for line in lines)
        self._links = tuple(links)
        if before != self._lines:
            self.unmark()
        if len(before) != len(self._lines):
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if old != new:
                self.refresh_line(y)

    def refresh_line(self, y: int) -> None:
        if y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    async def on_click(self, event: Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or self.marks:
            return
        for y, start, end, action in self._links:
            if offset.y == y and start <= offset.x < end:
                await self.app.run_action(action, self.screen)
                return

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self.base)
        return self.shaded(strip(self._lines[y], palette_of(self), width, self.base), y)
