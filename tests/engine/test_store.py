"""runs.duckdb is a reading of the run folders: complete, in bursts, the same as a rebuild."""

from __future__ import annotations

import json
import os
import shutil

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import rundir, store_schema
from engine.store import Store
from engine.store_bulk import Plain
from engine.store_schema import STANDS
from engine.workspace import Workspace
from tests.conftest import CHARACTERS
from tests.engine.store_folders import T0, Run, ask, contents, finished

pytestmark = pytest.mark.usefixtures("database")


def same_as_rebuilt(workspace: Workspace) -> None:
    before = contents(workspace.database)
    Store(workspace).rebuild()
    after = contents(workspace.database)
    assert before == after


def test_a_finished_run_is_all_there(workspace):
    run = finished(workspace, "toto-0001", name="small one")
    run.order("tag", "keep")
    run.order("untag", "first")
    run.order("note", "good")
    run.order("priority", 3)
    run.event("used", device="cpu", precision="fp32", threads=2)
    run.event("warning", code="data", text="a gap")
    report = Store(workspace).catch_up().check()
    assert report.rows > 50
    assert (report.passed, report.backlog) == (0, 0)

    row = ask(workspace, """SELECT id, name, family, state, "commit", branch, dirty, val_pct_mae, naive_pct_mae,
        steps, steps_planned, seconds, device_hours, peak_memory, best_checkpoint FROM run_summary""")  # fmt: skip
    assert row == [(
        "toto-0001", "small one", "toto", "ok", "a" * 40, "main", False, 0.55, 0.588,
        19, 100, 3600.0, 0.0, 1 << 30, "checkpoints/step-000100",
    )]  # fmt: skip
    assert ask(workspace, "SELECT tag FROM tags") == [("keep",)]
    assert ask(workspace, "SELECT note, priority, command[1], devices FROM runs") == [("good", 3, "python", [])]
    assert dict(ask(workspace, "SELECT name, value FROM params")) == {
        "train.lr": "0.0003", "train.ema": "true", "train.optimizer": "adamw", "data.context": "512",
        "data.horizon": "64", "used.device": "cpu", "used.precision": "fp32", "used.threads": "2",
    }  # fmt: skip
    assert ask(workspace, "SELECT number FROM params WHERE name IN ('train.lr', 'train.ema') ORDER BY 1") == [
        (3e-4,),
        (1.0,),
    ]
    assert ask(workspace, "SELECT count(*), min(step), max(step) FROM metric_curve WHERE metric = 'loss'") == [
        (20, 0, 19)
    ]
    assert ask(workspace, "SELECT epoch(t), epoch FROM metric_curve WHERE metric = 'loss' AND step = 19") == [
        (T0 + 29, pytest.approx(0.19))
    ]
    assert ask(workspace, "SELECT step, value FROM latest WHERE metric = 'val_pct_mae'") == [(10, 0.5999)]
    assert ask(workspace, "SELECT text FROM events WHERE kind = 'warning'") == [("a gap",)]
    assert ask(workspace, "SELECT value FROM evaluations WHERE symbol = 'ARM' AND metric = 'pct_mae'") == [(0.55,)]
    assert ask(workspace, "SELECT place, id FROM leaderboard") == [(1, "toto-0001")]


def test_without_news_the_database_is_not_opened(workspace):
    finished(workspace, "toto-0001")
    store = Store(workspace)
    store.catch_up().check()
    with duckdb.connect(str(workspace.database)):  # nobody else could write now
        assert store.catch_up().holder == ""


def test_a_burst_reads_only_what_is_new(workspace):
    run = Run(workspace)
    run.start()
    run.logs(1000)
    store = Store(workspace)
    store.catch_up().check()
    run.log(1000, loss=0.5)
    report = store.catch_up().check()
    assert report.rows == 1
    assert report.bytes < 100
    assert ask(workspace, "SELECT outcome FROM runs") == [("open",)]
    same_as_rebuilt(workspace)


def test_null_is_a_gap_and_never_a_number(workspace):
    run = Run(workspace)
    run.log(1, loss=1.0, lr=0.1)
    run.log(2, loss=None, lr=0.1)
    Store(workspace).catch_up().check()
    assert ask(workspace, "SELECT step, value FROM metric_curve WHERE metric = 'loss' ORDER BY step") == [
        (1, 1.0),
        (2, None),
    ]
    assert ask(workspace, "SELECT value FROM latest WHERE metric = 'loss'") == [(None,)]


