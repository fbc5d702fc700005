"""The screens that a digit leads to, once: one more screen is one more line here and one more file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from msgspec import Struct
from textual.screen import Screen


class Place(Struct, frozen=True):
    """screen: `module:Class`, imported when it is first gone to; "" for what opens over the others by an action."""

    digit: str
    name: str
    text: str
    screen: str = ""
    action: str = ""

    @property
    def go(self) -> str:
        """The action that leads there."""
        return self.action or f"app.go('{self.name}')"


PLACES: tuple[Place, ...] = (
    Place("1", "dashboard", "dashboard", "tui.screens.dashboard:DashboardScreen"),
    Place("2", "runs", "all runs", "tui.screens.runs:RunsScreen"),
    Place("3", "run", "the chosen run", action="app.open_chosen"),
    Place("4", "compare", "the marked runs side by side", "tui.screens.compare:CompareScreen"),
    Place("5", "best", "the leaderboard, and promotion", "tui.screens.best:BestScreen"),
    Place("7", "sql", "questions in SQL", "tui.screens.sql:SqlScreen"),
    Place("8", "new", "a new run, from a form", action="app.new_run"),
)
"""6 is kept free for sweeps."""

FIRST = PLACES[0].name
SPARE = {
    "run": "tui.screens.run:RunScreen",
    "new": "tui.screens.new:NewRunScreen",
    "commands": "tui.screens.commands:CommandsScreen",
    "keys": "tui.screens.help:HelpScreen",
    "question": "tui.screens.confirm:ConfirmScreen",
}
"""What opens over the others and is another one each time."""


def is_place(name: str) -> bool:
    """Whether a digit leads there."""
    return any(place.name == name for place in PLACES)


def make(screen: str) -> Screen[Any]:
    """A screen by `module:Class`."""
    module, name = screen.split(":")
    made = getattr(import_module(module), name)()
    assert isinstance(made, Screen)
    return made


def modes() -> dict[str, str | Callable[[], Screen[Any]]]:
    """What Textual calls modes: places with a stack of screens each, that stay as they were left."""
    return {place.name: partial(make, place.screen) for place in PLACES if place.screen}
