"""What lies over a screen for a while: a click beside it leaves it, as escape does."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.color import Color
from textual.events import Click, ScreenResume
from textual.geometry import Region
from textual.screen import ModalScreen, ScreenResultType
from textual.strip import Strip
from textual.widget import _RenderCache

from tui.keys import EVERYWHERE, bindings
from tui.promptly import Held


class Shade(dict[Style, Style]):
    """How what lies below a window looks, by how it looks without: under a colour, and no link any more."""

    def __init__(self, color: Color) -> None:
        super().__init__()
        self.color = color

    def __missing__(self, style: Style) -> Style:
        bare = style.clear_meta_and_links()
        if self.color.a:
            front, ground = (
                None if one is None else (Color.from_rich_color(one) + self.color).rich_color
                for one in (style.color, style.bgcolor)
            )
            bare += Style.from_color(front, ground)
        self[style] = bare
        return bare

    def over(self, line: Strip) -> Strip:
        return Strip([Segment(text, self[style or Style()]) for text, style, _ in line], line.cell_length)


class OverScreen(ModalScreen[ScreenResultType], Held[ScreenResultType]):  # a widget has the styles of its first base
    """Of a box, #box. A subclass binds escape to what leaves it without an answer; LEAVE is that action."""

    LEAVE = "leave"
    # Of the app's own keys a window gets none by itself.
    BINDINGS: ClassVar[list[BindingType]] = [one for one in bindings(EVERYWHERE) if one.action == "app.suspend_process"]
    _shade: Shade | None = None

    def inner(self, width: int) -> int:
        """Cells for text in a box that is so wide where the terminal is: within its frame and its padding."""
        return min(width, self.app.size.width * 96 // 100) - 4

    async def on_click(self, event: Click) -> None:
        # A click on an answer in the box comes here too, when it has been given.
        if self.is_current and not self.query_one("#box").region.contains_point(event.screen_offset):
            event.stop()
            await self.run_action(self.LEAVE)

    def on_screen_resume(self, event: ScreenResume) -> None:
        event.refresh_styles = False  # it has just got them, or kept them under another window

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines as they are: there is nothing around them."""
        if self._dirty_regions or self._render_cache.size != self.size:
            self._render_content()
        lines = self._render_cache.lines[crop.y : crop.bottom]
        return lines if crop.width == self.size.width else [line.crop(crop.x, crop.right) for line in lines]

    def _render_content(self) -> None:
        """Shade the screen below. Textual mixes the colours of each segment anew, which takes 20 ms in 200 columns."""
        ground = self.styles.background
        if self._shade is None or self._shade.color != ground:
            self._shade = Shade(ground)
        stack, width = self.app.screen_stack, self.size.width
        below = stack[stack.index(self) - 1]._compositor.render_strips()
        lines = [self._shade.over(line.adjust_cell_length(width)) for line in below[: self.size.height]]
        self._render_cache = _RenderCache(self.size, lines)
        self._dirty_regions.clear()