ENDS = [
    ([], "queued", None),
    (["start"], "open", None),
    (["start", ("end", 0)], "ok", None),
    (["start", ("end", 1)], "failed", "exit code 1"),
    (["start", ("end", None, 9)], "failed", "killed by signal 9, not by the engine"),
    (["start", "stop", ("end", 143)], "stopped", "stopped"),
    (["start", "kill", ("end", None, 9)], "stopped", "killed"),
    (["start", "stop", "steps", ("end", 0)], "ok", None),
    (["start", "stop", "stopped", ("end", 0)], "stopped", "stopped"),
    (["stop"], "stopped", "stopped"),
    (["start", "failed", ("end", 5)], "failed", "loss is NaN at step 7"),
    (["start", "oom", ("end", 4)], "failed", "out of device memory"),
    (["start", ("end", None)], "failed", "ended after its supervisor was killed; its exit code is unknown"),
    (["start", "steps", ("end", None)], "ok", None),
]


def take(run: Run, step: object) -> None:
    match step:
        case "start":
            run.start()
        case "stop" | "kill":
            run.order(step)
        case "steps" | "stopped":
            run.event("finished", step=9, why=step)
        case "failed":
            run.event("failed", cause="loss is NaN at step 7")
        case "oom":
            run.event("oom", requested=1, free=0, total=2)
        case ("end", *how):
            run.end(*how)


@pytest.mark.parametrize("bit_by_bit", [False, True])
def test_how_a_run_ended(workspace, bit_by_bit):
    store = Store(workspace)
    runs = [Run(workspace, f"toto-{i:04d}") for i in range(len(ENDS))]
    for turn in range(max(len(steps) for steps, *_ in ENDS)):
        for run, (steps, *_) in zip(runs, ENDS, strict=True):
            if turn < len(steps):
                take(run, steps[turn])
        if bit_by_bit:
            store.catch_up(everything=True).check()
    store.catch_up().check()
    found = ask(workspace, "SELECT outcome, cause FROM runs ORDER BY id")
    assert found == [(outcome, cause) for _, outcome, cause in ENDS]


def test_test_results_are_read_only_after_promotion(workspace):
    run = finished(workspace, "toto-0001")
    run.evaluate("test", pct_mae=0.6)
    run.evaluate("unseen", pct_mae=0.7)
    store = Store(workspace)
    store.catch_up().check()
    assert ask(workspace, "SELECT DISTINCT split FROM evaluations") == [("val",)]
    run.order("promote", "/w/runs/toto-0001/checkpoints/step-000100")
    store.catch_up().check()
    query = "SELECT split, value FROM evaluations WHERE symbol = '' AND metric = 'pct_mae' ORDER BY split"
    assert ask(workspace, query) == [("test", 0.6), ("unseen", 0.7), ("val", 0.55)]
    assert ask(workspace, "SELECT val_pct_mae FROM leaderboard") == [(0.55,)]
    same_as_rebuilt(workspace)


def test_a_new_evaluation_takes_the_place_of_the_old(workspace):
    run = finished(workspace, "toto-0001")
    store = Store(workspace)
    store.catch_up().check()
    run.evaluate(pct_mae=0.5)
    store.catch_up(everything=True).check()
    assert ask(workspace, "SELECT val_pct_mae FROM leaderboard") == [(0.5,)]
    (run.folder / "evaluation" / "val.json").unlink()
    store.catch_up(everything=True).check()
    assert ask(workspace, "SELECT count(*) FROM evaluations") == [(0,)]
    same_as_rebuilt(workspace)


def test_a_run_that_vanished_is_gone_from_the_database(workspace):
    finished(workspace, "toto-0001")
    finished(workspace, "toto-0002")
    store = Store(workspace)
    store.catch_up().check()
    shutil.rmtree(workspace.run("toto-0001"))
    store.catch_up().check()
    assert ask(workspace, "SELECT id FROM runs") == [("toto-0002",)]
    same_as_rebuilt(workspace)
    shutil.rmtree(workspace.run("toto-0002"))
    Store(workspace).catch_up().check()  # one that has no memory of it
    assert ask(workspace, "SELECT count(*) FROM metrics") == [(0,)]


