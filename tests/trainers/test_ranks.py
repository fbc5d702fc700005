"""Several processes in one run, over gloo: the same training as one, one writer, one end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.torch import load_file
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from tests.conftest import ROOT, alive, wait_for
from tests.trainers import toy
from tests.trainers.conftest import Home, events, lines, write_prices
from tests.trainers.test_loop import losses, newest, scores
from trainers import launch
from trainers.device import place
from trainers.errors import ConfigError
from trainers.family import load
from trainers.loop import Loop
from trainers.ranks import ALONE, Ranks
from trainers.resolve import resolve

# a dropout that draws at every step and drops nothing, so that processes can be compared with one
TWO: dict[str, Any] = {"train__processes": 2, "train__steps": 24, "train__eval_every": 8, "train__save_every": 5,
                       "train__ema": 0.9, "train__accumulate": 2, "model__dropout": 1e-7}  # fmt: skip

pytestmark = pytest.mark.timeout(900)  # a start of two ranks takes 17 s of CPU time, nearly all of it imports


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One workspace for this file: what two processes did undisturbed is compared with several others."""
    root = tmp_path_factory.mktemp("home")
    (root / "trainingdata").mkdir()
    for i, name in enumerate(("AAA", "BBB", "CCC")):
        write_prices(root / "trainingdata" / f"{name}.csv", 200 - 5 * i, seed=i, price=10.0 * 5**i)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE_HOME", str(root))
        patch.delenv("ENGINE_RUN", raising=False)
        yield Home(root)


@pytest.fixture(scope="module")
def two(home: Home) -> Path:
    """A run of two processes, from beginning to end."""
    toy.register()
    folder = home.make("toy-0002", **TWO)
    process = home.start(folder)
    out, err = process.communicate(timeout=400)
    assert (process.returncode, err) == (0, "")
    assert out.count("steps at step 24") == 1
    return folder


def ranks_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [p for p in psutil.Process(process.pid).children() if "tests.trainers.toy" in p.cmdline()]


def reached(folder: Path, step: int, process: subprocess.Popen[str]) -> None:
    """Wait for the step."""
    wait_for(lambda: max(losses(folder), default=0) >= step or process.poll() is not None, f"for step {step}", 400)
    assert process.poll() is None, process.communicate()


def test_two_processes_train_as_one_does(home: Home, two: Path) -> None:
    code, one = home.train("toy-0001", **{**TWO, "train__processes": 1})
    assert code == 0
    assert list(losses(two)) == list(losses(one)) == list(range(1, 25))
    assert list(losses(two).values()) == pytest.approx(list(losses(one).values()), rel=1e-5)
    assert list(scores(two).values()) == pytest.approx(list(scores(one).values()), rel=1e-5)
    ours, theirs = (load_file(newest(folder) / "state.safetensors") for folder in (one, two))
    assert theirs.keys() - ours.keys() == {"rng/cpu/1"}
    assert not theirs["rng/cpu"].equal(theirs["rng/cpu/1"])  # each rank drops out for itself
    for name in ours:
        if not name.startswith("rng/"):
            assert theirs[name].allclose(ours[name], rtol=1e-4, atol=1e-6), name


def test_only_one_of_them_writes(home: Home, two: Path) -> None:
    kinds = [line["event"] for line in lines(two, "events.jsonl")]
    assert [kinds.count(kind) for kind in ("plan", "used", "best", "finished")] == [1, 1, kinds.count("best"), 1]
    assert [e["step"] for e in events(two, "checkpoint")] == [5, 8, 10, 15, 16, 20, 24]
    assert [e["split"] for e in events(two, "evaluation")] == ["val", "test"]
    assert events(two, "used")[0]["processes"] == 2
    assert len(lines(two, "metrics.jsonl")) == 24 + 3
    assert not [path for path in two.rglob("*") if path.name.startswith(".")]


def test_killed_and_stopped_they_go_on_as_if_they_had_not_been(home: Home, two: Path) -> None:
    killed = home.make("toy-0003", **TWO, model__pause=0.1)
    process = home.start(killed)
    reached(killed, 11, process)
    second = next(rank for rank in ranks_of(process) if rank.environ()["RANK"] == "1")
    second.send_signal(signal.SIGKILL)
    _, err = process.communicate(timeout=400)
    assert process.returncode == 1
    said = f"rank 1 of 2 (pid {second.pid}) was ended by SIGKILL"
    assert [e["cause"] for e in events(killed, "failed")] == [said]
    assert err.strip().splitlines()[-1] == said

    stopped = home.make("toy-0003.2", resume_from="toy-0003", **TWO, model__pause=0.1)
    process = home.start(stopped)
    reached(stopped, 16, process)
    process.terminate()
    _, err = process.communicate(timeout=400)
    assert (process.returncode, err) == (143, "")
    last = lines(stopped, "events.jsonl")[-1]
    assert (last["event"], last["why"]) == ("finished", "stopped")
    assert [e["step"] for e in events(stopped, "checkpoint")].count(last["step"]) == 1
    assert newest(stopped).name == f"step-{last['step']:06d}"
    so_far = losses(killed) | losses(stopped)
    assert so_far == {step: loss for step, loss in losses(two).items() if step <= last["step"]}

    code, alone = home.train("toy-0003.3", resume_from="toy-0003.2", **{**TWO, "train__processes": 1},
                             model__pause=0.1)  # fmt: skip
    assert code == 0
    assert "with 1 processes where it had 2" in events(alone, "warning")[0]["text"]
    assert list((so_far | losses(alone)).values()) == pytest.approx(list(losses(two).values()), rel=1e-5)


