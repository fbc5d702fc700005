"""Drives the app without a terminal: waits for conditions only, and ends its threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.events import Key, Paste
from textual.pilot import Pilot

from engine.workspace import Workspace
from tui.app import PaddockApp
from tui.screens.dashboard import DashboardScreen
from tui.widgets.lines import Lines

SIZES = ((200, 50), (120, 36), (80, 24))


class Journey:
    """A person at the keyboard."""

    def __init__(self, app: PaddockApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def until(self, condition: Callable[[], Any], what: str = "", seconds: float = 60.0) -> Any:
        give_up, pause = time.monotonic() + seconds, 0.01
        while True:
            if found := condition():
                return found
            if time.monotonic() > give_up:
                pytest.fail(f"waited {seconds} s in vain {what}\n{self.text()}")
            await self.pilot.pause(pause)
            pause = min(0.1, 1.2 * pause)  # to look costs time too, which what is waited for has not got then

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    def burst(self, text: str) -> None:
        """Send keys as a fast line does: all are there before the first one is looked at."""
        for sign in text:
            self.app.post_message(Key("slash" if sign == "/" else sign, sign))

    async def paste(self, text: str) -> None:
        """Put a text into what has the focus, in one event: many keys take the pilot long."""
        self.app.post_message(Paste(text))
        await self.pilot.pause()

    async def known(self) -> None:
        """Wait until the engine has told its runs and they are on the screen."""
        await self.until(lambda: self.app.world.known, "for the engine")
        await self.pilot.pause()

    async def sees(self, *texts: str) -> None:
        await self.until(lambda: all(text in self.text() for text in texts), f"to see {texts}")

    def text(self) -> str:
        """What a person sees, as plain lines."""
        screen = self.app.screen
        width = self.app.size.width
        lines = screen._compositor.render_strips()  # of the size it was last laid out for
        return "\n".join(line.text[:width] for line in lines)

    @property
    def dashboard(self) -> DashboardScreen:
        screen = self.app.screen_stack[0]
        assert isinstance(screen, DashboardScreen)
        return screen

    def line(self, name: str) -> str:
        return self.app.screen.query_one(f"#{name}", Lines).text


def travel(
    workspace: Workspace,
    way: Callable[[Journey], Awaitable[None]],
    size: tuple[int, int] = (160, 44),
    **options: Any,
) -> PaddockApp:
    """Start the app, go the way, leave."""
    app = PaddockApp(workspace, **options)

    async def run() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await way(Journey(app, pilot))
            app.feed.stop()
            app.reader.stop()

    asyncio.run(run())
    return app
