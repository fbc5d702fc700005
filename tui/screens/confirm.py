"""A small question before anything that can't be taken back."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui.present import Part
from tui.widgets.lines import Lines


class ConfirmScreen(ModalScreen[bool]):
    """Gives True for yes; escape and no give False."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "yes", show=False),
        Binding("n,escape,q", "answer(False)", "no", show=False),
    ]

    def __init__(self, question: str, detail: str, yes: str, *, trouble: bool = False) -> None:
        super().__init__()
        self._question, self._detail, self._yes, self._trouble = question, detail, yes, trouble

    def compose(self) -> ComposeResult:
        with Vertical(id="box", classes="trouble" if self._trouble else ""):
            yield Lines(id="question")

    def on_mount(self) -> None:
        answers: list[Part] = [(" y ", "key"), (self._yes, "text"), ("     n ", "key"), ("no, leave it", "rest")]
        start = 3 + len(self._yes)
        self.query_one("#question", Lines).show(
            [
                [(f" {self._question}", "trouble bold" if self._trouble else "strong")],
                [],
                [(f" {self._detail}", "rest")],
                [],
                answers,
            ],
            [(4, 0, start, "screen.answer(True)"), (4, start, start + 24, "screen.answer(False)")],
        )

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
