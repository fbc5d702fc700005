"""What is done while nobody types: screens are made, whose first visit is short then; memory is tidied."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from time import monotonic
from typing import Any, TypeVar

from textual.app import App, ScreenStackError
from textual.css.query import NoMatches
from textual.events import Event, InputEvent
from textual.screen import Screen
from textual.timer import Timer

from tui.places import PLACES, SPARE, make

REST = 0.5
"""Seconds without a key or the mouse before something is made."""
STEP = 0.1
"""Seconds between two things that are made: a key that comes meanwhile waits for one of them at most."""
YOUNG = (700, 10, 1_000_000)
"""When the collector looks at young objects (gc.set_threshold: Python's own numbers), and in effect never at all there
are: that takes 50 ms with 10,000 runs, which a key would wait for."""
TIDY, AT_LAST = 20.0, 300.0
"""Seconds between two looks at all objects while nobody types, and after which there is one in any case."""


Kind = TypeVar("Kind", bound=Screen[Any])


class Ahead(App[None]):
    """An app whose modes are screens that can be made before somebody goes there (tui/places.py)."""

    def __init__(self) -> None:
        super().__init__()
        self._touched_at = self._tidied_at = monotonic()
        self._spare: dict[str, Screen[Any]] = {}
        self._making: Timer | None = None

    def rests(self, seconds: float = REST) -> bool:
        """Whether nobody types: what takes a moment can be done that nobody has asked for yet."""
        return monotonic() - self._touched_at >= seconds

    def collect_at_rest(self) -> None:
        """Let no key wait for Python's collector; what is there by now stays for good."""
        gc.freeze()
        gc.set_threshold(*YOUNG)
        gc.enable()
        self.set_interval(REST, self.tidy)

    def tidy(self) -> None:
        """Take apart what holds itself, if it is time."""
        now = monotonic()
        since = now - self._tidied_at
        if since >= AT_LAST or (since >= TIDY and self.rests()):
            gc.collect()
            self._tidied_at = now

    async def on_event(self, event: Event) -> None:
        if isinstance(event, InputEvent):
            self._touched_at = monotonic()
        await super().on_event(event)

    def make_ahead(self) -> None:
        """From now on; called once more it changes nothing."""
        if self._making is None:
            self._touched_at = monotonic()
            self._making = self.set_interval(STEP, self._make_one)

    def _make_one(self) -> None:
        """Import or make one thing, if it is time; no more once all is there."""
        if not self.is_running or not self.rests():
            return
        places = {one.name: one.screen for one in PLACES if one.screen and one.name not in self._screen_stacks}
        wanted = places or {name: screen for name, screen in SPARE.items() if name not in self._spare}
        if not wanted:
            assert self._making is not None
            self._making.pause()
            return
        name, screen = next(iter(wanted.items()))
        if (module := screen.partition(":")[0]) not in sys.modules:
            import_module(module)
        elif places:
            self._init_mode(name)
        else:
            made = self._spare[name] = make(screen)
            self._register(self, made)
            self._load_screen_css(made)
            made._screen_resized(self.size)

    def opened(self, name: str, kind: type[Kind]) -> Kind:
        """One of SPARE, of that kind, to be opened: made ahead, else now."""
        if self._making is not None:
            self._making.resume()
        made = self._spare.pop(name, None) or make(SPARE[name])
        assert isinstance(made, kind)
        return made

    def _handle_exception(self, error: Exception) -> None:
        """A screen that is being made when the program ends finds its panes gone, or itself: nobody wants to know."""
        ends = self._exit or not self.is_running
        if not (ends and isinstance(error, ScreenStackError | NoMatches)):
            super()._handle_exception(error)
