"""Training windows, changed a little and never twice alike: noise, another level, a run of hidden steps.

A pure function of seed and step, so a resumed run draws what it would have drawn, and parts of a batch (or the ranks
of a group) draw what the whole batch would. Evaluation never comes here.
B windows, V variates, T context + horizon, C context.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainers.train_config import TrainConfig


class Draws(NamedTuple):
    """What chance decided about the windows of one step: standard normal noise, and uniform numbers in [0, 1)."""

    noise_BVC: Tensor | None
    level_B: Tensor | None
    run_B2: Tensor | None  # of its length, of its place


class Augment:
    """train.augment_*, for batches of `windows` windows of which the first `context` steps are the past.

    Both may be changed between two steps.
    """

    def __init__(self, train: TrainConfig, windows: int, context: int) -> None:
        self.noise, self.scale, self.time_mask = train.augment_noise, train.augment_scale, train.augment_time_mask
        self.seed, self.windows, self.context = train.seed, windows, context
        self._step = -1
        self._draws = Draws(None, None, None)

    def names(self) -> list[str]:
        """Those that are on."""
        return [name for name in ("noise", "scale", "time_mask") if getattr(self, name)]

    def __call__(self, batch: Any, step: int, first: int = 0) -> Any:
        """The batch, changed; it holds the windows from number `first` on of those that the step takes."""
        if not self.names():
            return batch
        if step != self._step:
            self._draws, self._step = self._draw(step, batch.values), step
        rows = slice(first, first + len(batch.values))
        draws = Draws(*(None if d is None else d[rows] for d in self._draws))
        x_BVT, mask_BVT = batch.values, batch.mask
        if draws.noise_BVC is not None:
            x_BVT = noisy(x_BVT, mask_BVT, self.noise * draws.noise_BVC)
        if draws.level_B is not None:
            x_BVT = x_BVT * (1.0 + self.scale) ** (2.0 * draws.level_B - 1.0)[:, None, None]
        if draws.run_B2 is not None:
            mask_BVT = mask_BVT & ~self._run(draws.run_B2, x_BVT.shape[-1])[:, None]
        if draws.noise_BVC is not None or draws.run_B2 is not None:
            x_BVT = refilled(x_BVT, mask_BVT)
        return replace(batch, values=x_BVT, mask=mask_BVT)

    def _draw(self, step: int, like_BVT: Tensor) -> Draws:
        device, variates = like_BVT.device, like_BVT.shape[1]
        chance = torch.Generator(device).manual_seed((self.seed * 1_000_033 + 7 + step) % 2**63)

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=chance, device=device)

        shape = (self.windows, variates, self.context)
        return Draws(
            torch.randn(shape, generator=chance, device=device) if self.noise else None,
            uniform(self.windows) if self.scale else None,
            uniform(self.windows, 2) if self.time_mask else None,
        )

    def _run(self, run_B2: Tensor, steps: int) -> Tensor:
        """[B,T], True in a run of 0 to time_mask·C steps of the context; the first step always stays, to fill from."""
        length = (run_B2[:, :1] * (int(self.time_mask * self.context) + 1)).floor()
        start = 1 + (run_B2[:, 1:] * (self.context - length)).floor()
        at = torch.arange(steps, device=run_B2.device)
        return (at >= start) & (at < start + length)


def noisy(x_BVT: Tensor, mask_BVT: Tensor, noise_BVC: Tensor) -> Tensor:
    """x with the noise on its first C steps, in root mean squares of each series' one-step moves there.

    Where all that was observed is positive, as prices and volumes are, moves and noise are relative, so that the series
    stays positive; elsewhere both are differences. The steps after C are targets of the real series and stay.
    """
    context = noise_BVC.shape[-1]
    past, seen = x_BVT[..., :context], mask_BVT[..., :context]
    positive_BV1 = ((past > 0) | ~seen).all(-1, keepdim=True)
    level = torch.where(positive_BV1, past.clamp_min(torch.finfo(past.dtype).tiny).log(), past)
    both = seen[..., 1:] & seen[..., :-1]
    moves = torch.where(both, level.diff(dim=-1), 0.0)
    size_BV1 = (moves.square().sum(-1, keepdim=True) / both.sum(-1, keepdim=True).clamp_min(1)).sqrt()
    shift = noise_BVC * size_BV1
    changed = torch.where(positive_BV1, past * shift.exp(), past + shift)
    return torch.cat([changed, x_BVT[..., context:]], dim=-1)


def refilled(x_BVT: Tensor, mask_BVT: Tensor) -> Tensor:
    """x with every masked point set to the last observed one before it, as the panel fills; the first, if none."""
    at = torch.arange(x_BVT.shape[-1], device=x_BVT.device)
    return x_BVT.gather(-1, torch.where(mask_BVT, at, 0).cummax(-1).values)
