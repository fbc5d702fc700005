"""The engine as a process on a real socket: what is asked happens, and kill -9 of anybody loses and repeats nothing."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine import rundir
from engine.client import connect
from engine.doctor import examine
from engine.errors import BadDependency, EngineDown, UnknownRun, UsageError, WorkspaceError
from engine.messages import Changed, Down, GetStatus, Order, Retry, ShowRun, Snapshot, Watch
from engine.records import encode
from engine.workspace import Workspace
from tests.conftest import Box, alive, wait_for

COUNT = "import os; open(os.environ['ENGINE_RUN'] + '/begun', 'a').write('x')"
LOGGER = f"""
{COUNT}
import time
from engine import runlog
told = os.open(os.environ['ENGINE_RUN'] + '/told', os.O_RDWR | os.O_CREAT)
go = os.path.join(os.environ['ENGINE_HOME'], 'go')
step = 0
while not os.path.exists(go):
    step += 1
    runlog.log(step, loss=1 / step)
    os.pwrite(told, b'%12d' % step, 0)
    time.sleep(0.005)
"""


def test_runs_a_command_and_records_it(box: Box):
    row = box.python(f"{COUNT}; print(os.environ['CUDA_VISIBLE_DEVICES'] == '')", name="first", tags=("a",))
    assert row.id == "exec-0001"
    row = box.ended(row.id)
    assert (row.state, row.exit_code, row.name, row.tags, row.labels) == ("ok", 0, "first", ("a",), ("CPU",))
    folder = box.workspace.run(row.id)
    assert (folder / rundir.LOG).read_text() == "True\n"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [line["order"] for line in box.lines(row.id, rundir.ORDERS)] == ["start"]


def test_failures_have_a_cause(box: Box):
    row = box.ended(box.submit("sh", "-c", "echo something broke; exit 3").id)
    assert (row.state, row.reason) == ("failed", "exit code 3: something broke")
    row = box.ended(box.submit("sh", "-c", "kill -KILL $$").id)
    assert row.reason == "killed by signal 9 (SIGKILL), not by the engine"


FAULTY = """
import sys
from engine import core, daemon
whole = core.Daemon.look
def look(self, run_id):
    if run_id == "exec-0001" and self.world.runs[run_id].state == "running":
        raise ZeroDivisionError("of a fault")
    whole(self, run_id)
