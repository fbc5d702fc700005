"""A run up close: what each tab shows, from a real engine and the database it wrote; and the way through its time."""

from __future__ import annotations

import pytest

from engine.store import Store
from engine.store_open import reading
from engine.store_past import samples
from engine.store_sql import Question
from engine.store_upclose import saved, scored, watched
from tests.engine.store_folders import T0
from tests.tui import upclose
from tests.tui.pilot import travel
from tui import behindrun
from tui.screens.run import TABS, RunScreen
from tui.widgets.chart import Chart
from tui.widgets.logview import LogView
from tui.widgets.scrubber import Scrubber
from tui.widgets.table import Table


@pytest.fixture
def scene(workspace):
    """A finished and a failed run in the database."""
    run = upclose.evaluated(upclose.trained(workspace))
    run.event("finished", step=upclose.STEPS, why="steps")
    run.end(after=600)
    upclose.failed(workspace)
    upclose.samples(workspace)
    Store(workspace).catch_up().check()
    return workspace


def test_the_database_gives_devices_checkpoints_and_symbols_of_one_run(scene):
    with reading(scene.database) as con:
        gpu, machine = watched(con, "toto-0001")
        checkpoints, symbols = saved(con, "toto-0001"), scored(con, "toto-0001")
        assert watched(con, "toto-0009") == saved(con, "toto-0009") == scored(con, "toto-0009") == []
    assert (gpu.name, machine.name) == ("GPU0", "machine")
    assert gpu.t[0] == T0 + 3
    assert len(gpu.t) == len(gpu.utilisation) == len(gpu.power) == 120
    assert set(gpu.own) == {20.0 * upclose.GIB}
    assert gpu.memory[0] == 22 * upclose.GIB
    assert gpu.total == 80 * upclose.GIB
    assert set(machine.memory) == {9.0 * upclose.GIB}
    assert [(one.step, one.value, one.best) for one in checkpoints] == [
        (600, 0.56, True), (400, 0.58, False), (200, 0.62, False),
    ]  # fmt: skip
    assert [one.symbol for one in symbols] == [f"SYM{i:02d}" for i in range(11, -1, -1)]
    assert symbols[0].naive == 0.588
    assert symbols[0].windows == 40


def test_any_metric_is_drawn_where_one_wants_it_and_kept_for_the_next_run(workspace, box):
    run = upclose.trained(workspace)
    for step in range(1, 400):
        run.log(600 + step, loss=0.2, accuracy=step / 400, val_mase=2.0 - step / 400, val_naive_mase=1.9)
    run.end(after=600)
    assert box.row("toto-0001").id == "toto-0001"

    async def way(journey):
        screen = await at_run(journey, "toto-0001")
        await journey.press("m")
        await journey.sees("Draw what in place of lr?", "accuracy", "0.9975")
        await journey.press(*"accu", "enter")
        await journey.until(lambda: screen.query_one("#rates", Chart).picture.title == "accuracy")
        assert screen.query_one("#rates", Chart).picture.curves[0].ys[-1] == 399 / 400
        screen.query_one("#error").focus()
        await journey.press("m")
        await journey.sees("Draw what in place of val pct_mae?")
        await journey.press(*"val_mase", "enter")
        await journey.until(lambda: screen.query_one("#error", Chart).picture.title == "val_mase")
        assert [one.name for one in screen.query_one("#error", Chart).picture.curves] == ["model", "naive"]
        await journey.press("escape")
        screen = await at_run(journey, "toto-0001")
        await journey.until(lambda: screen.query_one("#rates", Chart).picture.title == "accuracy", "for what was kept")
        screen.set_focus(None)
        await journey.press("m")
        await journey.sees("Draw what in place of accuracy?")
        await journey.press(*"usual", "enter")
        await journey.until(lambda: screen.query_one("#rates", Chart).picture.title == "lr")

    travel(workspace, way)


