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
from tui.widgets.chart import Chart, View
from tui.widgets.table import Table


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
    await journey.until(lambda: screen.pane.catalogue.relations, "for the catalogue")
    return screen


def test_ask_and_see_rows_at_every_size_also_from_elsewhere(workspace, asked):
    async def way(journey):
        screen = await at_sql(journey)
        screen.editor.text = "SELECT id, val_pct_mae FROM leaderboard ORDER BY 2"
        await journey.press("f5")
        for width, height in SIZES:
            await journey.pilot.resize_terminal(width, height)
            await journey.sees("val_pct_mae", "toto-0002", "0.5", "2 rows ·")
        await journey.press("escape")
        await journey.until(lambda: screen.result.has_focus)
        await journey.press("escape")
        await journey.until(lambda: journey.app.screen is journey.dashboard)
        journey.app.call_later(journey.app.open_sql, "SELECT id, outcome FROM runs WHERE outcome = 'failed'")
        await journey.sees("kronos-0003", "1 row ·")

    travel(workspace, way, SIZES[0])


def test_type_with_offers_take_one_and_go_back_in_history(workspace, asked):
    async def way(journey):
        screen = await at_sql(journey)
        screen.editor.text = ""
        await journey.paste("SELECT i")
        assert not screen.pane.offers.open
        await journey.press("d")
        await journey.until(lambda: screen.pane.offers.open, "for offers")
        await journey.press("escape")
        await journey.until(lambda: not screen.pane.offers.open)
        await journey.paste(" FROM leaderb")
        await journey.sees("leaderboard", "places count within")
        await journey.press("enter")
        await journey.until(lambda: screen.editor.text == "SELECT id FROM leaderboard", "for the offer")
        await journey.press("f5")
        await journey.sees("2 rows ·")
        await journey.paste(" WHERE skil")
        await journey.press("tab")
        await journey.paste(" > 0")
        assert screen.editor.text == "SELECT id FROM leaderboard WHERE skill > 0"
        await journey.press("f5")
        await journey.sees("1 row ·")
        await journey.press("up", "up")
        await journey.until(lambda: screen.editor.text == "SELECT id FROM leaderboard", "for the query before")
        await journey.press("f8")
        await journey.sees("earlier queries")
        await journey.paste("skill")
        await journey.press("enter")
        await journey.until(lambda: screen.editor.text.endswith("skill > 0"), "for the chosen one")

    travel(workspace, way)


def test_wrong_long_and_many(workspace, asked, tmp_path):
    """An error says where, a query that runs is stopped, a long result is walked through, and a cut one is told."""

    async def way(journey):
        screen = await at_sql(journey)
        screen.editor.text = "SELECT id,\n  nothing_like_it\nFROM runs"
        await journey.press("f5")
        await journey.sees("line 2, column 3: Binder Error")
        assert screen.editor.cursor_location == (1, 2)
        await journey.press("ctrl+a", "backspace")  # what is shown as wrong goes with the text
        assert not screen.editor.text
        screen.editor.text = "-- later"
        await journey.press("f5")
        await journey.sees("it has only comments")
        screen.editor.text = "DELETE FROM runs"
        await journey.press("f5")
        await journey.sees("read-only mode!", "(`engine sql --write` allows it)")
        screen.editor.text = "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b"
        await journey.press("f5")
        await journey.until(lambda: screen.running)
        await journey.press("escape")
        await journey.sees("The query was stopped.")
        screen.editor.text = "SELECT range AS n, range * 0.5 AS half, 'r' || range AS name FROM range(20001)"
        screen.most = 20_000
        await journey.press("f5")
        await journey.sees("first 20,000 rows, there are more", "F10 writes all")
        await journey.press("escape", "end")
        await journey.sees("r19999", "9999.5")
        await journey.press("pageup", "pageup")
        await journey.until(lambda: "r19999" not in journey.text())
        await journey.press("f10")
        await journey.sees("all rows, asked again")
        await journey.press("ctrl+u")
        await journey.paste(f"{tmp_path}/rows.xls")
        await journey.sees("the ending says the format")
        await journey.press("backspace", "backspace", "backspace")
        await journey.paste("csv")
        await journey.press("enter")
        await journey.sees("20,001 rows written to")
        await journey.press("f7")
        await journey.sees("half")
        plot = screen.query_one("#plot", Chart)
        await journey.until(lambda: plot.picture.curves, "for the picture")
        await journey.press("left", "plus")
        assert plot.view.window is not None
        await journey.press("escape", "escape")
        assert plot.view == View()
        await journey.press("f7")
        await journey.until(lambda: screen.result.has_focus)
        column = screen.result.columns[1]
        for way, first in (("↑", 0.0), ("↓", 9999.5)):
            screen.result.post_message(Table.HeaderClicked(screen.result, column))
            await journey.until(
                lambda way=way: f"half {way}" in str(screen.result.border_title), "for the rows in order"
            )
            assert screen.result.rows[0][1][1] == first

    travel(workspace, way)
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 20_002


def test_save_a_view_with_a_real_engine_and_find_it_among_the_tables(box, workspace):
    box.ended(box.python("print('hello')", name="first").id)

    async def way(journey):
        await journey.known()
        await journey.press("7")
        screen = await journey.until(lambda: isinstance(journey.app.screen, SqlScreen) and journey.app.screen)
        await journey.until(lambda: screen.ready)
        screen.editor.text = "-- all that ended\nSELECT id, name FROM runs WHERE ended IS NOT NULL"
        await journey.press("f5")
        await journey.sees("exec-0001", "first")
        await journey.press("f9")
        await journey.paste("runs")
        await journey.sees("the engine's own")
        await journey.press("ctrl+u")
        await journey.paste("over")
        await journey.press("enter")
        await journey.sees("view over is saved")
        await journey.until(lambda: "over" in screen.pane.catalogue.by_name, "for the view among the tables")
        await journey.until(lambda: screen.side.table.rows[0].text == "over")
        screen.editor.text = "FROM over"
        await journey.press("f5")
        await journey.sees("1 row ·", "first")

    travel(workspace, way)
    assert (workspace.views / "over.sql").read_text().startswith("-- all that ended")


def test_readonly_saves_no_view_and_an_empty_workspace_says_why(workspace):
    async def way(journey):
        await journey.known()
        await journey.press("7")
        await journey.sees("There is no runs.duckdb yet. It comes with the first run")
        await journey.press("f9")
        await journey.sees("nothing can be changed here")

    with RecordedEngine(workspace, [], no_gpu(0.0)):
        travel(workspace, way, readonly=True)
