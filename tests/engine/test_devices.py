"""Devices against a compiled stand-in for NVML, each in a process of its own that finds it as it would a driver's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.devices import DeviceSample, ProcessSample, Sample, foreign
from tests.engine.nvml_stub import fixture as stub
from tests.engine.nvml_stub.fixture import GIB, StubGpu

MIB = 1 << 20
A = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
B = "GPU-bbbbbbbb-0000-0000-0000-000000000002"
SLICE1 = "MIG-11111111-0000-0000-0000-000000000003"
SLICE2 = "MIG-22222222-0000-0000-0000-000000000004"


class Probe:
    """A process that has the devices open."""

    def __init__(self, env: dict[str, str], cwd: Path) -> None:
        env = env | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        program = Path(stub.__file__).with_name("probe.py")
        self._process = subprocess.Popen(
            [sys.executable, program], env=env, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.last: dict[str, Any] = {}

    def sample(self, ours: dict[int, str] | None = None, age: float = 0, times: int = 1, **more: str | None) -> Sample:
        """One sample, as if the devices had been listed `age` seconds earlier than they were."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"ours": ours or {}, "age": age, "times": times} | more) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the probe died"
        self.last = json.loads(line)
        return msgspec.convert(self.last["sample"], Sample)

    def end(self) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        return self._process.wait(30)


Start = Callable[..., Probe]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nvml")


@pytest.fixture(scope="module")
def state(folder: Path) -> Path:
    return folder / "state.txt"


@pytest.fixture(scope="module")
def start(folder: Path, state: Path) -> Iterator[Start]:
    """Gives a probe that opens the devices afresh: a new process for a folder, else always the same one."""
    library = stub.build(folder)
    probes: list[Probe] = []

    def go(other: Path | None = None, visible: str | None = None) -> Probe:
        if other is not None or not probes:
            env = stub.environment(other or library, state)
            probe = Probe(env | ({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}), folder)
            probes.insert(0 if other is None else len(probes), probe)
            return probe
        probes[0].sample(visible=visible)
        return probes[0]

    state.touch()
    go()
    yield go
    assert [probe.end() for probe in probes] == [0] * len(probes)


def test_no_gpu_is_a_normal_machine(start: Start, state: Path) -> None:
    stub.write_state(state)
    sample = start().sample()
    assert sample.devices == ()
    assert sample.why_none == "the driver shows no GPU"
    assert sample.host is not None
    assert sample.host.cores >= 1


def test_two_gpus(start: Start, state: Path) -> None:
    stub.write_state(
        state,
        [
            StubGpu(A, "NVIDIA H200", used=10 * GIB, reserved=GIB, util=37, power=321_500, temp=55),
            StubGpu(B, "NVIDIA H200"),
        ],
    )
    probe = start()
    sample = probe.sample()
    assert probe.last["driver"] == "550.54.15"
    assert sample.devices[0] == DeviceSample(
        uuid=A,
        index=0,
        name="NVIDIA H200",
        utilisation=37.0,
        memory_used=10 * GIB,
        memory_total=80 * GIB,
        memory_free=69 * GIB,
        power=321.5,
        power_limit=700.0,
        temperature=55,
        processes=(),
        mig=False,
        visible=True,
    )
    assert [d.uuid for d in sample.devices] == [A, B]
    assert sample.why_none == ""
    assert sample.warnings == ()
    assert foreign(sample, A)[0].pid == 0  # 10 GiB used by nobody visible
    assert foreign(sample, B) == []


def test_an_old_driver_lacks_the_newer_calls(start: Start, state: Path, tmp_path: Path) -> None:
    stub.write_state(state, [StubGpu(A, used=2 * GIB, reserved=GIB, processes=[(os.getpid(), GIB, "C")], temp=41)])
    (device,) = start(stub.build(tmp_path, old_driver=True)).sample().devices
    assert device.memory_used == 3 * GIB  # the old call counts the driver's own memory
    assert device.temperature == 41
    assert [p.pid for p in device.processes] == [os.getpid()]


def test_our_processes_and_foreign_ones(start: Start, state: Path) -> None:
    child = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    trainer = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True, start_new_session=True)
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        assert trainer.stdout is not None
        worker = int(trainer.stdout.readline())
        stub.write_state(
            state,
            [
                StubGpu(A, used=5 * GIB, processes=[(trainer.pid, 2 * GIB, "C"), (worker, 3 * GIB, "C")]),
                StubGpu(B, used=GIB, processes=[(stranger.pid, -1, "C")]),
            ],
        )
        probe = start()
        sample = probe.sample({trainer.pid: "toto-0007"})
        mine, theirs = sample.devices
        assert {p.pid: p.run for p in mine.processes} == {trainer.pid: "toto-0007", worker: "toto-0007"}
        assert foreign(sample, A) == []
        (process,) = theirs.processes
        assert (process.pid, process.memory, process.run, process.name) == (stranger.pid, None, None, "sleep")
        assert process.user
        assert foreign(sample, B) == [process]
        # Known before it was said to be ours, and a worker that outlives its parent.
        assert foreign(probe.sample(), A) == list(mine_without_run(mine))
        trainer.kill()
        trainer.wait(30)
        again = probe.sample({trainer.pid: "toto-0007"})
        assert {p.pid: p.run for p in again.devices[0].processes}[worker] == "toto-0007"
        os.kill(worker, 9)
    finally:
        for process_ in (trainer, stranger):
            process_.kill()
            process_.wait(30)
        if trainer.stdout is not None:
            trainer.stdout.close()


