"""A fault of ours in a worker: one line in the screen, a traceback in the log, and the program goes on."""

from __future__ import annotations

import shutil

import duckdb

from engine.errors import EngineError
from engine.store import Store
from tests.tui import scene, upclose
from tests.tui.pilot import Journey, travel
from tui import faults
from tui.reader import Reader, Reading, Wish
from tui.screens.run import RunScreen
from tui.screens.sql import SqlScreen
from tui.settings import folder
from tui.upclose import Forecast


def test_what_was_foreseen_is_its_own_line_and_the_rest_has_a_traceback():
    assert faults.said(EngineError("No run 'x'. Did you mean y?")) == "No run 'x'. Did you mean y?"
    path = folder() / faults.NAME
    assert not path.exists()
    try:
        {}["gone\naway"]
    except KeyError as error:
        said = faults.said(error)
    assert said == f"A fault of tui: KeyError: 'gone\\naway'. Its traceback is in {path}"
    assert '{}["gone\\naway"]' in path.read_text()
    path.write_text("x" * (faults.MOST + 1))
    faults.said(ValueError("again"))
    assert path.read_text().endswith("ValueError: again\n\n")
    assert path.with_suffix(".log.1").stat().st_size == faults.MOST + 1


def test_a_log_that_cannot_be_written_is_told(home):
    home.mkdir(parents=True, exist_ok=True)
    (home / "state").write_text("a file where the folder would be")
    assert "can't be written" in faults.said(ValueError("x"))


def test_the_reader_tells_a_fault_once_and_reads_on(workspace):
    told: list[Reading] = []
    reader = Reader(workspace.runs, told.append)
    wish = Wish("toto-0001", x="step")
    first = reader._failed(wish, ValueError("a"))
    assert first is not None
    assert "ValueError: a" in first.trouble
    assert reader._failed(wish, ValueError("a")) is None
    assert reader._failed(Wish("toto-0002"), ValueError("a")) is not None


def test_a_database_of_another_make_is_one_line_in_the_tab(workspace):
    """Tables that this program does not know, as after an update of another one: what DuckDB says of it."""
    upclose.evaluated(upclose.trained(workspace, "toto-0211"))
    Store(workspace).catch_up().check()
    with duckdb.connect(str(workspace.database)) as con:
        con.execute("ALTER TABLE checkpoints RENAME TO checkpoints_of_old")

    async def way(journey: Journey) -> None:
        await journey.known()
        journey.app.open_run("toto-0211", "checkpoints")
        await journey.until(lambda: isinstance(journey.app.screen, RunScreen))
        await journey.sees("A fault of tui:")
        await journey.press("1")
        await journey.until(lambda: journey.app.screen is journey.dashboard, "to go on")

    with scene.box(workspace):
        app = travel(workspace, way, (160, 40))
    assert app.return_code in (None, 0)
    assert "does not exist" in (folder() / faults.NAME).read_text()


def test_curves_that_could_not_be_read_once_are_read_again_and_their_fault_is_told_once(workspace):
    async def way(journey: Journey) -> None:
        await scene.compare(journey)
        screen = journey.app.screen
        reader, folder = screen._overlay, screen._overlay._folder
        reader._folder, reader._open = None, {}
        await journey.press("e")
        await journey.until(lambda: screen._curves_fault and not screen._reading, "for the fault")
        screen._read_curves()  # as each second, while a run trains
        await journey.until(lambda: not screen._reading, "for the same fault")
        told = [one.message for one in journey.app._notifications if "unsupported operand" in one.message]
        assert len(told) == 1, "and not each second"
        reader._folder = folder
        screen._read_curves()
        await journey.until(lambda: screen._curves.smooth, "for curves that are smoothed")
        assert not screen._curves_fault

    with scene.results(workspace):
        travel(workspace, way, (160, 40))


