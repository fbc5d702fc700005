"""Muon beside AdamW, state in main memory, and that both go on from their state."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainers import optim
from trainers.ema import Ema
from trainers.errors import ConfigError
from trainers.train_config import TrainConfig


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 2))


def train(**fields: Any) -> TrainConfig:
    return TrainConfig(lr=0.01, **fields)


def made(model: nn.Module, config: TrainConfig) -> optim.Optimizer:
    return optim.build(config, optim.default_groups(model, config.weight_decay, hidden="1."))


def steps(model: nn.Module, optimizer: optim.Optimizer, count: int, first: int = 0) -> list[Tensor]:
    for i in range(first, first + count):
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(i))
        model(x).square().mean().backward()
        optimizer.step()
        optim.zero_gradients(list(model.parameters()), keep=False)
    return [p.detach().clone() for p in model.parameters()]


def test_muon_takes_the_hidden_matrix_and_adamw_the_rest() -> None:
    model = network()
    optimizer = made(model, train(optimizer="muon", momentum=0.9, weight_decay=0.1))
    assert optimizer.name == "Muon(match_rms_adamw) of 1 matrices, AdamW(fused) of 7 other tensors"
    muon, adamw = optimizer.parts
    assert [p.shape for group in muon.param_groups for p in group["params"]] == [(8, 8)]
    assert {group["momentum"] for group in muon.param_groups} == {0.9}
    assert isinstance(adamw, torch.optim.AdamW)

    by_hand = network()
    other = torch.optim.Muon([by_hand[1].weight], lr=0.01, weight_decay=0.1, momentum=0.9,
                             adjust_lr_fn="match_rms_adamw")  # fmt: skip
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    by_hand(x).square().mean().backward()
    other.step()
    before = network()[1].weight
    steps(model, optimizer, 1)
    torch.testing.assert_close(model[1].weight, by_hand[1].weight)
    change = (model[1].weight - before * (1 - 0.01 * 0.1)) / 0.01
    assert 0.1 < float(change.detach().square().mean().sqrt()) < 0.25  # about AdamW's, so one lr serves both


def test_muon_without_a_hidden_matrix_is_refused() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(ConfigError, match="this model trains no hidden matrices"):
        optim.build(train(optimizer="muon"), optim.default_groups(model, 0.0))


def test_groups_hold_every_trainable_parameter_once() -> None:
    model = network()
    model[0].weight.requires_grad_(False)
    grouped = [p for group in optim.default_groups(model, 0.1, hidden="1.") for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters() if p.requires_grad}
    assert len(grouped) == 7


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_state_in_main_memory_gives_the_same_weights_and_goes_on_from_a_checkpoint(kind: str) -> None:
    plain = network()
    weights = steps(plain, made(plain, train(optimizer=kind)), 6)

    model = network()
    optimizer = made(model, train(optimizer=kind, offload="optimizer"))
    assert optimizer.name.endswith(" on the CPU")
    steps(model, optimizer, 3)
    saved, state = copy.deepcopy(model.state_dict()), optimizer.state_tensors()
    held = {id(p) for part in optimizer.parts for group in part.param_groups for p in group["params"]}
    assert held.isdisjoint(id(p) for p in model.parameters())

    resumed = network()
    resumed.load_state_dict(saved)
    again = made(resumed, train(optimizer=kind, offload="optimizer"))
    again.load_state({name: t.clone() for name, t in state.items()})
    for one, other in zip(weights, steps(resumed, again, 3, first=3), strict=True):
        assert torch.equal(one, other)


def test_a_rate_reaches_the_copies_as_well() -> None:
    model = network()
    optimizer = made(model, train(optimizer="muon", offload="optimizer"))
    optimizer.set_lr(0.0)
    before = [p.detach().clone() for p in model.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, steps(model, optimizer, 2), strict=True))


def test_averages_in_main_memory_are_the_same_averages() -> None:
    model = network()
    here, there = Ema(model, 0.9), Ema(model, 0.9, offload=True)
    optimizer = made(model, train())
    for i in range(3):
        steps(model, optimizer, 1, first=i)
        here.update()
        there.update()
    assert all(torch.equal(here.tensors()[name], there.tensors()[name]) for name in here.names)
    own = [p.detach().clone() for p in model.parameters()]
    with there.applied():
        assert all(torch.equal(p, here.tensors()[name]) for name, p in model.named_parameters())
    assert all(torch.equal(p, q) for p, q in zip(own, model.parameters(), strict=True))


def test_kept_gradients_stay_where_they_are() -> None:
    model = network()
    parameters = list(model.parameters())
    optim.zero_gradients(parameters, keep=True)
    places = [p.grad.data_ptr() for p in parameters]
    model(torch.ones(3, 4)).sum().backward()
    assert any(bool(p.grad.any()) for p in parameters)
    optim.zero_gradients(parameters, keep=True)
    assert [p.grad.data_ptr() for p in parameters] == places
    assert not any(bool(p.grad.any()) for p in parameters)
