"""Adapters and frozen parts: really in the path, nothing else moves, merged wherever a model is read."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.trainers.conftest import Home, events, lines
from trainers import checkpoint
from trainers.errors import ConfigError
from trainers.forecast import Forecaster
from trainers.resolve import resolve
from trainers.run import run
from trainers.toto import weights
from trainers.toto.config import ModelConfig
from trainers.toto.family import TotoFamily

RELEASED = Path(__file__).parents[1] / "fixtures" / "toto1" / "model"
FAMILY = TotoFamily()
ALL = ("wQKV", "wO", "w12", "w3")


def config(**model):
    given = {"model.weights": str(RELEASED), "data.context": 32, "data.horizon": 8}
    return resolve("toto", None, {**given, **{f"model.{k}": v for k, v in model.items()}})


def adapted(**fields):
    """The reference model with adapters that already do something."""
    model = FAMILY.build(config(tune="lora", lora_rank=2, **fields), 2, seed=0)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if ".lora_B." in name:
                p.copy_(0.1 * torch.randn(p.shape, generator=generator))
    return model


def walks(variates, steps=40):
    return 10 + torch.randn(3, variates, steps, generator=torch.Generator().manual_seed(1)).cumsum(-1)


def loss(model, x):
    return FAMILY.loss(model, SimpleNamespace(values=x, mask=torch.ones_like(x, dtype=torch.bool)), 8)


def forecast(model, x):
    return FAMILY.forecast(model, x[..., :32], torch.ones_like(x[..., :32], dtype=torch.bool), 20, (0.1, 0.9), 1, 4)


def test_training_begins_at_the_loaded_weights():
    x = walks(2)
    fresh = FAMILY.build(config(tune="lora"), 2, seed=0)
    assert torch.equal(loss(fresh, x), loss(FAMILY.build(config(), 2, seed=0), x))
    again = FAMILY.build(config(tune="lora"), 2, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("variates", [1, 2])
def test_every_adapter_is_in_the_path_and_nothing_else_learns(variates):
    model = adapted()
    loss(model, walks(variates)).backward()
    found = {name.split(".")[-4] for name, p in model.named_parameters() if p.requires_grad}
    assert found == set(ALL)
    for name, p in model.named_parameters():
        if ".lora_" in name:
            assert p.grad is not None, name
            assert p.grad.abs().max() > 0, name
        else:
            assert p.grad is None, name


def test_adapters_learn_the_same_with_checkpointed_layers():
    grads = []
    for again in (False, True):
        model = adapted(lora_dropout=0.3)
        model.checkpointing = again
        torch.manual_seed(5)  # of the dropout, drawn alike in the second pass
        loss(model, walks(2)).backward()
        grads.append([p.grad for p in model.parameters() if p.requires_grad])
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("variates", [1, 3])
@pytest.mark.parametrize("targets", ["wQKV", "wO,w3", ",".join(ALL)])
def test_merged_forecasts_equal_unmerged_ones(tmp_path, targets, variates):
    model, x = adapted(lora_targets=targets), walks(variates)
    FAMILY.save(model, tmp_path)
    merged = FAMILY.load(tmp_path, "cpu")
    assert not [name for name in merged.state_dict() if "lora" in name]
    base = FAMILY.build(config(), 2, seed=0)
    for one, other, plain in zip(forecast(model, x), forecast(merged, x), forecast(base, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
        assert (one - plain).abs().max() > 1e-2
    assert [name for name, _ in model.named_modules() if name.endswith("lora_A")]  # saving left the adapters there
    kept = weights.load(RELEASED).state_dict()
    moved = {k.split(".")[-2] for k, v in merged.state_dict().items() if not torch.equal(v, kept[k])}
    assert moved == set(targets.split(","))


def lora_run(home: Home, run_id, steps=6, resume_from=None, **more):
    shutil.copytree(RELEASED, home.root / "released", dirs_exist_ok=True)
    sets = {"model__weights": "released", "model__tune": "lora", "model__lora_rank": 2, "model__lora_dropout": 0.1,
            "data__context": 32, "data__horizon": 8, "data__covariates": "open", "train__lr": 0.01,
            "train__steps": steps, "train__eval_every": 3, **more}  # fmt: skip
    return home.make(run_id, "toto", resume_from, **sets)


def test_a_run_moves_adapters_only_and_its_forecaster_needs_no_peft(home: Home, monkeypatch):
    folder = lora_run(home, "toto-0001", train__ema=0.5)
    assert run("toto", folder) == 0
    state = load_file(checkpoint.newest_with_state(folder) / "state.safetensors")
    released = weights.load(RELEASED).state_dict()
    model = {k.removeprefix("model/"): v for k, v in state.items() if k.startswith("model/")}
    base = {k.replace(".base_layer.", "."): v for k, v in model.items() if ".lora_" not in k}
    assert base.keys() == released.keys()
    assert all(torch.equal(base[k], released[k]) for k in base)
    assert all(v.abs().max() > 0 for k, v in model.items() if ".lora_B." in k)
    assert {k for k in state if k.startswith("ema/")} == {f"ema/{k}" for k in model if ".lora_" in k}
    (plan,) = events(folder, "plan")
    assert plan["trainable"] == sum(v.numel() for k, v in model.items() if ".lora_" in k) < 0.2 * plan["parameters"]

    monkeypatch.setitem(sys.modules, "peft", None)
    path = folder / events(folder, "best")[-1]["path"]
    frame = pd.read_csv(home.root / "trainingdata" / "BBB.csv")
    table = pd.read_parquet(folder / "evaluation" / "val_forecasts.parquet").query("symbol == 'BBB'")
    origin = table["origin"].iloc[-1]
    out = Forecaster(path, "cpu").predict(frame[pd.to_datetime(frame["Date"]) <= origin], horizon=8)
    assert out["0.5"].tolist() == pytest.approx(table[table["origin"] == origin]["p50"].tolist(), rel=1e-6)
    exported = weights.load(folder / "hf_export").state_dict()
    assert torch.equal(exported["unembed.weight"], released["unembed.weight"])
    assert not torch.equal(
        exported["transformer.layers.0.mlp.w3.weight"], released["transformer.layers.0.mlp.w3.weight"]
    )


def test_a_stopped_and_resumed_run_equals_one_that_never_stopped(home: Home):
    whole = lora_run(home, "toto-0001")
    assert run("toto", whole) == 0
    half = lora_run(home, "toto-0002")
    trained = lambda: {e["step"]: e["loss"] for e in lines(half, "metrics.jsonl") if "loss" in e}  # noqa: E731
    assert run("toto", half, lambda: 4 in trained()) == 143
    rest = lora_run(home, "toto-0002.2", resume_from="toto-0002")
    assert run("toto", rest) == 0
    one, other = (load_file(checkpoint.newest_with_state(f) / "state.safetensors") for f in (whole, rest))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[k], other[k]) for k in one)
    read = [(f / "evaluation" / "val.json").read_text() for f in (whole, rest)]
    assert read[0] == read[1]


def test_heads_alone_are_trained_when_asked(home: Home):
    shutil.copytree(RELEASED, home.root / "released")
    code, folder = home.train("toto-0001", "toto", model__weights="released", model__tune="heads", data__context=32,
                              data__horizon=8, train__steps=2)  # fmt: skip
    assert code == 0
    now, before = weights.load(folder / "hf_export").state_dict(), weights.load(RELEASED).state_dict()
    moved = {k for k in now if not torch.equal(now[k], before[k])}
    assert {k.split(".")[0] for k in moved} == {"unembed", "output_distribution"}


def test_a_new_head_is_trained_beside_the_adapters():
    model = FAMILY.build(config(tune="lora", loss="quantile"), 2, seed=0)
    trained = {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad}
    assert trained == {"transformer", "output_distribution"}


def test_without_peft_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"model.tune = lora needs peft: `pip install 'paddock\[lora\]'`"):
        FAMILY.build(config(tune="lora"), 2, seed=0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lora_rank": 4}, r"model.lora_rank has no meaning with model.tune=all"),
        ({"tune": "heads", "lora_alpha": 4}, r"model.lora_alpha has no meaning with model.tune=heads"),
        ({"tune": "lora", "weights": ""}, r"model.tune = lora leaves most weights as they are"),
        ({"tune": "lora", "lora_targets": "wQKV,w4"}, r"model.lora_targets = 'w4': not one of .* Did you mean 'w"),
        ({"tune": "lora", "lora_targets": ""}, r"model.lora_targets = : name at least one"),
        ({"tune": "lora", "lora_rank": 0}, r"model.lora_rank = 0: out of range"),
    ],
)
def test_fields_without_a_meaning_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        config(**fields)


def test_the_preset_asks_for_adapters_at_a_larger_rate():
    made = resolve("toto", "lora", {"model.weights": str(RELEASED)})
    assert isinstance(made.model, ModelConfig)
    assert made.model.tune == "lora"
    assert made.train.lr > resolve("toto", "finetune", {"model.weights": str(RELEASED)}).train.lr
