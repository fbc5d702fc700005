"""Forecasts in raw units: the next patch exactly from its outcome, later patches over drawn paths.

B series, V variates, T time, P steps in a patch, M paths, H horizon, Q levels.
The first patch needs no drawing: its mean and quantiles are those of the outcome. Further on, a path feeds its own
draws back; means average the means of the paths, quantiles are those of several draws per path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.quantiles import quantiles
from trainers.toto.config import ModelConfig
from trainers.toto.model import Prediction, Toto

DRAWS = 512
"""Draws behind a sampled quantile, at least: with M paths each is asked for DRAWS / M values of a point. The paths cost
a pass through the network, the values do not; 512 leave a median with a standard error of 0.055 deviations."""

_CHUNK = 1 << 22
"""Numbers in the largest tensor of one chunk of series, 16 MB in float32: larger ones were slower on a CPU."""


def fill(x_BVT: Tensor, mask_BVT: Tensor, patch: int) -> Tensor:
    """What stands at masked points replaced, so that it reaches no forecast: NaN, infinity and any number alike.

    The last observed value; ahead of the first observation, that one within its patch and 0 in patches before (where
    loc is 0 too, so the network sees zeros; a price there would be seen as some hundreds of deviations).
    """
    T = x_BVT.shape[-1]
    place = torch.arange(T, device=x_BVT.device).expand(x_BVT.shape)
    last = torch.where(mask_BVT, place, -1).cummax(-1).values
    first = torch.where(mask_BVT, place, T - 1).amin(-1, keepdim=True)
    known = torch.where(mask_BVT, x_BVT, 0.0).gather(-1, torch.where(last >= 0, last, first))
    return torch.where(place < first // patch * patch, 0.0, known)


def align(x_BVT: Tensor, mask_BVT: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Pad on the left to whole patches with unobserved points, then `fill`."""
    short = -x_BVT.shape[-1] % patch
    if short:
        x_BVT, mask_BVT = F.pad(x_BVT, (short, 0)), F.pad(mask_BVT, (short, 0))
    return fill(x_BVT, mask_BVT, patch), mask_BVT


