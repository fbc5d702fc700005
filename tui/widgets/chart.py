"""A chart that is drawn once per change and then only looked up; the mouse zooms it and moves its crosshair."""

from __future__ import annotations

from textual.events import (
    Click,
    Leave,
    MouseDown,
    MouseEvent,
    MouseMove,
    MouseScrollDown,
    MouseScrollLeft,
    MouseScrollRight,
    MouseScrollUp,
    MouseUp,
    Resize,
)
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from tui.charts import EVERYTHING, Band, Curve, Drawn, Picture, View, draw, lay_out
from tui.keys import hint
from tui.theme import palette_of
from tui.widgets.pane import Pane
from tui.widgets.strips import strip

__all__ = ["Band", "Chart", "Curve", "Picture", "View", "draw"]


STEP = 0.1
"""Of the window, that one turn of the wheel moves it to a side."""
FRAME = 6
"""Columns of the lower edge that are corners, lines and blanks."""


class Chart(Pane):
    """Draws the last Picture it was given, as its View says. What the mouse does is told to the screen, not done."""

    ALLOW_MAXIMIZE = True  # also where it can't have the focus

    class Pointed(Message):
        """Somebody clicked at an x."""

        def __init__(self, chart: Chart, x: float) -> None:
            self.chart, self.x = chart, x
            super().__init__()

    class Wheeled(Message):
        """The wheel was turned over an x; closer: towards a smaller window."""

        def __init__(self, chart: Chart, x: float, closer: bool) -> None:
            self.chart, self.x, self.closer = chart, x, closer
            super().__init__()

    class Panned(Message):
        """Somebody moves what is shown to a side, by a part of the window; to larger x where it is positive."""

        def __init__(self, chart: Chart, part: float) -> None:
            self.chart, self.part = chart, part
            super().__init__()

    class Hovered(Message):
        """The pointer is over an x; None: it has left."""

        def __init__(self, chart: Chart, x: float | None) -> None:
            self.chart, self.x = chart, x
            super().__init__()

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Chart.Hovered)

    class Picked(Message):
        """A stretch of x is being marked with the mouse; done: it was let go."""

        def __init__(self, chart: Chart, low: float, high: float, done: bool) -> None:
            self.chart, self.low, self.high, self.done = chart, low, high, done
            super().__init__()

    class Grown(Message):
        """It was clicked twice: show it alone, or beside the others again."""

        def __init__(self, chart: Chart) -> None:
            self.chart = chart
            super().__init__()

    def __init__(
        self,
        title: str,
        *,
        id: str | None = None,  # noqa: A002 - Textual's own name
        focusable: bool = False,
        group: str = "",
    ) -> None:
        """group: charts of one group are zoomed together: they have the same x."""
        super().__init__(id=id)
        self.can_focus = focusable
        self.group = group
        self._picture = Picture(title)
        self._view = EVERYTHING
        self._drawn: tuple[object, ...] = ()
        self._version = 0
        self._plot = Drawn()
        self._strips: dict[int, Strip] = {}
        self._pressed: int | None = None
        """The column where the mouse button went down."""
        self._dragged = False
        self._grabbed: int | None = None
        """The column by which the window is moved."""
        self._over: float | None = None
        self._edge: tuple[str, ...] = ()
        self._alone: tuple[str, ...] = ()

    @property
    def picture(self) -> Picture:
        return self._picture

    @property
    def view(self) -> View:
        return self._view

    @property
    def plot_width(self) -> int:
        """Columns of cells between its axes."""
        return self._plot.columns

    def show(self, picture: Picture) -> None:
        if picture.version is None or picture.version != self._picture.version or picture.title != self._picture.title:
            self._picture = picture
            self._version += 1
            self._redraw()

    def look(self, view: View) -> None:
        """Zoom and put the crosshair as a view says."""
        if view != self._view:
            self._view = view
            self._version += 1
            self._redraw()

    def offer(self, *names: str) -> None:
        """Write keys (see keys.hint) on the lower edge: as many of them, from the first, as have room."""
        self._edge = tuple(filter(None, map(hint, names)))
        self._show_edge()

    def stand(self, *, alone: bool) -> None:
        """Say on the edge how to get back, while it is all there is on the screen."""
        self._alone = (hint("charts.grow:all again"),) if alone else ()
        self._show_edge()

    def on_resize(self, _: Resize) -> None:
        self._show_edge()

    def _show_edge(self) -> None:
        room, said = self.outer_size.width - FRAME, ""
        for part in (*self._alone, *self._edge):
            longer = f"{said}   {part}" if said else part
            if len(longer) > room:
                break
            said = longer
        self.border_subtitle = said

    def _redraw(self) -> None:
        """Draw anew and have only those lines painted that came out differently."""
        before, (width, height) = self._plot.lines, self.size
        self._plot = lay_out(self._picture, width, height, self._view)
        if len(before) != len(self._plot.lines):
            self._strips = {}
            self.refresh()
        else:
            for y, (old, new) in enumerate(zip(before, self._plot.lines, strict=True)):
                if old != new:
                    self._strips.pop(y, None)
                    self.refresh(Region(0, y, width, 1))
        self._drawn = (self._version, *self._drawn[1:])

    def render_line(self, y: int) -> Strip:
        palette = palette_of(self)
        width, height = self.size
        base = self.base
        drawn = (self._version, width, height, palette, base)
        if self._drawn != drawn:
            if drawn[:3] != self._drawn[:3]:
                self._plot = lay_out(self._picture, width, height, self._view)
            self._drawn = drawn
            self._strips = {}
        if y not in self._strips:
            parts = self._plot.lines[y] if y < len(self._plot.lines) else []
            self._strips[y] = strip(parts, palette, width, base)
        return self._strips[y]

    # -- the mouse -----------------------------------------------------------------------------------------------

    def _column(self, event: MouseEvent) -> int:
        return event.x - self.gutter.left

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        self._wheel(event, closer=True)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        self._wheel(event, closer=False)

    def on_mouse_scroll_left(self, event: MouseScrollLeft) -> None:
        self._pan(event, -STEP)

    def on_mouse_scroll_right(self, event: MouseScrollRight) -> None:
        self._pan(event, STEP)

    def _wheel(self, event: MouseEvent, *, closer: bool) -> None:
        if event.ctrl or event.shift:  # as in all that scrolls: sideways
            self._pan(event, -STEP if closer else STEP)
        elif self._plot.columns:
            event.stop()
            self.post_message(self.Wheeled(self, self._plot.x_of(self._column(event)), closer))

    def _pan(self, event: MouseEvent, part: float) -> None:
        if self._plot.columns:
            event.stop()
            self.post_message(self.Panned(self, part))

    def on_mouse_down(self, event: MouseDown) -> None:
        # Its frame is the screen's: there a border may be in somebody's hand.
        if not self._plot.columns or event.get_content_offset(self) is None:
            return
        if event.button == 1 and not event.ctrl:
            self._pressed, self._dragged = self._column(event), False
        else:
            self._grabbed = self._column(event)
        self.capture_mouse()

    def on_mouse_move(self, event: MouseMove) -> None:
        column = self._column(event)
        if self._grabbed is not None:
            if column != self._grabbed:
                self.post_message(self.Panned(self, (self._grabbed - column) / max(1, self._plot.columns)))
                self._grabbed = column
        elif self._pressed is None:
            inside = self._plot.columns and event.get_content_offset(self) is not None
            self._hover(self._plot.x_of(column) if inside else None)
        elif self._dragged or abs(column - self._pressed) > 1:
            self._dragged = True
            self._pick(event, done=False)

    def on_leave(self, _: Leave) -> None:
        self._hover(None)

    def _hover(self, x: float | None) -> None:
        if x != self._over:
            self._over = x
            self.post_message(self.Hovered(self, x))

    def on_mouse_up(self, event: MouseUp) -> None:
        if self._grabbed is not None:
            self._grabbed = None
            self.release_mouse()
        if self._pressed is None:
            return
        self.release_mouse()
        if self._dragged:
            self._pick(event, done=True)
        else:
            self.post_message(self.Pointed(self, self._plot.x_of(self._pressed)))
        self._pressed = None

    def _pick(self, event: MouseMove | MouseUp, *, done: bool) -> None:
        assert self._pressed is not None
        low, high = sorted((self._plot.x_of(self._pressed), self._plot.x_of(self._column(event))))
        self.post_message(self.Picked(self, low, high, done))

    def on_click(self, event: Click) -> None:
        if event.chain == 2 and event.get_content_offset(self) is not None:
            self.post_message(self.Grown(self))