@pytest.mark.parametrize("how", ["shrank", "another file", "shrank and grew", "gone", "other spec"])
def test_a_file_that_is_not_the_one_that_was_read_makes_the_run_be_read_anew(workspace, how):
    run = finished(workspace, "toto-0001")
    store = Store(workspace)
    store.catch_up().check()
    path = run.folder / "metrics.jsonl"
    match how:
        case "shrank":
            os.truncate(path, 0)
            run.log(5, loss=9.0)
        case "another file":
            data = path.read_bytes()
            path.unlink()
            path.write_bytes(data + b'{"step":99,"t":1.0,"loss":9.0}\n')
        case "shrank and grew":
            size = path.stat().st_size
            os.truncate(path, 0)
            while path.stat().st_size < size:
                run.log(5, loss=9.0)
        case "gone":
            path.unlink()
        case "other spec":
            run.spec(name="other")
    store.catch_up(everything=True).check()
    count = ask(workspace, "SELECT count(*) FROM metric_curve WHERE metric = 'loss'")[0][0]
    assert count == (len(rundir.read(path)))
    assert ask(workspace, "SELECT count(*) FROM runs") == [(1,)]
    same_as_rebuilt(workspace)


def test_links_pipes_and_strange_folders_are_let_alone(workspace, tmp_path):
    run = Run(workspace)
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_text('{"step":1,"t":1.0,"loss":1.0}\n')
    (run.folder / "metrics.jsonl").symlink_to(elsewhere)
    os.mkfifo(run.folder / "events.jsonl")
    workspace.run("toto-0002").symlink_to(run.folder)
    (workspace.runs / "notes.txt").write_text("x")
    (workspace.runs / "toto-0003").mkdir()
    Store(workspace).catch_up().check()
    assert ask(workspace, "SELECT id FROM runs") == [("toto-0001",)]
    assert ask(workspace, "SELECT count(*) FROM metrics") == [(0,)]


def test_lines_that_are_no_lines_are_passed_over_and_counted(workspace):
    run = Run(workspace)
    with open(run.folder / "metrics.jsonl", "wb") as file:
        file.write(b'{"step":1,"t":1.0,"loss":1.0}\n')
        file.write(b'{"step":2,"t":1.0,"lo\n')  # torn by a death, closed by the next writer
        file.write(b"\xff\xfe\n[1,2]\n7\nnull\n")
        file.write(b'{"t":1.0,"loss":1.0}\n{"step":"3","loss":1.0}\n{"step":1.5,"loss":1}\n')  # no step
        file.write(b'{"step":4,"t":1.0,"loss":"high","lr":0.5}\n')  # the lr is kept
        file.write(b'{"step":5,"note":"' + b"x" * (1 << 21) + b'","lr":1}\n')
        file.write(b'{"step":6,"t":1.0,"loss":1e999}\n{"step":7,"t":1e300,"loss":7.0}\n')
        file.write(b'{"step":8,"t":1.0,"loss":')  # not finished
    rundir.append(run.folder / "orders.jsonl", {"t": "soon", "order": 5, "value": {"a": 1}})
    rundir.append(run.folder / "events.jsonl", {"event": "plan", "t": T0, "steps": 10**30})
    rundir.append(run.folder / "events.jsonl", {"event": "best", "t": T0, "path": ["x"], "value": "y"})
    rundir.append(run.folder / "lifecycle.jsonl", {"event": "started", "t": -5, "pid": "x", "devices": [1, "GPU-1"]})
    report = Store(workspace).catch_up().check()
    assert report.passed >= 9
    found = ask(workspace, "SELECT step, metric, value FROM metric_curve ORDER BY ALL")
    assert [row for row in found if row[0] != 6] == [(1, "loss", 1.0), (4, "lr", 0.5), (7, "loss", 7.0)]
    assert ask(workspace, "SELECT devices, steps_planned FROM runs") == [(["GPU-1"], None)]
    with open(run.folder / "metrics.jsonl", "ab") as file:
        file.write(b"8.5}\n")
    Store(workspace).catch_up().check()
    assert ask(workspace, "SELECT value FROM metric_curve WHERE step = 8") == [(8.5,)]
    same_as_rebuilt(workspace)


