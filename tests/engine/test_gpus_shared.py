"""GPUs that several runs, workspaces or allocations have a part in: a real engine, NVML played by a stand-in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import memories, memory, rundir
from engine.messages import GetSample
from engine.records import Spec
from engine.run import Seen
from engine.state import World
from engine.visible import bound
from engine.workspace import Workspace
from tests.conftest import Box, wait_for
from tests.engine.nvml_stub import fixture as stub
from tests.engine.nvml_stub.fixture import GIB, StubGpu
from tests.engine.test_gpus import HOLD, visible

NOBODY = 4_194_303
"""A process number that Linux gives to nobody: what a container sees of the host's."""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One GPU of 24 GiB."""
    path = tmp_path / "nvml"
    stub.write_state(path, [StubGpu("GPU-aaaa", total=24 * GIB)])
    monkeypatch.setenv("LD_LIBRARY_PATH", str(stub.build(tmp_path)))
    monkeypatch.setenv("NVML_STUB_STATE", str(path))
    for name in ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def other(tmp_path: Path, box: Box) -> Iterator[Box]:
    """The engine of a second workspace on the same machine."""
    (tmp_path / "other").mkdir()
    made = Box(Workspace(tmp_path / "other"))
    yield made
    made.close()


def go(*boxes: Box) -> None:
    for box in boxes:
        (box.workspace.root / "go").touch()


def test_small_runs_share_a_gpu_and_a_restart_knows_it(state: Path, box: Box):
    first, second, third = (box.python(HOLD, share=True, gpu_memory=10 * GIB).id for _ in range(3))
    alone = box.python(HOLD).id
    assert visible(box, first) == visible(box, second) == "GPU-aaaa"
    assert box.row(third).reason == f"needs 10 GiB while 2.8 GiB are free on GPU0, GPU0 has {first}, {second}"
    assert box.row(alone).reason == f"GPU0 has {first}, {second}"
    [order] = box.lines(first, rundir.ORDERS)
    assert (order["claim"], order["why"]) == (10 * GIB, "its turn; may share its GPU, given 10 GiB")
    box.crash()
    assert box.row(third).reason == f"needs 10 GiB while 2.8 GiB are free on GPU0, GPU0 has {first}, {second}"
    os.killpg(wait_for(lambda: box.row(first).pid), 9)
    assert visible(box, third) == "GPU-aaaa"
    assert box.row(alone).state == "queued"
    go(box)
    assert {box.ended(run).state for run in (second, third, alone)} == {"ok"}


def test_what_a_run_needed_is_known_of_the_next(state: Path, box: Box):
    first = box.python(HOLD, share=True).id
    visible(box, first)
    row = box.state(first, "running")
    assert (row.claim, row.predicted) == (None, None)  # without history it has the GPU alone
    used = [(row.pid, 6 * GIB, "C")]
    stub.write_state(state, [StubGpu("GPU-aaaa", total=24 * GIB, used=7 * GIB, processes=used)])
    wait_for(lambda: box.row(first).device_memory == 6 * GIB)
    second = box.python(HOLD, share=True).id
    assert box.row(second).reason == f"GPU0 has {first}"
    go(box)
    box.ended(first)
    [line] = wait_for(lambda: rundir.read(box.workspace.runs / memories.NAME))
    assert (line["run"], line["peak"], line["end"]) == (first, 6 * GIB, "ok")
    stub.write_state(state, [StubGpu("GPU-aaaa", total=24 * GIB)])
    row = box.ended(second)
    assert (row.claim, row.predicted, row.predicted_from) == (row.predicted, int(6 * GIB * memory.MARGIN), 1)
    assert "predicted 6.6 GiB from 1 run" in box.lines(second, rundir.ORDERS)[0]["why"]


TELLS = (
    HOLD
    + """
from engine import runlog
runlog.event("memory", reserved=8 << 30, other=9 << 30)
"""
)


def test_what_runs_needed_is_learnt_over_a_restart_and_of_ends_that_no_engine_saw(state: Path, box: Box):
    """The first held 6 GiB before the engine was killed and 2 after it; the others ended while there was none."""
    first = box.python(HOLD, gpus=1).id
    visible(box, first)
    pid = box.state(first, "running").pid

    def holds(size: int) -> None:
        stub.write_state(state, [StubGpu("GPU-aaaa", total=24 * GIB, used=size, processes=[(pid, size, "C")])])
        wait_for(lambda: box.row(first).device_memory == size)

    holds(6 * GIB)
    holds(2 * GIB)
    box.crash()
    assert wait_for(lambda: box.row(first).device_memory) == 2 * GIB
    go(box)
    box.ended(first)
    lines = box.workspace.runs / memories.NAME
    assert [line["peak"] for line in wait_for(lambda: rundir.read(lines))] == [6 * GIB]
    (box.workspace.root / "go").unlink()
    stub.write_state(state, [StubGpu("GPU-aaaa", total=24 * GIB)])

    second = box.python(TELLS, gpus=1).id
    visible(box, second)
    lock = box.workspace.run(second) / rundir.SUPERVISOR_LOCK
    box.crash()
    go(box)
    wait_for(lambda: not rundir.held(lock))
    box.ended(second)
    told = rundir.read(lines)
    assert [(line["run"], line["peak"]) for line in told] == [(first, 6 * GIB), (second, 9 * GIB)]
    box.crash()
    third = box.ended(box.python(TELLS, share=True).id)
    assert (third.predicted, third.predicted_from) == (int(9 * GIB * memory.MARGIN), 1)
    assert [line["run"] for line in rundir.read(lines)] == [first, second, third.id], "each is remembered once"


