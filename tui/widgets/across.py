"""How columns lie across a widget: in its width, or beyond it, where it scrolls to the right by whole columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from tui.columns import Column, Row, fit
from tui.widgets.pane import Scrolled
from tui.widgets.strips import ELLIPSIS

GAP = 2


class Frame(NamedTuple):
    """What all lines of a table have in common: cells in sight and of a whole line, how far it is scrolled, the style
    that lies under everything."""

    width: int
    line: int
    left: int
    base: Style


Which = TypeVar("Which", bound="Across[Any]")


class OfTable(Message, Generic[Which]):
    """What befell a table."""

    def __init__(self, table: Which) -> None:
        self.table = table
        super().__init__()

    @property
    def control(self) -> Which:
        return self.table


class Across(Scrolled, Generic[Row]):
    """wide: columns keep their width; else those of the highest rank are left out. pinned: the first so many columns
    do not scroll. gutter: cells before the first one.
    """

    class Shifted(OfTable["Across[Any]"]):
        """Other columns of a wide one are out of sight now."""

    def __init__(self, columns: Sequence[Column[Row]], *, id: str, wide: bool, pinned: int, gutter: int) -> None:  # noqa: A002
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._wide, self._pinned, self._gutter = wide, pinned, gutter
        self._fitted: list[tuple[Column[Row], int]] = []
        self._fitted_for = -1
        self._drawing: Frame | None = None

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw lines; what all of them have in common is found out once, not for each: it is half of the work."""
        with self._at_once():
            return super().render_lines(crop)

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """Within, all lines have the same frame."""
        self._drawing = None
        self._drawing = self._frame
        try:
            yield
        finally:
            self._drawing = None

    @property
    def _frame(self) -> Frame:
        return self._drawing or Frame(self._width, self._line_width, self.scroll_offset.x, self.base)

    @property
    def columns(self) -> tuple[Column[Row], ...]:
        return self._columns

    @property
    def _width(self) -> int:
        """Columns without the scrollbar."""
        return self.scrollable_content_region.width

    @property
    def _line_width(self) -> int:
        if not self._wide:
            return self._width
        return max(self._width, self._own_width)

    @property
    def _own_width(self) -> int:
        return max(0, self._gutter + sum(column.width + GAP for column in self._columns) - GAP)

    def _fit(self) -> list[tuple[Column[Row], int]]:
        line = self._frame.line
        if self._fitted_for != line:
            self._fitted_for = line
            self._fitted = fit(self._columns, line - self._gutter, GAP)
        return self._fitted

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where all columns are in sight, left and right are left to the screen: they move the crosshair of charts."""
        if action in ("scroll_left", "scroll_right") and not (self._wide and self._own_width > self._width):
            return False
        return super().check_action(action, parameters)

    def action_scroll_left(self) -> None:
        self._scroll_columns(-1)

    def action_scroll_right(self) -> None:
        self._scroll_columns(1)

    def _scroll_columns(self, way: int) -> None:
        """Scroll a wide table by a whole column, so that none begins in its middle."""
        edges, at = [0], 0
        for _, width in self._fit()[self._pinned :]:
            at += width + GAP
            edges.append(at)
        now = self.scroll_offset.x
        to = next((x for x in edges if x > now), now) if way > 0 else max((x for x in edges if x < now), default=0)
        self.scroll_to(x=to, animate=False)

    @property
    def hidden(self) -> tuple[int, int]:
        """How many columns of a wide table are out of sight to the left and to the right, or not wholly in it."""
        held, seen = self._held, self._width
        left = right = 0
        at = -self.scroll_offset.x + self._gutter
        for place, (_, width) in enumerate(self._fit()):
            if place >= self._pinned:
                left += at < held
                right += at >= held and at + width > seen
            at += width + GAP
        return left, right

    @property
    def away(self) -> str:
        """The columns out of sight, in words: "← 1 more   2 more →"; "" where there are none."""
        left, right = self.hidden
        return "   ".join(
            part for part in (f"← {left} more" if left else "", f"{right} more →" if right else "") if part
        )

    @property
    def _held(self) -> int:
        """Cells at the left that do not scroll."""
        if not self._pinned:
            return 0
        return self._gutter + sum(width + GAP for _, width in self._fit()[: self._pinned])

    def watch_scroll_x(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_x(old_value, new_value)
        if self._wide:
            self.refresh()
            self.post_message(self.Shifted(self))

    def _seen(self, line: Strip, left: int) -> Strip:
        """The part of a line that is in sight."""
        width, line_width = self._frame[:2]
        if not left and line.cell_length <= width:
            return line
        held = min(self._held, width) if left else 0
        more = left + width < line_width and bool(line.crop(left + width - 1).text.strip())
        seen = line.crop(left + held, left + width - more)
        parts = [line.crop(0, held), seen] if held else [seen]
        if more:  # what is cut ends in an ellipsis, so that it shows
            style = next((segment.style for segment in reversed([*seen])), None)
            parts.append(Strip([Segment(ELLIPSIS, style)], 1))
        return Strip.join(parts) if len(parts) > 1 else seen
