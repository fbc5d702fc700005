"""One moment of a busy box that never changes: what snapshots and the pictures of the docs are drawn from."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.workspace import Workspace
from tests.tui import recorded
from tests.tui.pilot import Journey
from tests.tui.recorded import RecordedEngine
from tui.app import PaddockApp
from tui.screens.run import RunScreen
from tui.themes import THEMES

NOW = 1_767_621_600.0
"""2026-01-05 14:00 UTC; where time.time is frozen, this is what it says."""
Way = Callable[[Journey], Awaitable[None]]


async def dashboard(journey: Journey) -> None:
    await journey.until(lambda: journey.app.reading and journey.app.reading.log, "for the log")
    await journey.until(lambda: journey.dashboard._plan_of_queue, "for the plan")


async def run(journey: Journey) -> None:
    await dashboard(journey)
    await journey.press("enter")
    await journey.until(lambda: isinstance(journey.app.screen, RunScreen) and journey.app.screen.ready)


async def why(journey: Journey) -> None:
    await dashboard(journey)
    await journey.press("tab", "w")
    await journey.sees("why it waits")


async def keys(journey: Journey) -> None:
    await dashboard(journey)
    await journey.press("question_mark")
    await journey.sees("esc closes")


def place(digit: str, sees: Sequence[str]) -> Way:
    """The screen of a digit, once it shows these."""

    async def way(journey: Journey) -> None:
        await dashboard(journey)
        await journey.press(digit)
        await journey.sees(*sees)

    return way


WAYS: dict[str, Way] = {
    "dashboard": dashboard,
    "runs": place("2", ("toto-0206", "toto-0211")),
    "run": run,
    "why": why,
    "keys": keys,
}
"""Every screen that is drawn from what an engine tells; those that ask a database are in their own tests."""


@contextmanager
def box(workspace: Workspace) -> Iterator[RecordedEngine]:
    """The moment, served."""
    now = time.time()
    for name in ("kronos-0208", "toto-0211"):
        recorded.write_folder(workspace, name, steps=3000, now=now)
    engine = RecordedEngine(workspace, recorded.busy_box(now), recorded.two_gpus(now), recorded.history(now))
    with engine:
        yield engine


def draw(
    workspace: Workspace,
    way: Way,
    size: tuple[int, int],
    then: Callable[[PaddockApp], None],
    themes: Sequence[str] = ("dark",),
) -> None:
    """Go a way, and hand over the app in each theme when nothing is left to be drawn."""
    app = PaddockApp(workspace, theme=themes[0])

    async def go() -> None:
        async with app.run_test(size=size) as pilot:
            journey = Journey(app, pilot)
            await journey.known()
            await way(journey)
            for theme in themes:
                app.theme = THEMES[theme].name
                app.clear_notifications()
                before = ""
                while before != (before := journey.text()):
                    await pilot.pause(0.3)
                then(app)
            app.feed.stop()
            app.reader.stop()

    asyncio.run(go())


def save(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
