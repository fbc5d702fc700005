"""A one-line question with an answer that is typed, checked while one types."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from tui.folding import folded
from tui.present import Part
from tui.screens.over import OverScreen
from tui.widgets.lines import Lines
from tui.widgets.pane import Box

WIDTH = 72


class AskScreen(OverScreen[str | None]):
    """Gives what was typed, or None after escape. check: what is wrong with a text, "" when nothing is."""

    CSS = """
    AskScreen { align: center middle; background: $background 65%; }
    AskScreen #box { width: 72; max-width: 96%; height: auto; border: round $primary; background: $surface;
      padding: 0 1; }
    AskScreen #title, AskScreen #keys { height: 1; }
    AskScreen #told, AskScreen #keys { margin-top: 1; }
    AskScreen Input { margin-top: 1; background: $panel; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "no", show=False)]

    def __init__(
        self, title: str, detail: str, check: Callable[[str], str], *, text: str = "", placeholder: str = ""
    ) -> None:
        super().__init__()
        self._title, self._detail, self._check = title, detail, check
        self._text, self._placeholder = text, placeholder

    def compose(self) -> ComposeResult:
        with Box(id="box"):
            yield Lines(id="title")
            yield Input(self._text, placeholder=self._placeholder, compact=True, id="answer")
            yield Lines(id="told")
            yield Lines(id="keys")

    def on_mount(self) -> None:
        self.query_one("#title", Lines).show([[(f" {self._title}", "strong")]])
        self._tell("")
        keys: list[Part] = [(" enter", "key"), (" does it", "rest"), ("   esc", "key"), (" no", "rest")]
        self.query_one("#keys", Lines).show([keys])

    def _tell(self, problem: str) -> None:
        said: Part = (f" ✗ {problem}", "trouble") if problem else (f" {self._detail}", "rest")
        lines = folded([said], self.inner(WIDTH) - 1, 4, 3 if problem else 1)
        told = self.query_one("#told", Lines)
        told.styles.height = len(lines)
        told.show(lines)

    def on_resize(self) -> None:
        text = self.query_one("#answer", Input).value.strip()
        self._tell(self._check(text) if text else "")

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
