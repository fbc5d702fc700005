"""runlog: what was logged is in the file, whatever happens to the process or the disk."""

from __future__ import annotations

import math
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine import rundir, runlog
from tests.conftest import ROOT


def test_one_line_a_call(tmp_path: Path):
    writer = runlog.Writer(tmp_path)
    writer.log(1, loss=0.5, lr=3e-4)
    writer.log(2, loss=math.nan, lr=math.inf)
    writer.event("checkpoint", step=2, path="checkpoints/step-000002")
    writer.close()
    first, second = rundir.read(tmp_path / rundir.METRICS)
    assert first | {"t": 0} == {"loss": 0.5, "lr": 3e-4, "step": 1, "t": 0}
    assert second["loss"] is None
    assert second["lr"] is None
    assert rundir.read(tmp_path / rundir.EVENTS)[0]["event"] == "checkpoint"


def test_what_is_not_a_number_is_refused_and_nothing_is_written(tmp_path: Path):
    writer = runlog.Writer(tmp_path)
    with pytest.raises(TypeError):
        writer.log(1, loss=object())
    writer.close()
    assert (tmp_path / rundir.METRICS).read_bytes() == b""


def test_a_torn_tail_is_closed_before_the_first_line(tmp_path: Path):
    (tmp_path / rundir.METRICS).write_bytes(b'{"step":1,"lo')
    writer = runlog.Writer(tmp_path)
    writer.log(2, loss=1.0)
    writer.close()
    assert [line["step"] for line in rundir.read(tmp_path / rundir.METRICS)] == [2]


LOOP = """
import sys
from engine import runlog
step = 0
while True:
    step += 1
    runlog.log(step, a=1.5, b=2.5)
    if step == 2000:
        print("far enough", flush=True)
"""


def test_kill_9_loses_no_finished_line(tmp_path: Path):
    env = {**os.environ, "ENGINE_RUN": str(tmp_path), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", LOOP], env=env, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    steps = [line["step"] for line in rundir.read(tmp_path / rundir.METRICS)]
    assert len(steps) >= 2000
    assert steps == list(range(1, len(steps) + 1))


def limited() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


FULL = """
import resource
from engine import runlog
for step in range(100):
    runlog.log(step, loss=0.123456789)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
for step in range(100, 103):
    runlog.log(step, loss=0.123456789)
"""


def test_a_full_disk_stops_nothing_and_the_loss_is_counted(tmp_path: Path):
    env = {**os.environ, "ENGINE_RUN": str(tmp_path), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", FULL], env=env, check=True, preexec_fn=limited, timeout=60)
    lines = rundir.read(tmp_path / rundir.METRICS)
    before = [line for line in lines if line["step"] < 100]
    told = [line["lost_lines"] for line in lines if "lost_lines" in line]
    assert [line["step"] for line in lines[-3:]] == [100, 101, 102]
    assert told == [100 - len(before)]


def test_outside_a_run_it_says_so_once(tmp_path: Path):
    code = "from engine import runlog\nfor i in range(3): runlog.log(i, a=1)\nrunlog.event('x')"
    env = {name: value for name, value in os.environ.items() if name != "ENGINE_RUN"} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)
    assert "not inside a run" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_muted_process_records_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_RUN", str(tmp_path))
    for name in ("log", "event"):
        monkeypatch.setattr(runlog, name, getattr(runlog, name))  # gives them back at the end
    runlog.mute()
    runlog.log(1, loss=0.5)
    runlog.event("phase", name="train")
    assert not list(tmp_path.iterdir())
