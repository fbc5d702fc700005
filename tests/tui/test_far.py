"""The screen of a workspace on another machine, over a program that behaves like ssh."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pexpect
import pytest

from engine.errors import EngineDown
from tests import standin
from tests.conftest import Box, wait_for
from tests.engine.store_folders import finished
from tests.tui import upclose
from tests.tui.pilot import Journey, travel
from tests.tui.test_terminal import start
from tui.far import Far
from tui.screens.sql import SqlScreen
from tui.widgets.chart import Chart

TRAINS = """
import time
from engine import runlog
runlog.event("plan", steps=100)
for step in range(1, 41):
    runlog.log(step, loss=1 / step)
print("a word from far away", flush=True)
time.sleep(600)
"""


def test_a_workspace_elsewhere_is_looked_at(box: Box, tmp_path: Path, monkeypatch):
    there = box.workspace.root
    run_id = box.python(TRAINS, name="faraway").id
    box.state(run_id, "running")
    here = Path(tempfile.mkdtemp(prefix="far-"))  # short: a socket lies below it
    standin.install(tmp_path, there, monkeypatch)
    monkeypatch.setenv("TMPDIR", str(here))
    screen = start(type(box.workspace)(here), "--host", f"me@box:{there}")
    try:
        screen.expect("faraway")
        screen.send("l")
        screen.expect("a word from far away")
        assert (next(here.glob("tui-*")).stat().st_mode & 0o777) == 0o700
        copied = next(here.glob(f"tui-*/runs/{run_id}/metrics.jsonl"))
        wait_for(lambda: copied.read_text().count("\n") == 40, "for the curves")
        screen.send("\x11")
        screen.expect(pexpect.EOF)
        screen.close()
        assert screen.exitstatus == 0
    finally:
        screen.close(force=True)
    assert [*here.iterdir()] == []
    here.rmdir()
    assert box.row(run_id).state == "running"


@pytest.fixture
def far(box: Box, tmp_path: Path, monkeypatch):
    """The way to a workspace elsewhere that has two evaluated runs of one data set."""
    for number, (value, lr) in enumerate(((0.5, 3e-4), (0.6, 1e-3)), 1):
        config = {"train": {"lr": lr, "batch": 64}, "data": {"context": 512, "horizon": 64}}
        symbols = {"ARM": {"pct_mae": value, "naive_pct_mae": 0.6}, "JD": {"pct_mae": value + 0.2}}
        run = finished(box.workspace, f"toto-000{number}", value, config=config, symbols=symbols)
        if number == 2:
            git = {"commit": "a" * 40, "branch": "main", "dirty": True, "patch_sha": "c" * 64}
            run.spec(config=config, git=git)
            (run.folder / "code.patch").write_text(upclose.PATCH)
        else:
            run.spec(config=config)
        run.logs(30)
    assert box.client
    here = Path(tempfile.mkdtemp(prefix="far-"))
    standin.install(tmp_path, box.workspace.root, monkeypatch)
    monkeypatch.setenv("TMPDIR", str(here))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("ENGINE_SOCKET", "")  # put back after Far has set its own
    way = Far(f"me@box:{box.workspace.root}")
    way.open()
    yield way
    way.close()
    here.rmdir()
    monkeypatch.delenv("ENGINE_SOCKET")  # where that of the engine is no more


def test_best_compare_and_sql_of_a_workspace_elsewhere(far: Far):
    async def way(journey: Journey) -> None:
        await journey.known()
        await journey.press("5")
        await journey.sees("read only", "toto-0001", "0.500", "naive", "beats the naive forecast")
        await journey.sees("ARM", "JD", "train.lr", "forecasts are files of the other machine")
        journey.app.marked = frozenset({"toto-0001", "toto-0002"})
        await journey.press("4")
        await journey.sees("val_pct_mae", "train.lr", "0.0003", "0.001")
        chart = journey.app.screen.query_one("#loss", Chart)
        await journey.until(lambda: {c.name for c in chart.picture.curves} == {"toto-0001", "toto-0002"}, "for curves")
        await journey.press("u")
        await journey.sees("train.batch")
        await journey.press("d")
        await journey.sees("toto-0001 and toto-0002", "lines of code", "No repository at hand has the code")
        await journey.press("escape")
        journey.app.open_run("toto-0001", "evaluation")
        await journey.sees("2 symbols", "ARM", "0.500", "JD", "forecasts are files of the other machine")
        for tab in ("devices", "checkpoints"):
            await journey.app.screen.action_go(tab)
            await journey.sees("s asks runs.duckdb of the other machine")
        await journey.press("right_square_bracket", "s")
        await journey.sees("symbol_results", "2 rows ·")
        screen = await journey.until(lambda: isinstance(journey.app.screen, SqlScreen) and journey.app.screen)
        await journey.until(lambda: "run_summary" in screen.pane.catalogue.by_name, "for the catalogue")
        screen.editor.text = "SELECT id, submitted, 1.5::DOUBLE AS x, NULL AS n FROM runs ORDER BY id"
        await journey.press("f5")
        await journey.sees("toto-0001", "toto-0002", "2 rows ·", "NULL")
        assert screen.answer.types == ("VARCHAR", "TIMESTAMP", "DOUBLE", "VARCHAR")

    travel(far.workspace, way, (200, 50), far=far)


def test_a_machine_that_is_not_there(tmp_path: Path, monkeypatch):
    standin.install(tmp_path, tmp_path, monkeypatch)
    far = Far("nowhere")
    with pytest.raises(EngineDown, match="nowhere was not reached by ssh"):
        far.open()
    far.close()
    assert not far.home.exists()
