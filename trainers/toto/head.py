"""From a patch's state to the numbers that tell every step of the next: unembed, then the head, or both as one.

There is no nonlinearity between unembed [E -> P·E] and the head [E -> n], so their product W[p] = head·unembed[p] is
one map E -> n·P. Composing it costs as much as unembedding n patches; above that it is cheaper, and its activations
are E/n times smaller.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


class PlainHead(nn.Module):
    """One map E -> n, for the losses that upstream has not."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, outputs)

    def stacked(self) -> Folded:
        return self.proj.weight, self.proj.bias


def fold(unembed: nn.Linear, head: MixtureHead | PlainHead, patch: int) -> Folded:
    """Weight [n·P,E] and bias [n·P] of unembed and head together."""
    weight, bias = head.stacked()
    # bmm, as matmul would copy unembed; steps inside, outputs outside, so that the numbers of one output lie together
    products = torch.bmm(weight.expand(patch, -1, -1), unembed.weight.unflatten(0, (patch, -1)))
    folded_weight = products.transpose(0, 1).flatten(0, 1)
    folded_bias = (unembed.bias.unflatten(0, (patch, -1)) @ weight.T + bias).T.flatten()
    return folded_weight, folded_bias


def worth_folding(patches: int, outputs: int) -> bool:
    """Composing costs as many operations as sending `outputs` patches through unembed."""
    return patches >= outputs


def raw_outputs(
    h: Tensor, unembed: nn.Linear, head: MixtureHead | PlainHead, patch: int, folded: Folded | None = None
) -> Tensor:
    """States h [...,E] -> the head's n numbers for every step of the next patch [...,n,P].

    folded: from `fold`, to compose once for many calls; without it, composed here when there are enough patches.
    """
    weight, bias = head.stacked()
    if folded is None and worth_folding(h.shape[:-1].numel(), bias.numel()):
        folded = fold(unembed, head, patch)
    if folded is None:
        return F.linear(unembed(h).unflatten(-1, (patch, -1)), weight, bias).transpose(-1, -2).contiguous()
    return F.linear(h, *folded).unflatten(-1, (-1, patch))
