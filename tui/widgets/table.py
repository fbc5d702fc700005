"""A list of things, one line each: the cursor bound to a thing and not to a place, only changed lines drawn again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import compress, count
from operator import attrgetter, is_not
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.strip import Strip

from engine.records import RunRow
from tui.columns import Column, Row
from tui.keys import LIST, bindings
from tui.present import Cell, Part
from tui.theme import palette_of
from tui.widgets.across import GAP, Across, OfTable
from tui.widgets.strips import across, strip

MARK = "▌"
RIGHT = 3
"""The button of the mouse."""
REMEMBERED = 2000
"""Drawn lines that are kept."""


class OfRow(OfTable["Table[Any]"]):
    """What was done with a row of a table."""

    def __init__(self, table: Table[Any], key: str) -> None:
        super().__init__(table)
        self.key = key


class Table(Across[Row], can_focus=True):
    """Shows rows in columns under a header line that stays.

    key: gives what a row is known by, unique in the table. wide: columns keep their width and the table scrolls to
    the right, instead of leaving out the columns of the highest rank; the first `pinned` ones stay where they are.
    markable: rows can be marked, see mark() and Marked. once: a single click opens, as in a menu.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(LIST, "widget"),
        Binding("enter", "open", "open", show=False),
    ]

    class Chosen(OfTable["Table[Any]"]):
        """The cursor is on another row now (None: there is none), or the table got the focus."""

        def __init__(self, table: Table[Any], key: str | None) -> None:
            super().__init__(table)
            self.key = key

    class Opened(OfRow):
        """A person wants to see this row up close."""

    class Marked(OfRow):
        """A person clicked on a row with ctrl or the right button: where a screen marks runs, it does."""

    class HeaderClicked(OfTable["Table[Any]"]):
        """A person clicked on the title of a column: where a screen can sort, it does."""

        def __init__(self, table: Table[Any], column: Column[Any]) -> None:
            super().__init__(table)
            self.column = column

    class Edge(OfTable["Table[Any]"]):
        """The cursor was pushed past the first (-1) or the last (1) row."""

        def __init__(self, table: Table[Any], way: int) -> None:
            super().__init__(table)
            self.way = way

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        empty: Cell,
        *,
        key: Callable[[Row], str],
        id: str,  # noqa: A002 - Textual's own name
        wide: bool = False,
        pinned: int = 0,
        markable: bool = False,
        once: bool = False,
    ) -> None:
        super().__init__(columns, id=id, wide=wide, pinned=pinned, gutter=1 if markable else 0)
        self._empty = empty
        self._key_of, self._once = key, once
        self._rows: tuple[Row, ...] = ()
        self._keys: list[str] = []
        self._marked: frozenset[str] = frozenset()
        self._chosen: str | None = None
        self._place = 0
        self._cache: dict[str, tuple[tuple[object, ...], Strip]] = {}
        self._now = time.time()

    # -- data -------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> tuple[Row, ...]:
        return self._rows

    @property
    def chosen(self) -> str | None:
        """The key of the row under the cursor."""
        return self._chosen if self._rows else None

    @property
    def chosen_row(self) -> Row | None:
        return self._rows[self._place] if self._rows else None

    @property
    def place(self) -> int:
        """The line the cursor is on, from 0."""
        return self._place

    def show(
        self,
        rows: Sequence[Row],
        now: float | None = None,
        empty: Cell | None = None,
        keys: list[str] | None = None,
    ) -> None:
        """Take new rows; the cursor stays on its row, or near where that was when it has left the list.

        keys: of the rows, where a worker has found them already.
        """
        if empty is not None and empty != self._empty:
            self._empty = empty
            self.refresh()
        if rows is self._rows:  # a list that did not change is the same one: of 10,000 rows none is looked at
            self._now = time.time() if now is None else now
            return
        before, self._rows, self._now = self._rows, tuple(rows), time.time() if now is None else now
        keys_before, self._keys = self._keys, list(map(self._key_of, rows)) if keys is None else keys
        had = self._chosen
        if keys_before != self._keys:
            self._find()
            self._measure()
            self.refresh()
        else:
            for place in compress(count(), map(is_not, before, self._rows)):
                if before[place] != self._rows[place]:
                    self._refresh_row(place)
        if had != self._chosen:
            self.refresh()
            self.post_message(self.Chosen(self, self._chosen))

    def show_columns(self, columns: Sequence[Column[Row]]) -> None:
        """Show other columns, or the same ones in another order."""
        self._columns = tuple(columns)
        self._fitted_for = -1
        self._cache = {}
        self._measure()
        self.refresh()

    def mark(self, keys: frozenset[str]) -> None:
        """Show these rows as marked: a bar at their left edge."""
        if keys != self._marked:
            changed = keys ^ self._marked
            self._marked = keys
            for place, key in enumerate(self._keys):
                if key in changed:
                    self._refresh_row(place)

    def tick(self, now: float) -> None:
        """Draw the rows again whose text changes with the clock alone."""
        self._now = now
        top = self.scroll_offset.y
        with self._at_once():
            for place in range(top, min(len(self._rows), top + max(0, self.size.height - 1))):
                known = self._cache.get(self._keys[place])
                if known is None or known[0][0] != self._clock(place):
                    self._refresh_row(place)

    def choose(self, key: str) -> bool:
        """Put the cursor on a row; False when it is not in this list."""
        try:
            self._go(self._keys.index(key))
        except ValueError:
            return False
        return True

    def _find(self) -> None:
        try:
            self._place = self._keys.index(self._chosen or "")
        except ValueError:
            self._place = min(self._place, max(0, len(self._rows) - 1))
            self._chosen = self._keys[self._place] if self._rows else None

    # -- moving -----------------------------------------------------------------------------------------------

    def _go(self, place: int) -> None:
        if not self._rows:
            return
        place = min(max(0, place), len(self._rows) - 1)
        old, self._place = self._place, place
        changed = self._chosen != self._keys[place]
        self._chosen = self._keys[place]
        self._refresh_row(old)
        self._refresh_row(place)
        self._reveal()
        if changed:
            self.post_message(self.Chosen(self, self._chosen))

    def _reveal(self) -> None:
        top, seen = self.scroll_offset.y, max(1, self.scrollable_content_region.height - 1)
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
            self.post_message(self.Opened(self, self.chosen))

    async def on_click(self, event: Click) -> None:
        content = event.get_content_offset(self)
        if content is None:
            return
        if content.y == 0:
            self._click_header(content.x if content.x < self._held else content.x + self.scroll_offset.x)
            return
        place = content.y - 1 + self.scroll_offset.y
        if place < len(self._rows):
            self._go(place)
            if self._gutter and (event.ctrl or event.button == RIGHT) and self.chosen is not None:
                self.post_message(self.Marked(self, self.chosen))
            elif event.chain == 2 or self._once:
                self.action_open()

    def _click_header(self, x: int) -> None:
        start = self._gutter
        for column, width in self._fit():
            if start <= x < start + width and self._rows:
                self.post_message(self.HeaderClicked(self, column))
                return
            start += width + GAP

    # -- drawing ----------------------------------------------------------------------------------------------

    def on_focus(self) -> None:
        self._refresh_row(self._place)
        self.post_message(self.Chosen(self, self.chosen))

    def on_blur(self) -> None:
        self._refresh_row(self._place)

    def on_resize(self, _: Resize) -> None:
        self._measure()
        self._reveal()
        if self._wide:
            self.post_message(self.Shifted(self))

    def _measure(self) -> None:
        # Of a wide one its own width alone: the pane's would bring a scrollbar as soon as the other one takes a column.
        size = Size(self._own_width if self._wide else self._line_width, len(self._rows) + 1)
        if size != self.virtual_size:
            self.virtual_size = size

    def _refresh_row(self, place: int) -> None:
        y = place - self.scroll_offset.y + 1
        if 1 <= y < self.size.height:
            self.refresh(Region(0, y, self._width, 1))

    def _state(self, place: int) -> tuple[object, ...]:
        """All a drawn line depends on; the clock only as far as the text shows it."""
        frame = self._frame
        here = place == self._place
        look = here and (1 if self.has_focus else 2), self._keys[place] in self._marked
        return self._clock(place), self._rows[place], look, frame.line, palette_of(self), frame.base

    def _clock(self, place: int) -> tuple[object, ...]:
        """What a line says by the clock."""
        row = self._rows[place]
        return tuple(part for column, _ in self._fit() if column.clock for part in column.fill(row, self._now))

    def render_line(self, y: int) -> Strip:
        (width, line, left, base), palette = self._frame, palette_of(self)
        if y == 0:
            if not self._rows:
                return strip(self._empty, palette, width, base)
            return self._seen(strip(self._header(), palette, line, base), left if self._wide else 0)
        place = self.scroll_offset.y + y - 1
        if place >= len(self._rows):
            return Strip.blank(width, base)
        return self._seen(self._drawn(place), left if self._wide else 0)

    def _drawn(self, place: int) -> Strip:
        key, state = self._keys[place], self._state(place)
        known = self._cache.get(key)
        if known is None or known[0] != state:
            (_, line, _, base), palette = self._frame, palette_of(self)
            if place == self._place:
                base += palette.cursor if self.has_focus else palette.cursor_faint
            known = state, strip(self._line(place), palette, line, base)
            if len(self._cache) >= REMEMBERED:
                self._cache = {}  # far more than any screen shows: a walk through 100,000 rows must not keep them all
            self._cache[key] = known
        return known[1]

    def _header(self) -> list[Part]:
        titles = ((((column.title, "head"),), width, column.right) for column, width in self._fit())
        return [(" " * self._gutter, "text"), *across(titles, GAP)]

    def _line(self, place: int) -> list[Part]:
        row = self._rows[place]
        mark: list[Part] = [(MARK if self._keys[place] in self._marked else " ", "ours")] if self._gutter else []
        cells = ((column.fill(row, self._now), width, column.right) for column, width in self._fit())
        return [*mark, *across(cells, GAP)]


class RunTable(Table[RunRow]):
    """A list of runs."""

    def __init__(self, columns: Sequence[Column[RunRow]], empty: Cell, *, id: str, **options: Any) -> None:  # noqa: A002
        super().__init__(columns, empty, key=_id_of, id=id, **options)


_id_of = attrgetter("id")
