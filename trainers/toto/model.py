"""The Toto 1.0 network: scaled patches through time and space attention to an outcome for every next patch.

B series, V variates, T time steps, P steps in a patch, S = T / P patches, E width, M paths while sampling,
n numbers that the head gives for a step.
Source: Toto 1.0 (Datadog, arXiv:2407.07874, arXiv:2505.14766), from its shapes and formulas.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainers.fused import gated_silu, rms_norm
from trainers.toto.attention import Rotary, SpaceAttention, TimeAttention, TimeCache, group_mask, rotary_table
from trainers.toto.config import ModelConfig
from trainers.toto.head import Folded, MixtureHead, PlainHead, fold, raw_outputs
from trainers.toto.outcome import Outcome, outcome_of
from trainers.toto.scaler import Seen, patch_statistics, scale_limits


class RMSNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.scale, eps=1e-8)


class SwiGLU(nn.Module):
    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.w12 = nn.Linear(width, 2 * hidden)
        self.w3 = nn.Linear(hidden, width)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        out = self.w3(gated_silu(self.w12(x)))
        return F.dropout(out, self.dropout, self.training) if self.dropout else out


class Layer(nn.Module):
    """Pre-norm attention and feed-forward; dropout is on attention weights and on the feed-forward's output only."""

    def __init__(self, config: ModelConfig, space: bool) -> None:
        super().__init__()
        kind = SpaceAttention if space else TimeAttention
        self.norm1 = RMSNorm(config.embed_dim)
        self.attention = kind(config.embed_dim, config.heads, config.dropout)
        self.norm2 = RMSNorm(config.embed_dim)
        self.mlp = SwiGLU(config.embed_dim, config.mlp_dim, config.dropout)
        self.space = space

    def forward(
        self, h_BVSE: Tensor, rotary: Rotary, groups: Tensor | None, cache: list[TimeCache] | None = None
    ) -> Tensor:
        x = self.norm1(h_BVSE)
        h_BVSE = h_BVSE + (self.attention(x, groups) if self.space else self.attention(x, rotary, cache))
        return h_BVSE + self.mlp(self.norm2(h_BVSE))

    def step(self, h_BVME: Tensor, rotary: Rotary, groups: Tensor | None, cache: TimeCache | None) -> Tensor:
        """One new patch per path; cache is this layer's, None for a space layer."""
        x = self.norm1(h_BVME)
        h_BVME = h_BVME + (self.attention(x, groups) if cache is None else self.attention.step(x, rotary, cache))
        return h_BVME + self.mlp(self.norm2(h_BVME))


class PatchEmbedding(nn.Module):
    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.projection = nn.Linear(patch, width)

    def forward(self, x_BVSP: Tensor) -> Tensor:
        # in the input's dtype, so that under autocast the residual stream and its norms stay float32
        return self.projection(x_BVSP).to(x_BVSP.dtype)


class Transformer(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config, space) for space in config.space_layers)


@dataclass(frozen=True)
class Prediction:
    """What each patch says about the next one, in units of that patch's loc and scale [B,V,S].

    raw [B,V,S,n,P]: the head's numbers, read as config.loss says. anchor [B,V,S]: added to locations, or None.
    """

    raw: Tensor
    anchor: Tensor | None
    loc: Tensor
    scale: Tensor
    config: ModelConfig

    @cached_property
    def outcome(self) -> Outcome:
        """Its parameters are [n,B,V,S,P], or without n. Made when asked for: the released loss does without."""
        anchor = None if self.anchor is None else self.anchor.unsqueeze(-1)
        return outcome_of(self.raw.movedim(-2, 0).contiguous(), anchor, self.config)

    def of(self, targets: int) -> Prediction:
        """The first `targets` variates, in float64."""
        parts = (None if x is None else x[:, :targets].double() for x in (self.raw, self.anchor, self.loc, self.scale))
        return Prediction(*parts, self.config)  # type: ignore[arg-type]


@dataclass
class Past:
    """What sampling goes on from after the context: sums, bounds, caches and the number of patches so far."""

    seen: Seen
    limits: tuple[Tensor, Tensor] | None
    caches: list[TimeCache | None]
    groups: Tensor | None
    patches: int
    centre: int
    folded: Folded


def head_for(config: ModelConfig) -> MixtureHead | PlainHead:
    if config.loss == "nll":
        return MixtureHead(config.embed_dim, config.components)
    return PlainHead(config.embed_dim, config.outputs)


def _apply(layer: nn.Module, *args: object) -> Tensor:
    out: Tensor = layer(*args)
    return out