def mine_without_run(device: DeviceSample) -> Iterator[ProcessSample]:
    for process in device.processes:
        yield msgspec.structs.replace(process, run=None)


def test_a_pid_nobody_can_see(start: Start, state: Path) -> None:
    """In a container NVML may tell the host's pids."""
    stub.write_state(state, [StubGpu(A, used=GIB, processes=[(2**22 + 5, GIB, "C")])])
    sample = start().sample({1: "toto-0001"})
    (process,) = sample.devices[0].processes
    assert (process.name, process.user, process.run) == (None, None, None)
    assert foreign(sample, A) == [process]


def test_mig_slices_replace_their_gpu(start: Start, state: Path) -> None:
    slices = [
        StubGpu(SLICE1, "H100 MIG 1g.10gb", total=10 * GIB, used=GIB, processes=[(os.getpid(), GIB, "C")]),
        StubGpu(SLICE2, "H100 MIG 2g.20gb", total=20 * GIB),
    ]
    stub.write_state(state, [StubGpu(A, "H100", temp=61, slices=slices), StubGpu(B, "H100")])
    probe = start()
    sample = probe.sample()
    assert [(d.uuid, d.index, d.mig, d.memory_total) for d in sample.devices] == [
        (SLICE1, 0, True, 10 * GIB),
        (SLICE2, 0, True, 20 * GIB),
        (B, 1, False, 80 * GIB),
    ]
    first = sample.devices[0]
    assert (first.temperature, first.utilisation, first.power, first.power_limit, first.error) == (61, *[None] * 4)
    assert [p.pid for p in first.processes] == [os.getpid()]
    # Slices are made anew: the next listing finds them.
    stub.write_state(state, [StubGpu(A, "H100", slices=slices[1:]), StubGpu(B, "H100")])
    assert [d.uuid for d in probe.sample(age=61).devices] == [SLICE2, B]


def test_mig_mode_without_slices(start: Start, state: Path) -> None:
    stub.write_state(state, [StubGpu(A, mig=True)])
    sample = start().sample()
    assert sample.devices == ()
    assert "GPU 0 is in MIG mode but has no slices" in sample.why_none


@pytest.mark.parametrize(
    ("function", "field"),
    [
        ("GetUtilizationRates", "utilisation"),
        ("GetMemoryInfo", "memory_used"),
        ("GetMemoryInfo", "memory_total"),
        ("GetPowerUsage", "power"),
        ("GetEnforcedPowerLimit", "power_limit"),
        ("GetTemperature", "temperature"),
    ],
)
@pytest.mark.parametrize("code", [stub.NOT_SUPPORTED, stub.NO_PERMISSION, stub.UNKNOWN])
def test_a_value_that_cannot_be_had_is_none(function: str, field: str, code: int, start: Start, state: Path) -> None:
    stub.write_state(state, [StubGpu(A, errors={function: code})])
    (device,) = start().sample().devices
    assert getattr(device, field) is None
    assert device.error is None
    assert device.uuid == A


def test_processes_that_cannot_be_listed_and_a_nameless_gpu(start: Start, state: Path) -> None:
    errors = {"GetComputeRunningProcesses": stub.NO_PERMISSION, "GetName": stub.UNKNOWN, "GetMigMode": stub.UNKNOWN}
    stub.write_state(state, [StubGpu(A, errors=errors)])
    (device,) = start().sample().devices
    assert (device.name, device.processes, device.error) == ("GPU", (), None)


def test_a_gpu_lost_in_the_middle(start: Start, state: Path) -> None:
    good = [StubGpu(A, "H200", used=GIB), StubGpu(B, "H200", used=2 * GIB)]
    stub.write_state(state, good)
    probe = start()
    assert [d.error for d in probe.sample().devices] == [None, None]
    stub.write_state(state, [StubGpu(A, errors={"*": stub.GPU_IS_LOST}), good[1]])
    for age in (0, 6, 6, 61):  # also when the devices are listed anew
        lost, other = probe.sample(age=age).devices
        assert lost.uuid == A
        assert lost.name == "H200"
        assert lost.error is not None
        assert lost.error.startswith("GPU is lost")
        assert lost.memory_total == 80 * GIB
        assert (lost.memory_used, lost.utilisation, lost.power, lost.temperature) == (None,) * 4
        assert other.memory_used == 2 * GIB
    assert probe.sample().warnings[0].startswith("GPU 0 does not answer: GPU is lost")
    stub.write_state(state, good)
    assert [d.error for d in probe.sample(age=61).devices] == [None, None]


