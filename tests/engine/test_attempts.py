"""Attempts that the engine makes by itself: what the next one is, and that it is queued once, whatever happens."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest

from engine import attempts, memory, rundir
from engine.cause import Cause
from engine.cli.main import run as cli
from engine.errors import BadField, UsageError
from engine.messages import Retry, Submit
from engine.records import Spec
from engine.retry import Policy, policy, split
from engine.run import Run
from engine.sizes import size
from tests.conftest import Box, wait_for

GIB = 1 << 30
CONFIG: dict[str, dict[str, object]] = {
    "model": {"layers": 2, "dropout": 0.1},
    "data": {"context": 64, "horizon": 8},
    "train": {"batch": 32, "accumulate": 1, "processes": 0},
    "eval": {"batch": 64},
}
# what our trainers do when memory runs out, or is enough: it takes a GPU to run out of its memory for real
TRAINER = """
import json, os, sys
from engine import runlog
train = json.load(open(os.path.join(os.environ['ENGINE_RUN'], 'spec.json')))['config']['train']
runlog.event('phase', name='train')
runlog.log(int(os.environ['ENGINE_ATTEMPT']), loss=1.0)
if train['batch'] // train['accumulate'] > 8:
    runlog.event('oom', requested=1 << 30, free=5, total=9)
    runlog.event('failed', cause='Out of memory')
    sys.exit(4)