core.Daemon.look = look
sys.exit(daemon.main())
"""


def test_a_fault_in_looking_at_one_run_is_told_and_leaves_the_others_alone(box: Box):
    box.workspace.prepare()
    with open(box.workspace.log, "a") as log:
        engine = subprocess.Popen([sys.executable, "-c", FAULTY], stderr=log)
    try:
        wait_for(lambda: box.workspace.socket.exists() and box.client)
        first = box.submit("sh", "-c", "sleep 1000")
        told = wait_for(lambda: box.client.call(GetStatus()).status.trouble, "for a look at it")
        assert told == "exec-0001: ZeroDivisionError: of a fault; this is a fault of the engine"
        assert box.ended(box.submit("true").id).state == "ok"
        with connect(box.workspace) as client:
            news = client.watch(0.02)
            assert len([next(news) for _ in range(3)]) == 3, "who watches is not hung up on"
        assert box.workspace.log.read_text().count("Traceback") == 1, "it is not said anew each second"
        [check] = [one for one in examine(box.workspace) if one.name == "engine"]
        assert (check.ok, "fault of the engine" in check.text) == (False, True)
    finally:
        engine.kill()
        engine.wait()
    box.client.close()
    box._client = None
    box.state(first.id, "running")
    assert not box.client.call(GetStatus()).status.trouble


def test_queue_order_slots_and_reasons(box: Box):
    go = box.workspace.root / "go"
    block = f"while [ ! -e {go} ]; do sleep 0.02; done"
    first = [box.submit("sh", "-c", block).id for _ in range(2)]
    for run_id in first:
        box.state(run_id, "running")
    low, high = box.submit("true").id, box.submit("true", priority=5).id
    rows = box.rows()
    assert (rows[high].place, rows[low].place) == (1, 2)
    assert rows[low].reason == f"CPU slots busy: {first[0]}, {first[1]}"
    go.touch()
    assert {box.ended(run_id).state for run_id in (*first, low, high)} == {"ok"}
    told = [box.lines(run_id, rundir.ORDERS)[0]["t"] for run_id in (high, low)]
    assert told == sorted(told)  # told to start in this order; two slots came free at once, so they may begin in any


def test_after_waits_for_success(box: Box):
    bad = box.submit("false")
    then = box.submit("true", after=(bad.id,))
    box.ended(bad.id)
    row = wait_for(lambda: now if "failed" in (now := box.row(then.id)).reason else None)
    assert row.state == "queued"
    assert row.reason == f"after {bad.id}, which failed: retry that one or stop this one"
    with pytest.raises(BadDependency, match=r"No run 'exec-0009'. Did you mean exec-0002\?"):
        box.submit("true", after=("exec-0009",))


def test_stop_kill_hold_release(box: Box):
    polite = box.submit("sh", "-c", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done")
    wait_for(lambda: "up" in log(box, polite.id))
    box.call(Order(run=polite.id, order="stop", why="test"))
    row = box.ended(polite.id)
    assert (row.state, row.reason) == ("stopped", "stopped by you")
    assert "bye" in log(box, polite.id)
    deaf = box.submit("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.02; done")
    wait_for(lambda: "up" in log(box, deaf.id))
    box.call(Order(run=deaf.id, order="kill"))
    assert box.ended(deaf.id).reason == "killed by you"
    waiting = box.submit("true", hold=True)
    assert box.row(waiting.id).state == "held"
    box.call(Order(run=waiting.id, order="release"))
    assert box.ended(waiting.id).state == "ok"
    held = box.submit("true", hold=True)
    box.call(Order(run=held.id, order="stop"))
    row = box.row(held.id)
    assert (row.state, row.reason, row.started) == ("stopped", "stopped by you before it started", None)
    with pytest.raises(UsageError, match="has ended already"):
        box.call(Order(run=held.id, order="stop"))


@pytest.mark.parametrize("kind", ["stop", "kill"])
def test_a_stop_while_a_run_is_starting_is_not_lost(box: Box, kind: str):
    for _ in range(5):
        row = box.submit("sleep", "300")
        box.call(Order(run=row.id, order=kind))
        assert box.ended(row.id).state == "stopped"


def test_an_adopted_run_can_be_stopped_by_the_next_engine(box: Box):
    row = box.submit("sleep", "300")
    box.state(row.id, "running")
    os.kill(box.lines(row.id, rundir.LIFECYCLE)[0]["supervisor"], signal.SIGKILL)
    wait_for(lambda: [line for line in box.lines(row.id, rundir.LIFECYCLE) if line["event"] == "adopted"])
    box.crash()
    box.call(Order(run=row.id, order="stop"))
    assert box.ended(row.id).state == "stopped"


def log(box: Box, run_id: str) -> str:
    path = box.workspace.run(run_id) / rundir.LOG
    return path.read_text() if path.exists() else ""


def test_ids_can_be_shortened(box: Box):
    box.submit("true", name="alpha")
    box.submit("true")
    assert box.row("2").id == box.row("exec-0002").id == "exec-0002"
    assert box.row("alpha").id == "exec-0001"
    with pytest.raises(UnknownRun, match="fits 2 runs: exec-0001, exec-0002"):
        box.row("exec")
    with pytest.raises(UnknownRun, match=r"No run 'exec-0003'. Did you mean"):
        box.row("exec-0003")


def test_retry_is_the_next_attempt(box: Box):
    first = box.ended(box.submit("sh", "-c", "exit 4").id)
    again = box.call(Retry(run=first.id)).row
    assert again.id == f"{first.id}.2"
    assert box.ended(again.id).resume_from == first.id
    assert box.call(Retry(run=again.id, fresh=True)).row.id == f"{first.id}.3"
    box.ended(f"{first.id}.3")
    assert box.row(f"{first.id}.3").resume_from is None


def test_tags_notes_priority_survive_a_restart(box: Box):
    row = box.submit("true", hold=True)
    for order, value in (("tag", "x"), ("tag", "y"), ("untag", "x"), ("note", "why not"), ("priority", "7")):
        box.call(Order(run=row.id, order=order, value=value))
    box.crash()
    row = box.row(row.id)
    assert (row.tags, row.note, row.priority, row.state) == (("y",), "why not", 7, "held")
    with pytest.raises(UsageError, match="not a whole number"):
        box.call(Order(run=row.id, order="priority", value="high"))


@pytest.mark.parametrize("victim", ["engine", "supervisor", "both"])
def test_kill_9_loses_nothing_and_starts_nothing_twice(box: Box, victim: str):
    row = box.python(LOGGER)
    folder = box.workspace.run(row.id)
    wait_for(lambda: last_told(folder), "for the first line")
    pid = box.state(row.id, "running").pid
    started = box.lines(row.id, rundir.LIFECYCLE)[0]
    if victim in ("supervisor", "both"):
        os.kill(started["supervisor"], signal.SIGKILL)
        wait_for(lambda: not alive(started["supervisor"]))
    if victim in ("engine", "both"):
        box.crash()
    row = wait_for(
        lambda: now if (now := box.row(row.id)).state == "running" and supervised(folder) else None, "for re-adoption"
    )
    assert row.pid == pid
    assert alive(pid)
    told = last_told(folder)
    (box.workspace.root / "go").touch()
    row = box.ended(row.id)
    assert row.state == ("ok" if victim == "engine" else "failed")
    if victim != "engine":
        assert "exit code is unknown" in row.reason
    steps = [line["step"] for line in box.lines(row.id, rundir.METRICS)]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= told
    assert (folder / "begun").read_text() == "x"


def last_told(folder: Path) -> int:
    """The last step whose log call had returned, as the trainer itself noted."""
    path = folder / "told"
    return int(path.read_bytes() or 0) if path.exists() else 0


def supervised(folder: Path) -> bool:
    return rundir.held(folder / rundir.SUPERVISOR_LOCK)


def test_kill_9_of_the_trainer_keeps_every_line(box: Box):
    row = box.python(LOGGER)
    folder = box.workspace.run(row.id)
    wait_for(lambda: last_told(folder) > 20)
    os.kill(box.state(row.id, "running").pid, signal.SIGKILL)
    row = box.ended(row.id)
    assert row.reason.startswith("killed by signal 9")
    assert len(box.lines(row.id, rundir.METRICS)) >= last_told(folder)


def test_everything_killed_at_once_is_told_as_lost(box: Box):
    row = box.python(LOGGER)
    wait_for(lambda: last_told(box.workspace.run(row.id)))
    started = box.lines(row.id, rundir.LIFECYCLE)[0]
    engine = box.pid
    os.kill(engine, signal.SIGSTOP)  # so that nobody adopts in between
    os.kill(started["supervisor"], signal.SIGKILL)
    os.kill(started["pid"], signal.SIGKILL)
    wait_for(lambda: not alive(started["pid"]) and not alive(started["supervisor"]))
    box.client.close()
    os.kill(engine, signal.SIGKILL)
    wait_for(lambda: not alive(engine))
    box._client = None
    row = box.ended(row.id)
    assert (row.state, row.reason) == ("lost", "it and its supervisor were killed together")


def test_a_queued_run_starts_once_though_the_engine_dies_while_starting_it(box: Box):
    for _ in range(4):
        row = box.python(COUNT)
        box.crash()
        assert box.ended(row.id).state == "ok"
        assert (box.workspace.run(row.id) / "begun").read_text() == "x"


def test_sigterm_to_the_engine_leaves_training_alone_and_down_stop_runs_ends_it(box: Box):
    row = box.submit("sleep", "300")
    pid = box.state(row.id, "running").pid
    engine = box.pid
    os.kill(engine, signal.SIGTERM)
    wait_for(lambda: not alive(engine))
    assert alive(pid)
    box.client.close()
    box._client = None
    assert box.row(row.id).state == "running"
    box.call(Down(stop_runs=True))
    wait_for(lambda: not alive(pid))


def test_a_second_engine_gives_way(box: Box):
    assert box.pid
    done = subprocess.run([sys.executable, "-m", "engine.daemon"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert done.stderr.startswith(f"engine: An engine already runs in {box.workspace.root}.")
    assert len(done.stderr.splitlines()) == 1


def test_nobody_else_may_talk_to_it(box: Box):
    assert box.pid
    assert stat.S_IMODE(box.workspace.private.stat().st_mode) == 0o700
    assert stat.S_IMODE(box.workspace.socket.stat().st_mode) == 0o600


def test_nonsense_on_the_socket_is_answered_and_harms_nothing(box: Box):
    assert box.pid
    for junk in (b"hello\n", b'{"type":"submit"}\n', b"\xff\xfe\n", b'{"type":"order","run":"x","order":"dance"}\n'):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(box.workspace.socket))
            sock.sendall(junk)
            assert b'"type":"failed"' in sock.recv(4096)
    assert box.pid


def test_a_watch_tells_what_changes(box: Box):
    assert box.pid
    watcher = connect(box.workspace)
    news = watcher.watch(every=0.02)
    first = next(news)
    assert isinstance(first, Snapshot)
    row = box.submit("true")
    states = []
    for message in news:
        assert isinstance(message, Changed)
        states += [seen.state for seen in message.rows if seen.id == row.id]
        if "ok" in states:
            break
    assert states[-1] == "ok"
    watcher.close()


def test_a_hostile_folder_harms_nothing(box: Box):
    runs = box.workspace.runs
    box.workspace.prepare()
    (runs / "exec-0001").mkdir()
    (runs / "exec-0001" / rundir.SPEC).write_text('{"id":"exec-0001","family":["x"],"command":7}')
    (runs / "exec-0002").symlink_to("/etc")
    (runs / "exec-0003").mkdir()
    (runs / "exec-0003" / rundir.SPEC).symlink_to("/etc/passwd")
    (runs / "exec-0004").mkdir()
    (runs / "exec-0004" / rundir.SPEC).write_text('{"id":"../../x","family":"exec","command":["true"],"cwd":"/"}')
    (runs / "..x").mkdir()
    good = runs / "exec-0005"
    good.mkdir()
    (good / rundir.SPEC).write_text('{"id":"exec-0005","family":"exec","command":["true"],"cwd":"/"}')
    (good / rundir.ORDERS).write_bytes(b'{"order":"hold","t":"soon"}\n[1]\n{"t":1,"order":9}\n\xff\xfe\n{"order":"tag"')
    (good / rundir.METRICS).write_bytes(b'{"step":"many","loss":{}}\n{"step":3,"loss":1e999}\n' + b"x" * 3_000_000)
    (good / rundir.EVENTS).write_bytes(b'{"event":["plan"],"steps":"x"}\n{"event":"plan","steps":-1e9}\n')
    assert box.ended("exec-0005").state == "ok"
    assert set(box.rows()) == {"exec-0005"}


def test_a_torn_last_line_is_passed_over_and_not_glued_to_the_next(box: Box):
    row = box.submit("true", hold=True)
    orders = box.workspace.run(row.id) / rundir.ORDERS
    with orders.open("ab") as file:
        file.write(b'{"t":1,"order":"note","value":"to')
    box.crash()
    box.call(Order(run=row.id, order="release"))
    assert box.ended(row.id).state == "ok"
    assert [line["order"] for line in box.lines(row.id, rundir.ORDERS)] == ["hold", "release", "start"]


def test_a_workspace_that_cannot_be_written_says_so(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    workspace.runs.write_text("a file where a folder should be")
    with pytest.raises(WorkspaceError, match="can't be used"):
        connect(workspace)
    workspace.runs.unlink()
    workspace.log.mkdir(parents=True)
    with pytest.raises(WorkspaceError, match=r"can't be used: Is a directory\. Make it writable"):
        connect(workspace)
    long = Workspace(workspace.root / ("x" * 120))
    with pytest.raises(WorkspaceError, match="set ENGINE_SOCKET"):
        connect(long)


def test_without_an_engine_a_client_that_may_not_start_one_says_what_to_do(workspace: Workspace):
    with pytest.raises(EngineDown, match="`engine up` starts it"):
        connect(workspace, start=False)


def test_secrets_reach_the_run_and_no_file(box: Box, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_API_TOKEN", "sk-verysecret123")
    row = box.python("import os; print(len(os.environ['MY_API_TOKEN']))")
    box.ended(row.id)
    assert log(box, row.id) == "16\n"
    for path in box.workspace.runs.rglob("*"):
        if path.is_file():
            assert b"verysecret" not in path.read_bytes(), path


def test_a_submit_that_makes_no_sense_is_refused_and_queues_nothing(box: Box):
    for fields, message in (
        ({"priority": 5000}, "out of range: -1000 to 1000"),
        ({"gpus": -1}, "out of range: 0 to 1024"),
    ):
        with pytest.raises(UsageError, match=message):
            box.submit("true", **fields)
    with pytest.raises(UsageError, match="command is empty"):
        box.submit()
    assert box.rows() == {}


def test_requests_of_a_newer_client_are_refused_clearly(box: Box):
    from engine.messages import Hello

    with pytest.raises(UsageError, match="older than this program"):
        box.call(Hello(version=99))
    assert box.call(GetStatus()).status.counts == {}
    assert encode(Watch()).endswith(b"\n")
    with pytest.raises(UnknownRun):
        box.call(ShowRun("1"))
