"""Every key by place, and what colours and marks mean."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from tui.keys import help_places
from tui.present import MARKS, Part
from tui.widgets.lines import Lines

COLOURS: tuple[tuple[str, str], ...] = (
    ("ours", "blue: ours"),
    ("second", "purple: a second one of ours"),
    ("good", "green: good"),
    ("attention", "amber: wants attention"),
    ("trouble", "red: trouble"),
    ("rest", "grey: the rest"),
)


class HelpScreen(ModalScreen[None]):
    """Closes with the keys that opened it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q,enter", "close", "close", show=False),
        Binding("j", "scroll(1)", "down", show=False),
        Binding("k", "scroll(-1)", "up", show=False),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="box"):
            yield Lines(id="keys")

    def on_mount(self) -> None:
        lines = _lines()
        box = self.query_one("#box", VerticalScroll)
        box.border_title = " keys "
        box.border_subtitle = " esc closes "
        shown = self.query_one("#keys", Lines)
        shown.styles.height = len(lines)
        shown.show(lines)
        box.focus()

    def action_close(self) -> None:
        self.dismiss(None)

    def action_scroll(self, way: int) -> None:
        self.query_one("#box", VerticalScroll).scroll_relative(y=way, animate=False)


def _lines() -> list[list[Part]]:
    lines: list[list[Part]] = []
    for title, keys in help_places():
        lines.append([(title, "title")])
        lines += [[(f"  {key.label:<8}", "key"), (key.text, "text")] for key in keys]
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