runlog.event('finished', why='steps', step=7)
"""


def spec(**fields: Any) -> Spec:
    known = {"id": "toto-0001", "family": "toto", "command": ("x",), "cwd": "/", "config": CONFIG}
    return Spec(**{**known, **fields})


def failed(oom: bool = True, phase: str = "train", code: int = 4, **fields: Any) -> Run:
    run = Run(spec(**fields), state="failed", since=1000.0, exited={"event": "exited", "code": code})
    run.progress.event({"event": "phase", "name": phase})
    if oom:
        run.progress.event({"event": "oom"})
    return run


def after(run: Run) -> Spec:
    found = attempts.following(run)
    assert isinstance(found, Spec)
    return found


def test_half_the_micro_batch_and_the_same_batch():
    found = after(failed(retry=Policy(oom=2)))
    assert found.config["train"] == {"batch": 32, "accumulate": 2, "processes": 0}
    assert found.changed == {"train.accumulate": 2}
    assert (found.because, found.spent, found.begin) == ("oom", (1, 0), None)
    assert found.config["model"] == CONFIG["model"]
    assert CONFIG["train"]["accumulate"] == 1


@pytest.mark.parametrize(
    ("batch", "parts", "gpus", "then"),
    [(32, 1, None, 2), (32, 16, None, 32), (12, 2, None, 4), (10, 1, None, 2), (15, 1, None, 3), (32, 1, 4, 2)],
)
def test_the_next_cut_leaves_equal_parts(batch: int, parts: int, gpus: int | None, then: int):
    config = {**CONFIG, "train": {"batch": batch, "accumulate": parts, "processes": 0}}
    train = after(failed(config=config, gpus=gpus, retry=Policy(oom=1))).config["train"]
    assert train["accumulate"] == then
    assert batch % (then * (gpus or 1)) == 0


@pytest.mark.parametrize(
    ("batch", "parts", "gpus", "phase", "why"),
    [
        (32, 32, None, "train", "its 1 windows at a time can't be halved: choose a smaller model"),
        (32, 8, 4, "train", "its 1 windows at a time can't be halved: choose a smaller model"),
        (32, 1, None, "load", "memory ran out before the first batch, so smaller ones do not help"),
    ],
)
def test_what_can_not_be_smaller_is_refused(batch: int, parts: int, gpus: int | None, phase: str, why: str):
    config = {**CONFIG, "train": {"batch": batch, "accumulate": parts, "processes": 0}}
    run = failed(config=config, gpus=gpus, phase=phase, retry=Policy(oom=2))
    assert attempts.following(run) == f"not tried again: {why}"


def test_out_of_memory_while_forecasting_halves_the_forecast():
    found = after(failed(phase="evaluate", retry=Policy(oom=1)))
    assert found.config["eval"] == {"batch": 32}
    assert found.config["train"] == CONFIG["train"]


@pytest.mark.parametrize(
    ("kind", "state", "devices", "because"),
    [
        ("device memory", "failed", ("GPU-a",), "oom"),
        ("host memory", "failed", ("cpu",), "oom"),
        ("host memory", "failed", ("GPU-a",), "failed"),  # a smaller batch on the GPU would not help
        ("hang", "stopped", ("GPU-a",), "hang"),
        ("power", "lost", ("GPU-a",), "lost"),
    ],
)
def test_the_cause_decides_how_it_is_tried(kind: str, state: str, devices: tuple[str, ...], because: str):
    run = failed(oom=False, code=1, family="exec", config={}, retry=Policy(oom=1, times=1))
    run.cause, run.state, run.devices = Cause(kind, ""), state, devices
    assert after(run).because == because


def test_other_ends_are_tried_later_each_time_and_only_so_often():
    run = failed(oom=False, code=1, retry=Policy(times=3, wait=60.0))
    begins = []
    for number in range(3):
        found = after(run)
        assert found.config == CONFIG
        assert found.spent == (0, number + 1)
        begins.append((found.begin or 0.0) - run.since)
        run.brief = found
    assert begins == [60.0, 120.0, 240.0]
    assert attempts.following(run) == "not tried again: it was 3 of 3 times"
    run = failed(oom=False, retry=Policy(times=1))
    run.state = "lost"
    assert after(run).because == "lost"
    assert Policy(times=20, wait=60.0).delay(20) == 3600.0
    assert Policy(times=20, wait=7200.0).delay(3) == 7200.0


@pytest.mark.parametrize(
    ("code", "family", "again"),
    [
        (1, "toto", True),
        (2, "toto", False),
        (3, "toto", False),
        (5, "toto", False),
        (5, "exec", True),
    ],
)
def test_what_would_end_the_same_is_not_tried(code: int, family: str, again: bool):
    found = attempts.following(failed(oom=False, code=code, family=family, retry=Policy(times=1)))
    assert isinstance(found, Spec) is again


@pytest.mark.parametrize("kind", ["import", "not found", "permission"])
def test_a_command_that_can_not_work_is_not_tried(kind: str):
    run = failed(oom=False, code=127, family="exec", retry=Policy(times=1))
    run.cause = Cause(kind, "")
    assert str(attempts.following(run)).startswith("not tried again: ")


@pytest.mark.parametrize("state", ["ok", "stopped"])
def test_who_was_stopped_or_is_ok_is_left_alone(state: str):
    run = failed(retry=Policy(oom=2, times=2))
    run.state = state
    assert attempts.following(run) is None


def test_the_fields_are_checked():
    assert policy({"oom": "2", "times": 3, "wait": "5m"}) == Policy(2, 3, 300.0)
    assert policy({}) is None
    assert split({"retry.oom": "2", "train.lr": "1"}) == ({"train.lr": "1"}, {"oom": "2"})
    for given, text in [
        ({"oom": "x"}, "retry.oom = x: expected a whole number"),
        ({"times": 21}, "out of range"),
        ({"ooms": 1}, "Unknown field 'retry.ooms'. Did you mean oom"),
        ({"oom": 1, "wait": "5m"}, "counts for retry.times only"),
        ({"wait": "5m"}, "nothing to wait for"),
    ]:
        with pytest.raises(BadField, match=text):
            policy(given)
    with pytest.raises(UsageError, match=r"retry\.wait 5: expected a duration"):
        policy({"times": 1, "wait": "5"})
    assert size("1.5 GiB", "--gpu-memory") == 3 << 29
    for text in ("6", "GiB", "0GiB", "-1GiB", "1e3GiB"):
        with pytest.raises(UsageError, match="--gpu-memory"):
            size(text, "--gpu-memory")


# -- through a real engine ----------------------------------------------------------------------------------------


def test_a_run_that_ran_out_of_memory_goes_on_with_less(box: Box):
    asked = spec(
        id="", command=(sys.executable, "-c", TRAINER), cwd=str(box.workspace.root), gpus=0, retry=Policy(oom=3)
    )
    run = box.call(Submit(spec=asked, environment=dict(os.environ))).row.id
    assert run == "toto-0001"
    last = wait_for(lambda: row if (row := box.rows().get("toto-0001.3")) and row.state == "ok" else None)
    assert (last.attempt, last.tries, last.resume_from) == (3, 4, "toto-0001.2")
    rows = box.rows()
    assert sorted(rows) == ["toto-0001", "toto-0001.2", "toto-0001.3"]
    assert rows[run].reason == "Out of memory; goes on as toto-0001.2 with train.accumulate 2 instead of 1"
    orders = box.lines("toto-0001.2", rundir.ORDERS)
    assert [line["value"] for line in orders if line["order"] == "retry"] == ["toto-0001.3"]
    # a restart finds the same, and makes nothing more
    box.crash()
    assert box.rows()[run].reason == "Out of memory; went on as toto-0001.2"
    assert sorted(box.rows()) == ["toto-0001", "toto-0001.2", "toto-0001.3"]


def test_who_follows_a_run_follows_its_attempts(box: Box, capsys: pytest.CaptureFixture[str]):
    code = """
import os, sys
attempt = int(os.environ['ENGINE_ATTEMPT'])
if attempt == 2:
    sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of")
