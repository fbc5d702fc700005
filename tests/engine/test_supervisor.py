"""The supervisor alone, as a process: it starts once, records the end, kills the group, and is small."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine import rundir, supervisor
from tests.conftest import alive, states, wait_for


def run(folder: Path, *command: str, grace: float = 5.0, cwd: str = "/", **more: object) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    spec = {"family": "exec", "command": command, "cwd": cwd, "grace": grace, **more}
    (folder / rundir.SPEC).write_text(json.dumps(spec))
    return supervise(folder)


def supervise(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-I", "-S", supervisor.__file__, str(folder)])


def lifecycle(folder: Path, event: str) -> list[dict]:
    return [line for line in rundir.read(folder / rundir.LIFECYCLE) if line["event"] == event]


def started(folder: Path) -> dict:
    return wait_for(lambda: lifecycle(folder, "started"), "for started")[0]


@pytest.mark.parametrize(
    ("script", "code", "signum"), [("exit 0", 0, None), ("exit 7", 7, None), ("kill -SEGV $$", None, signal.SIGSEGV)]
)
def test_records_how_it_ended(tmp_path, script, code, signum):
    process = run(tmp_path / "r", "sh", "-c", f"echo out; echo err >&2; {script}")
    assert process.wait(60) == 0
    [end] = lifecycle(tmp_path / "r", "exited")
    assert (end["code"], end["signal"]) == (code, signum)
    assert end["max_rss_bytes"] > 100_000
    assert (tmp_path / "r" / rundir.LOG).read_text().startswith("out\nerr\n")


def test_a_command_that_is_not_there_says_so(tmp_path):
    run(tmp_path / "r", "no-such-program-here").wait(60)
    assert lifecycle(tmp_path / "r", "exited")[0]["code"] == 127
    assert "no-such-program-here" in (tmp_path / "r" / rundir.LOG).read_text()


def test_never_starts_twice(tmp_path):
    folder = tmp_path / "r"
    command = ("sh", "-c", f"echo once >> {tmp_path}/count; sleep 0.3")
    for process in [run(folder, *command), *(supervise(folder) for _ in range(4))]:
        process.wait(60)
    supervise(folder).wait(60)
    assert (tmp_path / "count").read_text() == "once\n"
    assert len(lifecycle(folder, "started")) == 1


def test_term_reaches_the_whole_group_and_grace_ends(tmp_path):
    folder = tmp_path / "r"
    deaf = f"trap '' TERM; (trap '' TERM; echo $$ > {tmp_path}/child; while :; do sleep 0.1; done) & wait; sleep 60"
    process = run(folder, "sh", "-c", deaf, grace=0.2)
    leader = started(folder)["pid"]
    wait_for((tmp_path / "child").exists)
    process.terminate()
    process.wait(60)
    [end] = lifecycle(folder, "exited")
    assert end["signal"] == signal.SIGKILL
    assert end["why"] == "stop"
    wait_for(lambda: states(leader) <= {"Z", "X"}, "for the end of all")  # whoever reaps them may take its time


SLOW_SETSID = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/types.h>
#include <unistd.h>
pid_t setsid(void) {
    usleep(300000);
    return ((pid_t (*)(void))dlsym(RTLD_NEXT, "setsid"))();
}
"""


def test_a_stop_reaches_a_run_that_has_only_just_started(tmp_path, monkeypatch):
    """A child that is slow to lead its own group, as on a busy machine: no stop may come before."""
    (tmp_path / "slow.c").write_text(SLOW_SETSID)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "slow.so", tmp_path / "slow.c", "-ldl"], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(tmp_path / "slow.so"))
    process = run(tmp_path / "r", "sleep", "300", grace=60.0)
    started(tmp_path / "r")
    process.terminate()
    process.wait(60)
    [end] = lifecycle(tmp_path / "r", "exited")
    assert (end["signal"], end["why"]) == (signal.SIGTERM, "stop")


def test_what_the_leader_leaves_behind_is_ended(tmp_path):
    folder = tmp_path / "r"
    run(folder, "sh", "-c", f"sleep 300 & echo $! > {tmp_path}/stray").wait(60)
    stray = int((tmp_path / "stray").read_text())
    wait_for(lambda: not alive(stray))
    assert not rundir.held(folder / rundir.TRAINER_LOCK)


def test_killed_supervisor_leaves_training_alone_and_the_next_adopts(tmp_path):
    folder = tmp_path / "r"
    process = run(
        folder, "sh", "-c", f"touch {tmp_path}/up; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo done"
    )
    pid = started(folder)["pid"]
    wait_for((tmp_path / "up").exists)
    process.kill()
    process.wait(60)
    assert alive(pid)
    assert rundir.held(folder / rundir.TRAINER_LOCK)
    assert not rundir.held(folder / rundir.SUPERVISOR_LOCK)
    second = supervise(folder)
    wait_for(lambda: rundir.held(folder / rundir.SUPERVISOR_LOCK))
    (tmp_path / "go").touch()
    second.wait(60)
    [end] = lifecycle(folder, "exited")
    assert (end["code"], end["why"]) == (None, "adopted")
    assert (folder / rundir.LOG).read_text() == "done\n"


def test_adopted_run_is_stopped_too(tmp_path):
    folder = tmp_path / "r"
    process = run(folder, "sh", "-c", f"touch {tmp_path}/up; exec sleep 300")
    pid = started(folder)["pid"]
    wait_for((tmp_path / "up").exists)
    process.kill()
    process.wait(60)
    second = supervise(folder)
    wait_for(lambda: rundir.held(folder / rundir.SUPERVISOR_LOCK))
    second.terminate()
    second.wait(60)
    assert not alive(pid)
    assert lifecycle(folder, "exited")[0]["why"] == "stop"


def test_is_small_and_imports_only_the_standard_library(tmp_path):
    process = run(tmp_path / "r", "sleep", "5")
    started(tmp_path / "r")
    status = Path(f"/proc/{process.pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    process.terminate()
    process.wait(60)
    assert resident < 15 * 1024, f"{resident} KiB"


def test_signals_that_python_or_a_shell_ignores_are_not_ignored_in_the_run(tmp_path):
    folder = tmp_path / "r"
    folder.mkdir()
    spec = {"family": "exec", "command": ["sh", "-c", "grep SigIgn /proc/self/status"], "cwd": "/"}
    (folder / rundir.SPEC).write_text(json.dumps(spec))
    command = [sys.executable, "-I", "-S", supervisor.__file__, str(folder)]
    subprocess.run(["sh", "-c", "trap '' INT QUIT HUP; exec \"$@\"", "sh", *command], check=True, timeout=60)
    ignored = int((folder / rundir.LOG).read_text().split()[1], 16)
    assert not [number for number in supervisor.DEFAULTS if ignored >> (number - 1) & 1]