LINES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b'{"step":1,"loss":2}', b'{"step":1', b'"a":2}', b"{", b"}", b"", b'{"step":1},{"step":2}']),
    st.dictionaries(
        st.sampled_from(["step", "t", "epoch", "loss", "lr", "é\u0000", ""]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(CHARACTERS, max_size=3)),
        max_size=6,
    ).map(lambda line: json.dumps(line).encode()),
    st.fixed_dictionaries({"step": st.integers(0, 99), "t": st.just(T0), "loss": st.floats(0, 1)}).map(
        lambda line: json.dumps(line).encode()
    ),
)  # fmt: skip


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, max_size=30), cuts=st.lists(st.integers(0, 2000), max_size=3))
def test_however_a_file_grows_it_reads_as_the_whole(tmp_path_factory, empty_database, lines, cuts):
    workspace = Workspace(tmp_path_factory.mktemp("w"))
    shutil.copy(empty_database, workspace.database)
    run = Run(workspace)
    data = b"\n".join(lines) + b"\n"
    store = Store(workspace)
    start = 0
    for cut in [*sorted(cuts), len(data)]:
        for name in ("metrics.jsonl", "events.jsonl", "orders.jsonl", "lifecycle.jsonl"):
            with open(run.folder / name, "ab") as file:
                file.write(data[start:cut])
        start = max(start, min(cut, len(data)))
        store.catch_up(everything=True).check()
    same_as_rebuilt(workspace)
    store.close()


def test_samples_of_the_box_and_what_was_typed(workspace):
    Run(workspace)
    process = {"pid": 41, "memory": 7, "name": "python", "user": "ann", "run": "toto-0001", "kind": "compute"}
    device = {"uuid": "GPU-1", "index": 0, "name": "H", "utilisation": 55.0, "memory_used": 9, "memory_total": 10,
              "power": None, "temperature": 40, "processes": [process, "x"]}  # fmt: skip
    day = workspace.host / "2025-11-20.jsonl"
    host = {"cpu": 12.5, "load1": 0.5, "memory_used": 1, "memory_total": 2, "disk_free": 3, "disk_total": 4, "cores": 2}
    rundir.append(day, {"kind": "sample", "t": T0, "devices": [device, 5], "host": host, "why_none": ""})
    rundir.append(day, {"kind": "export", "t": T0 + 1, "run": "toto-0001"})
    rundir.append(day, {"kind": "sample"})
    store = Store(workspace)
    assert store.catch_up().check().passed == 1
    assert ask(workspace, "SELECT uuid, utilisation, memory_used, power FROM device_samples") == [
        ("GPU-1", 55.0, 9, None)
    ]
    assert ask(workspace, "SELECT id, pid, memory FROM process_samples") == [("toto-0001", 41, 7)]
    assert ask(workspace, "SELECT cpu, disk_free FROM host_samples") == [(12.5, 3)]
    assert ask(workspace, "SELECT kind, detail->>'run' FROM notes") == [("export", "toto-0001")]
    assert ask(workspace, "SELECT peak_device_memory FROM run_summary") == [(7,)]
    same_as_rebuilt(workspace)
    os.truncate(day, 0)
    rundir.append(day, {"kind": "sample", "t": T0 + 9, "devices": [device]})
    Store(workspace).catch_up().check()
    assert ask(workspace, "SELECT epoch(t) FROM device_samples") == [(T0 + 9,)]
    day.unlink()
    Store(workspace).catch_up().check()
    assert ask(workspace, "SELECT count(*) FROM process_samples") == [(0,)]


def test_every_table_view_and_column_has_a_comment(workspace):
    Run(workspace)
    Store(workspace).catch_up().check()
    for what in ("duckdb_tables()", "duckdb_views() WHERE NOT internal", "duckdb_columns() WHERE NOT internal"):
        joiner = " AND" if "WHERE" in what else " WHERE"
        assert ask(workspace, f"SELECT * FROM {what}{joiner} coalesce(comment, '') = ''") == []