def look_ahead(
    x_BVT: Tensor, mask_BVT: Tensor, known_BnH: Tensor, known_mask_BnH: Tensor, patch: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The inputs of a forecast whose last n variates are known over the horizon, and their patches for its later steps.

    x, mask: as `align` gives them. Those variates run one patch early: where the target stands at t, they stand at
    t + P, so that each patch tells what is known of the one it predicts. What lies beyond the horizon repeats the
    last known value. Returns x and mask [B,V,T], and [B,n,patches - 1,P].
    """
    n, T = known_BnH.shape[1], x_BVT.shape[-1]
    short = -known_BnH.shape[-1] % patch
    whole = torch.cat([x_BVT[:, -n:], F.pad(known_BnH, (0, short))], dim=-1)
    seen = torch.cat([mask_BVT[:, -n:], F.pad(known_mask_BnH, (0, short))], dim=-1)
    whole = fill(whole, seen, patch)
    early = slice(patch, patch + T)
    x = torch.cat([x_BVT[:, :-n], whole[..., early]], dim=1)
    mask = torch.cat([mask_BVT[:, :-n], seen[..., early]], dim=1)
    return x, mask, whole[..., patch + T :].unflatten(-1, (-1, patch))


def rollout(
    model: Toto,
    x_BVT: Tensor,
    mask_BVT: Tensor,
    patches: int,
    draw: Callable[[Prediction], Tensor],
    ids_BVT: Tensor | None = None,
    targets: int | None = None,
    later_BnSP: Tensor | None = None,
) -> Iterator[Prediction]:
    """The predictions of one patch after another: S = 1 for the first, S = M paths after it.

    targets: how many variates the last prediction is wanted for; those before it need all, to go on.
    draw: from a prediction to the values [B,V,M,P], in raw units, that each path goes on with. later: from
    `look_ahead`, what the last n variates are instead of drawn, patch by patch.
    """
    prediction, past = model.prefill(x_BVT, mask_BVT, ids_BVT, targets if patches == 1 else None)
    yield prediction
    for to_come in range(patches - 2, -1, -1):
        x = draw(prediction)
        if later_BnSP is not None:
            known_Bn1P = later_BnSP[:, :, [patches - 2 - to_come]]
            x = torch.cat([x[:, : -known_Bn1P.shape[1]], known_Bn1P.expand(-1, -1, x.shape[2], -1)], dim=1)
        sane = x.isfinite() & (x.abs() < torch.finfo(x.dtype).max / 2)
        prediction = model.step(torch.where(sane, x, 0.0), past, None if to_come else targets)
        yield prediction


@torch.no_grad()
def forecast(
    model: Toto,
    x_BVT: Tensor,
    mask_BVT: Tensor,
    horizon: int,
    levels: tuple[float, ...],
    paths: int,
    generator: torch.Generator,
    targets: int = 1,
    later_BnSP: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean [B,targets,H] and quantiles [B,targets,H,Q], float64, of the first `targets` variates.

    x_BVT, mask_BVT, later: as `align` or `look_ahead` gives them. Series are forecast in chunks that bound memory; the
    draws depend on the generator and on which series are asked for together. The model must be in evaluation mode.
    """
    config = model.config
    patches = -(-horizon // config.patch)
    wide = x_BVT.shape[1] * max(x_BVT.shape[2] * 8 * config.embed_dim // config.patch, _width(config, paths, patches))
    means, quantiles = [], []
    at_once = max(1, _CHUNK // wide)
    for first in range(0, len(x_BVT), at_once):
        few = slice(first, first + at_once)
        later = None if later_BnSP is None else later_BnSP[few]
        course = rollout(model, x_BVT[few], mask_BVT[few], patches, lambda p: _paths(p, paths, generator),
                         targets=targets, later_BnSP=later)  # fmt: skip
        parts = [_summary(prediction.of(targets), levels, generator) for prediction in course]
        means.append(torch.cat([mean for mean, _ in parts], dim=2)[:, :, :horizon])
        quantiles.append(torch.cat([q for _, q in parts], dim=2)[:, :, :horizon])
    return torch.cat(means), torch.cat(quantiles)


def _width(config: ModelConfig, paths: int, patches: int) -> int:
    """Numbers per series and variate in the widest tensor: the head's numbers for all paths, or quadrature nodes."""
    per_point = config.outputs * (paths if patches > 1 else 24)
    return config.patch * max(per_point, DRAWS)


def _paths(prediction: Prediction, paths: int, generator: torch.Generator) -> Tensor:
    """Values [B,V,M,P] in raw units: M draws from the context's prediction, one from each path's own."""
    fork = paths // prediction.loc.shape[2]
    draws = prediction.outcome.sample(fork, generator)  # [B,V,S,P,fork], of which S or fork is 1
    values = draws.transpose(-1, -2).flatten(2, 3)
    loc, scale = prediction.loc.unsqueeze(-1), prediction.scale.unsqueeze(-1)
    return values * scale + loc


def _summary(prediction: Prediction, levels: tuple[float, ...], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mean [B,v,P] and quantiles [B,v,P,Q] over all paths of a prediction [B,v,M,P], in raw units."""
    loc, scale = prediction.loc.unsqueeze(-1), prediction.scale.unsqueeze(-1)
    mean = (prediction.outcome.mean * scale + loc).mean(2)
    if loc.shape[2] == 1:
        exact = [prediction.outcome.quantile(level) * scale + loc for level in levels]
        return mean, torch.stack(exact, dim=-1).squeeze(2)
    each = -(-DRAWS // loc.shape[2])
    draws = prediction.outcome.sample(each, generator) * scale.unsqueeze(-1) + loc.unsqueeze(-1)
    return mean, quantiles(draws.transpose(2, 3).flatten(3), levels)
