"""Forecasts: cached equals recomputed, nothing later or hidden is used, and the numbers are in original units."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from trainers.toto import decode
from trainers.toto.config import ModelConfig
from trainers.toto.family import TotoFamily
from trainers.toto.model import Toto

LEVELS = (0.1, 0.5, 0.9)
FAMILY = TotoFamily()


def model(**fields):
    small = {"patch": 4, "embed_dim": 16, "layers": 3, "heads": 2, "mlp_dim": 24, "components": 3, "space_every": 3}
    config = ModelConfig(**{**small, **fields})
    return FAMILY.build(SimpleNamespace(model=config, data=SimpleNamespace(context=32, horizon=8)), 2, seed=3).eval()


def walks(windows=3, variates=2, steps=40, seed=0):
    return 100 + torch.randn(windows, variates, steps, generator=torch.Generator().manual_seed(seed)).cumsum(-1)


def seen(x):
    return torch.ones_like(x, dtype=torch.bool)


def forecast(net, x, mask=None, horizon=10, **options):
    return FAMILY.forecast(net, x, seen(x) if mask is None else mask, horizon, LEVELS, seed=1, samples=16, **options)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_paths_with_a_cache_equal_paths_computed_anew():
    net, x = model(), walks()
    taken = []

    def three_ways(prediction):
        value = prediction.outcome.mean * prediction.scale.unsqueeze(-1) + prediction.loc.unsqueeze(-1)
        value = value.expand(-1, -1, 3, -1) + torch.tensor([-1.0, 0.0, 2.0])[:, None]
        taken.append(value)
        return value

    with torch.no_grad():
        predictions = list(decode.rollout(net, x, seen(x), 4, three_ways))
        for path in range(3):
            series = torch.cat([x, *(value[:, :, path] for value in taken)], dim=-1)
            anew = net(series, seen(series))
            last = anew.outcome.map(lambda p: p[:, :, :, -1])
            torch.testing.assert_close(predictions[-1].loc[:, :, path], anew.loc[:, :, -1])
            torch.testing.assert_close(predictions[-1].scale[:, :, path], anew.scale[:, :, -1])
            for ours, theirs in zip(vars(predictions[-1].outcome).values(), vars(last).values(), strict=True):
                torch.testing.assert_close(ours[:, :, :, path], theirs, rtol=1e-4, atol=1e-5)


def test_what_comes_later_changes_no_earlier_prediction():
    net, x = model(stabilize_with_global=False), walks()
    changed = x.clone()
    changed[..., 20:] = 7.0
    with torch.no_grad():
        one, other = net(x, seen(x)), net(changed, seen(x))
    assert torch.equal(one.loc[:, :, :5], other.loc[:, :, :5])
    assert torch.equal(one.outcome.loc[:, :, :, :5], other.outcome.loc[:, :, :, :5])
    assert not torch.equal(one.outcome.loc[:, :, :, 5:], other.outcome.loc[:, :, :, 5:])


@pytest.mark.parametrize("horizon", [3, 10])
def test_what_stands_under_a_mask_changes_no_forecast(horizon):
    net, x = model(), walks(steps=38)
    mask = seen(x)
    mask[0, 0, 10:17] = mask[1, :, :9] = mask[2, 1] = mask[0, 1, -3:] = False
    spoiled = torch.where(mask, x, torch.tensor(float("nan")))
    spoiled[0, 0, 12], spoiled[1, 0, 2] = 1e30, float("inf")
    one, other = forecast(net, x, mask, horizon), forecast(net, spoiled, mask, horizon)
    assert same(one, other)
    assert all(part.isfinite().all() for part in one)


def test_a_gap_is_filled_with_the_last_value_and_a_late_start_with_the_first():
    x = torch.arange(12.0).reshape(1, 1, 12)
    mask = torch.tensor([[[False] * 6 + [True] * 2 + [False] + [True] * 3]])
    assert decode.fill(x, mask, 4).flatten().tolist() == [0, 0, 0, 0, 6, 6, 6, 7, 7, 9, 10, 11]
    padded, known = decode.align(x + 5, seen(x), 8)
    assert padded.flatten().tolist() == [5] * 5 + list(range(6, 17))
    assert known.flatten().tolist() == [False] * 4 + [True] * 12
    assert not decode.fill(x, ~seen(x), 4).any()


def test_series_of_unequal_length_share_a_batch_without_touching():
    net, x = model(), walks(windows=3, steps=32)
    mask = seen(x)
    mask[1, :, :11] = mask[2, :, :20] = False
    together = forecast(net, x, mask, horizon=4)
    for i in range(3):
        alone = forecast(net, x[i : i + 1], mask[i : i + 1], horizon=4)
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[i : i + 1], b, rtol=1e-5, atol=1e-4)


def test_a_context_of_any_length_and_any_horizon_and_level():
    net = model()
    for steps, horizon in ((4, 1), (5, 4), (13, 5), (40, 17)):
        x = walks(steps=steps)
        out = FAMILY.forecast(net, x, seen(x), horizon, (0.01, 0.37, 0.99), seed=0, samples=8)
        assert out.point_BH.shape == out.mean_BH.shape == (3, horizon)
        assert out.quantiles_BHQ.shape == (3, horizon, 3)
        assert (out.quantiles_BHQ.diff(dim=-1) > 0).all()
        assert out.point_BH.isfinite().all()


def test_the_seed_decides_the_paths_and_nothing_else_does():
    net, x = model(), walks()
    torch.manual_seed(1)
    one = forecast(net, x)
    torch.manual_seed(2)
    net.train()
    assert same(one, forecast(net, x))
    assert net.training
    other = FAMILY.forecast(net, x, seen(x), 10, LEVELS, seed=2, samples=16)
    assert torch.equal(one.point_BH[:, :4], other.point_BH[:, :4])  # the first patch is exact
    assert not torch.equal(one.point_BH[:, 4:], other.point_BH[:, 4:])


def test_sampled_quantiles_agree_with_exact_ones():
    """The same mixture read both ways: by Newton's method, and through the draws of a later patch."""
    net, x = model(), walks(windows=1)
    with torch.no_grad():
        prediction, _ = net.prefill(x, seen(x))
    exact = prediction.of(1)
    spread = torch.stack([exact.outcome.quantile(q) for q in LEVELS], -1).squeeze(2)
    draws = exact.outcome.sample(60_000, torch.Generator().manual_seed(0)).squeeze(2)
    sampled = decode.quantiles(draws, LEVELS)
    width = (spread[..., 2] - spread[..., 0]).unsqueeze(-1)
    assert ((sampled - spread).abs() / width).max() < 0.03