def test_the_number_of_bytes_read_at_once_changes_nothing(workspace, monkeypatch):
    for i in range(1, 4):
        Run(workspace, f"toto-{i:04d}").logs(100)
    Store(workspace).catch_up().check()
    whole = contents(workspace.database)
    workspace.database.unlink()
    monkeypatch.setattr("engine.store_read.BUDGET", 1000)
    monkeypatch.setattr("engine.series.MAX_LINE", 700)
    monkeypatch.setattr("engine.store_points.AT_ONCE", 50)
    Store(workspace).catch_up().check()
    assert contents(workspace.database) == whole


BULK = (
    b'{"step":1,"t":1763600000.5,"epoch":0.5,"loss":-1.5e-3,"lr":3}\n',
    b'{"step":2,"t":1763600001,"loss":0.25}\n',
    b'{"step": 3, "t": 1763600002.25, "val_pct_mae": 1e-05, "loss": 7}\n',
)
ODD = (
    b'{"step":4,"t":1.0,"epoch":1e300,"loss":5}\n',
    b'{"step":4,"t":1.0,"loss":null}\n',
    b'{"step":4,"t":1.0,"loss":"5"}\n',
    b'{"step":4.5,"t":1.0,"loss":5}\n',
    b'{"step":4,"t":1.0,"loss":1e999}\n',
    b'{"step":4,"t":1.0,"loss":1.2.3}\n',
    b'{"step":4,"t":1.0,"loss":}\n',
    b'{"step":4,"t":1.0,"loss1":5}\n',
    b'{"step":4,"t":1.0,"los":5}\n',
    b'{"step":4,"t":1.0,"LOSS":5}\n',
    b'{"step":4,"t1":1.0,"loss":5}\n',
    b'{"step":4,"t":1.0,"loss":5,"loss":6}\n',
    b'{"step":4,"t":1.0,"loss":true}\n',
    b'{"step":4,"t":1.0,"loss":NaN}\n',
    b'{"step":4,"t":1.0,"file":5,"run":6}\n',
    b'{"step":4,"t":1.0,"lo\\u0073s":5}\n',
    b'{"step":4,"t":1.0,"a\'b\xc3\xa9":5}\n',
    b'{"step":4,"t":1.0,"":5}\n',
    b'{"step":4,"t":1.0}\n',
    b'{"step":4,"t":1e300,"loss":5}\n',
    b'{"step":4,"a{b":5}\n',
    b'5{"step":4,"loss":5}\n',
    b'{"step":4,"loss":5}\n"a":5}\n',
    b'{"step":4,"loss":05}\n',
    b'{"step":1,"t":1.0,"loss":5}{"step":1,"t":1.0,"loss":5}\n',
    b'{"step":1,"t":1.0,"loss":5\n',
    b"\n",
    b"7\n",
)


def test_megabytes_read_by_duckdb_are_the_lines_read_by_python(tmp_path_factory, empty_database, monkeypatch):
    """The quick way and the forgiving way give one result, whatever stands among the lines of a run."""
    monkeypatch.setattr("engine.store_points.BULK_AT_ONCE", 1)  # each run by itself
    read = []
    for worthwhile in (0, 1 << 40):
        monkeypatch.setattr("engine.store_points.WORTHWHILE", worthwhile)
        workspace = Workspace(tmp_path_factory.mktemp("w"))
        shutil.copy(empty_database, workspace.database)
        for number, odd in enumerate([b"", *ODD]):
            run = Run(workspace, f"toto-{number:04d}")
            (run.folder / "metrics.jsonl").write_bytes(b"".join(BULK) * 3 + odd + BULK[0])
        report = Store(workspace).catch_up().check()
        rows = ask(workspace, "SELECT id, metric, step, epoch, t, value FROM metric_curve ORDER BY ALL")
        passed = ask(workspace, "SELECT path, passed FROM files ORDER BY path")
        read.append((report.rows, report.passed, passed, rows))
    assert read[0] == read[1]
    assert report.passed >= 10


