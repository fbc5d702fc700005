"""Only what changed is written: a terminal that gets the changes shows what one shows that gets everything."""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.color import Color
from textual.renderables.background_screen import BackgroundScreen
from textual.strip import Strip

from tui.painting import Changes, Painted
from tui.screens.over import Shade

WIDTH, HEIGHT = 12, 3
CONSOLE = Console(color_system="truecolor", force_terminal=True)
STYLES = [Style(color="#ff0000"), Style(bgcolor="#00ff00", bold=True), Style()]
CODES = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[([0-9;]*)m|([^\x1b])")


@st.composite
def strips(draw, width):
    """A strip of so many cells, some of them two wide."""
    segments = []
    while width:
        size = draw(st.integers(1, width))
        sign = draw(st.sampled_from("ab.漢" if size % 2 == 0 else "ab."))
        segments.append(Segment(sign * (size // 2 if sign == "漢" else size), draw(st.sampled_from(STYLES))))
        width -= size
    return Strip(segments)


@given(strips(9), st.sampled_from([Color(9, 200, 30, 0.65), Color(0, 0, 0, 0)]))
def test_what_lies_below_a_window_has_the_colours_that_textual_gives_it(line, color):
    assert [*Shade(color).over(line)] == [*BackgroundScreen.process_segments(line, color)]


@st.composite
def frames(draw):
    """Strips by line and column, cut the same way or otherwise than before, and which part of a line was drawn."""
    found = []
    for _ in range(draw(st.integers(1, 6))):
        chops, spans, ends = [], [], []
        for y in range(HEIGHT):
            cut = draw(st.sampled_from((0, 4, 6)))
            edges = [0, cut, WIDTH] if cut else [0, WIDTH]
            line = {x: draw(strips(end - x)) for x, end in itertools.pairwise(edges)}
            first = draw(st.integers(0, WIDTH - 1))
            chops.append(line)
            ends.append(edges[1:])
            if draw(st.booleans()):
                spans.append((y, first, draw(st.integers(first + 1, WIDTH))))
        if spans:
            found.append((chops, spans, ends))
    return found


def show(screen: dict[tuple[int, int], tuple[str, str]], written: str) -> None:
    x = y = 0
    look = ""
    for row, column, style, sign in CODES.findall(written):
        if row:
            y, x = int(row) - 1, int(column) - 1
        elif sign:
            wide = 2 if sign == "漢" else 1
            for cell in range(wide):
                screen[y, x + cell] = (sign if cell == 0 else "", look)
            x += wide
        else:
            look = "" if style in ("", "0") else style


@given(frames(), st.integers(0, 5))
def test_what_is_written_leaves_the_screen_as_everything_would(shown, forgotten):
    painted, screen = Painted(), {}
    for number, (chops, spans, ends) in enumerate(shown):
        if number == forgotten:
            painted.forget()
            screen.clear()
        written = Changes(ChopsUpdate(chops, spans, ends), painted).render_segments(CONSOLE)
        show(screen, written)
        whole: dict[tuple[int, int], tuple[str, str]] = {}
        for y, first, last in spans:
            for x, strip in chops[y].items():
                show(whole, f"\x1b[{y + 1};{x + 1}H{strip.render(CONSOLE)}")
                if x < last and x + strip.cell_length > first:
                    here = {(y, cell) for cell in range(x, x + strip.cell_length)}
                    assert {at: screen[at] for at in here} == {at: whole[at] for at in here}


def test_a_line_that_is_the_same_writes_nothing_and_one_number_that_number():
    painted = Painted()

    def write(*parts: str) -> str:
        strip = Strip([Segment(part, STYLES[place % 2]) for place, part in enumerate(parts)])
        return Changes(ChopsUpdate([{0: strip}], [(0, 0, 8)], [[8]]), painted).render_segments(CONSOLE)

    assert "loss" in write("loss", "0.25")
    assert write("loss", "0.25") == ""
    later = write("loss", "0.24")
    assert "loss" not in later
    assert later.startswith("\x1b[1;5H")
    assert "0.24" in later
