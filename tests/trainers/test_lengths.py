"""Training windows of several lengths: which, how many, and that resuming, parts and processes change nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.trainers.conftest import Home, events, lines
from trainers import checkpoint
from trainers.data.config import DataConfig
from trainers.errors import ConfigError
from trainers.lengths import Lengths
from trainers.run import run
from trainers.train_config import TrainConfig

DATA = DataConfig(context=64, horizon=16)
MANY = {"train__lookbacks": "8,12,16", "train__horizons": "2,4", "train__token_budget": 300,
        "train__batch": None}  # fmt: skip


def test_a_step_takes_as_many_windows_as_the_budget_holds():
    train = TrainConfig(lookbacks=(32, 16, 64), horizons=(8, 16), token_budget=1000, seed=3)
    lengths = Lengths(train, DATA, parts=4)
    sizes = [lengths.at(step, 500) for step in range(500)]
    assert {(s.context, s.horizon) for s in sizes} == {(c, h) for c in (16, 32, 64) for h in (8, 16)}
    assert all(s.windows % 4 == 0 and s.windows * s.length <= 1000 < (s.windows + 4) * s.length for s in sizes)
    assert lengths.mean_windows == pytest.approx(sum(s.windows for s in sizes) / 500, rel=0.05)
    again, other = (Lengths(replace(train, seed=seed), DATA, parts=4) for seed in (3, 4))
    assert sizes == [again.at(step, 500) for step in range(500)]
    assert [again.at(step, 500) for step in (499, 250, 0)] == [sizes[499], sizes[250], sizes[0]]  # in any order
    assert sizes != [other.at(step, 500) for step in range(500)]
    assert lengths.between(3, 9, 500) == sum(s.windows for s in sizes[3:9])
    assert lengths.size(64, 16).windows == 12


def test_a_budget_below_one_window_still_takes_one_for_each_part():
    assert Lengths(TrainConfig(token_budget=10), DATA, parts=2).at(0, 9).windows == 2


def test_longer_windows_join_during_the_warm_up():
    train = TrainConfig(lookbacks=(16, 32, 48, 64), horizons=(8, 16), token_budget=4000, length_warmup=0.5)
    lengths = Lengths(train, DATA)
    sizes = [lengths.at(step, 400) for step in range(400)]
    assert {(s.context, s.horizon) for s in sizes[:50]} == {(16, 8)}
    assert {s.context for s in sizes[50:100]} == {16, 32}
    assert {s.horizon for s in sizes[:100]} == {8}
    assert {s.context for s in sizes[200:]} == {16, 32, 48, 64}
    assert lengths.mean_windows == pytest.approx(sum(s.windows for s in sizes) / 400, rel=0.05)


def test_without_lengths_or_a_budget_a_step_is_what_it_always_was():
    lengths = Lengths(TrainConfig(batch=7), DATA)
    assert lengths.at(5, 10) == lengths.largest()
    assert (lengths.largest().windows, lengths.largest().length, lengths.mean_windows) == (7, 80, 7)
    assert lengths.told() == {}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lookbacks": (16, 65)}, "train.lookbacks holds 65, but data.context = 64"),
        ({"horizons": (32,)}, "train.horizons holds 32, but data.horizon = 16"),
    ],
)
def test_lengths_that_the_windows_do_not_have_are_refused(fields, said):
    with pytest.raises(ConfigError, match=said):
        Lengths(TrainConfig(**fields), DATA)


def test_a_warm_up_without_lengths_is_refused():
    with pytest.raises(ValueError, match="windows of one length"):
        TrainConfig(length_warmup=0.5)


def test_a_run_of_several_lengths_resumes_exactly(home: Home) -> None:
    asked = {**MANY, "model__dropout": 0.2, "train__steps": 14, "train__length_warmup": 0.5, "train__eval_every": 7}
    _, whole = home.train("toy-0001", **asked)
    used = events(whole, "used")[0]
    assert (used["lookbacks"], used["horizons"]) == ([8, 12, 16], [2, 4])
    assert used["batch"] == [15, 16, 18, 21, 25, 30]
    asked_so_far = iter(range(1000))
    half = home.make("toy-0002", **asked)
    assert run("toy", half, lambda: next(asked_so_far) > 8) == 143
    _, resumed = home.train("toy-0002.2", resume_from="toy-0002", **asked)
    assert 0 < len(losses(half)) < 14
    assert losses(half) | losses(resumed) == losses(whole)
    one, other = weights(whole), weights(resumed)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_parts_of_such_a_batch_average_to_it(home: Home) -> None:
    sizes = {"model__dropout": 0.0, "train__steps": 5, "train__lookbacks": "8,14", "train__horizons": "4",
             "train__token_budget": 216, "train__batch": None}  # fmt: skip
    whole, parts = (home.train(f"toy-000{n}", train__accumulate=n, **sizes)[1] for n in (1, 6))
    assert events(whole, "used")[0]["batch"] == events(parts, "used")[0]["batch"] == [12, 18]
    assert list(losses(parts).values()) == pytest.approx(list(losses(whole).values()), rel=1e-5)
    one, other = weights(whole), weights(parts)
    assert all(torch.allclose(one[name], other[name], rtol=1e-4, atol=1e-6) for name in one)


def losses(folder: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in lines(folder, "metrics.jsonl") if "loss" in line}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found = checkpoint.newest_with_state(folder)
    assert found is not None
    return load_file(found / "model.safetensors")
