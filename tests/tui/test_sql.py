"""Questions in SQL at the screen, of a database that the product itself wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.store import Store
from engine.workspace import Workspace
from tests.engine.store_folders import Run, finished
from tests.tui.pilot import SIZES, travel
from tests.tui.recorded import RecordedEngine, no_gpu
from tui.screens.sql import SqlScreen


@pytest.fixture
def asked(workspace: Workspace, database: Path):
    """An engine that answers, and a database with two good runs and a failed one."""
    finished(workspace, "toto-0001", 0.6)
    finished(workspace, "toto-0002", 0.5)
    failed = Run(workspace, "kronos-0003")
    failed.start()
    failed.end(1)
    Store(workspace).catch_up().check()
    with RecordedEngine(workspace, [], no_gpu(0.0)) as engine:
        yield engine


async def at_sql(journey) -> SqlScreen:
    await journey.known()
    await journey.press("7")
    screen = await journey.until(lambda: isinstance(journey.app.screen, SqlScreen) and journey.app.screen)
    await journey.until(lambda: screen._catalogue.relations, "for the catalogue")
    return screen


@pytest.mark.parametrize("size", SIZES)
def test_ask_and_see_rows(workspace, asked, size):
    async def way(journey):
        screen = await at_sql(journey)
        screen.editor.text = "SELECT id, val_pct_mae FROM leaderboard ORDER BY 2"
        await journey.press("f5")
        await journey.until(lambda: screen.answer is not None, "for the answer")
        await journey.sees("val_pct_mae", "toto-0002", "0.5", "2 rows ·")
        await journey.press("escape")
        await journey.until(lambda: screen.result.has_focus)

    travel(workspace, way, size)


def test_a_screen_elsewhere_opens_its_sql(workspace, asked):
    async def way(journey):
        await journey.known()
        journey.app.call_later(journey.app.open_sql, "SELECT id, outcome FROM runs WHERE outcome = 'failed'")
        await journey.sees("kronos-0003", "1 row ·")
        await journey.press("escape", "1")
        await journey.until(lambda: journey.app.screen is journey.dashboard)
        journey.app.call_later(journey.app.open_sql, "SELECT count(*) AS amount FROM runs")
        await journey.sees("amount", "3")

    travel(workspace, way)
