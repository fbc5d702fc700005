"""What lies over a screen for a while: a click beside it leaves it, as escape does."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.events import Click
from textual.screen import ModalScreen, ScreenResultType

from tui.keys import EVERYWHERE, bindings


class OverScreen(ModalScreen[ScreenResultType]):
    """Of a box, #box. A subclass binds escape to what leaves it without an answer; LEAVE is that action."""

    LEAVE = "leave"
    # Of the app's own keys a window gets none by itself.
    BINDINGS: ClassVar[list[BindingType]] = [one for one in bindings(EVERYWHERE) if one.action == "app.suspend_process"]

    def inner(self, width: int) -> int:
        """Cells for text in a box that is so wide where the terminal is: within its frame and its padding."""
        return min(width, self.app.size.width * 96 // 100) - 4

    async def on_click(self, event: Click) -> None:
        # A click on an answer in the box comes here too, when it has been given.
        if self.is_current and not self.query_one("#box").region.contains_point(event.screen_offset):
            event.stop()
            await self.run_action(self.LEAVE)
