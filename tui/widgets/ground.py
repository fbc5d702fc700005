"""Containers that panes cover: of the ground behind those hardly anything is seen, so one line is drawn of it."""

from __future__ import annotations

from textual.containers import Grid, Horizontal, Vertical
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import ContentSwitcher


class Ground(Widget):
    """A widget without a frame or a text of its own."""

    def render_lines(self, crop: Region) -> list[Strip]:
        """One line for all: Textual draws each by itself."""
        line, (_, ground) = Strip.blank(crop.width, self.rich_style), self.background_colors
        for one in self.get_line_filters():
            line = line.apply_filter(one, ground)
        return [line] * crop.height


# In this order: a widget has the styles of its first base.


class Beside(Horizontal, Ground):
    """Panes from left to right."""


class Below(Vertical, Ground):
    """Panes from top to bottom."""


class Board(Grid, Ground):
    """Panes in columns and rows."""


class Pages(ContentSwitcher, Ground):
    """One of several at a time."""