def test_hours_without_samples_are_a_gap(workspace):
    run = upclose.trained(workspace)
    run.end(after=20_000)
    upclose.samples(workspace, 100)
    day = next(workspace.host.glob("*.jsonl"))
    lines = day.read_text().splitlines(keepends=True)
    late = [line.replace(f'"t":{T0 + 3 + 5 * i}', f'"t":{T0 + 9003 + 5 * i}') for i, line in enumerate(lines)]
    assert late != lines
    day.write_text("".join(lines + late))
    Store(workspace).catch_up().check()
    with reading(workspace.database) as con:
        gpu = watched(con, "toto-0001")[0]
    holes = [i for i, value in enumerate(gpu.memory) if value != value]
    assert holes == [20]
    assert len(gpu.t) == 41


async def at_run(journey, run):
    await journey.known()
    journey.app.open_run(run)
    await journey.until(lambda: isinstance(journey.app.screen, RunScreen), "for the run")
    screen = journey.app.screen
    await journey.until(lambda: screen.query("#loss"), "for its panes")
    await journey.until(lambda: screen.query_one("#loss", Chart).picture.curves, "for its curves")
    return screen


@pytest.mark.parametrize("size", [(200, 50), (80, 24)])
def test_every_tab_of_a_finished_run(scene, box, size):
    assert box.row("toto-0001").state == "ok"

    async def way(journey):
        screen = await at_run(journey, "toto-0001")
        await journey.sees("✓ ok", "vs naive", "+4.8 %", "evaluation", "checkpoints")
        await screen.action_go("code")
        await journey.sees("abab", "with changes that were not committed", "dddd", "-rate = 1e-3", "+rate = 3e-4")
        await screen.action_go("devices")
        await journey.sees("utilisation %", "95.92", "memory GiB", "this run 20.00")
        await screen.action_go("checkpoints")
        await journey.sees("600", "◆ best", "0.580", "deleted")
        await screen.action_go("evaluation")
        await journey.sees("12 symbols, 5 beat naive", "SYM11", "−22.4 %", "SYM11 16 steps from 2025-")
        chart = screen.query_one("#forecast", Chart)
        assert [band.name for band in chart.picture.bands] == ["10–90 %"]
        assert {curve.name for curve in chart.picture.curves} == {"", "naive", "actual", "median"}
        await journey.press("down")
        await journey.sees("no forecast of SYM10 was kept")
        await screen.action_go("events")
        await journey.sees("order start")
        await journey.press("end")
        await journey.sees("finished", "why=steps")

    travel(scene, way, size)


def test_a_failed_run_says_why_and_shows_its_last_words(scene, box):
    assert box.row("toto-0002").state == "failed"

    async def way(journey):
        await at_run(journey, "toto-0002")
        await journey.sees(
            "✗ failed", "out of memory", "requested 2.0 GiB", "torch.OutOfMemoryError: CUDA out of memory"
        )

    travel(scene, way)


def test_charts_devices_and_log_go_to_the_same_moment_and_back_to_now(scene, box):
    assert box.row("toto-0001").state == "ok"

    async def way(journey):
        screen = await at_run(journey, "toto-0001")
        loss, scrubber = screen.query_one("#loss", Chart), screen.query_one("#scrub", Scrubber)
        await screen.action_go("devices")
        power = screen.query_one("#power", Chart)
        await journey.until(lambda: power.picture.curves and screen._reading, "for samples and log")
        await journey.press("less_than_sign", "less_than_sign", "comma")
        moment = T0 + 602 - 0.21 * 600
        assert screen.moment == pytest.approx(moment)
        assert power.view.at == pytest.approx(moment)
        assert loss.view.at == pytest.approx(moment - T0 - 10)  # a step a second, the first ten seconds after T0
        await journey.sees("2m 06s before its end")
        await screen.action_go("log")  # opened in the past, it is at the same moment
        log = screen.query_one("#log", LogView)
        await journey.until(lambda: log.pointed is not None, "for the line of the moment")
        assert log.lines[log.pointed] == "step 460 loss 0.1145"
        await journey.sees("step 460 loss")
        await screen.action_go("charts")
        await journey.until(lambda: loss.is_on_screen, "for the charts")
        await journey.press("left")
        assert loss.view.at < moment - T0 - 10  # the crosshair takes devices and log with it
        assert power.view.at == pytest.approx(loss.view.at + T0 + 10)
        assert scrubber.scrub.moment == power.view.at
        await journey.press("end")
        assert (screen.moment, loss.view.at, power.view.at, log.pointed) == (None, None, None, None)
        await journey.pilot.click("#scrub", offset=(40, 0))
        await journey.until(lambda: screen.moment is not None, "for the moment that was clicked")
        assert power.view.at == screen.moment < T0 + 300
        await journey.press("escape")
        assert screen.moment is None
        assert log.follows

    travel(scene, way)


