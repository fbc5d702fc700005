"""Large amounts are written by a process of their own, and only what may be new is looked at."""

from __future__ import annotations

import os

import pytest

from engine import rundir
from engine.errors import StoreError
from engine.store import Store
from engine.store_apart import Apart
from engine.store_scan import Scan
from tests.engine.store_folders import Run, ask, contents, finished


def test_what_another_process_wrote_is_what_this_one_would_have_written(workspace):
    finished(workspace, "toto-0001")
    other = Run(workspace, "toto-0002")
    other.logs(50)
    store = Store(workspace, apart=1)
    assert store.catch_up().check().rows > 100  # from nothing
    other.logs(20, first=50)
    assert store.catch_up({"toto-0002"}).check().rows > 0  # and from where it stood
    apart = contents(workspace.database)
    assert store.rebuild().rows > 100
    assert contents(workspace.database) == apart
    here = Store(workspace)
    here.rebuild()
    assert contents(workspace.database) == apart
    assert store.catch_up(everything=True).check().rows == 0


def test_a_writer_apart_that_dies_is_an_error_and_nothing_is_lost(workspace):
    Run(workspace).logs(10)
    helper = Apart(workspace)
    helper.process.kill()
    with pytest.raises(StoreError, match="killed by signal 9"):
        helper.report()
    Store(workspace).catch_up().check()
    assert ask(workspace, "SELECT max(points) FROM curves") == [(10,)]


def test_a_writer_apart_ends_when_the_engine_that_started_it_is_gone(workspace):
    Run(workspace).logs(10)
    helper = Apart(workspace)
    helper.hurry()  # what the end of the engine's process does
    assert helper.report().error == ""
    assert helper.process.returncode == 0


def test_only_what_is_said_to_have_changed_is_looked_at_but_everything_now_and_then(workspace):
    one, two = Run(workspace, "toto-0001"), Run(workspace, "toto-0002")
    store = Store(workspace)
    store.catch_up().check()
    one.logs(3)
    two.logs(4)
    store.catch_up({"toto-0001"}).check()
    assert ask(workspace, "SELECT run_id, max(points) FROM curves GROUP BY run_id ORDER BY 1") == [(1, 3)]
    store.catch_up(set(), everything=True).check()
    assert ask(workspace, "SELECT run_id, max(points) FROM curves GROUP BY run_id ORDER BY 1") == [(1, 3), (2, 4)]
    one.event("warning", code="data", text="a gap")
    for name in os.listdir(two.folder):
        (two.folder / name).unlink()
    two.folder.rmdir()
    store.catch_up({"toto-0001", "toto-0002", "no-such-9", "../../etc"}).check()
    assert ask(workspace, "SELECT id FROM runs") == [("toto-0001",)]


def test_a_new_engine_takes_from_the_database_what_that_holds(workspace):
    """It would else open every file of ten thousand runs at each start."""
    finished(workspace, "toto-0001")
    grown = finished(workspace, "toto-0002")
    sealed = workspace.run("toto-0001") / "evaluation"
    sealed.mkdir(exist_ok=True)
    rundir.write_new(sealed / "test.json", b'{"metrics": {"test_pct_mae": 1.0}}')
    Store(workspace).catch_up().check()
    grown.logs(5, first=900)
    store = Store(workspace)
    store._assume()
    assert not store._scan.blank
    news = store._scan.news()
    assert "toto-0002" in news.todo
    assert "toto-0001" not in news.todo
    assert news.backlog < 2000
    cold = Scan(workspace.runs)
    assert cold.blank
    assert {"toto-0001", "toto-0002"} <= cold.news().todo.keys()
