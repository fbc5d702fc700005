"""Borders between panes: the arithmetic of shares, and a person who moves them by key and mouse."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui import scene
from tests.tui.pilot import Journey, travel
from tests.tui.recorded import RecordedEngine
from tui import shares

sizes = st.lists(st.integers(1, 200), min_size=2, max_size=4)


@given(sizes, st.integers(0, 2), st.integers(-300, 300), st.integers(1, 30))
def test_a_border_moves_between_its_two_panes_only(sizes, border, cells, least):
    border %= len(sizes) - 1
    found = shares.moved(sizes, border, cells, least)
    assert sum(found) == sum(sizes)
    assert [*found[:border], *found[border + 2 :]] == [*sizes[:border], *sizes[border + 2 :]]
    if sizes[border] + sizes[border + 1] >= 2 * least:
        assert min(found[border : border + 2]) >= least


@given(sizes, st.integers(1, 400), st.integers(1, 40))
def test_any_terminal_keeps_the_shares_of_another_and_the_least_of_every_pane(sizes, total, least):
    panes = [f"p{i}" for i in range(len(sizes))]
    parts = shares.held(shares.shares(panes, sizes), panes, total, least)
    if total >= least * len(panes):
        assert min(parts) >= least
        assert sum(parts) == total
    else:
        assert len(set(parts)) == 1
    if total == sum(sizes) and min(sizes) >= least:
        assert parts == sizes


def test_what_is_no_share_in_the_file_is_left_out():
    told = {"a": {"x": 1, "y": True, "z": -2, "n": float("nan")}, "b": [1], "c": {"x": "1"}, "d": {}}
    assert shares.read(told) == {"a": {"x": 1.0}}
    assert shares.read("no") == {}


@pytest.fixture
def box(workspace):
    with scene.box(workspace) as engine:
        yield engine


def place(journey: Journey, name: str) -> tuple[int, int, int, int]:
    return tuple(journey.app.screen.query_one(f"#{name}").region)


def test_borders_of_the_dashboard_are_moved_by_key_and_remembered(workspace, box: RecordedEngine):
    async def move(journey: Journey) -> None:
        await scene.dashboard(journey)
        before = {name: place(journey, name) for name in ("running", "detail", "loss", "log")}
        await journey.press("ctrl+down", "ctrl+down", "ctrl+right")
        await journey.until(lambda: place(journey, "running")[3] == before["running"][3] + 2)
        await journey.until(lambda: place(journey, "loss")[2] == before["loss"][2] + 2)
        assert place(journey, "log") == before["log"]
        journey.app.screen.query_one("#log").focus()
        await journey.press("ctrl+up", "ctrl+left")
        await journey.until(lambda: place(journey, "log")[2] == before["log"][2] + 2)
        await journey.until(lambda: place(journey, "detail")[3] == before["detail"][3] + 1)

    app = travel(workspace, move, (200, 50))
    kept = json.loads(app.settings.path.read_text())["panes.dashboard"]
    assert set(kept) == {"panes", "detail"}

    async def come_back(journey: Journey) -> None:
        await scene.dashboard(journey)
        wide = place(journey, "log")[2]
        assert wide > 200 / 3 + 1
        await journey.press("ctrl+home")
        await journey.until(lambda: place(journey, "log")[2] < wide)
        assert json.loads(app.settings.path.read_text())["panes.dashboard"] == {}

    travel(workspace, come_back, (200, 50))


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=str)
def test_shares_of_a_wide_terminal_leave_a_small_one_usable(workspace, box: RecordedEngine, size):
    async def look(journey: Journey) -> None:
        journey.app.settings.put(
            "panes.dashboard",
            {"panes": {"running": 0.01, "lists": 9, "detail": 0.01}, "detail": {"loss": 0.01, "log": 50}, "other": 3},
        )
        await scene.dashboard(journey)
        screen = journey.app.screen
        await journey.until(lambda: place(journey, "running")[3] >= shares.LEAST_LINES, "for a list that can be read")
        shown = [pane for pane in screen.query(".pane") if pane.is_on_screen]
        assert all(pane.region.height >= 2 and pane.region.width >= shares.LEAST_COLUMNS for pane in shown)
        assert screen.query_one("#foot").region.y == size[1] - 1
        assert "toto-0211" in journey.text()

    travel(workspace, look, size)


def test_a_border_follows_the_mouse_and_a_double_click_puts_it_back(workspace, box: RecordedEngine):
    async def drag(journey: Journey) -> None:
        await scene.run(journey)
        screen, pilot = journey.app.screen, journey.pilot
        before = place(journey, "loss")
        edge = before[0] + before[2]
        await pilot.mouse_down(offset=(edge, before[1] + 5))
        await pilot.hover(offset=(edge + 9, before[1] + 5))
        await journey.until(lambda: place(journey, "loss")[2] == before[2] + 9, "for the border to follow")
        await pilot.mouse_up(offset=(edge + 9, before[1] + 5))
        await pilot.hover(offset=(edge + 30, before[1] + 5))
        assert place(journey, "loss")[2] == before[2] + 9, "it was let go"
        assert screen.view_of().at is None, "a border is no place in a chart"
        await pilot.click(offset=(edge + 9, before[1] + 5), times=2)
        await journey.until(lambda: place(journey, "loss") == before, "for the border to go back")
        assert screen.maximized is None

        low = place(journey, "speed")[1]
        await pilot.mouse_down(offset=(5, low))
        await pilot.hover(offset=(5, low - 4))
        await pilot.mouse_up(offset=(5, low - 4))
        await journey.until(lambda: place(journey, "speed")[1] == low - 4)
        assert place(journey, "rates")[1] == low - 4

    travel(workspace, drag, (160, 50))


def test_borders_of_compare_best_and_sql_by_key_and_mouse_are_remembered(workspace):
    async def drag(journey: Journey, start: tuple[int, int], way: tuple[int, int]) -> None:
        await journey.pilot.mouse_down(offset=start)
        await journey.pilot.hover(offset=(start[0] + way[0], start[1] + way[1]))
        await journey.pilot.mouse_up(offset=(start[0] + way[0], start[1] + way[1]))

    async def wider(journey: Journey, pane: str, key: str) -> None:
        """By two columns with a key, by five more with the mouse."""
        x, y, width, _ = place(journey, pane)
        journey.app.screen.query_one(f"#{key}").focus()
        await journey.press("ctrl+right")
        await journey.until(lambda: place(journey, pane)[2] == width + 2, f"for the key to move {pane}")
        await drag(journey, (x + width + 2, y + 3), (5, 0))
        await journey.until(lambda: place(journey, pane)[2] == width + 7, f"for the mouse to move {pane}")

    async def way(journey: Journey) -> None:
        await scene.compare(journey)
        await wider(journey, "fields", "fields")
        loss = place(journey, "loss")
        await drag(journey, (loss[0] + loss[2], loss[1] + 2), (-4, 0))
        await journey.until(lambda: place(journey, "loss")[2] == loss[2] - 4, "for the border between the charts")
        await journey.press("5")
        await journey.until(lambda: journey.app.current_mode == "best" and journey.app.screen.ready)
        await journey.until(lambda: journey.app.screen._near is not None, "for what is told of the first")
        await wider(journey, "symbols", "symbols")
        await journey.press("7")
        await journey.sees("run_summary")
        await wider(journey, "side", "tables")
        query = place(journey, "query")
        await drag(journey, (query[0] + 20, place(journey, "answer")[1]), (0, 3))
        await journey.until(lambda: place(journey, "query")[3] == query[3] + 3, "for the query to grow")
        seen.update({name: place(journey, name) for name in ("side", "query")})

    async def again(journey: Journey) -> None:
        await scene.dashboard(journey)
        await journey.press("7")
        await journey.sees("run_summary")
        await journey.until(lambda: all(place(journey, name) == where for name, where in seen.items()), "for the same")

    seen: dict[str, tuple[int, int, int, int]] = {}
    with scene.results(workspace):
        app = travel(workspace, way, (200, 50))
        kept = json.loads(app.settings.path.read_text())
        assert set(kept["panes.compare"]) == {"below", "curves"}
        assert set(kept["panes.best"]) == {"near"}
        assert set(kept["panes.sql"]) == {"side", "panes"}
        travel(workspace, again, (200, 50))