sys.exit(attempt != 3)
"""
    words = ["exec", "--gpus", "0", "--retry", "1", "--retry-wait", "0.1s", "--retry-oom", "1", "--follow", "--json"]
    assert cli([*words, "--", sys.executable, "-c", code]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["id"], row["attempt"], row["tries"], row["because"]) == ("exec-0001.3", 3, 3, "oom")
    assert cli(["exec", "--retry-wait", "5m", "--", "true"]) == 2
    assert "--retry-wait without --retry:" in capsys.readouterr().err
    assert cli(["exec", "--share", "--gpus", "2", "--", "true"]) == 2
    assert "--share with --gpus 2" in capsys.readouterr().err
    assert cli(["exec", "--gpu-memory", "6", "--", "true"]) == 2
    assert "--gpu-memory 6: expected an amount of memory" in capsys.readouterr().err


def test_a_command_waits_and_is_told_which_attempt_it_is(box: Box):
    code = "import os, sys; print(os.environ['ENGINE_ATTEMPT']); sys.exit(os.environ['ENGINE_ATTEMPT'] != '2')"
    run = box.python(code, gpus=0, retry=Policy(times=2, wait=3600.0)).id
    waiting = box.state(wait_for(lambda: (f"{run}.2" in box.rows()) and f"{run}.2"), "queued")
    assert waiting.reason.startswith("tries again at ")
    assert waiting.reason.endswith(" (1 of 2)")
    # an engine that was killed before it could queue the attempt does so when it is back
    box.crash()
    os.rename(box.workspace.run(f"{run}.2"), box.workspace.root / "put aside")
    orders = box.workspace.run(run) / rundir.ORDERS
    orders.write_text("".join(line for line in orders.read_text().splitlines(True) if '"retry"' not in line))
    assert box.state(f"{run}.2", "queued").reason == waiting.reason
    # and one whose attempt was removed by hand does not
    box.crash()
    os.rename(box.workspace.run(f"{run}.2"), box.workspace.root / "put aside too")
    assert box.row(run).state == "failed"
    assert f"{run}.2" not in box.rows()
    again = box.call(Retry(run=run, environment=dict(os.environ))).row.id
    assert box.ended(again).state == "ok"
    assert (box.workspace.run(again) / rundir.LOG).read_text() == "2\n"


# -- memory learnt from earlier runs ------------------------------------------------------------------------------


def peaks(*lines: tuple[int, float]) -> memory.Peaks:
    found = memory.Peaks()
    for micro, gib in lines:
        config = {**CONFIG, "train": {"batch": micro, "accumulate": 1, "processes": 0}}
        found.add(memory.line(spec(config=config), 0.0, int(gib * GIB), "ok"))
    return found


@pytest.mark.parametrize(
    ("known", "gib", "runs"),
    [
        ([(32, 5.0), (32, 6.0), (32, 4.0)], 6.0, 3),  # the highest of the same
        ([(64, 9.0), (128, 17.0)], 9.0, 2),  # the next larger one
        ([(8, 2.0), (16, 3.0)], 5.0, 2),  # the line through the two largest
        ([(16, 3.0)], 6.0, 1),  # in proportion, which is too much
        ([], None, 0),
    ],
)
def test_predictions(known: list[tuple[int, float]], gib: float | None, runs: int):
    found = peaks(*known).predict(spec())
    if gib is None:
        assert found is None
    else:
        assert found is not None
        assert found.bytes == pytest.approx(gib * memory.MARGIN * GIB)
        assert found.runs == runs


def test_what_changes_no_tensor_is_the_same_shape_and_what_does_is_not():
    base = memory.shape(spec())
    assert memory.shape(spec(config={**CONFIG, "model": {"layers": 2, "dropout": 0.3}}, seed=3)) == base
    assert memory.shape(spec(config={**CONFIG, "train": {**CONFIG["train"], "lr": 0.1}})) == base
    assert memory.shape(spec(config={**CONFIG, "model": {"layers": 3, "dropout": 0.1}})).key != base.key
    assert memory.shape(spec(config={**CONFIG, "data": {"context": 65, "horizon": 8}})).key != base.key
    half = memory.shape(spec(config={**CONFIG, "train": {**CONFIG["train"], "accumulate": 2}}))
    assert half == memory.Shape(base.key, 16)
    assert str(memory.Prediction(int(6.1 * GIB), 12)) == "predicted 6.1 GiB from 12 runs"


def test_lines_of_others_teach_nothing():
    known = peaks()
    for line in ({}, {"shape": 3}, {"shape": "x", "micro": 1, "peak": -5}, {"shape": "x", "micro": "1", "peak": 5}):
        known.add(line)
    assert known.known == {}
