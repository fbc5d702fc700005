"""Screens are made while nobody types, and their styles worked out once: the first visit is then as short as others."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from time import monotonic
from typing import Any

from textual.app import App, ScreenStackError
from textual.css.query import NoMatches
from textual.events import Event, InputEvent
from textual.screen import Screen

from tui.places import OPENED, PLACES

REST = 1.0
"""Seconds without a key or the mouse before something is made."""
STEP = 0.1
"""Seconds between two things that are made: a key that comes meanwhile waits for one of them at most."""


class Ahead(App[None]):
    """An app whose modes are screens that can be made before somebody goes there (tui/places.py)."""

    def __init__(self) -> None:
        super().__init__()
        self._touched_at = monotonic()

    async def on_event(self, event: Event) -> None:
        if isinstance(event, InputEvent):
            self._touched_at = monotonic()
        await super().on_event(event)

    def make_ahead(self) -> None:
        """Begin; what somebody has gone to by then is there already."""
        self._touched_at = monotonic()
        steps = self._steps()

        def step() -> None:
            if not self.is_running or (monotonic() - self._touched_at >= REST and next(steps, None) is None):
                timer.stop()

        timer = self.set_interval(STEP, step)

    def _steps(self) -> Iterator[bool]:
        """Each makes one thing."""
        for place in PLACES:
            if place.screen and place.name not in self._screen_stacks:
                import_module(place.module)
                yield True
                if place.name not in self._screen_stacks:
                    self._init_mode(place.name)
                    yield True
        for module in OPENED:
            import_module(module)
            yield True

    def _handle_exception(self, error: Exception) -> None:
        """A screen that is being made when the program ends finds its panes gone, or itself: nobody wants to know."""
        ends = self._exit or not self.is_running
        if not (ends and isinstance(error, ScreenStackError | NoMatches)):
            super()._handle_exception(error)

    def _load_screen_css(self, screen: Screen[Any]) -> None:
        """Take up the styles of a screen, which hold for that alone (SCOPED_CSS): Textual works out all others anew.

        What is on it gets its styles as it is mounted; they are as new as those of the other screens then.
        """
        assert screen.SCOPED_CSS
        for path in screen.css_path:
            if not self.stylesheet.has_source(str(path), ""):
                self.stylesheet.read(path)
        name = f"{type(screen).__name__}.CSS"
        if screen.CSS and not self.stylesheet.has_source(type(screen).__module__, name):
            where = type(screen).__module__, name
            self.stylesheet.add_source(screen.CSS, read_from=where, scope=screen._css_type_name)
        self.stylesheet.apply(screen)
        screen._css_update_count = self._css_update_count
