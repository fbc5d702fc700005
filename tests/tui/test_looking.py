"""Charts of a screen are zoomed together and have one crosshair, by key and by mouse."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.events import MouseScrollDown, MouseScrollUp

from tests.tui import recorded
from tests.tui.pilot import travel
from tests.tui.recorded import RecordedEngine
from tui import looking
from tui.charts import EVERYTHING, View
from tui.screens.run import RunScreen
from tui.widgets.chart import Chart

WHOLE = (100.0, 1100.0)


@pytest.fixture
def scene(workspace):
    now = time.time()
    recorded.write_folder(workspace, "kronos-0208", steps=3000, now=now)
    with RecordedEngine(workspace, recorded.busy_box(now), recorded.two_gpus(now), recorded.history(now)) as engine:
        yield engine


@given(st.lists(st.tuples(st.sampled_from(["in", "out", "cross", "point", "pick"]), st.floats(0, 1)), max_size=30))
def test_whatever_is_done_the_window_and_the_crosshair_stay_inside(steps):
    view = EVERYTHING
    for step, part in steps:
        x = WHOLE[0] + part * (WHOLE[1] - WHOLE[0])
        if step in ("in", "out"):
            before = view.window or WHOLE
            view = looking.zoomed(view, WHOLE, min(max(x, before[0]), before[1]), closer=step == "in")
        elif step == "cross":
            view = looking.crossed(view, WHOLE, part - 0.5)
            assert view.window is None or view.window[0] - 1e-6 <= view.at <= view.window[1] + 1e-6
        elif step == "point":
            view = looking.pointed(view, WHOLE, x)
        else:
            view = looking.windowed(view, WHOLE, x - 50, x + 50)
        low, high = view.window or WHOLE
        assert WHOLE[0] - 1e-6 <= low < high <= WHOLE[1] + 1e-6
        assert view.at is None or WHOLE[0] <= view.at <= WHOLE[1]


def test_zooming_leaves_what_is_under_the_pointer_in_its_place():
    view = looking.zoomed(View(), WHOLE, 350.0, closer=True)
    low, high = view.window
    assert (350 - low) / (high - low) == pytest.approx(0.25)
    assert looking.zoomed(view, WHOLE, 350.0, closer=False).window is None


async def open_run(journey):
    await journey.known()
    await journey.press("enter")
    await journey.until(lambda: isinstance(journey.app.screen, RunScreen), "for the run")
    await journey.until(lambda: journey.app.screen.query_one("#loss", Chart).plot_width, "for its curves")
    return [journey.app.screen.query_one(f"#{name}", Chart) for name in ("loss", "error", "speed", "rates")]


def test_keys_move_the_crosshair_and_zoom_all_charts_and_esc_takes_it_back(workspace, scene):
    async def way(journey):
        charts = await open_run(journey)
        await journey.press("left", "shift+left")
        at = charts[0].view.at
        assert 0 < at < 3000
        assert {chart.view for chart in charts} == {View(at=at)}
        await journey.sees(f" {at:,.0f} ")
        await journey.press("plus", "plus", "minus")
        low, high = charts[3].view.window
        assert low < at < high < 3001
        assert {chart.view for chart in charts} == {View((low, high), at)}
        await journey.press("z")
        await journey.until(lambda: charts[0].size.width > 150, "for one chart alone")
        await journey.press("escape")
        await journey.until(lambda: charts[0].size.width < 100, "for all of them")
        await journey.press("escape")
        assert charts[1].view == View((low, high))
        await journey.press("0")
        assert charts[1].view == EVERYTHING
        await journey.press("escape")
        await journey.until(lambda: journey.app.screen is journey.dashboard, "to be back")

    travel(workspace, way)


def test_the_mouse_points_zooms_and_marks(workspace, scene):
    async def way(journey):
        charts = await open_run(journey)
        loss, error = charts[0], charts[1]
        await journey.pilot.click("#loss", offset=(40, 8))
        at = loss.view.at
        assert error.view.at == at
        left = loss.region.x + 40
        mouse = dict.fromkeys(("delta_x", "delta_y", "button"), 0) | dict.fromkeys(("shift", "meta", "ctrl"), False)
        place = {"x": left - loss.region.x, "y": 8, "screen_x": left, "screen_y": loss.region.y + 8}
        loss.post_message(MouseScrollUp(loss, **mouse, **place))
        await journey.until(lambda: error.view.window, "for the zoom")
        low, high = error.view.window
        assert low < at < high
        assert high - low == pytest.approx(0.6 * (3000 - 10), rel=0.1)
        loss.post_message(MouseScrollDown(loss, **mouse, **place))
        await journey.until(lambda: error.view.window is None, "for all of it")
        await journey.pilot.mouse_down("#loss", offset=(20, 8))
        await journey.pilot.hover("#loss", offset=(35, 8))
        await journey.until(lambda: error.view.picked, "for the mark")
        await journey.pilot.mouse_up("#loss", offset=(35, 8))
        await journey.until(lambda: error.view.window, "for what was marked")
        assert error.view.picked is None
        assert loss.view.window[1] < at
        await journey.pilot.click("#error", offset=(20, 5), times=2)
        await journey.until(lambda: journey.app.screen.maximized is error, "for one chart alone")

    travel(workspace, way)
