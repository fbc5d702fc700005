"""The mouse alone: what keys do in lists, tabs, windows and the form is done by clicks, and the wheel scrolls."""

from __future__ import annotations

import re

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
from tui.widgets.logview import LogView


class Hand:
    """Clicks on what stands there to be read."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey

    async def click(self, text: str, *, into: int = 1, times: int = 1, line: int | None = None) -> None:
        """line: of the screen, where the text stands in several."""
        await self.journey.sees(text)
        for y, shown in enumerate(self.journey.text().split("\n")):
            found = re.search(re.escape(text), shown)
            if found and line in (None, y):
                await self.journey.pilot.click(offset=(found.start() + into, y), times=times)
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
