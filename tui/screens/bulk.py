"""The question before an order to several runs, with the list of them."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from tui import present
from tui.bulk import Bulk
from tui.folding import folded
from tui.present import Part
from tui.runcolumns import about
from tui.screens.over import OverScreen
from tui.widgets.lines import Lines
from tui.widgets.pane import Box
from tui.widgets.strips import cut


class BulkScreen(OverScreen[bool]):
    """Gives True for yes. The list scrolls with the arrows: every run that is meant is in it."""

    CSS = """
    BulkScreen { align: center middle; background: $background 65%; }
    BulkScreen #box { width: 84; max-width: 96%; height: auto; max-height: 80%; border: round $primary;
      border-title-color: $primary; background: $surface; padding: 0 1; }
    BulkScreen #box.trouble { border: round $error; }
    BulkScreen #runs { height: auto; max-height: 20; scrollbar-size-vertical: 1; background: $surface; }
    BulkScreen #answers { height: 2; }
    """
    LEAVE = "answer(False)"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "yes", show=False),
        Binding("n,escape,q", "answer(False)", "no", show=False),
        Binding("down,j", "scroll(1)", "down", show=False, priority=True),
        Binding("up,k", "scroll(-1)", "up", show=False, priority=True),
        Binding("pagedown", "scroll(10)", "page down", show=False, priority=True),
        Binding("pageup", "scroll(-10)", "page up", show=False, priority=True),
    ]

    def __init__(self, bulk: Bulk) -> None:
        super().__init__()
        self._bulk = bulk

    def compose(self) -> ComposeResult:
        with Box(id="box", classes="trouble" if self._bulk.trouble else ""):
            yield Lines(id="question")
            with VerticalScroll(id="runs"):
                yield Lines(id="list")
            yield Lines(id="answers")

    def on_resize(self) -> None:
        """Also when it comes up: only as many cells as there are can be written on."""
        bulk = self._bulk
        width = self.inner(84) - 2
        question: list[list[Part]] = [
            [(f" {bulk.question}", "trouble bold" if bulk.trouble else "strong")],
            [],
            *folded([(f" {bulk.detail}", "rest")], width, 3, 1),
            [],
        ]
        asked = self.query_one("#question", Lines)
        asked.styles.height = len(question)
        asked.show(question)
        lines: list[list[Part]] = []
        size = max(len(row.id) for row in (*bulk.take, *(row for row, _ in bulk.leave)))
        for row in bulk.take:
            lines.append([(" ", "text"), *present.mark(row), (f" {row.id:<{size}}  ", "text"), *about(row)])
        if bulk.leave:
            lines += [[], [(f" left out: {len(bulk.leave):,}", "attention")]]
            lines += [[(f"   {row.id:<{size}}  ", "rest"), (why, "rest")] for row, why in bulk.leave]
        listed = self.query_one("#list", Lines)
        listed.styles.height = len(lines)
        listed.show([list(cut(tuple(line), width)) for line in lines])
        yes = f"yes, {bulk.verb.lower()}"
        answers: list[Part] = [(" y ", "key"), (yes, "text"), ("     n ", "key"), ("no, leave all as it is", "rest")]
        start = 3 + len(yes)
        links = [(1, 0, start, "screen.answer(True)"), (1, start, start + 29, "screen.answer(False)")]
        self.query_one("#answers", Lines).show([[], answers], links)

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)

    def action_scroll(self, way: int) -> None:
        self.query_one("#runs", VerticalScroll).scroll_relative(y=way, animate=False)
