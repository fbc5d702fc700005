"""A box with GPUs, NVML played by a compiled stand-in: who gets which, what a run sees, and who is in the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine import rundir
from engine.messages import GetSample, ListRuns
from tests.conftest import Box, wait_for
from tests.engine.nvml_stub import fixture as stub
from tests.engine.nvml_stub.fixture import GIB, StubGpu

HOLD = """
import os, time
print('sees', os.environ['CUDA_VISIBLE_DEVICES'], flush=True)
while not os.path.exists(os.path.join(os.environ['ENGINE_HOME'], 'go')): time.sleep(0.02)
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two GPUs; write_state changes what NVML tells from then on."""
    path = tmp_path / "nvml"
    stub.write_state(path, [StubGpu("GPU-aaaa", used=1 * GIB), StubGpu("GPU-bbbb")])
    monkeypatch.setenv("LD_LIBRARY_PATH", str(stub.build(tmp_path)))
    monkeypatch.setenv("NVML_STUB_STATE", str(path))
    return path


def visible(box: Box, run_id: str) -> str:
    log = box.workspace.run(run_id) / rundir.LOG
    said = wait_for(
        lambda: log.exists() and (text := log.read_text()).endswith("\n") and text
    )  # print writes in pieces
    assert said.startswith("sees ")
    return said.removeprefix("sees ").strip()


def test_each_run_gets_a_gpu_of_its_own_and_the_third_waits(state: Path, box: Box):
    first, second, third, cpu = (box.python(HOLD, gpus=gpus).id for gpus in (None, 1, 1, 0))
    assert visible(box, first) == "GPU-bbbb"  # the one with the most free memory
    assert visible(box, second) == "GPU-aaaa"
    row = box.state(cpu, "running")
    assert row.labels == ("CPU",)
    assert visible(box, cpu) == ""
    row = box.row(third)
    assert row.reason == f"GPU0 has {second}, GPU1 has {first}"
    (box.workspace.root / "go").touch()
    assert {box.ended(run).state for run in (first, second, third, cpu)} == {"ok"}


def test_a_gpu_that_a_stranger_uses_is_busy_until_he_leaves(state: Path, box: Box):
    stranger = [(os.getpid(), 4 * GIB, "C")]
    stub.write_state(state, [StubGpu(uuid, used=4 * GIB, processes=stranger) for uuid in ("GPU-aaaa", "GPU-bbbb")])
    run = box.python(HOLD, gpus=1).id
    row = wait_for(lambda: now if "is used by" in (now := box.row(run)).reason else None)
    assert f"(pid {os.getpid()}, " in row.reason
    assert "4.0 GiB)" in row.reason
    stub.write_state(state, [StubGpu("GPU-aaaa"), StubGpu("GPU-bbbb", used=4 * GIB, processes=stranger)])
    assert box.state(run, "running").labels == ("GPU0",)
    (box.workspace.root / "go").touch()
    box.ended(run)


def test_two_gpus_at_once(state: Path, box: Box):
    run = box.python(HOLD, gpus=2).id
    assert sorted(visible(box, run).split(",")) == ["GPU-aaaa", "GPU-bbbb"]
    (box.workspace.root / "go").touch()
    assert box.ended(run).state == "ok"
    assert "needs 3 GPUs, this box has 2" in box.row(box.python(HOLD, gpus=3).id).reason


def test_an_orphan_keeps_its_gpu_over_a_restart_of_the_engine(state: Path, box: Box):
    runs = [box.python(HOLD, gpus=1).id for _ in range(2)]
    for run in runs:
        visible(box, run)
    supervisor = box.lines(runs[0], rundir.LIFECYCLE)[0]["supervisor"]
    os.kill(supervisor, 9)
    box.crash()
    waiting = box.python(HOLD, gpus=1).id
    wait_for(lambda: {box.row(run).state for run in runs} == {"running"})
    assert box.row(waiting).state == "queued"
    (box.workspace.root / "go").touch()
    assert box.ended(waiting).state == "ok"


def test_the_engines_own_limit_is_respected(state: Path, box: Box, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    first, second = (box.python(HOLD, gpus=1).id for _ in range(2))
    assert visible(box, first) == "GPU-bbbb"
    assert box.row(second).reason == f"GPU1 has {first}"
    (box.workspace.root / "go").touch()
    box.ended(second)


def test_memory_of_our_runs_is_told_and_samples_are_kept(state: Path, box: Box):
    run = box.python(HOLD, gpus=1).id
    visible(box, run)
    pid = box.state(run, "running").pid
    stub.write_state(state, [StubGpu("GPU-aaaa"), StubGpu("GPU-bbbb", used=7 * GIB, processes=[(pid, 6 * GIB, "C")])])
    wait_for(lambda: box.row(run).device_memory == 6 * GIB)
    sample = box.call(GetSample()).sample
    process = next(process for device in sample.devices for process in device.processes)
    assert (process.run, process.pid, process.memory) == (run, pid, 6 * GIB)
    lines = [line for day in box.workspace.host.glob("*.jsonl") for line in rundir.read(day)]
    assert any(device["memory_used"] == 7 * GIB for line in lines for device in line.get("devices", ()))
    (box.workspace.root / "go").touch()
    box.ended(run)


def test_a_driver_that_goes_away_stops_nothing(state: Path, box: Box):
    run = box.python(HOLD, gpus=1).id
    visible(box, run)
    stub.write_state(state, [], init=stub.DRIVER_NOT_LOADED, call=stub.GPU_IS_LOST)
    wait_for(lambda: not [d for d in box.call(GetSample()).sample.devices if d.memory_used is not None])
    assert box.row(run).state == "running"
    assert len(box.call(ListRuns()).rows) == 1
    (box.workspace.root / "go").touch()
    assert box.ended(run).state == "ok"
