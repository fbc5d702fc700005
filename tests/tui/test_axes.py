"""Every x axis, with a logarithmic y: zoom, pan, crosshair and what the pointer tells, by key and mouse, and back."""

from __future__ import annotations

import json
import time

import pytest
from textual.events import Key, MouseEvent, MouseScrollDown, MouseScrollRight, MouseScrollUp

from engine.workspace import Workspace
from tests.tui import recorded, scene
from tests.tui.pilot import Journey, travel
from tests.tui.recorded import RecordedEngine
from tui.charts import EVERYTHING
from tui.widgets.chart import Chart

AXES = {"step": 3000.0, "epoch": 3000 / 540, "time": 2990 * 0.26, "tokens": 3000 * 512.0}
"""Where each ends for the recorded run."""
NAMES = ("loss", "error")


@pytest.fixture
def engine(workspace: Workspace):
    now = time.time()
    folder = recorded.write_folder(workspace, "kronos-0208", steps=3000, now=now)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    told = [json.dumps(line | {"tokens": 512 * line["step"]}) for line in lines]
    (folder / "metrics.jsonl").write_text("\n".join(told) + "\n")
    with RecordedEngine(workspace, recorded.busy_box(now), recorded.two_gpus(now), recorded.history(now)) as made:
        yield made


def wheel(chart: Chart, kind: type[MouseEvent], column: int, *, ctrl: bool = False) -> None:
    """Turn the wheel over a column of the chart: the pilot has none."""
    at = {"x": column, "y": 5, "screen_x": chart.region.x + column, "screen_y": chart.region.y + 5}
    nothing = {"delta_x": 0, "delta_y": 0, "button": 0, "shift": False, "meta": False}
    chart.post_message(kind(chart, **at, **nothing, ctrl=ctrl))


def press(journey: Journey, *keys: str) -> None:
    """All at once: what comes of them is waited for."""
    for key in keys:
        journey.app.post_message(Key(key, None if len(key) > 1 else key))


async def drag(journey: Journey, chart: Chart, start: int, stop: int, button: int) -> None:
    pilot, target = journey.pilot, f"#{chart.id}"
    await pilot.mouse_down(target, offset=(start, 6), button=button)
    await pilot.hover(target, offset=(stop, 6))
    await pilot.mouse_up(target, offset=(stop, 6))


async def go_through(journey: Journey, axis: str, end: float) -> None:
    charts = [journey.app.screen.query_one(f"#{name}", Chart) for name in NAMES]
    loss = charts[0]

    async def until(what: str, condition) -> None:
        await journey.until(
            lambda: condition(loss.view) and len({chart.view for chart in charts}) == 1, f"{axis}: {what}"
        )

    await journey.until(lambda: loss.picture.x_name == axis and loss.picture.log, f"for the axis {axis}")
    low, high = loss.picture.reach
    assert high == pytest.approx(end, rel=0.02)
    size = high - low

    # by mouse: what is under the pointer is told in every chart, and nothing else is moved by it
    await journey.pilot.hover("#error", offset=(30, 6))
    await until("the pointer", lambda view: view.over is not None and view.at is None)
    over = loss.view.over
    assert low <= over <= high
    assert journey.app.screen.moment is None, "to look is not to travel"
    wheel(charts[1], MouseScrollUp, 30)
    await until("the wheel", lambda view: view.window is not None)
    first = loss.view.window
    assert first[1] - first[0] == pytest.approx(0.6 * size, rel=0.05)
    wheel(loss, MouseScrollDown, 30, ctrl=True)
    await until("ctrl and the wheel", lambda view: view.window != first)
    assert loss.view.window[0] == pytest.approx(first[0] + 0.1 * (first[1] - first[0]))
    wheel(loss, MouseScrollRight, 30)
    await until("the wheel to a side", lambda view: view.window[0] > first[0] + 0.15 * (first[1] - first[0]))
    before = loss.view.window
    await drag(journey, charts[1], 30, 40, button=3)
    await until("the right button", lambda view: view.window[0] < before[0])
    assert loss.view.window[1] - loss.view.window[0] == pytest.approx(before[1] - before[0])
    assert low <= loss.view.window[0]
    await drag(journey, loss, 20, 34, button=1)
    await until("a drag", lambda view: view.window[1] - view.window[0] < 0.6 * (before[1] - before[0]))
    await journey.pilot.click("#error", offset=(33, 6))
    await until("a click", lambda view: view.at is not None)
    assert loss.view.window[0] <= loss.view.at <= loss.view.window[1]

    # by key: from there on, out again, and to the edge of what is shown, which goes along
    at, window = loss.view.at, loss.view.window
    press(journey, "right", "shift+left", "plus")
    await until("keys", lambda view: view.at < at and view.window[1] - view.window[0] < window[1] - window[0])
    press(journey, *["shift+right"] * 6)
    await until("the window with the crosshair", lambda view: view.window[0] > window[0])
    press(journey, "minus", "0")
    await until("all of it", lambda view: view.window is None and view.at is not None)
    press(journey, "0")
    await until("no crosshair", lambda view: view.at is None)
    await journey.pilot.hover("#foot")
    await until("nothing", lambda view: view == EVERYTHING)


def test_zoom_pan_and_crosshair_by_key_and_mouse_on_every_axis_with_a_logarithmic_y(workspace: Workspace, engine):
    async def way(journey: Journey) -> None:
        await scene.run(journey)
        await journey.press("b")
        for number, (axis, end) in enumerate(AXES.items()):
            if number:
                await journey.press("i")
            await go_through(journey, axis, end)

    travel(workspace, way, (90, 24))


def test_on_a_slow_line_the_pointer_costs_nothing(workspace: Workspace, engine):
    async def way(journey: Journey) -> None:
        await scene.run(journey)
        loss = journey.app.screen.query_one("#loss", Chart)
        await journey.until(lambda: loss.plot_width, "for the curves")
        await journey.pilot.hover("#loss", offset=(30, 6))
        await journey.pilot.click("#error", offset=(30, 6))
        await journey.until(lambda: loss.view.at is not None, "for the crosshair")
        assert loss.view.over is None

    travel(workspace, way, (90, 24), slow=True)
