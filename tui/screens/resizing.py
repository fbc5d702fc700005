"""Borders between panes that are moved by key and mouse, and are where they were the next time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

from textual.events import Click, MouseDown, MouseMove, MouseUp
from textual.widget import Widget

from tui import shares
from tui.promptly import Promptly
from tui.shares import Row, Shares

if TYPE_CHECKING:
    from tui.app import PaddockApp


class Drag(NamedTuple):
    """A border in somebody's hand. sizes: of the panes, when it was taken. at: the column or line where."""

    row: Row
    border: int
    panes: list[Widget]
    sizes: list[int]
    at: int


class Resizing(Promptly):
    """A screen with ROWS of panes. What is not moved by a person stays as the styles and the screen itself have it."""

    ROWS: ClassVar[tuple[Row, ...]] = ()
    """Inner ones first: keys move the innermost border of the pane in focus."""
    NAME = ""

    def __init__(self) -> None:
        super().__init__()
        self._shares: dict[str, Shares] | None = None
        self._drag: Drag | None = None

    def shaped(self, row: str) -> bool:
        """Whether a person has moved a border of that row: then its sizes are not the screen's to give."""
        return row in self._known

    @property
    def _known(self) -> dict[str, Shares]:
        if self._shares is None:
            self._shares = shares.read(self._app.settings.get(self._kept, {}))
        return self._shares

    @property
    def _kept(self) -> str:
        return f"panes.{self.NAME}"

    @property
    def _app(self) -> PaddockApp:
        return cast("PaddockApp", self.app)

    # -- laying out ------------------------------------------------------------------------------------------------

    def lay(self) -> None:
        """Give the panes of rows that were moved their shares of the room there is now."""
        for row in self.ROWS:
            if row.name in self._known:
                self._lay(row, self._known[row.name])

    def _lay(self, row: Row, known: Shares) -> None:
        panes = self._panes(row)
        if not panes:
            return
        side = "height" if row.down else "width"
        box = panes[0].parent
        assert isinstance(box, Widget)
        if not self._is_row(row, box, len(panes)):
            self._unlay(row)
            return
        room = box.content_size.height if row.down else box.content_size.width
        if not row.grid:
            others = [one for one in box.children if one.display and one not in panes and not one.styles.is_docked]
            room -= sum(one.outer_size.height if row.down else one.outer_size.width for one in others)
        parts = shares.held(known, [_name(pane) for pane in panes], room, row.least)
        sizes = [f"{part}fr" for part in parts]
        if row.grid:
            setattr(box.styles, "grid_rows" if row.down else "grid_columns", " ".join(sizes))
        else:
            for pane, size in zip(panes, sizes, strict=True):
                setattr(pane.styles, side, size)

    def _is_row(self, row: Row, box: Widget, shown: int) -> bool:
        """Whether the panes lie as the row says, now: on a narrow terminal they may lie the other way, or alone."""
        if row.grid:
            return shown > 1 and (row.down or box.styles.grid_size_columns == shown)
        return box.layout.name == ("vertical" if row.down else "horizontal")

    def _unlay(self, row: Row) -> None:
        if row.grid:
            for box in self.query(f"#{row.grid}"):
                setattr(box.styles, "grid_rows" if row.down else "grid_columns", None)
            return
        for name in itertools.chain(*(one.split("|") for one in row.panes)):
            for pane in self.query(f"#{name}"):
                setattr(pane.styles, "height" if row.down else "width", None)

    def _panes(self, row: Row) -> list[Widget]:
        """Those of a row that are there and shown."""
        found = [pane for one in row.panes for name in one.split("|") for pane in self.query(f"#{name}")]
        return [pane for pane in found if pane.display]

    def _on_screen(self, row: Row) -> list[Widget]:
        panes = [pane for pane in self._panes(row) if pane.is_on_screen]
        box = panes[0].parent if panes else None
        return panes if isinstance(box, Widget) and len(panes) > 1 and self._is_row(row, box, len(panes)) else []

    def reshaped(self, row: Row) -> None:
        """Called when a border was moved, or is as it was at first again; a subclass draws what depends on sizes."""

    def _reshape(self, row: Row, panes: list[Widget], sizes: list[int]) -> None:
        known = self._known.get(row.name, {})
        self._known[row.name] = {**known, **shares.shares([_name(pane) for pane in panes], sizes)}
        self._lay(row, self._known[row.name])
        self.call_after_refresh(self.reshaped, row)

    def _keep(self) -> None:
        self._app.remember(self._kept, {name: dict(known) for name, known in self._known.items()})

    # -- keys --------------------------------------------------------------------------------------------------------

    def action_push(self, down: bool, cells: int) -> None:
        """Move a border of the pane in focus: the one behind it, of the last pane the one before it."""
        row, panes, border = self._meant_border(down)
        if row is None or self.maximized is not None:
            self.notify(f"No border can be moved {'up or down' if down else 'to a side'} here.", timeout=2)
            return
        sizes = [_size(pane, down) for pane in panes]
        pushed = shares.moved(sizes, border, cells, row.least)
        if pushed != sizes:
            self._reshape(row, panes, pushed)
            self._keep()

    def _meant_border(self, down: bool) -> tuple[Row | None, list[Widget], int]:
        rows = [(row, panes) for row in self.ROWS if row.down == down and (panes := self._on_screen(row))]
        around = self.focused.ancestors_with_self if self.focused is not None else []
        for row, panes in rows:
            for place, pane in enumerate(panes):
                if pane in around:
                    return row, panes, min(place, len(panes) - 2)
        return (*rows[0], 0) if rows else (None, [], 0)

    def action_unpush(self) -> None:
        """All borders of the screen as they were at first."""
        for row in self.ROWS:
            self._forget(row)
        self.notify("all borders are as they were at first", timeout=2)

    def _forget(self, row: Row) -> None:
        if self._known.pop(row.name, None) is not None:
            self._unlay(row)
            self._keep()
            self.reshaped(row)
            self.call_after_refresh(self.reshaped, row)

    # -- the mouse ---------------------------------------------------------------------------------------------------

    def _border_at(self, x: int, y: int) -> tuple[Row, list[Widget], int] | None:
        """The border at a cell of the screen: the last line of a frame or the first of the next one."""
        for row in self.ROWS:
            panes = self._on_screen(row)
            if not panes or not isinstance(box := panes[0].parent, Widget) or not box.region.contains(x, y):
                continue
            for border, (one, other) in enumerate(itertools.pairwise(panes)):
                at, first, last = (
                    (y, other.region.y, one.region.bottom - 1)
                    if row.down
                    else (x, other.region.x, one.region.right - 1)
                )
                # Without frames, on a small terminal, the last line of a pane is one of its own.
                if at == first or (at == last and not self.has_class("-tight")):
                    return row, panes, border
        return None

    def on_mouse_down(self, event: MouseDown) -> None:
        found = self._border_at(event.screen_x, event.screen_y)
        if event.button != 1 or found is None or self.maximized is not None:
            return
        row, panes, border = found
        sizes = [_size(pane, row.down) for pane in panes]
        self._drag = Drag(row, border, panes, sizes, event.screen_y if row.down else event.screen_x)
        self.capture_mouse()

    def on_mouse_move(self, event: MouseMove) -> None:
        if (drag := self._drag) is not None:
            cells = (event.screen_y if drag.row.down else event.screen_x) - drag.at
            self._reshape(drag.row, drag.panes, shares.moved(drag.sizes, drag.border, cells, drag.row.least))

    def on_mouse_up(self, _: MouseUp) -> None:
        if self._drag is not None:
            self._drag = None
            self.release_mouse()
            self._keep()

    def on_click(self, event: Click) -> None:
        found = self._border_at(event.screen_x, event.screen_y) if event.chain == 2 else None
        if found is not None:
            self._forget(found[0])


def _name(pane: Widget) -> str:
    return pane.id or ""


def _size(pane: Widget, down: bool) -> int:
    return pane.outer_size.height if down else pane.outer_size.width