def test_a_gpu_lost_before_we_came(start: Start, state: Path) -> None:
    stub.write_state(state, [StubGpu(A, errors={"*": stub.GPU_IS_LOST}), StubGpu(B)])
    sample = start().sample()
    assert [d.uuid for d in sample.devices] == [B]
    assert sample.warnings[0].startswith("GPU 0 does not answer")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (stub.LIB_RM_VERSION_MISMATCH, "different versions"),
        (stub.DRIVER_NOT_LOADED, "not loaded"),
        (stub.UNINITIALIZED, "shut down"),
    ],
)
def test_the_driver_goes_and_comes_back(code: int, says: str, start: Start, state: Path) -> None:
    stub.write_state(state, [StubGpu(A)])
    probe = start()
    assert len(probe.sample().devices) == 1
    stub.write_state(state, [StubGpu(A)], call=code)
    sample = probe.sample()
    assert sample.devices == ()
    assert says in sample.why_none
    assert sample.host is not None
    stub.write_state(state, [StubGpu(A)], init=code)
    assert probe.sample(age=6).devices == ()
    stub.write_state(state, [StubGpu(A)])
    assert [d.uuid for d in probe.sample(age=61).devices] == [A]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (stub.LIB_RM_VERSION_MISMATCH, "different versions"),
        (stub.DRIVER_NOT_LOADED, "not loaded"),
        (stub.NO_PERMISSION, "no permission"),
        (stub.UNKNOWN, "Unknown Error"),
    ],
)
def test_nvml_does_not_start(code: int, says: str, start: Start, state: Path) -> None:
    stub.write_state(state, [StubGpu(A)], init=code)
    sample = start().sample()
    assert sample.devices == ()
    assert says in sample.why_none


def test_the_count_cannot_be_had(start: Start, state: Path) -> None:
    stub.write_state(state, [StubGpu(A)], count=stub.UNKNOWN)
    assert "how many GPUs" in start().sample().why_none


def test_no_library_and_one_that_is_none(start: Start, state: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "libnvidia-ml.so.1").write_text("not a library")
    source = tmp_path / "other.c"
    source.write_text("int other(void) { return 0; }\n")
    (tmp_path / "other").mkdir()
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "other" / "libnvidia-ml.so.1", source], check=True)
    stub.write_state(state, [StubGpu(A)])
    probe = start(tmp_path / "other")
    assert "too old or none of NVIDIA's" in probe.sample().why_none
    for folder in (empty, tmp_path / "text"):  # a box with a driver finds that one instead
        sample = start(folder).sample()
        assert sample.devices or "no NVIDIA driver here" in sample.why_none
    # The library appears later: no restart is needed. (dlopen reads the folder each time.)
    probe = start(empty)
    if not probe.sample().devices:
        stub.build(tmp_path).joinpath("libnvidia-ml.so.1").rename(empty / "libnvidia-ml.so.1")
        assert [d.uuid for d in probe.sample(age=61).devices] == [A]


@pytest.mark.parametrize(
    ("value", "shown"),
    [("1", [B]), ("1,0", [A, B]), ("", []), ("-1", []), ("0,7,1", [A]), ("GPU-bbbb", [B]), ("GPU-", []), ("0,0", [])],
)
def test_the_cuda_visible_devices_we_were_started_with(value: str, shown: list[str], start: Start, state: Path) -> None:
    stub.write_state(state, [StubGpu(A), StubGpu(B)])
    sample = start(visible=value).sample()
    assert [d.uuid for d in sample.devices] == [A, B]
    assert [d.uuid for d in sample.devices if d.visible] == shown


def test_it_is_read_from_our_own_environment(start: Start, state: Path, folder: Path) -> None:
    stub.write_state(state, [StubGpu(A), StubGpu(B)])
    sample = start(folder / "new", visible=f"{B},GPU-cccc,{A}").sample()
    assert [d.uuid for d in sample.devices if d.visible] == [B]
    assert "'GPU-cccc' fits no device" in sample.warnings[0]


def test_a_sample_of_eight_gpus_is_quick_and_leaves_nothing_behind(start: Start, state: Path) -> None:
    pids = [os.getpid(), os.getppid()]
    stub.write_state(state, [StubGpu(f"GPU-{i:08d}", processes=[(pid, GIB, "C") for pid in pids]) for i in range(8)])
    probe = start()
    assert len(probe.sample(times=300).devices) == 8
    before = probe.last["rss"]
    probe.sample(times=600)
    assert probe.last["seconds"] < 5 * probe.last["yardstick"], "about as long, by experience"
    assert probe.last["rss"] - before < 2 * MIB