def test_tables_that_have_nothing_yet_say_so(workspace, box):
    run = upclose.trained(workspace)
    run.end(after=600)
    assert box.row("toto-0001").id == "toto-0001"

    async def way(journey):
        screen = await at_run(journey, "toto-0001")
        await screen.action_go("evaluation")
        await journey.sees("not evaluated: a trainer does so at its end; R queues it again")
        assert screen.query_one("#symbols", Table).rows == ()

    travel(workspace, way)


def test_the_machine_is_told_as_it_was(scene):
    with reading(scene.database) as con:
        found = samples(con, T0 + 103, 60)
        assert samples(con, T0 - 10, 60) == ()
    assert [one.t for one in found] == [T0 + 43 + 5 * i for i in range(13)]
    (device,) = found[-1].devices
    assert (device.memory_used, device.temperature) == (22 * upclose.GIB + 100 * (1 << 22), 56)
    assert [(one.run, one.name) for one in device.processes] == [(None, "python"), ("toto-0001", "python")]
    assert found[0].devices[0].processes == ()
    assert found[0].host.memory_used == 9 * upclose.GIB


@pytest.mark.parametrize(("tab", "rows"), [("evaluation", 12), ("checkpoints", 3), ("devices", 120), ("config", 5)])
def test_the_sql_behind_a_tab_has_the_rows_that_it_shows(scene, tab, rows):
    answer = Question(scene.database, behindrun.of_tab(tab, "toto-0001")).ask()
    assert len(answer.rows) == rows
    if tab == "evaluation":
        with reading(scene.database) as con:
            assert [row[0] for row in answer.rows] == [one.symbol for one in scored(con, "toto-0001")]


def test_the_sql_behind_the_rest_can_be_asked(scene):
    asked = {tab: Question(scene.database, query).ask() for tab in TABS if (query := behindrun.of_tab(tab, "it's"))}
    assert set(asked) == {*TABS} - {"log", "code"}
    assert all(answer.names and not answer.rows for answer in asked.values())
    ended = [row[0] for row in Question(scene.database, behindrun.of_list("finished")).ask().rows]
    assert sorted(ended) == ["toto-0001", "toto-0002"]
    assert all(not Question(scene.database, behindrun.of_list(name)).ask().rows for name in ("running", "queue"))


def test_s_on_a_tab_opens_the_sql_behind_it(box, scene):
    async def way(journey):
        await at_run(journey, "toto-0001")
        await journey.app.screen.action_go("evaluation")
        await journey.sees("SYM11")
        await journey.press("s")
        await journey.sees("symbol_results", "12 rows ·", "SYM00")
        await journey.press("escape", "escape")
        await journey.until(lambda: journey.app.current_mode == "dashboard")
        journey.app.screen.action_back()
        await journey.press("1", "s")
        await journey.sees("WHERE ended IS NOT NULL", "2 rows ·")

    travel(scene, way, (160, 44))


def test_what_a_run_told_can_be_read_to_its_end_at_every_width(scene, box):
    """A long line of events or of the configuration goes on below its words; a long name keeps off its value."""
    assert box.row("toto-0001").state == "ok"

    async def way(journey):
        screen = await at_run(journey, "toto-0001")
        await screen.action_go("events")
        lines = screen.query_one("#event-lines")
        for size, folds in (((80, 24), True), ((200, 50), False)):
            await journey.pilot.resize_terminal(*size)
            await journey.until(lambda wide=size[0]: screen.size.width == wide)
            await journey.until(lambda: screen._detail is not None, "for what the engine knows of it")
            await journey.until(
                lambda folds=folds: any(line.startswith(" " * 29) for line in lines.text.splitlines()) == folds
            )
            assert all(len(line) <= size[0] - 5 for line in lines.text.splitlines())
            assert "metrics=val_pct_mae:0.58" in lines.text

    travel(scene, way, (120, 36))
