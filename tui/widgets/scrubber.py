"""A line that stands for the time of a run: a click or a drag on it goes to a moment of the past."""

from __future__ import annotations

from textual.events import MouseDown, MouseMove, MouseUp
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.theme import palette_of
from tui.travel import Scrub, track
from tui.widgets.strips import strip


class Scrubber(Widget):
    class Moved(Message):
        """Somebody wants to see a moment, in unix seconds; None is now."""

        def __init__(self, moment: float | None) -> None:
            self.moment = moment
            super().__init__()

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.scrub = Scrub(0.0, 0.0)
        self._held = False

    def show(self, scrub: Scrub) -> None:
        if scrub != self.scrub:
            self.scrub = scrub
            self.refresh()

    def render_line(self, y: int) -> Strip:
        parts = track(self.scrub, self.size.width)[0] if y == 0 and self.scrub.end else []
        return strip(parts, palette_of(self), self.size.width, self.rich_style)

    def _to(self, column: int) -> None:
        _, left, room = track(self.scrub, self.size.width)
        if room > 1 and self.scrub.end > self.scrub.start:
            part = min(max((column - left) / (room - 1), 0.0), 1.0)
            moment = self.scrub.start + part * (self.scrub.end - self.scrub.start)
            self.post_message(self.Moved(None if part >= 1 else moment))

    def on_mouse_down(self, event: MouseDown) -> None:
        self._held = True
        self.capture_mouse()
        self._to(event.x)

    def on_mouse_move(self, event: MouseMove) -> None:
        if self._held:
            self._to(event.x)

    def on_mouse_up(self, _: MouseUp) -> None:
        self._held = False
        self.release_mouse()
