"""What keys and palette offer at a place: the actions of the keys there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from textual.screen import Screen

from tui.ahead import Ahead
from tui.key import Key
from tui.keys import EVERYWHERE, KEYS, LIST, LOG
from tui.themes import THEMES

THEME = "theme"
"""The one command without a key."""


def offered(places: Iterable[str], *, readonly: bool) -> Iterator[Key]:
    """Each key that does something there: those of a place alone, then those of several like it."""
    here = set(places)
    for key in sorted(KEYS, key=lambda key: len(key.where) > 2):
        barred = (key.changes and readonly) or key.action in ("", "app.command_palette")
        if not barred and here & set(key.where):
            yield key


class Offering(Ahead):
    """An app whose help and palette show what can be done where the focus is."""

    ENABLE_COMMAND_PALETTE = False
    readonly: bool

    def action_keys(self) -> None:
        from tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            keys = self.opened("keys", HelpScreen)
            keys.near(self.places_of(self.screen))
            self.push_screen(keys)

    @staticmethod
    def places_of(screen: Screen[Any]) -> list[str]:
        """Where keys work on a screen, the nearest place first: a log or a list that has the focus, the screen, all."""
        from tui.widgets.logview import LogView
        from tui.widgets.table import Table

        where, focused = getattr(screen, "WHERE", ""), screen.focused
        pane = [LOG] if isinstance(focused, LogView) else []
        lists = [LIST] if isinstance(focused, Table) else []
        return [*pane, *([where] if where else []), *lists, EVERYWHERE]

    def action_command_palette(self) -> None:
        """Every key's action by name."""
        from tui.screens.choose import Choice
        from tui.screens.commands import CommandsScreen

        here, focused = self.screen, self.screen.focused
        known = {key.name: key for key in offered(self.places_of(here), readonly=self.readonly)}

        def chosen(name: str | None) -> None:
            if name == THEME:
                self.action_change_theme()
            elif name is not None:
                key = known[name]
                by = focused if key.made_by == "widget" else here
                # Once the screen below has come on top again, which puts its cursor where it was.
                self.call_later(here.call_later, self.run_action, key.action, by)

        choices = [Choice(name, key.text[:1].upper() + key.text[1:], key.label) for name, key in known.items()]
        palette = self.opened("commands", CommandsScreen)
        palette.offer([*choices, Choice(THEME, "Choose a theme by its name")])
        self.push_screen(palette, chosen)

    def action_change_theme(self) -> None:
        """One of ours, or of Textual's own."""
        from tui.screens.choose import Choice, ChooseScreen

        def chosen(name: str | None) -> None:
            self.theme = name or self.theme

        ours = [theme.name for theme in THEMES.values()]
        others = sorted(name for name in self.available_themes if name not in ours)
        told = {theme.name: f"--theme {word}" for word, theme in THEMES.items()}
        choices = [Choice(name, told=told.get(name, "")) for name in (*ours, *others)]
        self.push_screen(ChooseScreen("Which theme?", choices, self.theme), chosen)
