"""What a pane does not do over: words on its frame draw one line, more lines in it lay out no screen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from textual._styles_cache import StylesCache
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.strip import Strip

from tui.columns import Column
from tui.theme import Palette
from tui.widgets.filterline import FilterLine
from tui.widgets.lines import Lines
from tui.widgets.table import Table


class Seen(Lines):
    """Knows which of its lines were drawn."""

    def __init__(self) -> None:
        super().__init__(id="lines")
        self.drawn: list[int] = []

    def render_line(self, y: int) -> Strip:
        self.drawn.append(y)
        return super().render_line(y)


class Small(App[None]):
    CSS = """
    #lines { height: 6; border: round red; }
    #table { height: 8; border: round red; scrollbar-size-vertical: 1; overflow-x: hidden; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.palette = Palette(self.theme_variables)

    def compose(self) -> ComposeResult:
        yield Seen()
        yield Table([Column("NAME", 5, lambda row, _: ((row, "text"),))], (), key=str, id="table")
        yield FilterLine()

    def line(self, y: int) -> str:
        return self.screen._compositor.render_strips()[y].text


def run(way: Callable[[Small, Pilot[None], list[object]], Awaitable[None]], kind: type[Small] = Small) -> None:
    """Start it, go the way; the list gets an entry for each time that the screen is laid out."""

    async def main() -> None:
        app, laid = kind(), []
        async with app.run_test(size=(40, 20)) as pilot:
            app.screen.screen_layout_refresh_signal.subscribe(app, laid.append)
            await pilot.pause()
            laid.clear()
            await way(app, pilot, laid)

    asyncio.run(main())


@pytest.mark.parametrize(("edge", "y"), [("border_title", 0), ("border_subtitle", 5)])
def test_words_on_a_frame_draw_that_edge_alone(edge, y):
    async def way(app, pilot, laid):
        pane = app.query_one(Seen)
        pane.show([[("inside", "text")]])
        await pilot.pause()
        before = [app.line(line) for line in range(6)]
        for words in ("first", "more of \\[it]", "", "last"):
            pane.drawn.clear()
            setattr(pane, edge, words)
            await pilot.pause()
            assert words.replace("\\", "") in app.line(y)
            assert [app.line(line) for line in range(6) if line != y] == [
                before[line] for line in range(6) if line != y
            ]
            assert pane.drawn == []
        assert getattr(pane, edge) == "last"
        setattr(pane, edge, "last")
        assert not pane._repaint_required  # the same words are no news
        assert laid == []

    run(way)


@pytest.mark.parametrize(
    "looks",
    [
        "border: round red; padding: 0 1;",
        "border-top: solid red; padding: 1 2;",
        "border: none; background: blue;",
        "padding: 1 0 0 3; outline: heavy green;",
        "border: round red; opacity: 50%;",
        "border: round red; text-opacity: 50%;",
        "border: none; tint: red 40%; background: blue 30%;",
        "border: round red; hatch: cross green;",
        "border: none; outline-left: thick green;",
        "height: 1; border: none;",
        "height: 2; border: round red;",
    ],
)
def test_lines_in_a_frame_are_those_of_textual(looks):
    class Looking(Small):
        CSS = f"{Small.CSS} #lines {{ {looks} }} #table {{ {looks} }}"

    async def way(app, pilot, laid):
        lines, table = app.query_one(Seen), app.query_one(Table)
        lines.show([[("漢 one", "ours")], [("two", "bar"), (" more", "text")], [], [("four", "faint")]])
        table.show([f"r{number}" for number in range(20)])  # its scrollbar leaves lines that are shorter
        await pilot.pause()
        for pane in (lines, table):
            whole = pane.outer_size.region
            ours = pane.render_lines(whole)
            pane._styles_cache = StylesCache()
            assert [[*line] for line in pane.render_lines(whole)] == [[*line] for line in ours]
            assert any(line.text.strip(" │─╭╮╰╯") for line in ours) or whole.height < 3

    run(way, Looking)


def test_more_rows_lay_the_screen_out_only_where_a_scrollbar_comes_or_goes():
    async def way(app, pilot, laid):
        table = app.query_one(Table)

        async def show(amount: int) -> None:
            laid.clear()
            table.show([f"r{number}" for number in range(amount)])
            await pilot.pause()
            assert table.show_vertical_scrollbar == (amount > 5)
            table.action_edge(1)
            await pilot.pause()
            assert f"r{amount - 1}" in app.line(6 + 1 + min(amount, 5))  # the last one can be gone to, and is seen

        for amount, lays in ((3, False), (100, True), (10_000, False), (50, False), (4, True)):
            await show(amount)
            assert bool(laid) == lays, amount
            if lays:
                assert table.scrollable_content_region.width == (37 if amount > 5 else 38)

    run(way)


def test_letters_in_a_line_lay_nothing_out_and_its_end_stays_in_sight():
    async def way(app, pilot, laid):
        line = app.query_one(FilterLine)
        line.focus()
        await pilot.pause()
        laid.clear()
        for sign in "0123456789" * 5:
            line.insert_text_at_cursor(sign)
        await pilot.pause()
        assert laid == []
        assert "23456789" in app.line(14)
        await pilot.press("home")
        assert "0123" in app.line(14)

    run(way)