@pytest.mark.parametrize(
    ("begun", "ended", "known", "bound"),
    [
        (1000.0, 1100.0, 0.0, False),  # before anybody was away
        (1000.0, 1201.0, 0.0, False),  # a moment
        (1000.0, 1230.0, 0.0, True),  # its end was not seen
        (1000.0, 2000.0, 0.0, False),  # 50 s in the middle of 1000
        (1000.0, 1400.0, 0.0, True),  # of 400
        (1000.0, 2000.0, 60.0, True),  # and an engine before had missed as much
        (1210.0, 1240.0, 0.0, True),  # nobody saw any of it
    ],
)
def test_a_peak_that_nobody_may_have_seen_is_a_lower_bound(
    workspace: Workspace, begun: float, ended: float, known: float, bound: bool
):
    workspace.prepare()
    rundir.append(workspace.host / "2024-01-01.jsonl", {"kind": "sample", "t": 1200.0})
    rundir.append(workspace.host / "2024-01-01.jsonl", {"kind": "note", "t": 1300.0})
    world = World(cpu_slots=1)
    watch = memories.Memories(workspace, world)
    watch.load(1250.0)
    spec = Spec(id="exec-0001", family="exec", command=("train",), cwd="/", submitted=1.0)
    workspace.run(spec.id).mkdir()
    rundir.append(workspace.run(spec.id) / rundir.MEMORY, {"t": 1.0, "peak": 5 * GIB, "unseen": known})
    run = world.found(spec)
    watch.restore(run)
    lifecycle = (
        {"event": "started", "t": begun, "pid": 9, "devices": ["GPU-aaaa"]},
        {"event": "exited", "t": ended, "code": 0},
    )
    world.seen(spec.id, Seen(lifecycle), ended)
    watch.remember(run)
    [line] = rundir.read(workspace.runs / memories.NAME)
    assert (line["peak"], line.get("at_least", False)) == (5 * GIB, bound)
    predicted = world.peaks.predict(spec)
    assert predicted is None if bound else predicted.bytes == int(5 * GIB * memory.MARGIN)
    watch.remember(run)
    assert len(rundir.read(workspace.runs / memories.NAME)) == 1


def test_two_workspaces_never_have_the_same_gpu(state: Path, box: Box, other: Box):
    first = box.python(HOLD, gpus=1).id
    visible(box, first)
    second = other.python(HOLD, gpus=1, share=True, gpu_memory=GIB).id
    row = wait_for(lambda: now if "GPU0 is held" in (now := other.row(second)).reason else None)
    assert row.reason.startswith("GPU0 is held by another engine (")
    assert row.reason.endswith(f", pid {box.pid})")
    # the lock is the run's own: neither its engine nor its supervisor has to live
    supervisor = box.lines(first, rundir.LIFECYCLE)[0]["supervisor"]
    box.crash()
    os.kill(supervisor, 9)
    seen = other.call(GetSample()).sample.t
    wait_for(lambda: other.call(GetSample()).sample.t > seen + 1)
    assert other.row(second).state == "queued"
    go(box)
    assert visible(other, second) == "GPU-aaaa"
    go(other)
    assert other.ended(second).state == "ok"


def test_in_a_container_memory_is_told_of_the_device(state: Path, box: Box):
    run = box.python(HOLD, gpus=1).id
    visible(box, run)
    used = [(NOBODY, 5 * GIB, "C")]
    stub.write_state(state, [StubGpu("GPU-aaaa", total=24 * GIB, used=5 * GIB, processes=used)])
    wait_for(lambda: box.row(run).device_memory == 5 * GIB)
    [process] = box.call(GetSample()).sample.devices[0].processes
    assert (process.run, process.name, process.user) == (None, None, None)
    go(box)
    box.ended(run)
    assert json.loads((box.workspace.runs / memories.NAME).read_text())["peak"] == 5 * GIB


def test_a_slurm_allocation_bounds_the_engine(state: Path, box: Box, monkeypatch: pytest.MonkeyPatch):
    stub.write_state(state, [StubGpu("GPU-aaaa"), StubGpu("GPU-bbbb")])
    monkeypatch.setenv("SLURM_JOB_GPUS", "1")
    first, second = (box.python(HOLD, gpus=1).id for _ in range(2))
    assert visible(box, first) == "GPU-bbbb"
    assert box.row(second).reason == f"GPU1 has {first}"
    go(box)
    box.ended(second)


@pytest.mark.parametrize(
    ("environ", "count", "found"),
    [
        ({}, 4, ("CUDA_VISIBLE_DEVICES", None)),
        ({"SLURM_JOB_GPUS": "0,2-3"}, 8, ("SLURM_JOB_GPUS", "0,2,3")),
        ({"SLURM_JOB_GPUS": "4-7"}, 4, ("SLURM_JOB_GPUS", None)),  # fenced: the job's four are all that is shown
        ({"SLURM_JOB_GPUS": "0-3", "SLURM_STEP_GPUS": "1"}, 8, ("SLURM_STEP_GPUS", "1")),
        ({"SLURM_JOB_GPUS": "1", "CUDA_VISIBLE_DEVICES": "0"}, 8, ("CUDA_VISIBLE_DEVICES", "0")),
        ({"SLURM_JOB_GPUS": "gpu:2"}, 8, ("CUDA_VISIBLE_DEVICES", None)),
        ({"SLURM_JOB_GPUS": ""}, 8, ("CUDA_VISIBLE_DEVICES", None)),
    ],
)
def test_which_variable_bounds(environ: dict[str, str], count: int, found: tuple[str, str | None]):
    assert bound(environ, count) == found
