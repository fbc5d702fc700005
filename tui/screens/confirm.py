"""A small question before anything that can't be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from tui.present import Part
from tui.screens.over import OverScreen
from tui.widgets.lines import Lines
from tui.widgets.strips import width_of


class ConfirmScreen(OverScreen[bool]):
    """Gives True for yes; escape and no give False."""

    LEAVE = "answer(False)"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "yes", show=False),
        Binding("n,escape,q", "answer(False)", "no", show=False),
    ]

    def __init__(
        self, question: str, detail: str, yes: str, *, trouble: bool = False, more: Sequence[Sequence[Part]] = ()
    ) -> None:
        """more: further lines under the detail, such as each file that would be written."""
        super().__init__()
        self._question, self._detail, self._yes, self._trouble = question, detail, yes, trouble
        self._more = [list(line) for line in more]

    def compose(self) -> ComposeResult:
        with Vertical(id="box", classes="trouble" if self._trouble else ""):
            yield Lines(id="question")

    def on_mount(self) -> None:
        answers: list[Part] = [(" y ", "key"), (self._yes, "text"), ("     n ", "key"), ("no, leave it", "rest")]
        start = 3 + len(self._yes)
        shown = self.query_one("#question", Lines)
        box = self.query_one("#box")
        box.styles.width = max(
            66, 6 + len(self._question), 6 + len(self._detail), *(4 + width_of(x) for x in self._more)
        )
        if self._more:
            box.styles.height = 8 + len(self._more)
            shown.styles.height = 6 + len(self._more)
        last = 5 + len(self._more) if self._more else 4
        shown.show(
            [
                [(f" {self._question}", "trouble bold" if self._trouble else "strong")],
                [],
                [(f" {self._detail}", "rest")],
                *([[], *self._more] if self._more else []),
                [],
                answers,
            ],
            [(last, 0, start, "screen.answer(True)"), (last, start, start + 24, "screen.answer(False)")],
        )

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
