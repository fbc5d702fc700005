"""What a pane does not do over: other words on its frame draw that edge alone, a longer list lays out no screen."""

from __future__ import annotations

from typing import cast

from textual.content import Content
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Region, Size
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.widget import Widget

from tui.theme import palette_of


class Words:
    """The title in the upper edge or the subtitle in the lower one, as Textual keeps them."""

    def __set_name__(self, owner: type[Widget], name: str) -> None:
        self._kept = f"_{name}"
        self._upper = name == "border_title"

    def __get__(self, pane: Widget, owner: type[Widget] | None = None) -> str | None:
        content = cast("Content | None", getattr(pane, self._kept, None))
        return None if content is None else content.markup

    def __set__(self, pane: Widget, text: str | None) -> None:
        before = cast("Content | None", getattr(pane, self._kept, None))
        content = None if text is None else pane.render_str(text).expand_tabs(4).split()[0]
        if content is before or (content is not None and before is not None and content.is_same(before)):
            return
        setattr(pane, self._kept, content)
        left, top = pane.content_offset
        width, height = pane.outer_size
        pane.refresh(Region(-left, -top if self._upper else height - 1 - top, width, 1))


class Pane(Widget):
    """A widget whose text has the colours of the palette and nothing else."""

    border_title = Words()
    border_subtitle = Words()

    def get_line_filters(self) -> list[LineFilter]:
        """Leave out what makes true colours of the terminal's own 16, where there are none: it copies every line."""
        filters = super().get_line_filters()
        if not palette_of(self).true:
            return [*filters]
        return [one for one in filters if not isinstance(one, ANSIToTruecolor)]


class Scrolled(ScrollView, Pane):  # in this order: a widget has the styles of its first base
    """A pane of lines it draws itself; how many there are is a matter of its scrollbar alone, until that comes or goes.

    Textual lays the whole screen out at each change: 10 ms for every line of a log and every letter of a filter.
    """

    virtual_size = Reactive(Size(0, 0), repaint=False)

    def watch_virtual_size(self, _: Size, size: Size) -> None:
        self._scroll_update(size)
        if self.styles.auto_dimensions:
            self.refresh(layout=True)
