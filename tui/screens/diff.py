"""Two runs line by line: the fields of their specs, then the code that each of them ran."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.compare import Setting
from tui.present import Part
from tui.screens.reading import ReadingScreen

MOST = 5000
"""Lines of code that are shown; more say so."""


def lines(one: str, other: str, fields: Sequence[Setting], code: str, trouble: str) -> list[list[Part]]:
    """fields: with the values of both. code: a unified diff. trouble: why there is none."""
    out: list[list[Part]] = [[("− ", "trouble"), (one, "strong"), ("    + ", "good"), (other, "strong")], []]
    for part in dict.fromkeys(field.part for field in fields):
        out.append([(part, "title")])
        for field in fields:
            if field.part == part:
                out += [[(f"  {field.name}", "rest")], [("  − ", "trouble"), (field.values[0], "text")],
                        [("  + ", "good"), (field.values[1], "text")]]  # fmt: skip
        out.append([])
    if not fields:
        out += [[("Nothing differs in config, environment and data.", "rest")], []]
    out.append([("lines of code", "title")])
    if trouble:
        out.append([(trouble, "attention")])
    elif not code:
        out.append([("Both ran the same code.", "rest")])
    every = code.splitlines()
    out += [_line(text) for text in every[:MOST]]
    if len(every) > MOST:
        out.append([(f"… {len(every) - MOST:,} more lines: engine compare {one} {other} --code", "attention")])
    return out


def _line(text: str) -> list[Part]:
    text = text.expandtabs(4)
    if text.startswith(("diff --git", "index ", "--- ", "+++ ", "new file", "deleted file", "similarity", "rename")):
        return [(text, "strong" if text.startswith("diff") else "faint")]
    if text.startswith("@@"):
        return [(text, "second")]
    return [(text, {"+": "good", "-": "trouble"}.get(text[:1], "rest"))]


class DiffScreen(ReadingScreen):
    """Nearly the whole screen."""

    CSS = """
    DiffScreen { align: center middle; background: $background 65%; }
    DiffScreen #box { width: 96%; height: 94%; border: round $primary; border-title-color: $primary;
      border-subtitle-color: $rest; background: $surface; padding: 0 1; scrollbar-size-vertical: 1; }
    DiffScreen Lines { background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "close", "close", show=False),
        Binding("g", "edge(-1)", "start", show=False),
        Binding("G", "edge(1)", "end", show=False),
    ]
    HINT = "j k page · esc closes"

    def action_edge(self, way: int) -> None:
        box = self.query_one("#box")
        box.scroll_to(y=0 if way < 0 else box.max_scroll_y, animate=False)