def test_a_rank_dies_with_its_leader_whatever_ends_that() -> None:
    rank = "from trainers import launch; import time; launch.attend(); print('here', flush=True); time.sleep(100)"
    leader = (
        "import os, subprocess, sys; os.environ['TRAINERS_LAUNCHER'] = str(os.getpid());"
        f"child = subprocess.Popen([sys.executable, '-c', {rank!r}], start_new_session=True);"
        "print(child.pid, flush=True); child.wait()"
    )
    process = subprocess.Popen([sys.executable, "-c", leader], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    rank_pid = int(process.stdout.readline())
    assert process.stdout.readline() == "here\n"
    process.kill()
    process.communicate()
    wait_for(lambda: not alive(rank_pid), "for the rank to die with its leader")  # reaped or not


def failure(folder: Path, rank: int, exitcode: int, message: str = "", oom: dict[str, int] | None = None) -> Any:
    """What torchrun tells of a rank that has ended."""
    path = folder / f"{rank}.json"
    if message:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TORCHELASTIC_ERROR_FILE", str(path))
            launch.leave_word(exitcode, message, oom)
    return ProcessFailure(rank, 100 + rank, exitcode, str(path))


@pytest.mark.parametrize(
    ("ended", "code", "cause"),
    [
        ({0: (2, "x = 1: no."), 1: (2, "x = 1: no.")}, 2, "x = 1: no."),
        ({0: (launch.PEER_LOST, ""), 1: (4, "Out of memory.")}, 4, "rank 1 of 2: Out of memory."),
        ({0: (5, "The loss is nan."), 1: (launch.PEER_LOST, "")}, 5, "The loss is nan."),
        ({0: (-15, ""), 1: (1, "")}, 1, "rank 1 of 2 (pid 101) ended with exit code 1; see its traceback"),
        ({0: (launch.PEER_LOST, ""), 1: (-11, "")}, 1, "rank 1 of 2 (pid 101) was ended by SIGSEGV"),
    ],
)
def test_the_cause_is_that_of_the_rank_that_failed_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ended: dict[int, tuple[int, str]], code: int, cause: str
) -> None:
    failures = {rank: failure(tmp_path, rank, *told) for rank, told in ended.items()}
    assert launch.tell(failures, 2, str(tmp_path)) == code
    assert [e["cause"] for e in events(tmp_path, "failed")] == [cause]
    assert capsys.readouterr().err == f"{cause}\n"


def test_memory_that_ran_out_on_any_rank_is_told_with_its_bytes(tmp_path: Path) -> None:
    failures = {1: failure(tmp_path, 1, 4, "Out of memory.", {"requested": 7, "free": 1, "total": 9})}
    assert launch.tell(failures, 2, str(tmp_path)) == 4
    assert [(e["requested"], e["free"], e["total"]) for e in events(tmp_path, "oom")] == [(7, 1, 9)]


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    config = resolve("toy", None, {"train.batch": 15})
    family = load("toy")
    with pytest.raises(ConfigError, match="cut into equal parts for 2 processes: choose a multiple of 2"):
        Loop(family, family.build(config, 1, 0), config, range(100), lambda *_: None, tmp_path, {}, place("cpu"),
             ranks=Ranks(0, 2))  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize(
    ("visible", "train", "count"),
    [
        ("", {}, 1),
        ("GPU-1", {}, 1),
        ("GPU-1,GPU-2", {}, 2),
        ("0,1,2,3", {"processes": 2}, 2),
        ("0,1", {"processes": 1}, 1),
        ("0,1", {"device": "cpu"}, 1),
        ("", {"device": "cpu", "processes": 3}, 3),
        ("-1", {}, 1),
    ],
)
def test_a_run_takes_the_devices_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str, train: dict[str, Any], count: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    (tmp_path / "spec.json").write_text(f'{{"config": {{"train": {str(train).replace(chr(39), chr(34))}}}}}')
    assert launch.processes(str(tmp_path)) == count
    monkeypatch.setenv(launch.LEADER, str(os.getpid()))
    assert launch.processes(str(tmp_path)) == 1  # in a rank


def test_slices_cannot_train_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a,MIG-b")
    (tmp_path / "spec.json").write_text('{"config": {"train": {}}}')
    with pytest.raises(ConfigError, match=re.escape("was given 2 MIG slices")):
        launch.processes(str(tmp_path))


def test_every_window_of_a_step_goes_to_one_rank() -> None:
    assert [list(Ranks(rank, 3).share(6)) for rank in range(3)] == [[0, 1], [2, 3], [4, 5]]
    assert list(ALONE.share(4)) == [0, 1, 2, 3]
