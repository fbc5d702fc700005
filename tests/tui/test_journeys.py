"""What people do at the screen, named as their journeys, at the sizes their terminals have."""

from __future__ import annotations

import time

import msgspec
import pytest

from engine.messages import Order, Retry
from engine.records import RunRow
from tests.tui import recorded
from tests.tui.pilot import SIZES, travel
from tests.tui.recorded import RecordedEngine
from tui.feed import Feed
from tui.screens.commands import CommandsScreen
from tui.screens.new import NewRunScreen
from tui.screens.run import RunScreen
from tui.theme import LIGHT
from tui.widgets.chart import Chart
from tui.widgets.fieldtable import FieldTable
from tui.widgets.lines import Lines
from tui.widgets.logview import LogView


@pytest.fixture
def scene(workspace):
    """An engine on a busy box with two GPUs."""
    now = time.time()
    for run in ("kronos-0208", "toto-0211"):
        recorded.write_folder(workspace, run, steps=3000, now=now)
    with RecordedEngine(workspace, recorded.busy_box(now), recorded.two_gpus(now), recorded.history(now)) as engine:
        yield engine


@pytest.mark.parametrize("size", SIZES)
def test_start_see_the_runs_open_one_go_back(workspace, scene, size):
    async def way(journey):
        await journey.known()
        await journey.sees("Devices", "GPU0", "61.2/80", "kronos-0208", "toto-0211", "66%", "−12.9 %", "toto-0212")
        await journey.sees("out of memory", "3", "leave")
        await journey.press("down")
        await journey.until(lambda: journey.dashboard.target().id == "toto-0211", "for the cursor")
        await journey.press("enter")
        await journey.until(lambda: isinstance(journey.app.screen, RunScreen), "for the run")
        await journey.sees("toto-0211", "running", "charts", "events")
        await journey.until(lambda: journey.app.screen.query_one("#loss", Chart).picture.curves, "for its curves")
        await journey.sees("loss", "val pct_mae", "step")
        await journey.press("right_square_bracket")
        await journey.sees("checkpoint step-", "following")
        await journey.press("right_square_bracket")
        await journey.sees("epochs", "30", "batch", "64", "set by hand")
        await journey.press("right_square_bracket")
        await journey.sees("the code of this run was not recorded")
        await journey.press(*["right_square_bracket"] * 4)
        await journey.sees("phase", "name=train")
        await journey.press("escape")
        await journey.until(lambda: journey.app.screen is journey.dashboard, "to be back")
        assert journey.dashboard.target().id == "toto-0211"

    travel(workspace, way, size)


@pytest.mark.parametrize("size", SIZES)
def test_an_empty_workspace_says_the_next_key(workspace, size):
    async def way(journey):
        await journey.known()
        await journey.sees("Nothing runs yet. Press n to queue a run, or: engine run toto", "no GPU: NVML")
        await journey.sees("Nothing waits.", "Nothing has ended yet")

    with RecordedEngine(workspace, [], recorded.no_gpu(time.time())):
        travel(workspace, way, size)


def test_the_first_frame_comes_before_any_engine(workspace, monkeypatch):
    monkeypatch.setattr(Feed, "shown", lambda feed: None)  # it tells nothing before

    async def way(journey):
        assert "Asking the engine" in journey.text()

    travel(workspace, way, readonly=True)


def test_stop_one_asks_first_and_waits_for_the_change(workspace, scene):
    async def way(journey):
        await journey.known()
        await journey.press("x")
        await journey.sees("Stop kronos-0208?", "yes, stop it")
        await journey.press("n")
        await journey.until(lambda: journey.app.screen is journey.dashboard)
        assert not [request for request in scene.asked if isinstance(request, Order)]
        await journey.press("x", "y")
        await journey.until(lambda: any(isinstance(request, Order) for request in scene.asked), "for the order")
        order = next(request for request in scene.asked if isinstance(request, Order))
        assert (order.run, order.order) == ("kronos-0208", "stop")
        assert journey.app.world.rows["kronos-0208"].state == "running", "only the engine changes the screen"
        scene.change("kronos-0208", state="stopping")
        await journey.sees("stopping…")
        now = time.time()
        scene.change("kronos-0208", state="stopped", ended=now, since=now, reason="stopped by you", warning="")
        finished = journey.dashboard.table("finished")
        await journey.until(lambda: finished.chosen == "kronos-0208" and finished.has_focus, "the cursor to go along")
        await journey.press("R")
        await journey.until(lambda: any(isinstance(request, Retry) for request in scene.asked), "for the retry")

    travel(workspace, way)


