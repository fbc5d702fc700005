"""What is written to the terminal: of lines that are drawn again only the parts that look otherwise than before.

Textual writes a widget's line from its left edge to the last change. Of a dashboard whose numbers move nine cells in
ten are the same each second, and each part costs some forty bytes of colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.segment import Segment
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.geometry import Size
from textual.screen import Screen
from textual.strip import Strip

if TYPE_CHECKING:
    from tui.terse import Sheetful

AGAIN = 0.05
"""Seconds between two looks at whether a slow terminal has taken what was written."""
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
        line, cut = self._lines.get(y), [*edges]
        if line is None or [*line] != cut:
            line = self._lines[y] = self._cut(y, cut)
        before, line[x] = line[x], strip
        if before is None or before.cell_length != strip.cell_length:
            return None
        return [] if before is strip else differing(before, strip, x)

    def _whole(self, y: int) -> Strip | None:
        """A line in one; None where not all of it is known."""
        known = self._lines.get(y, {})
        strips = [strip for strip in known.values() if strip is not None]
        at = 0
        for x, strip in zip(known, strips, strict=False):
            if x != at:
                return None
            at += strip.cell_length
        return Strip.join(strips) if strips and len(strips) == len(known) else None

    def _cut(self, y: int, edges: list[int]) -> dict[int, Strip | None]:
        """What is known of a line, cut at other columns than before."""
        whole = self._whole(y)
        if whole is None:
            return dict.fromkeys(edges)
        return {x: whole.crop(x, end) for x, end in zip(edges, [*edges[1:], whole.cell_length], strict=True)}


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
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= last or end <= first:
                    continue
                found = self._painted.change(y, self.chops[y], x, strip)
                written += _written(found, x, y, strip, console)
        return "".join(written)


class Terse(CompositorUpdate):
    """A frame in the fewest bytes (tui/terse.py)."""

    def __init__(self, update: ChopsUpdate | LayoutUpdate, sheet: Sheetful) -> None:
        self._update, self._sheet = update, sheet

    def render_segments(self, console: Console) -> str:
        # Of 256 colours one takes half the bytes of one of 16 million.
        system = min(console._color_system or ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT)
        if isinstance(self._update, ChopsUpdate):
            return self._sheet.written(self._parts(self._update), system)
        return self._sheet.written(self._all(self._update), system, whole=True)

    @staticmethod
    def _parts(update: ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
        for y, first, last in update.spans:
            for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if strip is not None and x < last and end > first:
                    yield y, x, strip

    @staticmethod
    def _all(update: LayoutUpdate) -> Iterator[tuple[int, int, Strip]]:
        for y, strips in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in strips:
                yield y, x, strip
                x += strip.cell_length


def _written(found: list[Piece] | None, x: int, y: int, strip: Strip, console: Console) -> list[str]:
    """The pieces where they stand; of None the whole strip."""
    if found is None:
        return [f"\x1b[{y + 1};{x + 1}H", strip.render(console)]
    colors = console._color_system or ColorSystem.TRUECOLOR
    written, at = [], -1
    for start, stop, (text, style, _) in found:
        if start != at:
            written.append(f"\x1b[{y + 1};{start + 1}H")
        written.append(Strip.render_style(style, text, colors) if style is not None else text)
        at = stop
    return written


class Sparing(App[None]):
    """An app that knows what its terminal shows.

    slow: for a line of few bytes. Frames are written in as few as can be, those of the whole screen too, which does not
    heal what others wrote over it; and while the terminal has not taken the last frame there is no other: what changes
    meanwhile is in the next one, so that keys are never answered behind frames that nobody needs any more.
    """

    slow = False

    def __init__(self) -> None:
        super().__init__()
        self._painted = Painted()
        self._sheet: Sheetful | None = None
        self._painted_size = Size()
        self._waiting = False
        self._left_out = False
        """Whether a frame came while frames were held back."""

    def forget_painted(self) -> None:
        """Call it when the terminal was somebody else's for a while."""
        self._painted.forget()
        self._sheet = None

    def _sheetful(self) -> Sheetful:
        if self._sheet is None:
            from tui.skills import skills  # with its terminfo, for slow lines alone
            from tui.terse import Sheetful

            self._sheet = Sheetful(self.size.width, self.size.height, skills())
        return self._sheet

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if self._batch_count:
            self._left_out |= self._waiting and renderable is not None
            return
        if self._painted_size != self.size:
            self.forget_painted()
            self._painted_size = self.size
        update: Any = renderable
        if self.slow and isinstance(renderable, ChopsUpdate | LayoutUpdate):
            update = Terse(renderable, self._sheetful())
        elif isinstance(renderable, ChopsUpdate):
            update = Changes(renderable, self._painted)
        elif renderable is not None:
            self._painted.forget()
        super()._display(screen, update)
        if self.slow and not self._waiting and self._behind:
            self._waiting = True
            self._begin_batch()
            self.set_timer(AGAIN, self._go_on)

    @property
    def _behind(self) -> bool:
        """Whether frames wait for the terminal, besides one that is on its way."""
        writer = getattr(self._driver, "_writer_thread", None)
        return writer is not None and writer._queue.qsize() > 0

    def _go_on(self) -> None:
        """Draw again, once the terminal has taken what there was."""
        if self._behind:
            self.set_timer(AGAIN, self._go_on)
            return
        left_out, self._waiting, self._left_out = self._left_out, False, False
        self._end_batch()
        if not self.screen_stack:  # the program has ended meanwhile
            return
        if left_out:
            self.screen.refresh()
        # A screen that had something to draw meanwhile looks at it again with the next message, of whatever kind.
        self.screen.check_idle()
