"""From a patch's state to the mixture of every step of the next: unembed, then four linear maps, or both as one.

There is no nonlinearity between unembed [E -> P·E] and the four heads [E -> k], so their product
W[p] = heads·unembed[p] is one map E -> P·4k. Composing it costs as much as unembedding 4k patches; above that it is
cheaper, and its activations are E/4k times smaller.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.toto.mixture import Mixture

Folded = tuple[Tensor, Tensor]


class MixtureHead(nn.Module):
    """Named as in the released files: df, loc_proj, scale_proj and mixture_weights, each E -> k."""

    def __init__(self, width: int, components: int) -> None:
        super().__init__()
        self.df = nn.Linear(width, components)
        self.loc_proj = nn.Linear(width, components)
        self.scale_proj = nn.Linear(width, components)
        self.mixture_weights = nn.Linear(width, components)

    def stacked(self) -> Folded:
        """The four maps as one: weight [4k,E], bias [4k], in the order that `Mixture.from_raw` takes."""
        parts = (self.df, self.loc_proj, self.scale_proj, self.mixture_weights)
        return torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts])


def fold(unembed: nn.Linear, head: MixtureHead, patch: int) -> Folded:
    """Weight [P·4k,E] and bias [P·4k] of unembed and head together."""
    weight, bias = head.stacked()
    folded_weight = (weight @ unembed.weight.unflatten(0, (patch, -1))).flatten(0, 1)
    folded_bias = (unembed.bias.unflatten(0, (patch, -1)) @ weight.T + bias).flatten()
    return folded_weight, folded_bias


def worth_folding(patches: int, outputs: int) -> bool:
    """Composing costs as many operations as sending `outputs` = 4k patches through unembed."""
    return patches >= outputs


def mixture_of(
    h: Tensor, anchor: Tensor | None, unembed: nn.Linear, head: MixtureHead, patch: int, folded: Folded | None = None
) -> Mixture:
    """States h [...,E] -> Mixture with parameters [k,...,P].

    anchor [...]: a location added to all steps of the patch, or None. folded: from `fold`, to compose once for many
    calls; without it, composed here when there are at least 4k patches.
    """
    weight, bias = head.stacked()
    if folded is None and worth_folding(h.shape[:-1].numel(), bias.numel()):
        folded = fold(unembed, head, patch)
    if folded is None:
        raw = F.linear(unembed(h).unflatten(-1, (patch, -1)), weight, bias)
    else:
        raw = F.linear(h, *folded).unflatten(-1, (patch, -1))
    return Mixture.from_raw(raw.movedim(-1, 0).contiguous(), None if anchor is None else anchor.unsqueeze(-1))