@pytest.mark.parametrize("factor", [1e-3, 50.0, 1e4])
def test_a_price_in_other_units_is_forecast_the_same(factor):
    net, x = model(units="basis_points"), walks()
    one, other = forecast(net, x), forecast(net, x * factor)
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(b / factor, a, rtol=2e-3, atol=0)


def test_chunks_change_no_exact_forecast(monkeypatch):
    net, x = model(), walks(windows=7)
    whole = forecast(net, x, horizon=4)
    monkeypatch.setattr(decode, "_CHUNK", 1)
    for a, b in zip(whole, forecast(net, x, horizon=4), strict=True):
        torch.testing.assert_close(a, b)


def test_variates_of_other_groups_are_not_seen():
    net, x = model(), walks(variates=3)
    ids = torch.tensor([0, 0, 1])[None, :, None].expand(3, 3, 40)
    changed = x.clone()
    changed[:, 2] += 50 * torch.rand(3, 40)
    with torch.no_grad():
        one, other = net(x, seen(x), ids), net(changed, seen(x), ids)
        free, open_ = net(x, seen(x)), net(changed, seen(x))
    torch.testing.assert_close(one.outcome.loc[:, :, :2], other.outcome.loc[:, :, :2])
    assert (free.outcome.loc[:, :, :2] - open_.outcome.loc[:, :, :2]).abs().max() > 1e-4


def test_one_variate_takes_the_shortcut_with_equal_result_and_gradients():
    net = Toto(ModelConfig(patch=4, embed_dim=16, layers=1, heads=2, mlp_dim=24, space_every=1, dropout=0.0))
    x = walks(variates=1)
    short = net(x, seen(x)).outcome.mean
    ids = torch.tensor([0, 1])[None, :, None].expand(3, 2, 40)
    twice = net(x.expand(3, 2, 40), seen(x).expand(3, 2, 40), ids).outcome.mean
    torch.testing.assert_close(short[:, 0], twice[:, 1])
    short.sum().backward()
    rows = net.transformer.layers[0].attention.wQKV.weight.grad
    assert not rows[:32].any()
    assert rows[32:].any()
