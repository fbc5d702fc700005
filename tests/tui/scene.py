"""One moment of a busy box that never changes: what snapshots and the pictures of the docs are drawn from."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.store import Store
from engine.workspace import Workspace
from tests.engine.store_folders import finished
from tests.tui import recorded
from tests.tui.pilot import Journey
from tests.tui.recorded import RecordedEngine
from tui.app import PaddockApp
from tui.screens.new import NewRunScreen
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
    await journey.press("tab")
    first = journey.dashboard.target()
    await journey.until(lambda: first and journey.app.reading.wish.run == first.id, "for what is below the card")
    await journey.press("w")
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
"""Every screen that is drawn from what an engine tells."""


async def compare(journey: Journey) -> None:
    journey.app.marked = frozenset(("toto-0001", "toto-0002", "kronos-0003"))
    await place("4", ("val_pct_mae", "optim.lr"))(journey)
    screen = journey.app.screen
    await journey.until(lambda: len(screen._curves.runs) == 3, "for the curves")


async def best(journey: Journey) -> None:
    await place("5", ("toto-0001", "naive"))(journey)
    await journey.until(lambda: journey.app.screen._near is not None, "for what is told of the first")


async def sql(journey: Journey) -> None:
    await place("7", ("run_summary",))(journey)
    screen = journey.app.screen
    screen.editor.text = "SELECT id, family, val_pct_mae, skill\nFROM leaderboard\nORDER BY val_pct_mae"
    await journey.press("f5")
    await journey.sees("4 rows ·")
    screen.result.focus()  # the cursor of the editor blinks


async def form(journey: Journey) -> None:
    """Something set by hand, something out of range put right; the data is there, so that all is foreseen."""
    data = journey.app.workspace.data
    data.mkdir(exist_ok=True)
    (data / "AAPL.csv").write_text("date,close\n2026-01-02,100\n")
    await dashboard(journey)
    await journey.press("n")
    screen = await journey.until(lambda: isinstance(journey.app.screen, NewRunScreen) and journey.app.screen)
    await journey.until(lambda: screen.form is not None, "for the fields")
    screen.fields.go("tags")
    await journey.paste("paper")
    screen.fields.go("train.lr")
    await journey.paste("3e-4")
    await journey.sees("from 12 runs like it", "2 fields set by hand")


ASKING: dict[str, Way] = {"form": form, "compare": compare, "best": best, "sql": sql}
"""Those that ask a database too."""


@contextmanager
def box(workspace: Workspace) -> Iterator[RecordedEngine]:
    """The moment, served."""
    now = time.time()
    for name in ("kronos-0208", "toto-0211"):
        recorded.write_folder(workspace, name, steps=3000, now=now)
    engine = RecordedEngine(workspace, recorded.busy_box(now), recorded.two_gpus(now), recorded.history(now))
    with engine:
        yield engine


@contextmanager
def results(
    workspace: Workspace, worse: float = 0.0, symbols: Sequence[str] = ("AAPL", "ARM", "JD", "MSFT", "NVDA")
) -> Iterator[RecordedEngine]:
    """The moment, with a database of four evaluated runs; worse: by so much, to have none that beats naive."""
    for number, (family, value, lr) in enumerate(
        (("toto", 0.51, 3e-4), ("toto", 0.56, 1e-3), ("kronos", 0.60, 1e-4), ("kronos", 0.63, 3e-4)), 1
    ):
        config = {"train": {"seed": number}, "optim": {"lr": lr}, "data": {"context": 512, "horizon": 64}}
        value += worse
        told = {
            name: {"pct_mae": value + 0.03 * i, "naive_pct_mae": 0.588, "skill": 1 - (value + 0.03 * i) / 0.588}
            for i, name in enumerate(symbols)
        }
        run = finished(workspace, f"{family}-{number:04d}", value, config=config, seed=number, symbols=told,
                       dm_stat=-2.0, dm_pvalue=0.04)  # fmt: skip
        run.spec(config=config)
        run.windows([100.0 + (7 * i + number) % 11 for i in range(60)], 8, symbol="AAPL")
    with box(workspace) as engine:
        Store(workspace).catch_up().check()
        yield engine


def draw(
    workspace: Workspace,
    way: Way,
    size: tuple[int, int],
    then: Callable[[PaddockApp], None],
    themes: Sequence[str] = ("dark",),
    sizes: Sequence[tuple[int, int]] = (),
) -> None:
    """Go a way, and hand over the app in each theme, at each size, when nothing is left to be drawn."""
    app = PaddockApp(workspace, theme=themes[0])

    async def go() -> None:
        async with app.run_test(size=size) as pilot:
            journey = Journey(app, pilot)
            await journey.known()
            await way(journey)
            for (width, height), theme in itertools.product(sizes or (size,), themes):
                if app.size != (width, height):
                    await pilot.resize_terminal(width, height)
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
