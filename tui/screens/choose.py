"""One of several things, chosen from a list over the screen below; typing narrows a long list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct
from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from tui.columns import Column
from tui.folding import folded
from tui.present import Part, cell
from tui.screens.over import OverScreen
from tui.widgets.lines import Lines
from tui.widgets.pane import Box
from tui.widgets.table import Table

FEW = 10
"""Choices at a time on a slow line: what a window hides is sent again when it closes."""


class Choice(Struct, frozen=True):
    """told: what stands beside the name, in grey."""

    name: str
    shown: str = ""
    told: str = ""

    @property
    def text(self) -> str:
        return self.shown or self.name


class ChooseScreen(OverScreen[str | None]):
    """Gives the name of a choice, or None after escape. detail: a line below the question.

    MOST: choices that are seen at a time. LONG: so many have a line to narrow them.
    """

    LONG, MOST, WIDTH = 11, 16, 72
    PLACEHOLDER = "type to narrow the list"
    NONE = "nothing has that in it"
    CSS = """
    ChooseScreen { align: center middle; background: $background 65%; }
    ChooseScreen #box { width: 72; max-width: 96%; max-height: 90%; border: round $primary; background: $surface;
      padding: 0 1; }
    ChooseScreen Lines { height: 1; background: $surface; }
    ChooseScreen #keys { margin-top: 1; }
    ChooseScreen Input { background: $panel; padding: 0 1; }
    ChooseScreen Table { background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "no", show=False),
        Binding("down", "move(1)", "down", show=False, priority=True),
        Binding("up", "move(-1)", "up", show=False, priority=True),
        Binding("enter", "take", "choose", show=False, priority=True),
    ]

    def __init__(self, title: str, choices: Sequence[Choice], chosen: str = "", detail: str = "") -> None:
        super().__init__()
        self._title, self._choices, self._chosen, self._detail = title, tuple(choices), chosen, detail
        self._text = ""

    def compose(self) -> ComposeResult:
        with Box(id="box"):
            yield Lines(id="title")
            if self._long:
                yield Input(placeholder=self.PLACEHOLDER, compact=True, id="narrow")
            yield Table(self.columns(), cell(self.NONE, "rest"), key=lambda one: one.name, id="choices", once=True)
            yield Lines(id="detail")
            yield Lines(id="keys")

    def on_mount(self) -> None:
        self.query_one("#title", Lines).show([[(f" {self._title}", "strong")]])
        self.query_one("#keys", Lines).show([self.keys()])
        self.table.show(self._choices)
        self.table.choose(self._chosen)
        self.set_focus(self.query_one("#narrow") if self._long else self.table)

    def on_resize(self) -> None:
        """Also when it comes up: only as many cells as there are can be written on."""
        self._lay()

    def _lay(self) -> None:
        told = folded([(f" {self._detail}", "attention")], self.inner(self.WIDTH) - 1, 3, 1) if self._detail else []
        around = 5 + self._long + len(told)
        most = FEW if self.app.has_class("-slow") else self.app.size.height * 9 // 10 - around - 1
        rows = min(self.MOST, max(3, most), len(self._choices)) + 1
        self.table.styles.height = rows
        self.query_one("#box").styles.height = rows + around
        detail = self.query_one("#detail", Lines)
        detail.display, detail.styles.height = bool(told), max(1, len(told))
        detail.show(told)

    @property
    def _long(self) -> bool:
        return len(self._choices) >= self.LONG

    def columns(self) -> tuple[Column[Choice], ...]:
        """The names as wide as the longest; all the rest is for what is told of them."""
        longest = max((cell_len(one.text) for one in self._choices), default=0)
        return (
            Column("", min(40, 3 + longest), lambda one, _: cell(f" {one.text}")),
            Column("", 12, lambda one, _: cell(one.told, "rest"), rank=1, flex=1),
        )

    def found(self, text: str) -> list[Choice]:
        """The choices that have each word of a text in them."""
        words = text.lower().split()
        return [one for one in self._choices if all(word in f"{one.text} {one.told}".lower() for word in words)]

    def keys(self) -> list[Part]:
        """The last line: what can be pressed."""
        return [(" enter", "key"), (" takes it", "rest"), ("   esc", "key"), (" leaves all as it is", "rest")]

    @property
    def table(self) -> Table[Choice]:
        return self.query_one("#choices", Table)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._narrow(event.value)

    def _narrow(self, text: str) -> None:
        if text != self._text:
            self._text = text
            self.table.show(self.found(text))
            self.table.action_edge(-1)

    @on(Table.Opened)
    def _opened(self, event: Table.Opened) -> None:
        self.dismiss(event.key)

    def action_move(self, way: int) -> None:
        self.table.action_move(way)

    def action_take(self) -> None:
        for line in self.query(Input):
            self._narrow(line.value)  # enter may be faster than what is told of the last letter
        if self.table.chosen is not None:
            self.dismiss(self.table.chosen)

    def action_leave(self) -> None:
        self.dismiss(None)
