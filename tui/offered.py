"""What the palette offers at a place: the actions of the keys there; its lines are made when it is first opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tui.key import Key
from tui.keys import KEYS

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
