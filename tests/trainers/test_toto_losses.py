"""Every loss of Toto: its formula against torch's own, and a model that learns, forecasts and comes back with it."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Categorical, MixtureSameFamily, StudentT

from trainers import config as fields
from trainers.errors import ConfigError
from trainers.resolve import resolve
from trainers.toto import likelihood, weights
from trainers.toto.config import ModelConfig
from trainers.toto.family import TotoFamily
from trainers.toto.likelihood import mixture_loss
from trainers.toto.loss import pointwise
from trainers.toto.mixture import TINY
from trainers.toto.outcome import Gaussian, Point, Quantiles, outcome_of

FAMILY = TotoFamily()
LOSSES = ("nll", "gaussian", "quantile", "huber", "mae", "mse")
CONTEXT, HORIZON = 32, 8


def run(**model):
    small = {"patch": 8, "embed_dim": 16, "layers": 2, "heads": 2, "mlp_dim": 24, "space_every": 2}
    data = SimpleNamespace(context=CONTEXT, horizon=HORIZON)
    return SimpleNamespace(
        model=ModelConfig(**{**small, **model}), data=data, eval=SimpleNamespace(levels=(0.1, 0.5, 0.9))
    )


def batch(values):
    return SimpleNamespace(values=values, mask=torch.ones_like(values, dtype=torch.bool))


def sines(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    phase = torch.rand(count, 1, 1, generator=generator) * 2 * math.pi
    time = torch.arange(CONTEXT + HORIZON) + torch.tensor([0.0, 3.0])[:, None]
    return 100 + 10 * torch.sin(time * 2 * math.pi / 16 + phase) + 0.3 * torch.randn(
        count, 2, CONTEXT + HORIZON, generator=generator
    )  # fmt: skip


# -- the mixture's loss in one function ------------------------------------------------------------------------------


def by_torch_distributions(raw, anchor, y, weight, nll_weight, delta):
    df, loc, scale, share = (p.movedim(1, -1) for p in raw.chunk(4, dim=1))
    if anchor is not None:
        loc = loc + anchor[:, None, None]
    parts = StudentT(2 + F.softplus(df), loc, F.softplus(scale).clamp_min(TINY))
    mixture = MixtureSameFamily(Categorical(probs=share.softmax(-1)), parts)
    robust = torch.log1p(0.5 * ((mixture.mean - y) / delta) ** 2)
    return (weight * ((1 - nll_weight) * robust - nll_weight * mixture.log_prob(y))).sum()


def some_points(dtype, patches=7, components=5, steps=6, spread=2.0):
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(patches, 4 * components, steps, generator=generator, dtype=dtype) * spread
    anchor = torch.randn(patches, generator=generator, dtype=dtype)
    y, weight = (torch.randn(patches, steps, generator=generator, dtype=dtype) for _ in range(2))
    return raw.requires_grad_(), anchor, y, weight.abs()


@pytest.mark.parametrize("anchored", [True, False])
@pytest.mark.parametrize(("nll_weight", "delta"), [(0.575, 0.1), (1.0, 0.1), (0.0, 2.0)])
def test_the_mixture_loss_and_its_gradient_are_those_of_torch_distributions(anchored, nll_weight, delta, monkeypatch):
    monkeypatch.setattr(likelihood, "_CHUNK", 100)  # several chunks, the last one shorter
    raw, anchor, y, weight = some_points(torch.float64)
    ask = (raw, anchor if anchored else None, y, weight, nll_weight, delta)
    ours, theirs = mixture_loss(*ask), by_torch_distributions(*ask)
    torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=0)
    ours, theirs = (torch.autograd.grad(3 * loss, raw)[0] for loss in (ours, theirs))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        torch.testing.assert_close(mixture_loss(*ask), by_torch_distributions(*ask), rtol=1e-7, atol=0)


def test_the_mixture_loss_passes_gradcheck():
    raw, anchor, y, weight = some_points(torch.float64, patches=3, components=2, steps=2)
    assert torch.autograd.gradcheck(lambda r: mixture_loss(r, anchor, y, weight, 0.3, 0.1), raw)


@pytest.mark.parametrize("spread", [0.1, 1.0, 4.0])
def test_the_mixture_loss_in_float32_is_as_good_as_torch_distributions(spread):
    exact = some_points(torch.float64, patches=40, spread=spread)
    want = torch.autograd.grad(by_torch_distributions(*exact, 0.575, 0.1), exact[0])[0]
    single = [x.detach().float() for x in exact]
    single[0].requires_grad_()
    ours = torch.autograd.grad(mixture_loss(*single, 0.575, 0.1), single[0])[0]
    theirs = torch.autograd.grad(by_torch_distributions(*single, 0.575, 0.1), single[0])[0]

    def error(gradient):
        return ((gradient - want).norm() / want.norm()).item()

    assert error(ours) <= max(2 * error(theirs), 1e-6)


def test_many_degrees_of_freedom_are_a_normal_distribution():
    raw = torch.zeros(1, 4, 3)
    raw[:, 0] = 1e6
    raw[:, 2] = math.log(math.e - 1)  # scale 1
    y = torch.tensor([[0.0, 1.0, -2.0]])
    loss = mixture_loss(raw, None, y, torch.ones_like(y), 1.0, 0.1)
    want = -torch.distributions.Normal(0.0, 1.0).log_prob(y).sum()
    assert loss.item() == pytest.approx(want.item(), rel=1e-5)


def test_clamped_weights_get_no_gradient():
    raw = torch.zeros(1, 8, 1)
    raw[0, 6:, 0] = torch.tensor([60.0, -60.0])
    raw.requires_grad_()
    mixture_loss(raw, None, torch.ones(1, 1), torch.ones(1, 1), 0.5, 0.1).backward()
    assert raw.grad.isfinite().all()
    assert not raw.grad[0, 6:].any()


# -- the others by torch's own formulas ------------------------------------------------------------------------------


def test_point_losses_are_torchs():
    value, y = torch.randn(4, 3) * 3, torch.randn(4, 3)
    for loss, want in (
        ("huber", F.huber_loss(value, y, reduction="none", delta=0.7)),
        ("mae", F.l1_loss(value, y, reduction="none")),
        ("mse", F.mse_loss(value, y, reduction="none")),
    ):
        torch.testing.assert_close(pointwise(Point(value), y, loss, 0.7), want)


def test_the_gaussian_loss_is_torchs_with_its_constant():
    raw, y = torch.randn(2, 4, 3), torch.randn(4, 3)
    gaussian = outcome_of(raw, None, ModelConfig(loss="gaussian"))
    want = F.gaussian_nll_loss(gaussian.loc, y, gaussian.scale**2, full=True, reduction="none")
    torch.testing.assert_close(pointwise(gaussian, y, "gaussian", 1.0), want)


def test_pinball_is_least_at_the_quantiles_of_what_is_seen():
    seen = torch.arange(101.0)
    levels = (0.1, 0.5, 0.9)

    def loss(*values):
        made = Quantiles(torch.tensor(values)[:, None], levels)
        return pointwise(made, seen, "quantile", 1.0).mean().item()

    assert loss(10.0, 50.0, 90.0) < min(loss(12.0, 50.0, 90.0), loss(10.0, 47.0, 90.0), loss(10.0, 50.0, 91.5))
    assert loss(0.0, 0.0, 0.0) == pytest.approx(50.0 * 0.5)  # the mean level times the mean of y


def test_quantiles_interpolate_in_order_and_draw_between_the_outermost():
    crossing = Quantiles(torch.tensor([[3.0], [1.0], [2.0]]), (0.2, 0.5, 0.8))
    assert crossing.quantile(0.2).item() == 1.0
    assert crossing.quantile(0.35).item() == pytest.approx(1.5)
    draws = crossing.sample(20_000, torch.Generator().manual_seed(0))
    assert draws.shape == (1, 20_000)
    assert draws.min() == 1.0
    assert draws.max() == 3.0
    assert draws.mean().item() == pytest.approx(crossing.mean.item(), abs=0.02) == pytest.approx(2.0)
    assert Quantiles(torch.tensor([[4.0]]), (0.5,)).sample(2, torch.Generator()).tolist() == [[4.0, 4.0]]


def test_gaussian_quantiles_and_draws():
    made = Gaussian(torch.tensor([1.0]), torch.tensor([2.0]))
    assert made.quantile(0.975).item() == pytest.approx(1 + 2 * 1.95996, rel=1e-4)
    draws = made.sample(40_000, torch.Generator().manual_seed(0))
    assert draws.std().item() == pytest.approx(2.0, rel=0.02)


# -- the whole way ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_learns_forecasts_in_original_units_and_comes_back(loss, tmp_path):
    model = FAMILY.build(run(loss=loss), 2, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, fused=True)
    first = None
    for step in range(60):
        made = FAMILY.loss(model, batch(sines(8, step)), HORIZON)
        first = made.item() if first is None else first
        optimizer.zero_grad()
        made.backward()
        optimizer.step()
    assert made.item() < first
    x = sines(32, 1000)
    context, future = x[..., :CONTEXT], x[:, 0, CONTEXT:]
    ask = (context, torch.ones_like(context, dtype=torch.bool), 20, (0.1, 0.5, 0.9), 0, 8)
    out = FAMILY.forecast(model, *ask)
    error = (out.point_BH[:, :HORIZON] - future).abs().mean()
    assert error < 0.8 * (context[:, 0, -1:] - future).abs().mean()
    spread = out.quantiles_BHQ[..., 2] - out.quantiles_BHQ[..., 0]
    assert (spread[:, :HORIZON] == 0).all() if loss in ("huber", "mae", "mse") else (spread[:, :HORIZON] > 0).all()
    FAMILY.save(model, tmp_path)
    again = FAMILY.load(tmp_path, "cpu")
    assert again.config.loss == loss
    assert all(torch.equal(a, b) for a, b in zip(out, FAMILY.forecast(again, *ask), strict=True))


@pytest.mark.parametrize("loss", LOSSES)
def test_what_stands_under_a_mask_reaches_no_loss(loss):
    model = FAMILY.build(run(loss=loss), 2, seed=0)
    x = sines(3)
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[0, 0, 10:20] = mask[1, 1] = False
    for junk in (0.0, float("nan"), 1e38):
        made = FAMILY.loss(model, SimpleNamespace(values=torch.where(mask, x, junk), mask=mask), HORIZON)
        model.zero_grad()
        made.backward()
        assert made.item() == FAMILY.loss(model, SimpleNamespace(values=torch.where(mask, x, 0.0), mask=mask), 8).item()
        assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"huber_delta": 1}, r"model.huber_delta has no meaning with model.loss=nll: .* model.loss=huber"),
        ({"loss": "mae", "nll_weight": 0.5}, r"model.nll_weight has no meaning with model.loss=mae"),
        ({"loss": "gaussian", "components": 3}, r"model.components has no meaning with model.loss=gaussian"),
        ({"loss": "mse", "samples": 3}, r"model.samples has no meaning with model.loss=mse"),
        ({"quantile_levels": "0.1,0.5"}, r"model.quantile_levels has no meaning with model.loss=nll"),
        ({"loss": "quantile", "quantile_levels": "0.1,0.9"}, r"rising levels that hold 0.5"),
        ({"loss": "hubert"}, r"Did you mean 'huber'"),
    ],
)
def test_a_field_of_another_loss_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        fields.build(ModelConfig, values, "model")


def test_a_preset_gives_way_to_another_loss():
    config = resolve("toto", "small", {"model.loss": "huber", "model.huber_delta": "0.5"})
    assert "components" not in config.as_dict()["model"]
    assert config.as_dict()["model"]["huber_delta"] == 0.5


def test_levels_beyond_a_quantile_head_are_refused():
    asked = run(loss="quantile", quantile_levels=(0.2, 0.5, 0.8))
    with pytest.raises(ConfigError, match=r"eval.levels: 0.1 lies outside of model.quantile_levels = 0.2 to 0.8"):
        FAMILY.build(asked, 2, seed=0)
    asked.eval.levels = (0.3, 0.5)
    model = FAMILY.build(asked, 2, seed=0)
    x = sines(1)
    with pytest.raises(ConfigError, match=r"^levels: 0.9 lies outside"):
        FAMILY.forecast(model, x, torch.ones_like(x, dtype=torch.bool), 4, (0.9,), 0)


def test_another_loss_keeps_the_body_of_given_weights_and_draws_a_new_head(tmp_path):
    FAMILY.save(FAMILY.build(run(), 2, seed=7), tmp_path)
    start = run(loss="gaussian", weights=str(tmp_path))
    one, same = FAMILY.build(start, 2, seed=1), FAMILY.build(start, 2, seed=1)
    other = FAMILY.build(start, 2, seed=2)
    assert torch.equal(one.unembed.weight, other.unembed.weight)
    assert torch.equal(one.output_distribution.proj.weight, same.output_distribution.proj.weight)
    assert not torch.equal(one.output_distribution.proj.weight, other.output_distribution.proj.weight)
    FAMILY.save(one, tmp_path / "tuned")
    kept = FAMILY.build(run(loss="gaussian", weights=str(tmp_path / "tuned")), 2, seed=3)
    assert torch.equal(kept.output_distribution.proj.weight, one.output_distribution.proj.weight)


def test_weights_of_another_loss_keep_it_unless_told_otherwise(tmp_path):
    FAMILY.save(FAMILY.build(run(loss="quantile", quantile_levels=(0.1, 0.5, 0.9)), 2, seed=0), tmp_path)
    config = resolve("toto", "tiny", {"model.weights": str(tmp_path)}).model
    assert config.loss == "quantile"
    assert config.quantile_levels == (0.1, 0.5, 0.9)
    assert resolve("toto", "tiny", {"model.weights": str(tmp_path), "model.loss": "mse"}).model.loss == "mse"


def test_upstream_is_not_given_a_head_it_has_not(tmp_path):
    model = FAMILY.build(run(loss="mae", units="raw", anchor="none"), 2, seed=0)
    with pytest.raises(ConfigError, match=r"model.loss = mae is not known upstream"):
        weights.save(model, tmp_path, hub=True)
    weights.save(model, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["paddock"]["loss"] == "mae"
