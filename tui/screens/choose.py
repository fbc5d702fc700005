"""One of several things, chosen from a list over the screen below; typing narrows a long list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct
from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from tui.columns import Column
from tui.folding import folded
from tui.present import Part, cell
from tui.screens.over import OverScreen
from tui.widgets.lines import Lines
from tui.widgets.table import Table

LONG = 10
"""Choices from which a line to narrow them is shown."""
WIDTH, MOST = 72, 16


class Choice(Struct, frozen=True):
    """told: what stands beside the name, in grey."""

    name: str
    shown: str = ""
    told: str = ""

    @property
    def text(self) -> str:
        return self.shown or self.name


def columns(choices: Sequence[Choice]) -> tuple[Column[Choice], ...]:
    """The names as wide as the longest; all the rest is for what is told of them."""
    longest = max((cell_len(one.text) for one in choices), default=0)
    return (
        Column("", min(40, 3 + longest), lambda one, _: cell(f" {one.text}")),
        Column("", 12, lambda one, _: cell(one.told, "rest"), rank=1, flex=1),
    )


class ChooseScreen(OverScreen[str | None]):
    """Gives the name of a choice, or None after escape. detail: a line below the question."""

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

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Lines(id="title")
            if len(self._choices) > LONG:
                yield Input(placeholder="type to narrow the list", compact=True, id="narrow")
            made = columns(self._choices)
            yield Table(made, cell("nothing has that in it", "rest"), key=lambda one: one.name, id="choices")
            yield Lines(id="detail")
            yield Lines(id="keys")

    def on_mount(self) -> None:
        keys: list[Part] = [
            (" enter", "key"),
            (" takes it", "rest"),
            ("   esc", "key"),
            (" leaves all as it is", "rest"),
        ]
        self.query_one("#title", Lines).show([[(f" {self._title}", "strong")]])
        self.query_one("#keys", Lines).show([keys])
        self.table.show(self._choices)
        self.table.choose(self._chosen)
        (self.query_one("#narrow") if len(self._choices) > LONG else self.table).focus()

    def on_resize(self) -> None:
        """Also when it comes up: only as many cells as there are can be written on."""
        long = len(self._choices) > LONG
        rows = min(MOST, len(self._choices)) + 1
        self.table.styles.height = rows
        told = folded([(f" {self._detail}", "attention")], self.inner(WIDTH) - 1, 3, 1) if self._detail else []
        self.query_one("#box").styles.height = rows + 5 + long + len(told)
        detail = self.query_one("#detail", Lines)
        detail.display, detail.styles.height = bool(told), max(1, len(told))
        detail.show(told)

    @property
    def table(self) -> Table[Choice]:
        return self.query_one("#choices", Table)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        words = event.value.lower().split()
        self.table.show(
            [one for one in self._choices if all(word in f"{one.text} {one.told}".lower() for word in words)]
        )

    @on(Table.Opened)
    def _opened(self, event: Table.Opened) -> None:
        self.dismiss(event.key)

    def action_move(self, way: int) -> None:
        self.table.action_move(way)

    def action_take(self) -> None:
        if self.table.chosen is not None:
            self.dismiss(self.table.chosen)

    def action_leave(self) -> None:
        self.dismiss(None)
