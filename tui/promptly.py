"""When screens are drawn: at once after a rest, where Textual waits for the next beat of its clock; in vain never."""

from __future__ import annotations

from time import monotonic

from textual.events import Idle, ScreenResume
from textual.screen import UPDATE_PERIOD as BEAT
from textual.screen import Screen, ScreenResultType


class Held(Screen[ScreenResultType]):
    """Draws nothing while frames are held back: Textual draws, and throws away what it drew.

    And below a window it has what changed drawn by that: Textual draws the whole screen each time, and once more.
    """

    def _compositor_refresh(self) -> None:
        top, changed = self.app.screen, self._compositor._dirty_regions
        if self.app._batch_count:
            self.refresh()  # all of it, once they are let go
        elif self is top:
            super()._compositor_refresh()
        elif changed:
            if self.is_current:
                top.refresh(*changed)
            changed.clear()
            self._dirty_widgets.clear()


class Promptly(Held[None]):
    """What changes within a beat after it was drawn comes with the next one, so that there are no more than TEXTUAL_FPS
    frames a second. Not for a window over another screen: of that it would draw nothing."""

    _drawn_at = 0.0

    async def _on_idle(self, event: Idle) -> None:
        await super()._on_idle(event)
        if self._wanted and monotonic() - self._drawn_at >= BEAT:
            self._on_timer_update()

    def _on_screen_resume(self, event: ScreenResume) -> None:
        super()._on_screen_resume(event)
        self._drawn_at = monotonic()  # what comes on top is laid out first

    @property
    def _wanted(self) -> bool:
        """Whether something is to be drawn, and may be."""
        wanted = self._layout_required or self._scroll_required or self._repaint_required or self._dirty_widgets
        return bool(wanted) and self.is_current and not self.app._batch_count

    def _on_timer_update(self) -> None:
        super()._on_timer_update()
        self._drawn_at = monotonic()
