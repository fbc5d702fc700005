"""A list of runs: one line each, the cursor bound to a run and not to a place, only changed lines drawn again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.records import RunRow
from tui.columns import Column, fit
from tui.present import Cell, Part
from tui.theme import Palette, palette_of
from tui.widgets.strips import fill, strip

GAP = 2


class RunTable(ScrollView, can_focus=True):
    """Shows rows in columns under a header line that stays."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("home,g", "edge(-1)", "first", show=False),
        Binding("end,G", "edge(1)", "last", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("enter", "open", "open", show=False),
    ]

    class Chosen(Message):
        """The cursor is on another run now, or the table got the focus."""

        def __init__(self, table: RunTable, run: str | None) -> None:
            self.table, self.run = table, run
            super().__init__()

        @property
        def control(self) -> RunTable:
            return self.table

    class Opened(Message):
        """A person wants to see this run."""

        def __init__(self, run: str) -> None:
            self.run = run
            super().__init__()

    class Edge(Message):
        """The cursor was pushed past the first (-1) or the last (1) row."""

        def __init__(self, table: RunTable, way: int) -> None:
            self.table, self.way = table, way
            super().__init__()

    def __init__(self, columns: Sequence[Column], empty: Cell, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._empty = empty
        self._rows: tuple[RunRow, ...] = ()
        self._chosen: str | None = None
        self._place = 0
        self._fitted: list[tuple[Column, int]] = []
        self._fitted_for = -1
        self._cache: dict[str, tuple[tuple[object, ...], Strip]] = {}
        self._now = time.time()

    # -- data -------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> tuple[RunRow, ...]:
        return self._rows

    @property
    def chosen(self) -> str | None:
        """The id of the run under the cursor."""
        return self._chosen if self._rows else None

    @property
    def chosen_row(self) -> RunRow | None:
        return self._rows[self._place] if self._rows else None

    def show(self, rows: Sequence[RunRow], now: float, empty: Cell | None = None) -> None:
        """Take new rows; the cursor stays on its run, or near where the run was when it has left the list."""
        if empty is not None and empty != self._empty:
            self._empty = empty
            self.refresh()
        before, self._rows, self._now = self._rows, tuple(rows), now
        had = self._chosen
        self._find()
        if len(before) != len(rows) or [r.id for r in before] != [r.id for r in rows]:
            alive = {row.id for row in rows}
            self._cache = {key: value for key, value in self._cache.items() if key in alive}
            self._measure()
            self.refresh()
        else:
            for place, (old, new) in enumerate(zip(before, rows, strict=True)):
                if old is not new and old != new:
                    self._refresh_row(place)
        if had != self._chosen:
            self.refresh()
            self.post_message(self.Chosen(self, self._chosen))

    def tick(self, now: float) -> None:
        """Draw the rows again whose text changes with the clock alone."""
        self._now = now
        top = self.scroll_offset.y
        for place in range(top, min(len(self._rows), top + max(0, self.size.height - 1))):
            known = self._cache.get(self._rows[place].id)
            if known is None or known[0][0] != self._key(place)[0]:
                self._refresh_row(place)

    def choose(self, run: str) -> bool:
        """Put the cursor on a run; False when it is not in this list."""
        place = next((i for i, row in enumerate(self._rows) if row.id == run), None)
        if place is None:
            return False
        self._go(place)
        return True

    def _find(self) -> None:
        places = {row.id: i for i, row in enumerate(self._rows)}
        if self._chosen in places:
            self._place = places[self._chosen]
        elif self._rows:
            self._place = min(self._place, len(self._rows) - 1)
            self._chosen = self._rows[self._place].id
        else:
            self._place, self._chosen = 0, None

    # -- moving -----------------------------------------------------------------------------------------------

    def _go(self, place: int) -> None:
        if not self._rows:
            return
        place = min(max(0, place), len(self._rows) - 1)
        old, self._place = self._place, place
        changed = self._chosen != self._rows[place].id
        self._chosen = self._rows[place].id
        self._refresh_row(old)
        self._refresh_row(place)
        self._reveal()
        if changed:
            self.post_message(self.Chosen(self, self._chosen))

    def _reveal(self) -> None:
        top, seen = self.scroll_offset.y, max(1, self.size.height - 1)
        if self._place < top:
            self.scroll_to(y=self._place, animate=False)
        elif self._place >= top + seen:
            self.scroll_to(y=self._place - seen + 1, animate=False)

    def action_move(self, way: int) -> None:
        target = self._place + way
        if not self._rows or not 0 <= target < len(self._rows):
            self.post_message(self.Edge(self, way))
        else:
            self._go(target)

    def action_edge(self, way: int) -> None:
        self._go(0 if way < 0 else len(self._rows) - 1)

    def action_page(self, way: int) -> None:
        self._go(self._place + way * max(1, self.size.height - 2))

    def action_open(self) -> None:
        if self.chosen is not None:
            self.post_message(self.Opened(self.chosen))

    async def on_click(self, event: Click) -> None:
        content = event.get_content_offset(self)
        if content is None or content.y < 1:
            return
        place = content.y - 1 + self.scroll_offset.y
        if place < len(self._rows):
            self._go(place)
            if event.chain == 2:
                self.action_open()

    # -- drawing ----------------------------------------------------------------------------------------------

    def on_focus(self) -> None:
        self._refresh_row(self._place)
        self.post_message(self.Chosen(self, self.chosen))

    def on_blur(self) -> None:
        self._refresh_row(self._place)

    def on_resize(self, _: Resize) -> None:
        self._measure()
        self._reveal()

    def _measure(self) -> None:
        size = Size(self._width, len(self._rows) + 1)
        if size != self.virtual_size:
            self.virtual_size = size

    def _refresh_row(self, place: int) -> None:
        y = place - self.scroll_offset.y + 1
        if 1 <= y < self.size.height:
            self.refresh(Region(0, y, self._width, 1))

    def _key(self, place: int) -> tuple[object, ...]:
        """All a drawn line depends on; the clock only as far as the text shows it."""
        row = self._rows[place]
        clock = tuple(part for column, _ in self._fit() if column.clock for part in column.fill(row, self._now))
        here = place == self._place
        return clock, row, here and (1 if self.has_focus else 2), self._width, self._palette, self.rich_style

    @property
    def _palette(self) -> Palette:
        return palette_of(self)

    @property
    def _width(self) -> int:
        """Columns without the scrollbar."""
        return self.scrollable_content_region.width

    def _fit(self) -> list[tuple[Column, int]]:
        if self._fitted_for != self._width:
            self._fitted_for = self._width
            self._fitted = fit(self._columns, self._width, GAP)
        return self._fitted

    def render_line(self, y: int) -> Strip:
        width, palette, base = self._width, self._palette, self.rich_style
        if y == 0:
            return strip(self._header() if self._rows else self._empty, palette, width, base)
        place = self.scroll_offset.y + y - 1
        if place >= len(self._rows):
            return Strip.blank(width, base)
        row, key = self._rows[place], self._key(place)
        known = self._cache.get(row.id)
        if known is None or known[0] != key:
            if place == self._place:
                base += palette.cursor if self.has_focus else palette.cursor_faint
            known = key, strip(self._line(row), palette, width, base)
            self._cache[row.id] = known
        return known[1]

    def _header(self) -> list[Part]:
        parts: list[Part] = []
        for column, width in self._fit():
            parts += [*fill(((column.title, "head"),), width, right=column.right), (" " * GAP, "head")]
        return parts[:-1]

    def _line(self, row: RunRow) -> list[Part]:
        parts: list[Part] = []
        for column, width in self._fit():
            parts += [*fill(column.fill(row, self._now), width, right=column.right), (" " * GAP, "text")]
        return parts[:-1]
