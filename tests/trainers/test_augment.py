"""Augmented windows: what changes, what never does, and that seed and step alone decide it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trainers.augment import Augment, noisy
from trainers.data.panel import Batch
from trainers.train_config import TrainConfig

B, V, C, H = 6, 3, 40, 8


def augment(**fields: Any) -> Augment:
    return Augment(TrainConfig(**{f"augment_{name}": value for name, value in fields.items()}), B, C)


def walks(seed: int = 0, gaps: float = 0.1) -> Batch:
    """Random walks of prices around 100, with gaps filled as the panel fills them."""
    chance = torch.Generator().manual_seed(seed)
    values = 100 * (0.01 * torch.randn(B, V, C + H, generator=chance)).cumsum(-1).exp()
    mask = torch.rand(B, V, C + H, generator=chance) >= gaps
    mask[..., 0] = True
    at = torch.where(mask, torch.arange(C + H), 0).cummax(-1).values
    return Batch(values.gather(-1, at), mask, torch.arange(B), torch.arange(B))


def test_without_any_the_batch_is_the_very_same() -> None:
    batch = walks()
    assert augment()(batch, 3) is batch


def test_noise_is_on_the_context_and_as_large_as_the_windows_own_moves() -> None:
    batch = walks()
    changed = augment(noise=0.5)(batch, 3)
    assert torch.equal(changed.mask, batch.mask)
    future_seen = batch.mask[..., C:]
    assert torch.equal(changed.values[..., C:][future_seen], batch.values[..., C:][future_seen])
    seen = batch.mask[..., :C]
    relative = (changed.values[..., :C] / batch.values[..., :C]).log()[seen]
    assert relative.std() == pytest.approx(0.5 * 0.01, rel=0.15)
    assert relative.mean().abs() < 0.001


def test_noise_scales_with_each_series_and_keeps_prices_positive() -> None:
    calm = torch.full((1, 1, C), 0.001).cumsum(-1).exp() + 0.001 * torch.arange(C).remainder(2)
    x = torch.cat([calm, calm**20, 5 - calm * 10], dim=1)  # the last one is negative: differences, not ratios
    noise = torch.randn(1, 3, C, generator=torch.Generator().manual_seed(0))
    noise[:, 1:] = noise[:, :1]
    mask = torch.ones_like(x, dtype=torch.bool)
    shift = noisy(x, mask, noise)
    ratio = (shift[:, :2] / x[:, :2]).log().abs()
    torch.testing.assert_close(ratio[:, 1] / ratio[:, 0], torch.full((1, C), 20.0), rtol=1e-2, atol=0)
    moves = x[0, 2].diff().square().mean().sqrt()
    torch.testing.assert_close(shift[0, 2] - x[0, 2], noise[0, 2] * moves, rtol=1e-3, atol=1e-4)
    assert (noisy(x[:, :2], mask[:, :2], 1000 * noise[:, :2]) >= 0).all()


def test_a_level_is_one_factor_for_context_and_future_and_all_variates() -> None:
    batch = walks()
    factor = augment(scale=1.0)(batch, 3).values / batch.values
    torch.testing.assert_close(factor, factor[:, :1, :1].expand_as(factor))
    of_window = factor[:, 0, 0]
    assert ((of_window >= 0.5) & (of_window <= 2.0)).all()
    assert of_window.unique().numel() == B


def test_hidden_steps_are_a_run_in_the_context_filled_with_what_was_before() -> None:
    batch = walks(gaps=0.0)
    one = augment(time_mask=0.5)
    longest = 0
    for step in range(20):
        changed = one(batch, step)
        hidden = ~changed.mask
        assert not hidden[..., C:].any()
        assert not hidden[..., 0].any()
        assert torch.equal(hidden, hidden[:, :1].expand_as(hidden))
        for b in range(B):
            at = hidden[b, 0].nonzero().flatten()
            longest = max(longest, len(at))
            if len(at):
                assert at[-1] - at[0] + 1 == len(at)
                before = batch.values[b, :, at[0] - 1 : at[0]]
                assert torch.equal(changed.values[b][:, at], before.expand(-1, len(at)))
        assert torch.equal(changed.values[~hidden], batch.values[~hidden])
    assert 0.4 * C < longest <= 0.5 * C


def test_gaps_are_filled_with_the_noisy_value_before_them() -> None:
    batch = walks(gaps=0.3)
    changed = augment(noise=1.0)(batch, 0)
    at = torch.where(batch.mask, torch.arange(C + H), 0).cummax(-1).values
    assert torch.equal(changed.values, changed.values.gather(-1, at))


def test_parts_of_a_batch_and_a_resumed_run_draw_the_same() -> None:
    batch = walks()
    fields = {"noise": 0.3, "scale": 0.5, "time_mask": 0.3}
    one = augment(**fields)
    whole = one(batch, 5)
    after = one(batch, 6)
    half = [Batch(*(t[rows] for t in (batch.values, batch.mask, batch.symbols, batch.starts)))
            for rows in (slice(0, 4), slice(4, 6))]  # fmt: skip
    fresh = augment(**fields)
    parts = [fresh(part, 5, first) for part, first in zip(half, (0, 4), strict=True)]
    assert torch.equal(torch.cat([part.values for part in parts]), whole.values)
    assert torch.equal(torch.cat([part.mask for part in parts]), whole.mask)
    assert torch.equal(augment(**fields)(batch, 6).values, after.values)
    assert not torch.equal(whole.values, after.values)
