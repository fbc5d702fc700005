"""Where there is nothing to show, it is said why, and which key helps; on every screen and in every tab."""

from __future__ import annotations

import time

import pytest

from engine.records import RunRow
from tests.tui import recorded
from tests.tui.pilot import Journey, travel
from tests.tui.recorded import RecordedEngine
from tui import keys, nothing
from tui.charts import Picture, draw
from tui.present import plain
from tui.screens.run import RunScreen

SAID = (nothing.log, nothing.curves, nothing.checkpoints, nothing.evaluation)


@pytest.mark.parametrize("state", ["queued", "held", "starting", "running", "ok", "failed"])
@pytest.mark.parametrize("said", SAID, ids=lambda said: said.__name__)
def test_each_names_a_key_that_does_something_to_a_run_in_that_state(said, state):
    text = said(RunRow(id="toto-0001", family="toto", state=state, since=0.0))
    why, _, way = text.partition("; ")
    assert why
    key = way.split()[0]
    may = {"queued": "h", "held": "h", "starting": "xl", "running": "xl", "ok": "Rl", "failed": "Rl"}[state]
    assert key in may, text
    assert ("releases" in way) == (state == "held")


def test_no_key_is_named_that_is_barred():
    keys.use({}, readonly=True)
    assert nothing.evaluation(RunRow(id="toto-0001", family="toto", state="failed", since=0.0)).endswith("at its end")


def test_what_a_chart_has_to_say_is_folded_and_not_cut():
    text = "no validation yet; l shows its log, and h holds it back for as long as you like"
    lines = [plain(line).strip() for line in draw(Picture("val pct_mae", empty=text), 30, 12)]
    assert " ".join(filter(None, lines[1:])) == text


@pytest.mark.parametrize("size", [(200, 50), (80, 24)])
def test_the_tabs_of_a_run_that_waits(workspace, size):
    async def way(journey: Journey) -> None:
        await journey.known()
        journey.app.open_run("toto-0214")
        await journey.until(lambda: isinstance(journey.app.screen, RunScreen) and journey.app.screen.ready)
        await journey.sees("no values yet; h releases it", "h releases it")
        await journey.app.screen.action_go("log")
        await journey.sees("it has not started yet; h releases it")
        await journey.app.screen.action_go("code")
        await journey.sees("was not recorded; ctrl+n makes a new run like it")

    now = time.time()
    with RecordedEngine(workspace, recorded.busy_box(now), recorded.two_gpus(now)):
        travel(workspace, way, size)


def test_the_dashboard_of_a_workspace_without_runs(workspace):
    async def way(journey: Journey) -> None:
        await journey.known()
        await journey.sees("Nothing has ended yet. n queues a run.", "Nothing waits. n queues a run.")
        await journey.press("4")
        await journey.sees("Mark two runs or more with space, in 2 runs or 5 best.")
        assert "What differs" not in journey.text(), "an empty pane below says nothing"
        await journey.press("2")
        await journey.sees("No runs yet. Press n")

    with RecordedEngine(workspace, [], recorded.no_gpu(time.time())):
        travel(workspace, way, (80, 24))


@pytest.mark.parametrize("readonly", [False, True])
def test_while_no_engine_answers_it_is_said_how_to_start_one(workspace, readonly):
    """By a key; where nothing may be changed, in a shell. And panes that could only be empty are not there."""
    keys.use({}, readonly=readonly)
    said = plain(nothing.no_engine())
    assert said == f"No engine answers. {'engine up in a shell' if readonly else 'E'} starts one."

    async def way(journey: Journey) -> None:
        await journey.sees(said)
        await journey.press("2")
        await journey.sees("Runs · 0", said)
        assert not journey.app.screen.query("#preview")
        assert not journey.app.screen.query_one("#about").display

    if readonly:  # else one would be started
        travel(workspace, way, (250, 70), readonly=True)
