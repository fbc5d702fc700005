"""What keys and palette offer at a place: the actions of the keys there; the palette's lines are made when it opens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import App, SystemCommand
from textual.screen import Screen

from tui.key import Key
from tui.keys import EVERYWHERE, KEYS, LIST, LOG

if TYPE_CHECKING:
    from textual.command import Provider


def offered(places: Iterable[str], *, readonly: bool) -> Iterator[Key]:
    """Each key that does something there: those of a place alone, then those of several like it."""
    here = set(places)
    for key in sorted(KEYS, key=lambda key: len(key.where) > 2):
        barred = (key.changes and readonly) or key.action in ("", "app.command_palette")
        if not barred and here & set(key.where):
            yield key


def lines() -> type[Provider]:
    """Textual's fuzzy search takes time to import that no first frame has."""
    from tui.commands import Commands

    return Commands


class Offering(App[None]):
    """An app whose help and palette show what can be done where the focus is."""

    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {lines}  # noqa: RUF012 - Textual's own
    COMMAND_PALETTE_BINDING = "ctrl+p"
    readonly: bool

    def action_keys(self) -> None:
        from tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.places_of(self.screen)))

    @staticmethod
    def places_of(screen: Screen[Any]) -> list[str]:
        """Where keys work on a screen, the nearest place first: a log or a list that has the focus, the screen, all."""
        from tui.widgets.logview import LogView
        from tui.widgets.table import Table

        where, focused = getattr(screen, "WHERE", ""), screen.focused
        pane = [LOG] if isinstance(focused, LogView) else []
        lists = [LIST] if isinstance(focused, Table) else []
        return [*pane, *([where] if where else []), *lists, EVERYWHERE]

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every key's action by name, then Textual's own themes."""
        focused = screen.focused
        for key in offered(self.places_of(screen), readonly=self.readonly):
            run = partial(self.run_action, key.action, focused if key.made_by == "widget" else screen)
            yield SystemCommand(key.text[:1].upper() + key.text[1:], f"key {key.label}", run)
        yield from (command for command in super().get_system_commands(screen) if command.title == "Theme")