@given(kinds=st.lists(st.tuples(st.integers(0, len(BULK) - 1), st.integers(1, 150)), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_lines_and_values_are_counted_in_whatever_order_they_come(kinds):
    lines = [BULK[kind] for kind, times in kinds for _ in range(times)]
    plain = Plain.of(b"".join(lines))
    assert plain is not None
    plain.close()
    found = [json.loads(line) for line in lines]
    assert (plain.lines, plain.values) == (len(lines), sum(map(len, found)))
    assert plain.names == set().union(*found)
    for odd in (b"7\n", b"\n", BULK[0] + b'"a":5}\n', BULK[0][:-1] + BULK[0]):
        assert Plain.of(b"".join([*lines, odd, *lines])) is None


def test_plain_lines_go_the_quick_way(workspace, monkeypatch):
    import engine.store_points

    Run(workspace).logs(2000)
    monkeypatch.setattr(engine.store_points, "parse", None)  # would fail if it were asked
    Store(workspace).catch_up().check()
    assert ask(workspace, "SELECT count(*) FROM metrics") == [(2 * 2000 + 200,)]


def test_columns_of_the_schema_are_those_of_the_rows(workspace):
    """A row of a run fits its table whatever is added to it: the facts come behind what the spec says."""
    names = list(store_schema.TABLES["runs"][1])
    assert names.index("submitted") + 1 == names.index("started")


def test_where_curves_stand_is_kept_up_to_date(workspace):
    """Over several bursts, a run read anew and a database of before, `curves` is what `metrics` says."""
    store, run = Store(workspace), Run(workspace)
    other = Run(workspace, "toto-0002")
    told = STANDS.format(where="")

    def right() -> None:
        rows = ask(workspace, "SELECT * FROM curves ORDER BY ALL")
        assert rows
        assert rows == ask(workspace, f"SELECT * FROM ({told}) ORDER BY ALL")

    for burst in range(4):
        run.logs(400 * burst + 3, first=1000 * burst)
        other.log(10 - burst, loss=None if burst == 3 else float(burst))
        store.catch_up().check()
        right()
    (run.folder / "metrics.jsonl").write_text('{"step":1,"loss":2.5}\n')
    store.catch_up(everything=True).check()
    right()
    assert ask(workspace, "SELECT points, least FROM latest WHERE id = 'toto-0001'") == [(1, 2.5)]
    with duckdb.connect(str(workspace.database)) as con:
        con.execute("DROP VIEW latest; DROP VIEW run_summary; DROP VIEW leaderboard; DROP VIEW gpu_hours")
        con.execute("DROP TABLE curves; UPDATE meta SET value = '3'")
    other.log(11, loss=0.25)
    Store(workspace).catch_up().check()
    right()


def test_gpu_hours_and_energy(workspace):
    """Power is that of the samples taken meanwhile, shared by the runs that were on the device then."""
    one, two, dark = Run(workspace), Run(workspace, "toto-0002"), Run(workspace, "toto-0003")
    for run, device in ((one, "GPU-1"), (two, "GPU-1"), (dark, "GPU-2")):
        run.start((device,))
    one.end(after=3600)
    two.end(after=1800)
    dark.end(after=7200)
    Run(workspace, "toto-0004").start(("cpu",))
    for minute in range(0, 120, 5):
        devices = [{"uuid": "GPU-1", "index": 0, "name": "H", "power": 400, "utilisation": 50}, {"uuid": "GPU-2"}]
        line = {"t": T0 + 2 + 60 * minute, "devices": devices}
        rundir.append(workspace.host / "2025-11-20.jsonl", line)
    Store(workspace).catch_up().check()
    found = ask(workspace, "SELECT id, uuid, device, hours, power, kwh, samples FROM gpu_hours ORDER BY id")
    shared, alone = 7, 6  # samples at 0, 5 .. 30 minutes, and 35 .. 60
    power = (shared * 200 + alone * 400) / 13
    assert found == [
        ("toto-0001", "GPU-1", "H", 1.0, pytest.approx(power), pytest.approx(power / 1000), 13),
        ("toto-0002", "GPU-1", "H", 0.5, 200.0, 0.1, 7),
        ("toto-0003", "GPU-2", None, 2.0, None, None, 24),
    ]


def test_in_a_hurry_it_ends_between_two_transactions_and_the_next_store_goes_on(workspace, monkeypatch):
    monkeypatch.setattr("engine.store_read.BUDGET", 20_000)
    for number in range(1, 4):
        run = Run(workspace, f"toto-{number:04d}")
        run.start()
        run.logs(1000)
    store = Store(workspace)
    store.hurry(0.0)
    first = store.catch_up().check()
    assert 0 < first.rows < 3000
    assert Store(workspace).catch_up().check().rows > 0
    same_as_rebuilt(workspace)
