"""What a supervisor does in time: it pauses a group and lets it go on, and ends it at its limit, alone."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from engine import rundir
from engine.silence import Silence
from tests.conftest import alive, stopped, wait_for
from tests.engine.test_supervisor import lifecycle, run, started, supervise

COUNT = "i=0; while :; do i=$((i+1)); echo $i > {0}/count; sleep 0.01; done"


@pytest.fixture
def counting(tmp_path: Path):
    """A run that counts, and its supervisor."""
    process = run(tmp_path / "r", "sh", "-c", f"({COUNT.format(tmp_path)}) & wait", grace=0.5)
    pid = started(tmp_path / "r")["pid"]
    wait_for((tmp_path / "count").exists)
    yield process, pid
    if alive(pid):
        os.killpg(pid, signal.SIGKILL)
    process.wait(60)


def test_a_pause_stops_the_whole_group_and_resume_lets_it_go_on(tmp_path, counting):
    process, pid = counting
    process.send_signal(signal.SIGTSTP)
    wait_for(lambda: lifecycle(tmp_path / "r", "paused"))
    wait_for(lambda: stopped(pid))
    assert rundir.held(tmp_path / "r" / rundir.TRAINER_LOCK)
    process.send_signal(signal.SIGCONT)
    wait_for(lambda: lifecycle(tmp_path / "r", "resumed"))
    before = (tmp_path / "count").read_text()
    wait_for(lambda: (tmp_path / "count").read_text() not in ("", before))
    since, total = rundir.pauses(rundir.read(tmp_path / "r" / rundir.LIFECYCLE))
    assert since is None
    assert total > 0


def test_a_paused_run_hears_a_stop(tmp_path):
    folder = tmp_path / "r"
    script = f"trap 'echo saved; exit 0' TERM; touch {tmp_path}/up; while :; do sleep 0.01; done"
    process = run(folder, "sh", "-c", script, grace=60.0)
    wait_for((tmp_path / "up").exists)
    process.send_signal(signal.SIGTSTP)
    wait_for(lambda: lifecycle(folder, "paused"))
    process.terminate()
    process.wait(60)
    assert lifecycle(folder, "exited")[0]["why"] == "stop"
    assert "saved" in (folder / rundir.LOG).read_text()


def test_a_pause_survives_the_death_of_its_supervisor(tmp_path, counting):
    process, pid = counting
    process.send_signal(signal.SIGTSTP)
    wait_for(lambda: lifecycle(tmp_path / "r", "paused"))
    process.kill()
    process.wait(60)
    wait_for(lambda: stopped(pid))
    second = supervise(tmp_path / "r")
    wait_for(lambda: lifecycle(tmp_path / "r", "adopted"))
    assert stopped(pid)
    second.send_signal(signal.SIGCONT)
    wait_for(lambda: lifecycle(tmp_path / "r", "resumed"))
    wait_for(lambda: not stopped(pid))
    second.send_signal(signal.SIGUSR1)
    second.wait(60)
    assert not alive(pid)


def test_the_limit_ends_a_run_without_any_engine(tmp_path):
    folder = tmp_path / "r"
    script = "trap 'echo saved; exit 0' TERM; while :; do sleep 0.01; done"
    run(folder, "sh", "-c", script, grace=60.0, limit=0.3).wait(60)
    [end] = lifecycle(folder, "exited")
    assert (end["why"], end["limit"], end["code"]) == ("limit", 0.3, 0)
    assert "saved" in (folder / rundir.LOG).read_text()


def test_who_does_not_end_at_the_limit_is_killed_after_the_grace(tmp_path):
    folder = tmp_path / "r"
    run(folder, "sh", "-c", "trap '' TERM; while :; do sleep 0.01; done", grace=0.1, limit=0.2).wait(60)
    [end] = lifecycle(folder, "exited")
    assert (end["why"], end["signal"]) == ("limit", signal.SIGKILL)


def test_the_limit_holds_after_an_adoption_and_does_not_count_pauses(tmp_path, counting):
    process, pid = counting
    process.kill()
    process.wait(60)
    folder = tmp_path / "r"
    spec = (folder / rundir.SPEC).read_text()
    (folder / rundir.SPEC).write_text(spec.replace('"grace": 0.5', '"grace": 0.5, "limit": 0.01'))
    line = {"event": "paused", "t": lifecycle(folder, "started")[0]["t"]}
    rundir.append(folder / rundir.LIFECYCLE, line)
    os.killpg(pid, signal.SIGSTOP)
    second = supervise(folder)
    wait_for(lambda: lifecycle(folder, "adopted"))
    second.send_signal(signal.SIGHUP)  # it wakes and sees that its time has passed, but not that of the run
    assert alive(pid)
    second.send_signal(signal.SIGCONT)
    second.wait(60)
    [end] = lifecycle(folder, "exited")
    assert (end["why"], end["limit"]) == ("limit", 0.01)


def test_who_writes_nothing_for_too_long_has_hung_and_who_writes_goes_on(tmp_path):
    folder = tmp_path / "r"
    script = (
        "i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo $i; sleep 0.05; done; echo quiet; while :; do sleep 0.01; done"
    )
    run(folder, "sh", "-c", script, grace=60.0, hang=2.0).wait(60)
    [end] = lifecycle(folder, "exited")
    assert (end["why"], end["hang"]) == ("hang", 2.0)
    assert end["silent"] >= 2.0
    assert "quiet" in (folder / rundir.LOG).read_text(), "it was let go on for as long as it wrote"


def test_a_run_that_breaks_its_own_promise_has_hung_and_one_that_takes_it_back_has_not(tmp_path):
    folder = tmp_path / "r"
    promise = f'echo \'{{"event":"promise","within":%s}}\' >> {folder / rundir.EVENTS}; '
    run(folder, "sh", "-c", promise % "1.0" + "exec sleep 60", grace=60.0).wait(100)
    [end] = lifecycle(folder, "exited")
    assert (end["why"], end["hang"], end["promised"]) == ("hang", 1.0, True)
    listening = Silence(str(tmp_path))
    assert (listening.longest, listening.hung()) == (None, None)
    events = tmp_path / rundir.EVENTS
    rundir.append(events, {"event": "promise", "within": 0.2})
    listening = Silence(str(tmp_path))
    assert wait_for(listening.hung) >= 0.2
    rundir.append(events, {"event": "promise", "within": None})
    listening._hear()
    assert listening.longest is None
    rundir.append(events, {"event": "promise", "within": "soon"})
    listening._hear()
    assert listening.longest is None


def test_a_pause_is_no_silence(tmp_path):
    """Paused for longer than it may be silent, it still has its whole time when it goes on."""
    listening = Silence(str(tmp_path), 0.4)
    (tmp_path / rundir.LOG).write_text("x")
    begun = time.monotonic()
    assert wait_for(listening.hung) >= 0.4
    listening.paused(60.0)
    assert wait_for(listening.hung) >= 0.4
    assert time.monotonic() - begun >= 0.8


def test_a_pause_that_does_not_fit_on_the_disk_is_written_later(tmp_path, counting):
    process, pid = counting
    lines = tmp_path / "r" / rundir.LIFECYCLE
    kept = lines.read_bytes()
    lines.unlink()
    lines.mkdir()  # what root can't write either
    process.send_signal(signal.SIGTSTP)
    wait_for(lambda: stopped(pid))
    lines.rmdir()
    lines.write_bytes(kept)
    wait_for(lambda: lifecycle(tmp_path / "r", "paused"))
