"""The mixture of Student t distributions against torch's own, numeric integration and its own draws."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, StudentT

from trainers.toto.mixture import Mixture, _student_cdf_and_pdf


def some_mixture(seed=0, shape=(3, 5), components=4, spread=3.0):
    raw = torch.randn(4 * components, *shape, generator=torch.Generator().manual_seed(seed)) * spread
    return raw, Mixture.from_raw(raw)


def theirs(raw):
    df, loc, scale, weight = (p.movedim(0, -1) for p in raw.chunk(4))
    soft = torch.nn.functional.softplus
    parts = StudentT(2 + soft(df), loc, soft(scale))
    return MixtureSameFamily(Categorical(probs=weight.softmax(-1)), parts)


def test_density_mean_and_gradients_are_those_of_torch_distributions():
    raw, _ = some_mixture(spread=2.0)
    y = torch.randn(3, 5)
    ours_raw, their_raw = raw.clone().requires_grad_(), raw.clone().requires_grad_()
    ours, reference = Mixture.from_raw(ours_raw), theirs(their_raw)
    torch.testing.assert_close(ours.log_prob(y), reference.log_prob(y))
    torch.testing.assert_close(ours.mean, reference.mean)
    ours.log_prob(y).sum().backward()
    reference.log_prob(y).sum().backward()
    torch.testing.assert_close(ours_raw.grad, their_raw.grad, rtol=1e-4, atol=1e-5)


def test_component_weights_are_clamped_before_the_log():
    raw = torch.zeros(8, 1)
    raw[6:, 0] = torch.tensor([60.0, -60.0])
    weight = Mixture.from_raw(raw).log_weight.exp().squeeze(-1)
    assert weight[1].item() == pytest.approx(1.19e-7, rel=0.01)


@pytest.mark.parametrize("df", [2.0001, 2.7, 5.0, 30.0, 1e4, 1e7])
def test_cdf_is_the_integral_of_the_density(df):
    x = torch.linspace(0, 6, 6001, dtype=torch.float64)
    density = StudentT(torch.tensor(df, dtype=torch.float64)).log_prob(x).exp()
    integral = 0.5 + torch.cumulative_trapezoid(density, x)
    at = torch.tensor([600, 1500, 3000, 5999])
    below, pdf = _student_cdf_and_pdf(x[at + 1], torch.full((4,), df, dtype=torch.float64))
    torch.testing.assert_close(below, integral[at], rtol=0, atol=1e-6)
    torch.testing.assert_close(pdf, density[at + 1], rtol=1e-6, atol=1e-12)


def test_cdf_of_two_degrees_is_right_far_out():
    x = torch.tensor([-1e4, -30.0, 0.0, 30.0, 1e4], dtype=torch.float64)
    below, _ = _student_cdf_and_pdf(x, torch.full_like(x, 2.0))
    torch.testing.assert_close(below, 0.5 + x / (2 * torch.sqrt(2 + x * x)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("level", [0.001, 0.1, 0.5, 0.75, 0.999])
@pytest.mark.parametrize("spread", [0.1, 3.0, 20.0])
def test_quantile_has_its_probability_below_it(level, spread):
    mixture = some_mixture(seed=3, shape=(200,), spread=spread)[1].map(torch.Tensor.double)
    x = mixture.quantile(level)
    above = mixture.cdf_and_pdf(x + 1e-6 * (1 + x.abs()))[0]
    under = mixture.cdf_and_pdf(x - 1e-6 * (1 + x.abs()))[0]
    assert ((above >= level - 1e-6) & (under <= level + 1e-6)).all()


def test_draws_follow_the_distribution_and_the_seed():
    mixture = some_mixture(seed=1, shape=(6,), spread=1.0)[1].map(torch.Tensor.double)
    draws = mixture.sample(40_000, torch.Generator().manual_seed(5))
    again = mixture.sample(40_000, torch.Generator().manual_seed(5))
    assert torch.equal(draws, again)
    for level in (0.05, 0.3, 0.5, 0.9):
        share = (draws <= mixture.quantile(level).unsqueeze(-1)).double().mean(-1)
        assert (share - level).abs().max() < 4.5 * math.sqrt(level * (1 - level) / 40_000)


def test_one_component_and_an_anchor():
    raw = torch.zeros(4, 2)
    mixture = Mixture.from_raw(raw, anchor=torch.tensor([1.0, -2.0]))
    torch.testing.assert_close(mixture.mean, torch.tensor([1.0, -2.0]))
    assert mixture.sample(3, torch.Generator().manual_seed(0)).shape == (2, 3)
