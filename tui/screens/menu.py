"""A small menu: one key for each thing, over the screen below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key

from tui.present import Part
from tui.screens.over import OverScreen
from tui.widgets.lines import Lines
from tui.widgets.pane import Box


class MenuScreen(OverScreen[str | None]):
    """Gives the key that was pressed, or None after escape. entries: (key, text, told in grey)."""

    CSS = """
    MenuScreen { align: center middle; background: $background 65%; }
    MenuScreen #box { width: 72; max-width: 96%; border: round $primary; border-title-color: $primary;
      border-subtitle-color: $rest; background: $surface; padding: 0 1; }
    MenuScreen #entries { background: $surface; }
    """
    LEAVE = "choose('')"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "choose('')", "no", show=False)]

    def __init__(self, title: str, entries: Sequence[tuple[str, str, str]]) -> None:
        super().__init__()
        self._title, self._entries = title, tuple(entries)

    def compose(self) -> ComposeResult:
        with Box(id="box"):
            yield Lines(id="entries")

    def on_mount(self) -> None:
        box, shown = self.query_one("#box"), self.query_one("#entries", Lines)
        box.border_title, box.border_subtitle = self._title, "esc leaves"
        box.styles.height = len(self._entries) + 2
        shown.styles.height = len(self._entries)
        lines: list[list[Part]] = [
            [(f" {key} ", "key"), (f" {text:<22}", "text"), (told, "rest")] for key, text, told in self._entries
        ]
        links = [(y, 0, 70, f"screen.choose('{key}')") for y, (key, _, _) in enumerate(self._entries)]
        shown.show(lines, links)

    def on_key(self, event: Key) -> None:
        if event.character and event.character in {key for key, _, _ in self._entries}:
            event.stop()
            self.dismiss(event.character)

    def action_choose(self, key: str) -> None:
        self.dismiss(key or None)
