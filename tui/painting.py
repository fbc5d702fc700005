"""What is written to the terminal: of lines that are drawn again only the parts that look otherwise than before.

Textual writes a widget's line from its left edge to the last change. Of a dashboard whose numbers move nine cells in
ten are the same each second, and each part costs some forty bytes of colours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.segment import Segment
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.screen import Screen
from textual.strip import Strip

Piece = tuple[int, int, Segment]
"""First column, end column, what stands there."""


class Painted:
    """What the terminal shows by now, as far as it is known: strips by line and first column."""

    def __init__(self) -> None:
        self._lines: dict[int, dict[int, Strip | None]] = {}

    def forget(self) -> None:
        """Something else was written."""
        self._lines.clear()

    def change(self, y: int, edges: Iterable[int], x: int, strip: Strip) -> list[Piece] | None:
        """Take what is to stand at a place, and give the pieces that must be written; None: all of it.

        edges: the first columns of all strips of this line. Where they are others than before nothing is known of it.
        """
        line = self._lines.get(y)
        if line is None or [*line] != [*edges]:
            line = self._lines[y] = dict.fromkeys(edges)
        before, line[x] = line[x], strip
        if before is None or before.cell_length != strip.cell_length:
            return None
        return [] if before is strip else differing(before, strip, x)


def differing(before: Strip, after: Strip, x: int) -> list[Piece]:
    """The segments of one strip that do not stand at the same place in the other; x: where they begin."""
    found: list[Piece] = []
    known = iter(before)
    old, start = next(known, None), x  # what stood at or right of x, and where it began
    for segment in after:
        while old is not None and start < x:
            start += old.cell_length
            old = next(known, None)
        end = x + segment.cell_length
        if start != x or old != segment:
            found.append((x, end, segment))
        x = end
    return found


class Changes(ChopsUpdate):
    """An update that writes what differs alone."""

    def __init__(self, update: ChopsUpdate, painted: Painted) -> None:
        super().__init__(update.chops, update.spans, update.chop_ends)
        self._painted = painted

    def render_segments(self, console: Console) -> str:
        written: list[str] = []
        colors, render = console._color_system or ColorSystem.TRUECOLOR, Strip.render_style
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= last or end <= first:
                    continue
                found = self._painted.change(y, self.chops[y], x, strip)
                if found is None:
                    written += [f"\x1b[{y + 1};{x + 1}H", strip.render(console)]
                    continue
                at = -1
                for start, stop, (text, style, _) in found:
                    if start != at:
                        written.append(f"\x1b[{y + 1};{start + 1}H")
                    written.append(render(style, text, colors) if style is not None else text)
                    at = stop
        return "".join(written)


class Sparing(App[None]):
    """An app that knows what its terminal shows."""

    def __init__(self) -> None:
        super().__init__()
        self._painted = Painted()

    def forget_painted(self) -> None:
        """Call it when the terminal was somebody else's for a while."""
        self._painted.forget()

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if isinstance(renderable, ChopsUpdate):
            renderable = Changes(renderable, self._painted)
        elif renderable is not None:
            self._painted.forget()
        super()._display(screen, renderable)
