"""Parts of text with roles become Strips: cut to a width, padded, styled by the palette."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.present import Cell, Part
from tui.theme import Palette

ELLIPSIS = "…"
BLOCKS = " █▐▏▎▍▌▋▊▉"


def width_of(parts: Iterable[Part]) -> int:
    width = 0
    for text, _ in parts:  # nearly all of it is plain: a third of the time that looking each up takes
        width += len(text) if text.isascii() and text.isprintable() else cell_len(text)
    return width


def cut(parts: Cell, width: int) -> Cell:
    """Cut to at most `width` cells; what is cut ends in an ellipsis, so that it shows."""
    if width_of(parts) <= width:
        return parts
    kept: list[Part] = []
    left = width - 1
    for text, role in parts:
        size = cell_len(text)
        if size > left:
            kept.append((set_cell_size(text, max(0, left)) + ELLIPSIS if width > 0 else "", role))
            break
        kept.append((text, role))
        left -= size
    return tuple(kept)


def fill(parts: Sequence[Part], width: int, *, right: bool = False) -> list[Part]:
    """Cut or pad to exactly `width` cells."""
    space = width - width_of(parts)
    kept = [*parts]
    if space < 0:
        kept = [*cut(tuple(parts), width)]
        space = width - width_of(kept)
    if space > 0:
        kept.insert(0 if right else len(kept), (" " * space, "text"))
    return kept


def across(cells: Iterable[tuple[Cell, int, bool]], gap: int) -> list[Part]:
    """Columns side by side, each a cell, its width and whether it stands at the right; blanks at the end are left out.

    Blanks that meet are one part: lists are drawn a third faster than with fill() for each.
    """
    parts: list[Part] = []
    space = 0
    for one, width, right in cells:
        spare = width - width_of(one)
        if spare < 0:
            one = cut(one, width)
            spare = width - width_of(one)
        if spare < width:
            if right:
                space, spare = space + spare, 0
            if space:
                parts.append((" " * space, "text"))
                space = 0
            parts += one
        space += spare + gap
    return parts


def strip(parts: Sequence[Part], palette: Palette, width: int, base: Style) -> Strip:
    """Exactly `width` cells; base lies under the roles' own colours: the widget's background, or a cursor line.

    Neighbours of one look become one segment, and so do the blanks between words: each segment costs time at every
    step on the way to the terminal and some thirty bytes on the line.
    """
    styles, plain = palette.over(base), palette.plain
    if palette.lit is not None and base.bgcolor in (palette.cursor.bgcolor, palette.cursor_faint.bgcolor):
        return Strip(_lit(parts, palette, width, base), width)
    segments: list[Segment] = []
    text, role = "", ""
    for more, kind in fill(parts, width):
        if kind == role or (more.isspace() and kind in plain and role in plain):
            text += more
        elif text.isspace() and kind in plain and role in plain:
            text, role = text + more, kind
        else:
            if text:
                segments.append(Segment(text, styles[role]))
            text, role = more, kind
    if text:
        segments.append(Segment(text, styles[role]))
    return Strip(segments, width)


def _lit(parts: Sequence[Part], palette: Palette, width: int, base: Style) -> list[Segment]:
    """A cursor's line in 16 colours: its text in one, which is there on any ground; bars keep theirs."""
    lit = palette.lit or Style()
    return [
        Segment(
            text, base + palette.styles[role] + (lit if role in palette.plain and not _tells(text, role) else Style())
        )
        for text, role in fill(parts, width)
    ]


def _tells(text: str, role: str) -> bool:
    """Whether it is a block that says by its colour whether something is good or bad."""
    return role.split()[0] in ("good", "trouble") and not text.strip(BLOCKS)


def spread(left: Cell, right: Cell, width: int) -> list[Part]:
    """left ..... right; when both don't fit the left one is cut."""
    space = width - width_of(right)
    return [*fill(left, max(0, space)), *cut(right, width)]


def pieces(cells: Sequence[tuple[Cell, str]], width: int) -> tuple[list[Part], list[tuple[int, int, int, str]]]:
    """A line of (cell, action) that fit, and the links of it; what has no room is left out from the end on."""
    parts: list[Part] = [(" ", "text")]
    links: list[tuple[int, int, int, str]] = []
    for piece, action in cells:
        start = width_of(parts)
        if start + width_of(piece) > width:
            break
        parts += [*piece, ("   ", "text")]
        if action:
            links.append((0, start, start + width_of(piece), action))
    return parts[:-1] if links else parts, links
