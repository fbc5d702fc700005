"""The palette: every command that does something here, found by words, by a few of their letters, or by its key.

Textual's own takes half a second to come, and asks each command in a task of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from textual.fuzzy import FuzzySearch

from tui.columns import Column
from tui.present import Cell, Part, cell
from tui.screens.choose import Choice, ChooseScreen

KEY = 13
"""Cells of a key, before what it does."""


class CommandsScreen(ChooseScreen):
    """Gives the name of a command, or None after escape. A choice's `told` is its key."""

    LONG = 0
    WIDTH, MOST = 96, 30
    PLACEHOLDER = "Search for commands by words, or by a key"
    NONE = "no command has these letters in this order"
    CSS = f"""{ChooseScreen.CSS.replace("ChooseScreen", "CommandsScreen")}
    CommandsScreen {{ align: center top; }}
    CommandsScreen #box {{ width: {WIDTH}; max-height: 98%; margin-top: 1; }}
    """

    def __init__(self) -> None:
        super().__init__("Every command here", ())
        self._search = FuzzySearch()
        self._lit: dict[str, frozenset[int]] = {}
        """Letters of a command's text that were searched for."""

    def offer(self, commands: Sequence[Choice]) -> None:
        """Call it before it is opened; it may have been made long before."""
        self._choices = tuple(commands)
        if self.is_mounted:
            self.table.show(self._choices)
            self._lay()

    def columns(self) -> tuple[Column[Choice], ...]:
        return (
            Column("", KEY, lambda one, _: cell(f" {one.told}", "key")),
            Column("", 20, lambda one, _: self._told(one), flex=1),
        )

    def _told(self, one: Choice) -> Cell:
        lit = self._lit.get(one.name)
        if not lit:
            return cell(one.text)
        runs = groupby(enumerate(one.text), key=lambda sign: sign[0] in lit)
        return tuple(("".join(sign for _, sign in run), "key" if found else "text") for found, run in runs)

    def found(self, text: str) -> list[Choice]:
        """The command of a key; those with all the words, the best first; where there are none, with the letters."""
        words, self._lit = text.lower().split(), {}
        if not words:
            return [*self._choices]
        own = [one for one in self._choices if text.strip() in one.told.split()]
        whole = [one for one in self._choices if all(word in one.text.lower() for word in words)]
        scores: dict[str, float] = {}
        for one in whole or self._choices:
            together, places = self._search.match(" ".join(words), one.text)  # that is all of it, or its beginning
            each = [self._search.match(word, one.text) for word in words] if whole else [(0.0, places)]
            scores[one.name] = together + sum(score for score, _ in each)
            self._lit[one.name] = frozenset(place for _, found in each for place in found)
        others = [one for one in self._choices if scores.get(one.name) and one not in own]
        return [*own, *sorted(others, key=lambda one: -scores[one.name])]

    def keys(self) -> list[Part]:
        return [(" enter", "key"), (" does it", "rest"), ("   esc", "key"), (" leaves", "rest")]