def test_a_tab_that_met_trouble_is_read_again(workspace, monkeypatch):
    """Of a run that has ended nothing changes any more that would have it read anew."""
    monkeypatch.setattr(RunScreen, "AGAIN", 0.2)
    upclose.evaluated(upclose.trained(workspace, "toto-0206"))
    Store(workspace).catch_up().check()
    away = workspace.database.with_suffix(".away")
    workspace.database.rename(away)

    async def way(journey: Journey) -> None:
        await journey.known()
        journey.app.open_run("toto-0206", "checkpoints")
        await journey.sees("the database is not here yet")
        away.rename(workspace.database)
        await journey.sees("step-000400")
        screen = journey.app.screen
        await screen.action_go("evaluation")
        screen._symbol = "SYM11"
        screen._take_forecast(Forecast("toto-0206", "SYM11", trouble="a moment's trouble"))
        assert screen._symbol == "", "choosing it again reads it again"

    with scene.box(workspace):
        travel(workspace, way, (160, 40))


def test_a_run_whose_engine_did_not_tell_of_it_is_asked_for_again(workspace, monkeypatch):
    monkeypatch.setattr(RunScreen, "AGAIN", 0.2)

    async def way(journey: Journey) -> None:
        await journey.known()
        rows = engine.rows
        engine.rows = {name: row for name, row in rows.items() if name != "toto-0206"}
        journey.app.open_run("toto-0206", "config")
        notices = journey.app._notifications
        await journey.until(lambda: any("No run 'toto-0206'" in one.message for one in notices), "for the refusal")
        engine.rows = rows
        await journey.sees("set by hand, over the preset")

    with scene.box(workspace) as engine:
        travel(workspace, way, (160, 40))


def test_an_engine_that_answers_nonsense_keeps_no_query_waiting(workspace):
    """What is asked of it first, that the database be up to date, may fail in any way."""

    async def way(journey: Journey) -> None:
        await scene.sql(journey)
        screen = journey.app.screen
        engine.nonsense = True
        screen.editor.text = "SELECT 41 + 1 AS found"
        await journey.press("f5")
        await journey.sees("the database may be behind", "1 row ·")
        assert not screen.running

    with scene.results(workspace) as engine:
        travel(workspace, way, (160, 40))


def test_a_worker_and_who_takes_up_its_answer_may_fail(workspace):
    async def way(journey: Journey) -> None:
        async def told(what: str) -> None:
            said = f"A fault of tui: {what}"
            notices = journey.app._notifications
            await journey.until(lambda: any(one.message.startswith(said) for one in notices), f"for {said}")

        await journey.known()
        journey.app.in_worker(lambda: int("y"), lambda _: None)
        await told("ValueError")
        journey.app.in_worker(list, lambda found: found["no"])
        await told("TypeError")
        await journey.press("5")
        await journey.until(lambda: journey.app.current_mode == "best" and journey.app.screen.ready)
        journey.app.screen.work("near", lambda: {}["no such thing"], lambda _: None)
        await told("KeyError")
        await journey.press("7")
        screen = await journey.until(lambda: isinstance(journey.app.screen, SqlScreen) and journey.app.screen)
        await journey.until(lambda: screen.ready)
        screen.given._order(None, 0, down=False)
        await told("AttributeError: 'NoneType' object has no attribute 'rows'")
        screen._do(lambda: 5)
        await told("TypeError: 'int' object is not iterable")
        await journey.press("escape", "escape")
        await journey.until(lambda: journey.app.current_mode == "dashboard", "to go on")

    with scene.box(workspace):
        travel(workspace, way)


def test_a_workspace_that_is_taken_away_is_told_and_no_screen_fails_for_it(workspace):
    async def way(journey: Journey) -> None:
        await scene.run(journey)
        shutil.rmtree(workspace.root)
        engine.change("toto-0211", step=9300)
        await journey.sees("The workspace is gone, this is what was known of it")
        journey.app.marked = frozenset({"toto-0211", "kronos-0208"})
        for key, place in (
            ("2", "runs"),
            ("4", "compare"),
            ("5", "best"),
            ("7", "sql"),
            ("escape,escape", "dashboard"),
        ):
            await journey.press(*key.split(","))
            await journey.until(lambda place=place: journey.app.current_mode == place, f"for {place}")
            await journey.until(lambda: journey.app.screen.ready)
            await journey.pilot.pause()
        await journey.sees("The workspace is gone, this is what was known of it")
        assert not (folder() / faults.NAME).exists(), "a traceback would be there"
        workspace.root.mkdir()
        engine.change("toto-0211", step=9310)
        await journey.until(lambda: "is gone" not in journey.line("foot"), "for its return")

    with scene.box(workspace) as engine:
        travel(workspace, way, (120, 36))
