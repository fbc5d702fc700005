"""What a pane does not do over: other words on its frame draw that edge alone, a longer list lays out no screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

from rich.segment import Segment
from rich.style import Style
from textual._styles_cache import StylesCache
from textual.color import Color
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.css.styles import StylesBase
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Region, Size, Spacing
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
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


NO_LINE = ("", "none")
"""What Textual calls an edge without one."""

P = TypeVar("P", bound=Widget)


class Sides(NamedTuple):
    """What stands beside the lines of a widget. lines: which of it that holds for; top: the first one with content."""

    lines: range
    top: int
    left: list[Segment]
    right: list[Segment]
    ground: Style


class Framed(StylesCache):
    """Puts a widget's lines into its frame; what stands left and right of them is found out once, not for each.

    Textual is asked how a blank line comes out. Where it did more to that than put something beside it, as an opacity
    does, it is asked for each line.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sides: Sides | None = None

    def render(self, styles: StylesBase, *args: Any, **more: Any) -> list[Strip]:
        self._sides = None
        if styles.border_left[0] in NO_LINE:  # beside a corner Textual puts a blank, on a mere rule none
            args = (*args[:5], *map(_spaced, args[5:7]), *args[7:])
        return super().render(styles, *args, **more)

    def render_line(
        self,
        styles: StylesBase,
        y: int,
        size: Size,
        content_size: Size,
        padding: Spacing,
        base: Color,
        ground: Color,
        draw: Callable[[int], Strip],
        *looks: Any,
    ) -> Strip:
        def asked(draw: Callable[[int], Strip], y: int) -> Strip:
            return super(Framed, self).render_line(styles, y, size, content_size, padding, base, ground, draw, *looks)

        if self._sides is None:
            blank, top = Segment(" " * content_size.width, Style()), styles.gutter.top
            lines = range(max(1, top), min(size.height - 1, top + content_size.height))  # an outline may lie outside
            framed = [*asked(lambda _: Strip([blank], content_size.width), lines.start)] if lines else []
            at = next((place for place, one in enumerate(framed) if one is blank), None)
            inner = self.get_inner_outer(base, ground)[0].rich_style
            self._sides = (
                Sides(range(0), 0, [], [], inner)
                if at is None
                else Sides(lines, top, framed[:at], framed[at + 1 :], inner)
            )
        sides = self._sides
        if y in sides.lines:
            line = draw(y - sides.top)
            space = content_size.width - line.cell_length
            if space == 0:
                return Strip([*sides.left, *line, *sides.right], size.width)
            if space > 0:  # a scrollbar's column
                return Strip([*sides.left, *line, Segment(" " * space, sides.ground), *sides.right], size.width)
        return asked(draw, y)


def _spaced(words: tuple[Content, *tuple[Any, ...]] | None) -> tuple[Content, *tuple[Any, ...]] | None:
    """The words on an edge with a blank at either end, so that they do not touch the line."""
    return words and (Content.assemble(" ", words[0], " "), *words[1:]) if words and words[0] else words


class Pane(Widget):
    """A widget whose text has the colours of the palette and nothing else."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._styles_cache = Framed()
        self._base: Style | None = None

    border_title = Words()
    border_subtitle = Words()

    @property
    def base(self) -> Style:
        """The style that lies under all of it."""
        return self.rich_style if self._base is None else self._base

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw lines; base is made of all widgets around this one, once for all lines: it is a third of the work."""
        self._base = self.rich_style
        try:
            return super().render_lines(crop)
        finally:
            self._base = None

    def get_line_filters(self) -> list[LineFilter]:
        """Leave out what makes true colours of the terminal's own 16, where there are none: it copies every line."""
        filters = super().get_line_filters()
        if not palette_of(self).true:
            return [*filters]
        return [one for one in filters if not isinstance(one, ANSIToTruecolor)]


def framed(pane: P) -> P:
    """Give a pane its frame while it is not mounted: later on its styles would be worked out once more."""
    pane.add_class("pane", update=False)
    return pane


class Box(Vertical, Pane):  # in this order: a widget has the styles of its first base
    """What stands in a window over a screen."""


class ScrollPane(VerticalScroll, Pane):  # in this order: a widget has the styles of its first base
    """A pane of widgets that scrolls."""


class Scrolled(ScrollView, Pane):  # in this order: a widget has the styles of its first base
    """A pane of lines it draws itself; how many there are is a matter of its scrollbar alone, until that comes or goes.

    Textual lays out and draws the whole screen at each change, as at every line of a log and every letter of a filter.
    """

    virtual_size = Reactive(Size(0, 0), repaint=False)

    def watch_virtual_size(self, _: Size, size: Size) -> None:
        self._scroll_update(size)
        if self.styles.auto_dimensions:
            self.refresh(layout=True)
