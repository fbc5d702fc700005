"""Toto as the loop sees it: it learns, its loss is safe, and what it refuses it names."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace

import pytest
import torch

from trainers import config as fields
from trainers.errors import ConfigError
from trainers.toto.config import PRESETS, ModelConfig
from trainers.toto.family import TotoFamily, in_units

FAMILY = TotoFamily()
CONTEXT, HORIZON = 48, 8


def run(context=CONTEXT, horizon=HORIZON, **model):
    return SimpleNamespace(model=ModelConfig(**model), data=SimpleNamespace(context=context, horizon=horizon))


def batch(values, mask=None):
    return SimpleNamespace(values=values, mask=torch.ones_like(values, dtype=torch.bool) if mask is None else mask)


def preset(name):
    return {k.removeprefix("model."): v for k, v in PRESETS[name]().items() if k.startswith("model.")}


def sines(count, generator):
    """Noisy sines around different levels; the second variate leads the first."""
    phase = torch.rand(count, 1, 1, generator=generator) * 2 * math.pi
    time = torch.arange(CONTEXT + HORIZON) + torch.tensor([0.0, 3.0])[:, None]
    noise = torch.randn(count, 2, CONTEXT + HORIZON, generator=generator)
    return (50 + 5 * torch.sin(time * 2 * math.pi / 20 + phase) + 0.3 * noise) * 2


def test_the_tiny_preset_learns_a_noisy_sine_in_seconds():
    model = FAMILY.build(run(patch=8, dropout=0.0), 2, seed=0)
    optimizer = torch.optim.AdamW(FAMILY.parameter_groups(model, 0.01), lr=3e-3, fused=True)
    generator = torch.Generator().manual_seed(0)
    for _ in range(120):
        loss = FAMILY.loss(model, batch(sines(16, generator)), HORIZON)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = sines(64, generator)
    context, future = x[..., :CONTEXT], x[:, 0, CONTEXT:]
    made = FAMILY.forecast(model, context, torch.ones_like(context, dtype=torch.bool), HORIZON, (0.1, 0.9), seed=0)
    error = (made.point_BH - future).abs().mean()
    naive = (context[:, 0, -1:] - future).abs().mean()
    assert error < 0.4 * naive
    inside = ((future > made.quantiles_BHQ[..., 0]) & (future < made.quantiles_BHQ[..., 1])).double().mean()
    assert 0.6 < inside < 0.98


@pytest.mark.parametrize("loss_on", ["all", "target"])
def test_what_is_masked_or_infinite_reaches_neither_loss_nor_gradient(loss_on):
    model = FAMILY.build(run(patch=8, dropout=0.0, loss_on=loss_on), 2, seed=0)
    x = sines(4, torch.Generator().manual_seed(1))
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[0, 0, 20:30] = mask[1, :, :13] = mask[2, 1] = mask[3, 0, -9:] = False
    losses = []
    for junk in (0.0, float("nan"), float("inf"), -1e38):
        model.zero_grad()
        loss = FAMILY.loss(model, batch(torch.where(mask, x, junk), mask), HORIZON)
        loss.backward()
        losses.append(loss.item())
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert len(set(losses)) == 1
    assert math.isfinite(losses[0])


def test_a_window_without_observations_costs_nothing():
    model = FAMILY.build(run(patch=8, dropout=0.0), 2, seed=0)
    x = sines(2, torch.Generator().manual_seed(1))
    loss = FAMILY.loss(model, batch(x, torch.zeros_like(x, dtype=torch.bool)), HORIZON)
    loss.backward()
    assert loss.item() == 0.0
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_parts_of_a_batch_average_to_its_loss():
    """What accumulation in the loop relies on, also where windows are masked differently."""
    model = FAMILY.build(run(patch=8, dropout=0.0), 2, seed=0)
    x = sines(6, torch.Generator().manual_seed(1))
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.7
    parts = [FAMILY.loss(model, batch(x[i : i + 2], mask[i : i + 2]), HORIZON) for i in (0, 2, 4)]
    torch.testing.assert_close(FAMILY.loss(model, batch(x, mask), HORIZON), torch.stack(parts).mean())


def test_extreme_values_keep_loss_and_gradients_finite():
    model = FAMILY.build(run(patch=8, dropout=0.0), 2, seed=0)
    x = sines(3, torch.Generator().manual_seed(1))
    x[0] *= 1e-12
    x[1, 0, 30] = 1e9
    x[2] = 0.0
    loss = FAMILY.loss(model, batch(x), HORIZON)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_bf16_autocast_keeps_the_residual_stream_and_the_loss_in_float32():
    model = FAMILY.build(run(patch=8), 2, seed=0)
    x = sines(4, torch.Generator().manual_seed(1))
    exact = FAMILY.loss(model, batch(x), HORIZON)
    states = []
    model.transformer.layers[-1].register_forward_hook(lambda module, args, out: states.append(out))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = FAMILY.loss(model, batch(x), HORIZON)
    loss.backward()
    assert states[0].dtype == loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_the_seed_alone_decides_the_weights():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, two, other = (FAMILY.build(run(), 2, seed=s) for s in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.unembed.weight, other.unembed.weight)


def test_saving_and_loading_changes_no_bit_of_a_forecast(tmp_path):
    model = FAMILY.build(run(patch=8), 2, seed=0)
    x = sines(3, torch.Generator().manual_seed(1))[..., :CONTEXT]
    ask = (x, torch.ones_like(x, dtype=torch.bool), 20, (0.2, 0.8), 4, 8)
    FAMILY.save(model, tmp_path)
    again = FAMILY.load(tmp_path, "cpu")
    assert not again.training
    assert all(
        torch.equal(a, b) for a, b in zip(FAMILY.forecast(model, *ask), FAMILY.forecast(again, *ask), strict=True)
    )


def test_training_can_start_from_a_folder_of_weights(tmp_path):
    FAMILY.save(FAMILY.build(run(), 2, seed=7), tmp_path)
    started = FAMILY.build(run(weights=str(tmp_path), loss_on="target"), 2, seed=0)
    assert torch.equal(started.unembed.weight, FAMILY.build(run(), 2, seed=7).unembed.weight)
    assert started.training
    assert started.config.loss_on == "target"
    with pytest.raises(ConfigError, match=r"model.weights = 'no-such-folder' is no folder: give one that holds"):
        FAMILY.build(run(weights="no-such-folder"), 2, seed=0)


def test_decay_is_on_matrices_only_and_every_parameter_is_in_one_group():
    model = FAMILY.build(run(), 2, seed=0)
    *decayed, plain = FAMILY.parameter_groups(model, 0.1)
    assert {group["weight_decay"] for group in decayed} == {0.1}
    assert plain["weight_decay"] == 0.0
    grouped = [p for group in (*decayed, plain) for p in group["params"]]
    assert len(grouped) == len({id(p) for p in grouped}) == len(list(model.parameters()))
    assert all(p.dim() == 2 for group in decayed for p in group["params"])


def test_muon_gets_the_matrices_of_the_layers_and_nothing_else():
    model = FAMILY.build(run(), 2, seed=0)
    names = {id(p): name for name, p in model.named_parameters()}
    (hidden,) = (group for group in FAMILY.parameter_groups(model, 0.1) if group.get("hidden"))
    found = {re.sub(r"\.\d+\.", ".", names[id(p)]) for p in hidden["params"]}
    inside = ("attention.wQKV", "attention.wO", "mlp.w12", "mlp.w3")
    assert found == {f"transformer.layers.{name}.weight" for name in inside}
    assert len(hidden["params"]) == 4 * len(model.transformer.layers)


def test_a_window_too_short_for_a_patch_is_refused():
    with pytest.raises(ConfigError, match=r"data.context = 12 is shorter than one patch .model.patch = 16"):
        FAMILY.build(run(context=12), 1, seed=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"embed_dim": 66, "heads": 4}, "embed_dim = 66 with heads = 4"),
        ({"embed_dim": 60, "heads": 4}, "every head needs an even whole width"),
        ({"space_every": 5}, "space_every = 5 with layers = 3"),
        ({"space_every": 0}, "space_every = 0"),
    ],
)
def test_fields_that_do_not_go_together_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        fields.build(ModelConfig, values, "model")


@pytest.mark.parametrize(("name", "low", "high"), [("tiny", 1e5, 3e5), ("small", 1.5e6, 3e6), ("base", 1.5e8, 1.52e8)])
def test_presets_have_the_size_they_say(name, low, high):
    with torch.device("meta"):
        model = FAMILY.build(run(context=512, **preset(name)), 1, seed=0)
    assert low < sum(p.numel() for p in model.parameters()) < high


def test_flops_are_close_to_what_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    for name in ("tiny", "small"):
        config = run(context=112, horizon=16, **preset(name))
        model = FAMILY.build(config, 5, seed=0).eval()
        x = 100 + torch.randn(8, 5, 128).cumsum(-1)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            FAMILY.loss(model, batch(x), 16)
        # the folded head is composed once per batch, which one window bears here
        each = counter.get_total_flops() / 8
        assert FAMILY.flops_per_window(config, 5) == pytest.approx(each, rel=0.25)


def test_units_come_from_the_first_observed_patch_only():
    x = sines(2, torch.Generator().manual_seed(1))[..., :48]
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[1, 0, :19] = False
    changed = torch.where(torch.arange(48) < 24, x, x * 3)
    config = ModelConfig(patch=8)
    _, one = in_units(x, mask, config)
    _, other = in_units(changed, mask, config)
    assert torch.equal(one, other)
    assert one[1, 0].item() == pytest.approx(x[1, 0, 19:24].mean().item() * 1e-4)
    assert torch.equal(in_units(x, mask, ModelConfig(units="raw"))[0], x)
