"""The loop: first rate, accumulation, stopping, what is logged, and resuming as if never stopped."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import wait_for
from tests.trainers.conftest import Home, events, lines
from trainers import checkpoint
from trainers.ema import Ema
from trainers.run import run
from trainers.sampler import Sampler

LONG: dict[str, Any] = {"train__steps": 40, "train__eval_every": 7, "train__save_every": 5, "train__ema": 0.9,
                        "train__keep": 2, "train__accumulate": 2}  # fmt: skip


def newest(folder: Path) -> Path:
    found = checkpoint.newest_with_state(folder)
    assert found is not None
    return found


def losses(folder: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in lines(folder, "metrics.jsonl") if "loss" in line}


def scores(folder: Path) -> dict[int, float]:
    return {line["step"]: line["val_pct_mae"] for line in lines(folder, "metrics.jsonl") if "val_pct_mae" in line}


def test_a_run_tells_its_whole_story(home: Home) -> None:
    code, folder = home.train("toy-0001", train__steps=10, train__eval_every=5, data__unseen="CCC")
    assert code == 0
    kinds = [line["event"] for line in lines(folder, "events.jsonl")]
    assert kinds[0] == "phase"
    assert kinds[-1] == "finished"
    assert [e["why"] for e in events(folder, "finished")] == ["steps"]
    plan = events(folder, "plan")[0]
    assert plan["steps"] == 10
    assert plan["windows"]["train"] > 0
    assert plan["windows"]["unseen"] > 0
    assert plan["parameters"] == 8 * 8 + 8 + 16 * 8 + 16 + 1
    used = events(folder, "used")[0]
    assert (used["device"], used["precision"], used["optimizer"]) == ("cpu", "fp32", "AdamW(fused)")
    assert [e["split"] for e in events(folder, "evaluation")] == ["val", "test", "unseen"]
    assert ["metrics" in e for e in events(folder, "evaluation")] == [True, False, False]
    of_step = {line["step"]: set(line) for line in lines(folder, "metrics.jsonl") if "loss" in line}
    told = {"t", "step", "epoch", "loss", "lr", "grad_norm"}
    rates = {"steps_per_s", "windows_per_s", "points_per_s", "data_share"}
    assert [of_step[step] for step in (1, 2, 3)] == [told] * 3  # warm-up is no speed
    assert all(of_step[step] == told | rates for step in range(4, 11))
    assert not [name for line in lines(folder, "metrics.jsonl") for name in line if name.startswith(("test", "unseen"))]


def test_the_first_update_uses_the_warm_up_rate(home: Home) -> None:
    _, folder = home.train("toy-0001", train__steps=20, train__warmup=0.25, train__lr=1e-2, train__min_lr_ratio=0.1)
    rates = [line["lr"] for line in lines(folder, "metrics.jsonl") if "lr" in line]
    assert rates[:5] == pytest.approx([2e-3, 4e-3, 6e-3, 8e-3, 1e-2])
    assert rates[-1] == pytest.approx(1e-3)


def test_accumulation_equals_the_big_batch(home: Home) -> None:
    same = {"train__steps": 6, "model__dropout": 0.0}
    _, whole = home.train("toy-0001", **same)
    _, parts = home.train("toy-0002", train__accumulate=4, **same)
    assert list(losses(parts).values()) == pytest.approx(list(losses(whole).values()), rel=1e-5)
    one, other = (load_file(newest(f) / "model.safetensors") for f in (whole, parts))
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=1e-4, atol=1e-6)


def test_a_run_that_goes_on_in_smaller_parts_is_the_same_run(home: Home) -> None:
    """What the engine makes of a run that ran out of memory: the same steps over the same windows, in halves."""
    same = {"train__steps": 10, "train__save_every": 2, "model__dropout": 0.0}
    _, whole = home.train("toy-0001", **same)
    began = home.make("toy-0002", **same)
    assert run("toy", began, stop=lambda: len(losses(began)) >= 5) == 143
    code, rest = home.train("toy-0002.2", resume_from="toy-0002", train__accumulate=2, **same)
    assert code == 0
    assert min(losses(rest)) == max(losses(began)) + 1
    assert (losses(began) | losses(rest)) == pytest.approx(losses(whole), rel=1e-5)
    one, other = (load_file(newest(f) / "model.safetensors") for f in (whole, rest))
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=1e-4, atol=1e-6)
    one, other = (json.loads((newest(f) / "state.json").read_text()) for f in (whole, rest))
    assert one["position"] == other["position"]


def test_the_same_seed_gives_the_same_run_and_another_does_not(home: Home) -> None:
    runs = [home.train(f"toy-000{i}", train__steps=5, train__seed=seed)[1] for i, seed in enumerate((1, 1, 2))]
    assert losses(runs[0]) == losses(runs[1])
    assert losses(runs[0]) != losses(runs[2])


def test_killed_at_any_moment_and_resumed_it_equals_an_uninterrupted_run(home: Home) -> None:
    _, whole = home.train("toy-0001", **LONG)
    killed = home.make("toy-0002", **LONG, model__pause=0.05)
    process = home.start(killed)
    wait_for(lambda: len(scores(killed)) >= 2 and max(losses(killed)) > 16, "for step 17", 250)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert max(losses(killed)) < 40

    _adopt_without_pause(killed)
    code, resumed = home.train("toy-0002.2", resume_from="toy-0002", **LONG)
    assert code == 0
    together = losses(killed) | losses(resumed)
    assert together == losses(whole)
    assert scores(killed) | scores(resumed) == scores(whole)
    for name in ("model.safetensors", "state.safetensors"):
        one, other = load_file(newest(whole) / name), load_file(newest(resumed) / name)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    one, other = (json.loads((newest(f) / "state.json").read_text()) for f in (whole, resumed))
    assert {**one, "seconds": 0} == {**other, "seconds": 0}
    read = [json.loads((f / "evaluation" / "val.json").read_text()) for f in (whole, resumed)]
    assert read[0] == read[1]


def _adopt_without_pause(folder: Path) -> None:
    """The pause slows the killed run down and is part of its model config, which a resume must not change."""
    for path in checkpoint.all_in(folder):
        about = json.loads((path / "config.json").read_text())
        about["config"]["model"]["pause"] = 0.0
        (path / "config.json").write_text(json.dumps(about))


def test_sigterm_saves_a_checkpoint_and_exits_143(home: Home) -> None:
    folder = home.make("toy-0001", train__steps=100_000, model__pause=0.01)
    process = home.start(folder)
    wait_for(lambda: len(losses(folder)) > 3, "for some steps", 250)
    process.terminate()
    _, err = process.communicate(timeout=250)
    assert (process.returncode, err) == (143, "")
    finished = lines(folder, "events.jsonl")[-1]
    assert (finished["event"], finished["why"]) == ("finished", "stopped")
    path = newest(folder)
    assert path.name == f"step-{finished['step']:06d}"
    assert max(losses(folder)) == finished["step"]


def test_a_run_that_ended_before_its_first_checkpoint_starts_over_and_says_so(home: Home) -> None:
    home.make("toy-0001")
    code, folder = home.train("toy-0001.2", train__steps=3, resume_from="toy-0001")
    assert code == 0
    assert [w["code"] for w in events(folder, "warning")] == ["resume"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model__width": 9}, "model.width = 9 cannot go on from toy-0001, trained with 8."),
        ({"data__context": 20}, "data.context = 20 cannot go on"),
        ({"train__seed": 3}, "train.seed = 3 cannot go on"),
        ({"resume_from": "toy-0009"}, "there is no such run folder"),
    ],
)
def test_a_resume_that_cannot_be_exact_is_refused(
    home: Home, change: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home.train("toy-0001", train__steps=3)
    code, folder = home.train("toy-0001.2", **{"train__steps": 6, "resume_from": "toy-0001", **change})
    assert code == 2
    assert said in events(folder, "failed")[0]["cause"]
    assert said in capsys.readouterr().err


def test_more_steps_can_be_asked_of_a_finished_run(home: Home) -> None:
    home.train("toy-0001", train__steps=4)
    code, folder = home.train("toy-0001.2", train__steps=8, resume_from="toy-0001")
    assert code == 0
    assert sorted(losses(folder)) == [5, 6, 7, 8]


def test_a_loss_that_is_not_a_number_stops_the_run_with_the_step(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    code, folder = home.train("toy-0001", train__steps=20, model__explode=7, train__log_every=5)
    assert code == 5
    said = capsys.readouterr()
    assert said.err.startswith("The loss is nan at step 7.")
    assert said.err.count("\n") == 1
    assert "step 10/20 loss nan" in said.out
    assert lines(folder, "metrics.jsonl")[-1] | {"loss": None, "step": 10} == lines(folder, "metrics.jsonl")[-1]
    assert events(folder, "warning")[0]["step"] == 7
    assert "step 7" in events(folder, "failed")[0]["cause"]


def test_patience_ends_a_run_that_no_longer_gains(home: Home) -> None:
    code, folder = home.train("toy-0001", train__steps=500, train__eval_every=2, train__patience=3, train__lr=0.3)
    assert code == 0
    finished = events(folder, "finished")[0]
    assert finished["why"] == "early_stop"
    best = events(folder, "best")[-1]["step"]
    assert finished["step"] == best + 2 * 3


def test_the_time_limit_ends_a_run_and_it_is_scored(home: Home) -> None:
    code, folder = home.train("toy-0001", train__steps=10**6, train__time_limit=0.5 / 60, train__eval_every=10**6)
    assert code == 0
    finished = events(folder, "finished")[0]
    assert finished["why"] == "time"
    assert list(scores(folder)) == [finished["step"]]


def test_an_epoch_takes_every_window_once() -> None:
    sampler = Sampler(10, seed=3)
    taken = torch.cat([sampler.take(4) for _ in range(5)])
    assert sorted(taken[:10].tolist()) == sorted(taken[10:].tolist()) == list(range(10))
    assert taken[:10].tolist() != taken[10:].tolist()
    assert torch.equal(Sampler(10, seed=3, position=7).take(6), taken[7:13])
    assert len(Sampler(3, seed=0).take(8)) == 8


def test_averages_leave_the_weights_as_they_were_and_warm_up() -> None:
    model = torch.nn.Linear(2, 2)
    ema = Ema(model, 0.999)
    before = [p.clone() for p in model.parameters()]
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    ema.update()  # at a decay of 0.1, not 0.999
    with ema.applied():
        for p, old in zip(model.parameters(), before, strict=True):
            torch.testing.assert_close(p.data, old + 0.9)
    for p, old in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(p.data, old + 1.0)
