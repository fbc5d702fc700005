"""Every key by place, and what colours and marks mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.folding import folded
from tui.keys import Key, help_places
from tui.present import MARKS, Part
from tui.screens.reading import ReadingScreen
from tui.widgets.lines import Line

COLOURS: tuple[tuple[str, str], ...] = (
    ("ours", "blue: ours"),
    ("second", "purple: a second one of ours"),
    ("good", "green: good"),
    ("attention", "amber: wants attention"),
    ("trouble", "red: trouble"),
    ("rest", "grey: the rest"),
)


KEY = 10
"""Cells of a key, before what it does."""


class HelpScreen(ReadingScreen):
    """Closes with the keys that opened it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,f1", "close", "close", show=False)]

    def __init__(self) -> None:
        super().__init__("keys")
        self._near: Sequence[str] = ()

    def near(self, places: Sequence[str]) -> None:
        """Begin with the keys of these places, the nearest one first. It may have been made long before."""
        self._near = places
        if self.is_mounted:
            self.lay_out()

    def laid_out(self) -> Sequence[Line]:
        return _lines(min(80, self.app.size.width * 96 // 100) - 8, self._near)


def _line(key: Key, width: int) -> list[list[Part]]:
    """A key that can't be used is struck out; what needs more than a line goes on below its words."""
    struck = key.barred
    told = folded([(key.text, "struck" if struck else "text")], max(20, width - KEY - 2), 6)
    space = " " * max(0, KEY - len(key.label))
    first: list[Part] = [("  ", "text"), (key.label, "struck" if struck else "key"), (space, "text")]
    return [[*first, *told[0]], *([(" " * (KEY + 2), "text"), *more] for more in told[1:])]


def _lines(width: int, near: Sequence[str]) -> list[list[Part]]:
    lines: list[list[Part]] = []
    places = help_places(near)
    if any(key.barred for _, keys in places for key in keys):
        lines += [[("Nothing can be changed here: what is struck out does nothing.", "attention")], []]
    for title, keys in places:
        lines.append([(title, "title")])
        for key in keys:
            lines += _line(key, width)
        lines.append([])
    lines.append([("Marks", "title")])
    marks = [((f"{sign} ", role), (state, "rest")) for state, (sign, role) in MARKS.items()]
    for start in range(0, len(marks), 4):
        line: list[Part] = [("  ", "text")]
        for sign, word in marks[start : start + 4]:
            line += [sign, (word[0].ljust(13), word[1])]
        lines.append(line)
    lines += [[], [("Colours", "title")]]
    lines += [[("  ", "text"), ("■ ", role), (text, "rest")] for role, text in COLOURS]
    return lines
