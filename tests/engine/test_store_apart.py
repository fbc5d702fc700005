"""The database is written by a process of its own, and only what may be new is looked at."""

from __future__ import annotations

import os
import signal
from threading import Timer

import pytest

from engine import rundir
from engine.errors import StoreError
from engine.store import Store
from engine.store_apart import StoreApart
from engine.store_scan import Scan
from tests.conftest import wait_for
from tests.engine.store_folders import Run, ask, contents, finished


@pytest.fixture
def apart(workspace):
    made = StoreApart(workspace)
    yield made
    made.close()


def test_what_the_other_process_wrote_is_what_this_one_would_have_written(workspace, apart):
    finished(workspace, "toto-0001")
    other = Run(workspace, "toto-0002")
    other.logs(50)
    assert apart.catch_up().check().rows > 100  # from nothing
    other.logs(20, first=50)
    report = apart.catch_up({"toto-0002"}).check()  # and from where it stood
    assert report.rows > 0 < report.cpu
    written = contents(workspace.database)
    assert apart.rebuild().rows > 100
    assert contents(workspace.database) == written
    Store(workspace).rebuild()
    assert contents(workspace.database) == written


def test_a_process_that_is_killed_is_told_and_the_next_one_goes_on(workspace, apart):
    run = Run(workspace)
    run.logs(10)
    apart.catch_up().check()
    process = apart.process
    os.kill(process.pid, signal.SIGSTOP)  # in the middle of something, for whoever asks
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: process.poll() is not None)
    run.logs(5, first=10)
    apart.catch_up(["toto-0001"]).check()  # one that ended unseen is no fault
    assert ask(workspace, "SELECT max(points) FROM curves") == [(15,)]
    assert apart.process.pid != process.pid
    os.kill(apart.process.pid, signal.SIGSTOP)
    Timer(0.2, os.kill, (apart.process.pid, signal.SIGKILL)).start()
    with pytest.raises(StoreError, match="was killed by signal 9"):
        apart.catch_up()
    assert apart.catch_up().check().backlog == 0


def test_the_process_ends_when_the_engine_that_started_it_is_gone(workspace, apart):
    Run(workspace).logs(10)
    apart.catch_up().check()
    process = apart.process
    process.stdin.close()  # what the end of the engine's process does
    wait_for(lambda: process.poll() == 0)


def test_an_error_of_the_database_comes_back_as_one(workspace, apart):
    workspace.prepare()
    workspace.database.write_bytes(b"no database" * 1000)
    Run(workspace).logs(10)
    assert "engine db rebuild" in apart.catch_up().error
    assert apart.rebuild().rows > 10


def test_only_what_is_said_to_have_changed_is_looked_at_but_everything_now_and_then(workspace):
    one, two = Run(workspace, "toto-0001"), Run(workspace, "toto-0002")
    store = Store(workspace)
    store.catch_up().check()
    one.logs(3)
    two.logs(4)
    store.catch_up({"toto-0001"}).check()
    counts = "SELECT run_id, max(points) FROM curves GROUP BY run_id ORDER BY 1"
    assert ask(workspace, counts) == [(1, 3)]
    store.catch_up(set(), everything=True).check()
    assert ask(workspace, counts) == [(1, 3), (2, 4)]
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
    cold = Scan(workspace.runs)
    assert cold.blank
    assert {"toto-0001", "toto-0002"} <= cold.news().todo.keys()