def test_hold_and_kill_and_what_is_out_of_place(workspace, scene):
    async def way(journey):
        await journey.known()
        await journey.press("h")
        await journey.sees("only what waits can be held back")
        await journey.press("tab")
        await journey.until(lambda: journey.dashboard.target().id == "toto-0212")
        await journey.press("h")
        await journey.until(lambda: any(isinstance(request, Order) for request in scene.asked))
        await journey.press("shift+tab", "X")
        await journey.sees("Kill kronos-0208 at once?")
        await journey.press("y")
        await journey.until(lambda: [r.order for r in scene.asked if isinstance(r, Order)] == ["hold", "kill"])

    travel(workspace, way)


def test_the_cursor_stays_on_its_run_when_lists_change(workspace, scene):
    async def way(journey):
        await journey.known()
        table = journey.dashboard.table("finished")
        journey.dashboard.set_focus(table)
        await journey.press("down", "down")
        await journey.until(lambda: journey.dashboard.target().id == "kronos-0204", "for the cursor")
        now = time.time()
        scene.tell(RunRow(id="toto-0300", family="toto", state="ok", since=now, ended=now, started=now - 60, best=0.4))
        await journey.sees("toto-0300")
        assert table.chosen == "kronos-0204"
        assert table.rows[3].id == "kronos-0204"
        await journey.press("up")
        assert table.chosen == "toto-0205"

    travel(workspace, way)


def test_arrows_flow_from_list_to_list(workspace, scene):
    async def way(journey):
        await journey.known()
        await journey.press("G", "down")
        await journey.until(lambda: journey.dashboard.table("queue").has_focus)
        assert journey.dashboard.target().id == "toto-0212"
        await journey.press("up")
        await journey.until(lambda: journey.dashboard.table("running").has_focus)
        assert journey.dashboard.target().id == "kronos-0210"

    travel(workspace, way)


def test_the_filter_finds_finished_runs(workspace, scene):
    async def way(journey):
        await journey.known()
        await journey.press("slash")
        await journey.paste("memory")
        await journey.until(lambda: [r.id for r in journey.dashboard.table("finished").rows] == ["toto-0203"])
        await journey.sees("1 of 10 with")
        await journey.press("enter")
        await journey.until(lambda: journey.dashboard.table("finished").has_focus)
        assert journey.dashboard.target().id == "toto-0203"
        await journey.press("slash", "escape")
        await journey.until(lambda: len(journey.dashboard.table("finished").rows) == 10)
        await journey.until(lambda: journey.dashboard.table("finished").has_focus)
        journey.burst("/memory")
        await journey.sees("1 of 10 with “memory”")

    travel(workspace, way)


def test_the_engine_goes_away_and_comes_back(workspace):
    now = time.time()
    rows = recorded.busy_box(now)
    engine = RecordedEngine(workspace, rows, recorded.no_gpu(now)).start()

    async def way(journey):
        await journey.known()
        await journey.sees("kronos-0208")
        engine.stop()
        await journey.sees("engine away", "trying again in", "starts the engine")
        await journey.sees("kronos-0208", "toto-0206")
        more = msgspec.structs.replace(rows[0], id="toto-0999")
        with RecordedEngine(workspace, [*rows, more], recorded.no_gpu(now)):
            await journey.sees("toto-0999", "◆ engine")
            assert "engine away" not in journey.text()

    travel(workspace, way)
    engine.stop()


def test_readonly_changes_nothing(workspace, scene):
    async def way(journey):
        await journey.known()
        await journey.sees("read only")
        foot = journey.app.screen.query_one("#foot", Lines)
        assert {role for line in foot.lines for text, role in line if "new run" in text} == {"struck"}
        for key in ("x", "X", "R", "h", "n"):
            await journey.press(key)
        await journey.sees("nothing can be changed here")
        assert journey.app.screen is journey.dashboard

    travel(workspace, way, readonly=True)
    assert not [request for request in scene.asked if isinstance(request, Order | Retry)]


