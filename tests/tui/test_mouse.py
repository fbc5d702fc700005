"""The mouse alone: what keys do in lists, tabs, windows and the form is done by clicks, and the wheel scrolls."""

from __future__ import annotations

import re
from typing import Any

from textual.events import MouseEvent, MouseScrollDown, MouseScrollUp
from textual.widget import Widget

from engine.workspace import Workspace
from tests.tui import scene
from tests.tui.pilot import Journey, travel
from tui.screens.columns import ColumnsScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.help import HelpScreen
from tui.screens.menu import MenuScreen
from tui.screens.new import NewRunScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.screens.tour import TourScreen
from tui.themes import LIGHT, THEMES
from tui.widgets.lines import Lines
from tui.widgets.logview import LogView
from tui.widgets.scrubber import Scrubber


class Hand:
    """Clicks on what stands there to be read."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey

    async def click(self, text: str, *, into: int = 1, line: int | None = None, **how: Any) -> None:
        """line: of the screen, where the text stands in several. how: times, button, control."""
        await self.journey.sees(text)
        for y, shown in enumerate(self.journey.text().split("\n")):
            found = re.search(re.escape(text), shown)
            if found and line in (None, y):
                await self.journey.pilot.click(offset=(found.start() + into, y), **how)
                return

    async def gone(self, kind: type[object]) -> None:
        """A click into the corner, beside what lies over the screen."""
        screen = await self.journey.until(
            lambda: isinstance(self.journey.app.screen, kind) and self.journey.app.screen, kind.__name__
        )
        await self.journey.until(lambda: screen.query_one("#box").region.area, "for its box")
        await self.journey.pilot.click(offset=(1, 20))
        await self.journey.until(lambda: self.journey.app.screen is not screen, f"to leave {kind.__name__}")


def test_a_day_with_the_mouse_alone(workspace: Workspace):
    async def way(journey: Journey) -> None:
        app, hand = journey.app, Hand(journey)
        await scene.dashboard(journey)
        await hand.click("toto-0205", times=2)
        screen = await journey.until(lambda: isinstance(app.screen, RunScreen) and app.screen.ready and app.screen)
        assert screen.run_id == "toto-0205"
        await hand.click(" config ", into=3)
        await journey.sees("set by hand, over the preset")
        await hand.click(" esc back", into=2, line=app.size.height - 1)
        await journey.until(lambda: app.screen is journey.dashboard)
        await hand.click("? help", line=app.size.height - 1)
        await hand.gone(HelpScreen)
        await hand.click("toto-0211    toto")
        await hand.click("x stop", line=app.size.height - 1)
        await hand.gone(ConfirmScreen)
        await hand.click("x stop", line=app.size.height - 1)
        await hand.click("no, leave it")
        await journey.until(lambda: app.screen is journey.dashboard)
        await hand.click("l log", line=app.size.height - 1)
        log = await journey.until(
            lambda: isinstance(app.screen, RunScreen) and app.screen.ready and app.screen.query_one("#log", LogView)
        )
        await journey.until(lambda: log.lines and log.max_scroll_y and log.follows)
        await hand.click("2 runs", line=0)
        runs = await journey.until(lambda: isinstance(app.screen, RunsScreen) and app.screen.ready and app.screen)
        await journey.until(lambda: runs.table.rows)
        await hand.click(" VAL", into=2, line=2)
        await journey.sees("by VAL")
        first = runs.table.rows[0].id
        await hand.click(" VAL", into=2, line=2)
        await journey.until(lambda: runs.table.rows[0].id != first, "for the other way around")
        for key, window in (("C columns", ColumnsScreen), ("y copy", MenuScreen)):
            await hand.click(key, line=app.size.height - 1)
            await hand.gone(window)
        app.action_tour()
        await hand.click(" enter next", into=3)
        await journey.sees(" 2 of ")
        await hand.gone(TourScreen)
        await hand.click("n new run", line=app.size.height - 1)
        form = await journey.until(lambda: isinstance(app.screen, NewRunScreen) and app.screen)
        await journey.until(lambda: form.form is not None, "for the fields")
        family = form.form.family
        await hand.click("family")
        await journey.sees("‹ ")
        await hand.click(" ›")
        await journey.until(lambda: form.form.family != family, "for the next choice")
        await hand.click("‹ ", into=0)
        await journey.until(lambda: form.form.family == family, "for the one before")

    with scene.box(workspace) as engine:
        travel(workspace, way, (200, 40))
    assert not any(type(one).__name__ == "Order" for one in engine.asked), "beside a question is no"


def test_runs_are_marked_by_the_right_button_or_with_ctrl_on_every_screen(workspace: Workspace):
    async def way(journey: Journey) -> None:
        app, hand = journey.app, Hand(journey)
        await scene.dashboard(journey)
        await hand.click("toto-0205", button=3)
        await journey.until(lambda: app.marked == {"toto-0205"}, "for the mark")
        assert app.screen is journey.dashboard, "a second click with the button opens nothing"
        await hand.click("2 runs", line=0)
        runs = await journey.until(lambda: isinstance(app.screen, RunsScreen) and app.screen.ready and app.screen)
        await journey.until(lambda: runs.table.rows)
        await hand.click("toto-0206", control=True)
        await journey.until(lambda: app.marked == {"toto-0205", "toto-0206"}, "for the second mark")
        assert runs.table.chosen == "toto-0206", "the cursor stays where the mouse is"
        await hand.click("toto-0205", button=3)
        await journey.until(lambda: app.marked == {"toto-0206"}, "to take a mark away")

    with scene.box(workspace):
        travel(workspace, way, (200, 40))


def test_any_button_takes_a_choice(workspace: Workspace):
    async def way(journey: Journey) -> None:
        await scene.dashboard(journey)
        for name, button in ((LIGHT.name, 3), (THEMES["safe"].name, 1)):
            journey.app.action_change_theme()
            await Hand(journey).click(f" {name} ", into=3, button=button)
            await journey.until(lambda wanted=name: journey.app.theme == wanted, f"for {name}")
            await journey.until(lambda: journey.app.screen is journey.dashboard, "to close it")

    with scene.box(workspace):
        travel(workspace, way, (120, 36))


def turn(widget: Widget, kind: type[MouseEvent], times: int = 1) -> None:
    """Turn the wheel over a widget: the pilot has none."""
    at = {"x": 5, "y": 3, "screen_x": widget.region.x + 5, "screen_y": widget.region.y + 3}
    nothing = {"delta_x": 0, "delta_y": 0, "button": 0, "shift": False, "meta": False, "ctrl": False}
    for _ in range(times):
        widget.post_message(kind(widget, **at, **nothing))


async def drag(journey: Journey, start: tuple[int, int], stop: tuple[int, int]) -> None:
    await journey.pilot.mouse_down(offset=start)
    await journey.pilot.hover(offset=stop)
    await journey.pilot.mouse_up(offset=stop)


def test_wheel_scrollbar_and_what_is_marked_is_copied(workspace: Workspace):
    async def way(journey: Journey) -> None:
        app = journey.app
        await scene.run(journey)
        await journey.press("l")
        log = app.screen.query_one("#log", LogView)
        await journey.until(lambda: log.lines and log.max_scroll_y and log.follows, "for the log")

        turn(log, MouseScrollUp, 3)
        await journey.until(lambda: not log.follows and log.scroll_offset.y < log.max_scroll_y, "for the wheel")
        turn(log, MouseScrollDown, 30)
        await journey.until(lambda: log.follows, "for its end again")
        bar = log.vertical_scrollbar.region
        await drag(journey, (bar.x, bar.bottom - 1), (bar.x, bar.y))
        await journey.until(lambda: log.scroll_offset.y == 0 and not log.follows, "for the scrollbar")

        left, top = log.content_region.offset
        await drag(journey, (left + 9, top + 1), (left + 12, top + 3))
        wanted = [log.lines[1][9:].rstrip(), log.lines[2].rstrip(), log.lines[3][:13].rstrip()]
        assert app.clipboard == "\n".join(wanted)
        await journey.sees("3 lines are in the clipboard")
        grounds = [{segment.style.bgcolor for segment in log.render_line(y)} for y in (2, 4)]
        assert [app.palette.cursor.bgcolor in ground for ground in grounds] == [True, False]
        await journey.pilot.click(offset=(left + 3, top + 5))
        assert not log.marks
        assert app.clipboard == "\n".join(wanted), "a click copies nothing"

        facts = app.screen.query_one("#facts", Lines)
        left, top = facts.content_region.offset
        await drag(journey, (left, top), (left + 11, top))
        assert app.clipboard == facts.text[:12].rstrip()
        assert app.screen.get_selected_text() is None, "ctrl+c copies no names of widgets"

        await journey.press("2")
        runs = await journey.until(lambda: isinstance(app.screen, RunsScreen) and app.screen.ready and app.screen)
        await journey.until(lambda: runs.table.max_scroll_y, "for a list that scrolls")
        turn(runs.table, MouseScrollDown, 2)
        await journey.until(lambda: runs.table.scroll_offset.y, "for the wheel in the list")

    with scene.box(workspace):
        travel(workspace, way, (120, 19))


def test_the_line_of_time_by_click_and_drag(workspace: Workspace):
    async def way(journey: Journey) -> None:
        await scene.run(journey)
        screen, line = journey.app.screen, journey.app.screen.query_one("#scrub", Scrubber)
        await journey.until(lambda: line.region.area and line.scrub.end, "for the line")
        start, end = line.scrub.start, line.scrub.end
        await journey.pilot.click("#scrub", offset=(line.size.width // 2, 0))
        await journey.until(lambda: screen.moment is not None, "for the past")
        middle = screen.moment
        assert start < middle < end
        x, y = line.region.offset
        await drag(journey, (x + line.size.width // 2, y), (x + line.size.width // 3, y))
        await journey.until(lambda: start < screen.moment < middle, "for further back")
        await drag(journey, (x + line.size.width // 3, y), (x + line.size.width - 1, y))
        await journey.until(lambda: screen.moment is None, "for now")

    with scene.box(workspace):
        travel(workspace, way, (120, 36))
