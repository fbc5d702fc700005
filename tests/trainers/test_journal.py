"""What a run tells while it trains: the tensor a NaN stood in, the doctor's warnings, TensorBoard, a profiler trace."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from tests.trainers.conftest import Home, events, lines
from tests.trainers.test_options import loop_of
from trainers import profiling
from trainers.errors import LossError
from trainers.throughput import WARM_UP


def test_the_parameter_whose_gradient_broke_is_named_with_its_step(home: Home) -> None:
    loop = loop_of(home, "toy-0001", train__steps=20, train__log_every=5)
    weight = loop.model.get_parameter("inner.weight")
    weight.register_hook(lambda g: torch.full_like(g, torch.inf) if loop.progress.step == 6 else g)
    with pytest.raises(LossError, match=r"^The gradient norm is inf at step 7\. Nearest to the loss is inner\.weight"):
        loop.run()
    (warning,) = events(loop.folder, "warning")
    assert (warning["code"], warning["step"]) == ("nan", 7)
    assert warning["evidence"]["tensor"] == "inner.weight.grad"
    assert "(1 of 5 gradients)" in warning["text"]


def test_values_that_are_no_numbers_are_found_in_the_windows(home: Home) -> None:
    loop = loop_of(home, "toy-0001", train__steps=20, train__log_every=5)
    loop.windows.dataset.panel.values[0, 20:60] = torch.nan  # type: ignore[attr-defined]
    with pytest.raises(LossError, match="The windows of that step hold values that are no numbers"):
        loop.run()
    assert events(loop.folder, "warning")[0]["evidence"]["tensor"] == "batch.values"


def test_the_doctor_is_heard_once(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    code, folder = home.train("toy-0001", train__steps=20, train__eval_every=2, train__lr=1.0, train__clip=0.0)
    assert code == 0
    found = [e for e in events(folder, "warning") if e["code"] == "worse-than-naive"]
    assert len(found) == 1
    assert found[0]["evidence"]["validations"] == 5
    assert found[0]["evidence"]["val_pct_mae"] > found[0]["evidence"]["val_naive_pct_mae"]
    assert found[0]["text"].endswith(found[0]["suggestion"])
    assert f"warning: {found[0]['text']}" in capsys.readouterr().out


def test_a_profile_leaves_a_trace_of_some_steps_and_is_no_part_of_the_speed(home: Home) -> None:
    code, folder = home.train("toy-0001", train__steps=profiling.TAKES + 2, train__profile=True)
    assert code == 0
    trace = json.loads((folder / "profile" / "trace.json").read_text())
    steps = {e["name"] for e in trace["traceEvents"] if str(e.get("name")).startswith("ProfilerStep#")}
    assert len(steps) == profiling.STEPS
    assert any(e.get("name") == "aten::linear" for e in trace["traceEvents"])
    assert [(e["path"], e["steps"]) for e in events(folder, "profile")] == [("profile/trace.json", profiling.STEPS)]
    timed = [line["step"] for line in lines(folder, "metrics.jsonl") if "steps_per_s" in line]
    assert timed == [profiling.TAKES + 1, profiling.TAKES + 2]


def test_a_profile_of_a_run_too_short_for_it_holds_what_there_was(home: Home) -> None:
    code, folder = home.train("toy-0001", train__steps=WARM_UP + 2, train__profile=True)
    assert code == 0
    assert (folder / "profile" / "trace.json").stat().st_size > 0


def test_tensorboard_gets_the_same_numbers(home: Home) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    code, folder = home.train("toy-0001", train__steps=6, train__eval_every=3, train__tensorboard=True)
    assert code == 0
    board = EventAccumulator(str(folder / "tensorboard")).Reload()
    of_ours = lines(folder, "metrics.jsonl")
    for tag, name in (("train/loss", "loss"), ("val/pct_mae", "val_pct_mae")):
        told = {event.step: event.value for event in board.Scalars(tag)}
        assert told == pytest.approx({line["step"]: line[name] for line in of_ours if name in line})


def test_tensorboard_that_is_not_installed_is_told_before_training(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [*(m for m in sys.modules if m.split(".")[0] == "tensorboard"), "torch.utils.tensorboard"]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    code, folder = home.train("toy-0001", train__steps=6, train__tensorboard=True)
    assert code == 2
    assert "pip install 'paddock[tensorboard]'" in capsys.readouterr().err
    assert not lines(folder, "metrics.jsonl")