class Toto(nn.Module):
    """Parameters are named and shaped as in the released files but for wQKV's row order (see weights.py)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.origin: dict[str, str] | None = None
        """source (as the config names it) and revision of the weights that it started from, if it did."""
        self.known = 0
        """How many of the last variates are known ahead: they run one patch early, and nothing is learned of them."""
        self.patch_embed = PatchEmbedding(config.patch, config.embed_dim)
        self.transformer = Transformer(config)
        self.checkpointing = False  # while training, keep only the states between layers for the backward pass
        self.unembed = nn.Linear(config.embed_dim, config.patch * config.embed_dim)
        self.output_distribution = head_for(config)

    def forward(
        self, x_BVT: Tensor, mask_BVT: Tensor, ids_BVT: Tensor | None = None, targets: int | None = None
    ) -> Prediction:
        """Predict every next patch, of the first `targets` variates or of all.

        x_BVT: raw values, finite everywhere, T a multiple of the patch. mask_BVT: True where observed; it steers
        the scaler only, so what stands at a masked point is fed in like data (fill it, see decode.fill).
        ids_BVT: variates with equal ids see each other, ids constant within a patch; None: all do.
        """
        limits = self._limits(x_BVT, mask_BVT)
        loc, scale, _ = patch_statistics(x_BVT, mask_BVT, self.config.patch, limits)
        scaled = self._scaled(x_BVT, loc, scale)
        h, _ = self._encode(scaled, self._groups(ids_BVT), None)
        few = slice(targets)
        return self._predict(h[:, few], scaled[:, few], loc[:, few], scale[:, few])

    def prefill(
        self, x_BVT: Tensor, mask_BVT: Tensor, ids_BVT: Tensor | None = None, targets: int | None = None
    ) -> tuple[Prediction, Past]:
        """The prediction of the last patch only (S = 1), and what `step` needs to go on."""
        limits = self._limits(x_BVT, mask_BVT)
        loc, scale, seen = patch_statistics(x_BVT, mask_BVT, self.config.patch, limits)
        scaled = self._scaled(x_BVT, loc, scale)
        time_caches: list[TimeCache] = []
        groups = self._groups(ids_BVT)
        h, centre = self._encode(scaled, groups, time_caches)
        folded = fold(self.unembed, self.output_distribution, self.config.patch)
        caches = iter(time_caches)
        past = Past(
            seen=seen,
            limits=limits,
            caches=[None if space else next(caches) for space in self.config.space_layers],
            groups=None if groups is None else groups[:, -1:],
            patches=scaled.shape[2],
            centre=centre,
            folded=folded,
        )
        few, last = slice(targets), slice(-1, None)
        return self._predict(*(x[:, few, last] for x in (h, scaled, loc, scale)), folded), past

    def step(self, x_BVMP: Tensor, past: Past, targets: int | None = None) -> Prediction:
        """One more patch on each of M paths, all points observed; the prediction's S is M. Advances `past`."""
        paths = x_BVMP.shape[2]
        if past.seen.count.dim() == 2:
            past.seen = past.seen.repeated(paths)
            past.limits = None if past.limits is None else tuple(x.unsqueeze(-1) for x in past.limits)  # type: ignore[assignment]
        loc, scale, past.seen = patch_statistics(
            x_BVMP, torch.ones_like(x_BVMP, dtype=torch.bool), self.config.patch, past.limits, past.seen
        )
        loc, scale = loc.squeeze(-1), scale.squeeze(-1)
        scaled = (x_BVMP - loc.unsqueeze(-1)) / scale.unsqueeze(-1)
        rotary = rotary_table(past.patches, 1, self.config.head_dim, x_BVMP.device, past.centre)
        groups = None if past.groups is None else past.groups.expand(-1, paths, -1, -1)
        h = self.patch_embed(scaled)
        for layer, cache in zip(self.transformer.layers, past.caches, strict=True):
            h = layer.step(h, rotary, groups, cache)
        past.patches += 1
        few = slice(targets)
        return self._predict(h[:, few], scaled[:, few], loc[:, few], scale[:, few], past.folded)

    def _limits(self, x_BVT: Tensor, mask_BVT: Tensor) -> tuple[Tensor, Tensor] | None:
        if not self.config.stabilize_with_global:
            return None
        return scale_limits(x_BVT, mask_BVT, self.config.scale_factor_exponent)

    def _scaled(self, x_BVT: Tensor, loc_BVS: Tensor, scale_BVS: Tensor) -> Tensor:
        x_BVSP = x_BVT.unflatten(-1, (-1, self.config.patch))
        return (x_BVSP - loc_BVS.unsqueeze(-1)) / scale_BVS.unsqueeze(-1)

    def _groups(self, ids_BVT: Tensor | None) -> Tensor | None:
        if ids_BVT is None:
            return None
        return group_mask(ids_BVT.unflatten(-1, (-1, self.config.patch)).amin(-1))

    def _encode(self, scaled_BVSP: Tensor, groups: Tensor | None, caches: list[TimeCache] | None) -> tuple[Tensor, int]:
        rotary = rotary_table(0, scaled_BVSP.shape[2], self.config.head_dim, scaled_BVSP.device)
        h = self.patch_embed(scaled_BVSP)
        again = self.checkpointing and self.training and caches is None and torch.is_grad_enabled()
        for layer in self.transformer.layers:
            if again:
                # the layer is an argument: a function that closed over the variable would recompute the last one
                h = checkpoint(_apply, layer, h, rotary, groups, use_reentrant=False)
            else:
                h = layer(h, rotary, groups, caches)
        return h, rotary.centre

    def _predict(
        self, h: Tensor, scaled_BVSP: Tensor, loc_BVS: Tensor, scale_BVS: Tensor, folded: Folded | None = None
    ) -> Prediction:
        anchor = scaled_BVSP[..., -1] if self.config.anchor == "last" else None
        raw = raw_outputs(h, self.unembed, self.output_distribution, self.config.patch, folded)
        return Prediction(raw, anchor, loc_BVS, scale_BVS, self.config)
