"""The palette's lines: every command with its key before it, so that a screen holds twice as many as with it below."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import SystemCommand
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tui.present import plain
from tui.widgets.strips import fill

KEY = 13
"""Cells of a key, before what it does."""


def line(key: str, text: Content) -> Content:
    """A command as it is listed; key: as get_system_commands tells it, "key ctrl+n"."""
    label = plain(fill(((key.removeprefix("key "), "key"),), KEY))
    return Content.assemble(Content.styled(label, "bold $primary"), text)


class Commands(Provider):
    """What App.get_system_commands gives; a command is found by its words and by its key."""

    def _known(self) -> Iterator[tuple[SystemCommand, str]]:
        """Each command with its key, "" for Textual's own."""
        for command in self.app.get_system_commands(self.screen):
            yield command, command.help if command.help.startswith("key ") else ""

    async def discover(self) -> Hits:
        for command, key in self._known():
            yield DiscoveryHit(line(key, Content(command.title)), command.callback, text=command.title)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command, key in self._known():
            own = key.removeprefix("key ") == query
            score = 2.0 if own else matcher.match(command.title)  # no match of words is better than 1
            if score > 0:
                shown = Content(command.title) if own else matcher.highlight(command.title)
                yield Hit(score, line(key, shown), command.callback, text=command.title)
