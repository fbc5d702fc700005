"""A one-line question with an answer that is typed, checked while one types."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from tui.present import Part
from tui.screens.over import OverScreen
from tui.widgets.lines import Lines


class AskScreen(OverScreen[str | None]):
    """Gives what was typed, or None after escape. check: what is wrong with a text, "" when nothing is."""

    CSS = """
    AskScreen { align: center middle; background: $background 65%; }
    AskScreen #box { width: 72; max-width: 96%; height: 8; border: round $primary; background: $surface; padding: 0 1; }
    AskScreen #title, AskScreen #told { height: 1; }
    AskScreen #told { margin-top: 1; }
    AskScreen Input { margin-top: 1; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "no", show=False)]

    def __init__(
        self, title: str, detail: str, check: Callable[[str], str], *, text: str = "", placeholder: str = ""
    ) -> None:
        super().__init__()
        self._title, self._detail, self._check = title, detail, check
        self._text, self._placeholder = text, placeholder

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Lines(id="title")
            yield Input(self._text, placeholder=self._placeholder, compact=True, id="answer")
            yield Lines(id="told")

    def on_mount(self) -> None:
        self.query_one("#title", Lines).show([[(f" {self._title}", "strong")]])
        self._tell("")

    def _tell(self, problem: str) -> None:
        line: list[Part] = [(f" ✗ {problem}", "trouble")] if problem else [(f" {self._detail}", "rest")]
        keys: list[Part] = (
            [] if problem else [("   enter", "key"), (" does it", "rest"), ("   esc", "key"), (" no", "rest")]
        )
        self.query_one("#told", Lines).show([[*line, *keys]])

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._tell(self._check(event.value.strip()) if event.value.strip() else "")

    @on(Input.Submitted)
    def _given(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        problem = self._check(text)
        if problem:
            self._tell(problem)
        else:
            self.dismiss(text)

    def action_leave(self) -> None:
        self.dismiss(None)
