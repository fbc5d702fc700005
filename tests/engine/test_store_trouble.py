"""The database held, damaged, newer, older, foreign, its writer killed: nothing is lost, one line says what to do."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import subprocess
import sys
import time

import duckdb
import pytest

from engine import keeper, store_schema, store_sql
from engine.errors import BadQuery, NothingToShow, StoreError, UsageError
from engine.store import Store, reading
from engine.workspace import Workspace
from tests.conftest import ROOT, wait_for
from tests.engine.store_folders import Run, ask, contents, finished

HOLD = """
import duckdb, sys
con = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("held", flush=True)
sys.stdin.read()
"""
CATCH_UP = """
import sys
from pathlib import Path
from engine import store_points, store_read
from engine.store import Store
from engine.workspace import Workspace
store_read.BUDGET, store_points.AT_ONCE, store_points.BULK_AT_ONCE = 200_000, 5_000, 50_000
store = Store(Workspace(Path(sys.argv[1])))
print("begun", flush=True)
store.catch_up().check()
"""


@pytest.fixture(params=["read", "write"])
def stranger(request, workspace, database):
    """Another process that holds the database of a workspace with one run."""
    Run(workspace).logs(20)
    Store(workspace).catch_up().check()
    command = [sys.executable, "-c", HOLD, str(workspace.database), request.param]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"held\n"
    yield process
    process.communicate()


def test_a_stranger_who_holds_the_file_delays_and_is_named(workspace, stranger):
    store = Store(workspace)
    run = Run(workspace, "toto-0002")
    run.logs(10)
    report = store.catch_up()
    assert f"pid {stranger.pid}" in report.holder
    assert "python" in report.holder
    assert "user " in report.holder
    assert report.backlog >= (run.folder / "metrics.jsonl").stat().st_size
    assert not report.error
    assert report.rows == 0
    with pytest.raises(StoreError, match=r"held by .*python"):
        report.check()
    run.logs(10, first=10)
    assert store.catch_up().backlog > report.backlog
    stranger.communicate()
    assert store.catch_up().check().backlog == 0
    assert ask(workspace, "SELECT count(*) FROM metric_curve WHERE id = 'toto-0002' AND metric = 'loss'") == [(20,)]


def test_who_asks_for_what_is_new_waits_for_a_reader_that_is_soon_done(workspace, stranger, monkeypatch):
    monkeypatch.setattr(keeper, "READERS", 60.0)
    held = []

    def told():
        if made.state["store_holder"]:
            held.append(made.state["store_holder"])
            stranger.communicate()  # it is done

    async def asks():
        return dict(await made.sync())

    made = keeper.Keeper(workspace, told)
    Run(workspace, "toto-0002").logs(10)
    state = asyncio.run(asks())
    made.store.close()
    assert len(held) == 1
    assert f"pid {stranger.pid}" in held[0]
    assert (state["store_holder"], state["store_backlog"]) == ("", 0)


def test_reading_waits_for_a_writer_and_then_says_who_it_is(workspace, database):
    Run(workspace)
    Store(workspace).catch_up().check()
    command = [sys.executable, "-c", HOLD, str(workspace.database), "write"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(StoreError, match=f"pid {process.pid}"), reading(workspace.database, patience=0.1):
            pass
        process.communicate()
    with reading(workspace.database) as con:
        assert con.execute("SELECT count(*) FROM runs").fetchall() == [(1,)]


def test_what_a_question_forbids_holds_for_itself_alone(workspace, database, tmp_path):
    """A question in SQL may touch no file; the forecasts beside the database are read in that very moment."""
    other = str(tmp_path / "x.parquet")
    with reading(workspace.database) as con:
        assert store_sql.ask(workspace.database, "SELECT count(*) FROM runs").rows
        con.execute(f"COPY (SELECT 1 AS a) TO '{other}' (FORMAT parquet)")
        assert con.execute(f"SELECT a FROM '{other}'").fetchall() == [(1,)]
        with pytest.raises(BadQuery, match="disabled by configuration"):
            store_sql.ask(workspace.database, f"SELECT a FROM '{other}'")
        assert store_sql.ask(workspace.database, "SELECT count(*) FROM runs").rows, "a second one finds nothing locked"


def test_times_with_a_zone_are_shown_as_times_of_this_machine(workspace, database):
    finished(workspace, "toto-0001", 0.5)
    Store(workspace).catch_up().check()
    now = dt.datetime.now()
    answer = store_sql.ask(workspace.database, "SELECT 1 AS n, now() AS n, [now()], id FROM runs ORDER BY id;")
    assert (answer.names[:2], answer.names[3]) == (["n", "n"], "id")
    ((one, when, listed, run),) = answer.rows
    assert (one, run, listed) == (1, "toto-0001", [when])
    assert when.tzinfo is None
    assert abs(when - now) < dt.timedelta(minutes=10)
    with pytest.raises(BadQuery, match=r"cast it, as in now\(\)::TIMESTAMP"):
        store_sql.ask(workspace.database, "SELECT now(); -- and nothing")
    with pytest.raises(UsageError, match="it has only comments"):
        store_sql.ask(workspace.database, "/* later */")


def test_no_database_yet(workspace):
    with pytest.raises(NothingToShow, match=r"runs\.duckdb"), reading(workspace.database):
        pass
    assert Store(workspace).catch_up() == Store(workspace).catch_up()  # not even a runs/ folder
    assert not workspace.database.exists()


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def noise(data: bytes) -> bytes:
    return data[:4096] + bytes(8192) + data[12288:]


@pytest.mark.parametrize("damage", [half, noise, lambda data: b"hello" * 3000, lambda data: data[:100]])
def test_a_damaged_file_is_said_in_one_line_and_made_anew(workspace, database, damage):
    finished(workspace, "toto-0001")
    store = Store(workspace)
    store.catch_up().check()
    before = contents(workspace.database)
    workspace.database.write_bytes(damage(workspace.database.read_bytes()))
    Run(workspace, "toto-0002")
    for one in (store, Store(workspace)):
        report = one.catch_up()
        assert "engine db rebuild" in report.error
        assert "\n" not in report.error
        assert report.backlog > 0
    with pytest.raises(StoreError, match="engine db rebuild"), reading(workspace.database) as con:
        con.execute("FROM runs")
    os.rename(workspace.run("toto-0002"), workspace.root / "away")
    store.rebuild()
    assert contents(workspace.database) == before
    assert store.catch_up().error == ""


def test_a_newer_database_is_left_as_it_is(workspace, database):
    Run(workspace)
    Store(workspace).catch_up().check()
    with duckdb.connect(str(workspace.database)) as con:
        con.execute("UPDATE meta SET value = '99'")
    before = workspace.database.read_bytes()
    Run(workspace, "toto-0002")
    report = Store(workspace).catch_up()
    assert "newer engine (version 99" in report.error
    assert "engine db rebuild" in report.error
    assert workspace.database.read_bytes() == before
    Store(workspace).rebuild()
    assert ask(workspace, "SELECT count(*) FROM runs") == [(2,)]


def test_an_older_database_takes_the_steps_it_lacks(workspace):
    finished(workspace, "toto-0001")
    (workspace.host / "2025-11-20.jsonl").write_text('{"t":1763600000.0,"host":{"cpu":5.0}}\n')
    with duckdb.connect(str(workspace.database)) as con:
        store_schema.migrate(con, 0, 1)
        assert store_schema.version(con) == 1
    Store(workspace).catch_up().check()
    older = contents(workspace.database)
    assert ask(workspace, "SELECT value FROM meta") == [(str(store_schema.VERSION),)]
    assert ask(workspace, "SELECT cpu FROM host_samples") == [(5.0,)]
    Store(workspace).rebuild()
    assert contents(workspace.database) == older


def test_somebody_elses_database_is_not_written(workspace):
    Run(workspace)
    with duckdb.connect(str(workspace.database)) as con:
        con.execute("CREATE TABLE mine AS SELECT 1 AS x")
    assert "not an engine's" in Store(workspace).catch_up().error
    assert ask(workspace, "FROM mine") == [(1,)]


def test_a_folder_that_cannot_be_written(workspace, database):
    Run(workspace)
    store = Store(workspace)
    store.catch_up().check()
    (workspace.root / "runs.duckdb.new").mkdir()  # stops root too
    with pytest.raises(StoreError, match="can't be made anew"):
        store.rebuild()
    assert ask(workspace, "SELECT count(*) FROM runs") == [(1,)]


def test_deleted_while_the_engine_lives_it_comes_back(workspace):
    finished(workspace, "toto-0001")
    store = Store(workspace)
    store.catch_up().check()
    before = contents(workspace.database)
    workspace.database.unlink()
    store.catch_up().check()
    assert contents(workspace.database) == before


def test_a_reader_of_the_old_database_is_not_disturbed_by_a_rebuild(workspace, database):
    Run(workspace).logs(10)
    Store(workspace).catch_up().check()
    command = [sys.executable, "-c", HOLD, str(workspace.database), "read"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert Store(workspace).rebuild().rows > 0
        process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize("fresh", [True, False])
def test_killed_at_any_moment_the_next_burst_makes_it_whole(workspace, fresh):
    """Kill a process that catches up after ever longer times; what is left catches up to what a rebuild makes."""
    runs = [Run(workspace, f"toto-{i:04d}") for i in range(1, 5)]
    for run in runs:
        run.logs(2500)
    if not fresh:
        Store(workspace).catch_up().check()
    whole = 0.0
    for turn in range(5):
        for run in runs:
            run.logs(400, first=2500 + 400 * turn)
        whole = max(whole, kill_within(workspace, turn / 4 * whole if turn else None))
    Store(workspace).catch_up(everything=True).check()
    after = contents(workspace.database)
    Store(workspace).rebuild()
    assert contents(workspace.database) == after


def kill_within(workspace: Workspace, seconds: float | None) -> float:
    """Run a catch-up and kill it after a time, or let it end and tell how long it took."""
    command = [sys.executable, "-c", CATCH_UP, str(workspace.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        process.stdout.readline()
        begun = time.monotonic()
        if seconds is None:
            assert process.wait() == 0
        else:
            deadline = begun + seconds
            wait_for(lambda: time.monotonic() >= deadline or process.poll() is not None)
            process.send_signal(signal.SIGKILL)
            process.wait()
    return time.monotonic() - begun
