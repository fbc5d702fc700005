"""A small question before anything that can't be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.folding import folded
from tui.present import Part
from tui.screens.over import OverScreen
from tui.widgets.lines import Lines
from tui.widgets.pane import Box
from tui.widgets.strips import width_of


class ConfirmScreen(OverScreen[bool]):
    """Gives True for yes; escape and no give False."""

    LEAVE = "answer(False)"
    UNDER = 10
    """Cells of a label in the further lines: what has no room goes on below what it says."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "yes", show=False),
        Binding("n,escape,q", "answer(False)", "no", show=False),
    ]

    _question = _detail = _yes = ""
    _trouble = False
    _more: Sequence[Sequence[Part]] = ()

    def ask(
        self, question: str, detail: str, yes: str, *, trouble: bool = False, more: Sequence[Sequence[Part]] = ()
    ) -> Self:
        """Call it before it is opened; it may have been made long before.

        more: further lines under the detail, such as each file that would be written.
        """
        self._question, self._detail, self._yes, self._trouble = question, detail, yes, trouble
        self._more = [list(line) for line in more]
        if self.is_mounted:
            self.query_one("#box").set_class(trouble, "trouble")
            self._lay()
        return self

    def compose(self) -> ComposeResult:
        with Box(id="box", classes="trouble" if self._trouble else ""):
            yield Lines(id="question")

    def on_resize(self) -> None:
        """Also when it comes up: only as many cells as there are can be written on."""
        self._lay()

    def _lay(self) -> None:
        answers: list[Part] = [(" y ", "key"), (self._yes, "text"), ("     n ", "key"), ("no, leave it", "rest")]
        start = 3 + len(self._yes)
        shown = self.query_one("#question", Lines)
        box = self.query_one("#box")
        width = max(66, 6 + len(self._question), 6 + len(self._detail), *(5 + width_of(x) for x in self._more))
        room = self.inner(width) - 1
        lines = [
            *folded([(f" {self._question}", "trouble bold" if self._trouble else "strong")], room, 2, 1),
            [],
            *folded([(f" {self._detail}", "rest")], room, 3, 1),
        ]
        if self._more:
            lines += [[], *(part for line in self._more for part in folded(line, room, 3, self.UNDER))]
        lines += [[], answers]
        last = len(lines) - 1
        box.styles.width, box.styles.height, shown.styles.height = width, len(lines) + 2, len(lines)
        links = [(last, 0, start, "screen.answer(True)"), (last, start, start + 24, "screen.answer(False)")]
        shown.show(lines, links)

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