def test_help_palette_theme_and_log(workspace, scene):
    async def way(journey):
        await journey.known()
        await journey.press("question_mark")
        await journey.sees("queue a new run from a form", "esc closes")
        await journey.press("escape", "ctrl+t")
        assert journey.app.theme == LIGHT.name
        await journey.press("colon")
        await journey.until(lambda: isinstance(journey.app.screen, CommandsScreen))
        await journey.press("escape")
        await journey.until(lambda: journey.app.screen is journey.dashboard)
        await journey.press("l")
        await journey.until(lambda: isinstance(journey.app.screen, RunScreen))
        log = journey.app.screen.query_one("#log", LogView)
        await journey.until(lambda: log.lines and log.has_focus, "for the log")
        assert log.follows
        await journey.press("g")
        await journey.until(lambda: not log.follows, "to leave the end")
        await journey.sees("f follows again")
        await journey.press("f")
        await journey.until(lambda: log.follows)
        await journey.press("g")
        await journey.until(lambda: not log.follows)
        await journey.press("colon")
        await journey.until(lambda: isinstance(journey.app.screen, CommandsScreen))
        await journey.paste("follow the end")
        await journey.sees("Follow the end again")
        await journey.press("enter")
        await journey.until(lambda: log.follows, "by the command of that name")
        await journey.press("1")
        await journey.until(lambda: journey.app.screen is journey.dashboard)
        await journey.press("e", "i", "b")
        await journey.sees("loss log", "epoch")
        await journey.until(lambda: any(c.quiet for c in journey.dashboard.query_one("#loss", Chart).picture.curves))

    travel(workspace, way)


def test_a_resize_lays_everything_out_anew(workspace, scene):
    async def way(journey):
        await journey.known()
        for width, height in ((80, 24), (200, 50), (60, 15), (120, 36)):
            await journey.pilot.resize_terminal(width, height)
            await journey.until(
                lambda w=width, h=height: [len(line) for line in journey.text().splitlines()] == [w] * h
            )
            await journey.sees("Running")

    travel(workspace, way)


def test_only_lines_that_changed_are_drawn_again(workspace, scene):
    async def way(journey):
        await journey.known()
        table = journey.dashboard.table("finished")
        await journey.until(lambda: table._cache)
        before = dict(table._cache)
        scene.change("toto-0211", step=9300)
        await journey.until(lambda: journey.app.world.rows["toto-0211"].step == 9300)
        await journey.pilot.pause()
        assert all(table._cache[run][1] is strip for run, (_, strip) in before.items())

    travel(workspace, way)


def test_queue_from_the_form_with_a_real_engine(box, workspace):
    """The whole way: fields as the trainers describe them, checks while typing, a run in the queue of a real engine."""
    data = workspace.data
    data.mkdir()
    rows = "\n".join(f"2020-{1 + d // 28:02d}-{1 + d % 28:02d},{100 + d % 7}" for d in range(300))
    (data / "ACME.csv").write_text("date,close\n" + rows + "\n")

    async def way(journey):
        await journey.known()
        await journey.press("n")
        await journey.until(lambda: isinstance(journey.app.screen, NewRunScreen))
        screen = journey.app.screen
        await journey.until(lambda: screen.form is not None, "for the families")
        await journey.sees("train.lr", "peak learning rate", "engine run toto")
        await journey.press("ctrl+f")
        await journey.paste("train.lr")
        await journey.press("enter")
        fields = screen.query_one("#fields", FieldTable)
        await journey.until(lambda: fields.item.name == "train.lr" and fields.has_focus)
        await journey.press("7")
        await journey.sees("above 1")
        await journey.press("ctrl+s")
        await journey.until(lambda: journey.app.screen is screen)
        await journey.press("backspace")
        await journey.paste("3e-4")
        await journey.sees("engine run toto --set train.lr=3e-4", "1 field set by hand")
        await journey.press("escape")
        await journey.until(lambda: len(fields.shown_items) > 10)
        fields.go("name")
        await journey.paste("first")
        fields.go("after")
        await journey.paste("nobody-1")
        await journey.press("ctrl+s")
        await journey.sees("No run 'nobody-1'")
        await journey.press("ctrl+r", "ctrl+s")
        await journey.until(lambda: journey.app.screen is journey.dashboard, "to be back")
        await journey.until(lambda: journey.app.world.rows, "for the run")

    travel(workspace, way)
    (row,) = box.rows().values()
    assert (row.family, row.name) == ("toto", "first")
    assert "3e-4" in row.what or "0.0003" in row.what


def test_leaving_the_form_while_the_trainers_are_still_asked(workspace, scene):
    async def way(journey):
        await journey.known()
        for _ in range(2):
            await journey.press("n", "escape")
            await journey.until(lambda: journey.app.screen is journey.dashboard)
        await journey.until(lambda: not [w for w in journey.app.workers if w.group in ("describe", "resolve")])
        await journey.sees("kronos-0208")

    travel(workspace, way)
