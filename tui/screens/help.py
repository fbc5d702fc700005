"""Every key by place, and what colours and marks mean."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.keys import Key, help_places
from tui.present import MARKS, Part
from tui.screens.reading import ReadingScreen

COLOURS: tuple[tuple[str, str], ...] = (
    ("ours", "blue: ours"),
    ("second", "purple: a second one of ours"),
    ("good", "green: good"),
    ("attention", "amber: wants attention"),
    ("trouble", "red: trouble"),
    ("rest", "grey: the rest"),
)


class HelpScreen(ReadingScreen):
    """Closes with the keys that opened it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,f1", "close", "close", show=False)]

    def __init__(self) -> None:
        super().__init__("keys", _lines())


def _line(key: Key) -> list[Part]:
    """A key that can't be used is struck out."""
    if key.barred:
        return [("  ", "text"), (key.label, "struck"), (" " * (10 - len(key.label)), "text"), (key.text, "struck")]
    return [(f"  {key.label:<10}", "key"), (key.text, "text")]


def _lines() -> list[list[Part]]:
    lines: list[list[Part]] = []
    if any(key.barred for _, keys in help_places() for key in keys):
        lines += [[("Nothing can be changed here: what is struck out does nothing.", "attention")], []]
    for title, keys in help_places():
        lines.append([(title, "title")])
        lines += [_line(key) for key in keys]
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
