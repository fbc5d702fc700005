"""What a head says about the steps of a patch, one kind for every loss: mean, draws and quantiles, in scaled units.

A `Mixture` comes of the likelihood; here are the others. n outputs come first in every parameter, as there; Q levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.toto.config import ModelConfig
from trainers.toto.mixture import Mixture

SCALE_FLOOR = 1e-3
"""Of a Gaussian, in scaled units: a constant series would otherwise be learned with a deviation near 0, and the next
step that moves would cost without bound."""


@dataclass(frozen=True)
class Point:
    """A value [...] without a spread: every quantile and every draw is the value itself."""

    value: Tensor

    @property
    def mean(self) -> Tensor:
        return self.value

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        return self.value.unsqueeze(-1).expand(*self.value.shape, count)

    def quantile(self, level: float) -> Tensor:
        return self.value


@dataclass(frozen=True)
class Gaussian:
    """loc and scale [...] of a normal distribution."""

    loc: Tensor
    scale: Tensor

    @property
    def mean(self) -> Tensor:
        return self.loc

    def log_prob(self, y: Tensor) -> Tensor:
        return -(self.scale.log() + 0.5 * ((y - self.loc) / self.scale) ** 2 + 0.5 * math.log(2 * math.pi))

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Independent draws [...,count]."""
        shape = (*self.loc.shape, count)
        noise = torch.randn(shape, generator=generator, device=self.loc.device, dtype=self.loc.dtype)
        return self.loc.unsqueeze(-1) + self.scale.unsqueeze(-1) * noise

    def quantile(self, level: float) -> Tensor:
        return self.loc + self.scale * (math.sqrt(2.0) * torch.erfinv(self.loc.new_tensor(2.0 * level - 1.0)))


@dataclass(frozen=True)
class Quantiles:
    """values [Q,...] at rising levels [Q], which are put in order where they cross; straight lines between them.

    Nothing is said beyond the outermost two: draws stop there, and the mean takes them for what lies beyond.
    """

    values: Tensor
    levels: tuple[float, ...]

    @property
    def ordered(self) -> Tensor:
        return self.values.sort(0).values

    @property
    def mean(self) -> Tensor:
        ends = torch.tensor((0.0, *self.levels, 1.0), dtype=self.values.dtype, device=self.values.device)
        # each value's part of all probability: half of both gaps beside it, all of an open end
        gaps = ends.diff()
        gaps[0], gaps[-1] = 2 * gaps[0], 2 * gaps[-1]
        part = 0.5 * (gaps[:-1] + gaps[1:])
        return (self.ordered * part.view(-1, *[1] * (self.values.dim() - 1))).sum(0)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Independent draws [...,count], none beyond the outermost levels."""
        last = self.ordered.movedim(0, -1)
        shape = (*last.shape[:-1], count)
        u = torch.rand(shape, generator=generator, device=last.device, dtype=last.dtype)
        return _between(last, self.levels, u)

    def quantile(self, level: float) -> Tensor:
        last = self.ordered.movedim(0, -1)
        return _between(last, self.levels, last.new_full((*last.shape[:-1], 1), level)).squeeze(-1)


def _between(values: Tensor, levels: tuple[float, ...], at: Tensor) -> Tensor:
    """values [...,Q] at levels -> values at the levels `at` [...,n], the outermost ones beyond the ends."""
    if len(levels) == 1:
        return values.expand(at.shape)
    known = torch.tensor(levels, dtype=values.dtype, device=values.device)
    at = at.clamp(known[0], known[-1])
    upper = torch.searchsorted(known, at).clamp(1, len(levels) - 1)
    share = (at - known[upper - 1]) / (known[upper] - known[upper - 1])
    return torch.lerp(values.gather(-1, upper - 1), values.gather(-1, upper), share)


Outcome = Mixture | Gaussian | Quantiles | Point


def outcome_of(raw: Tensor, anchor: Tensor | None, config: ModelConfig) -> Outcome:
    """The head's numbers [n,...] as the loss of the config reads them; anchor [...] is added to every location."""
    if config.loss == "nll":
        return Mixture.from_raw(raw, anchor)
    raw = raw if raw.dtype == torch.float64 else raw.float()
    shift = 0.0 if anchor is None else anchor
    if config.loss == "gaussian":
        return Gaussian(raw[0] + shift, F.softplus(raw[1]) + SCALE_FLOOR)
    if config.loss == "quantile":
        return Quantiles(raw + shift, config.quantile_levels)
    return Point(raw[0] + shift)
