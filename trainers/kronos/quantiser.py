"""Binary spherical quantisation: a direction in D dimensions becomes D bits, which are two token ids.

u_BTD: unit vectors. A bit is 1 where u > 0, so that exact zero and NaN give 0. Ids count the least significant bit
first: dimension j of the first s1_bits adds 2^j to s1, and so on in the rest for s2. Source: BSQ (arXiv:2406.07548)
as Kronos computes it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def unit(z: Tensor) -> Tensor:
    """z [...,D] on the unit sphere, in float32 also under autocast: bits hang on the sign."""
    return F.normalize(z.float(), dim=-1, eps=1e-12)


def ids(u: Tensor, s1_bits: int) -> tuple[Tensor, Tensor]:
    """u [...,D] -> s1 and s2 [...], int64."""
    bits = (u > 0).long()
    return tuple(  # type: ignore[return-value]
        (part << torch.arange(part.shape[-1], device=u.device)).sum(-1)
        for part in (bits[..., :s1_bits], bits[..., s1_bits:])
    )


def corner(s1: Tensor, s2: Tensor, s1_bits: int, s2_bits: int) -> Tensor:
    """The corner of the sphere's cube [...,D] that a pair of ids stands for: every number is ±1/√D."""
    bits = torch.cat(
        [(s.unsqueeze(-1) >> torch.arange(count, device=s.device)) & 1 for s, count in ((s1, s1_bits), (s2, s2_bits))],
        dim=-1,
    )
    return (2.0 * bits - 1.0) * (s1_bits + s2_bits) ** -0.5


def straight_through(u: Tensor) -> Tensor:
    """The corner nearest to u [...,D]; the gradient passes as if it were u/√D."""
    sign = torch.where(u > 0, 1.0, -1.0)
    return (u - u.detach() + sign) * u.shape[-1] ** -0.5


def quantiser_loss(u: Tensor, beta: float, gamma0: float, gamma: float, zeta: float) -> Tensor:
    """Distance to the corners, bits that are sure each (entropy low), and both values used overall (entropy high).

    u [...,D]. The second entropy is that of every bit's mean over all positions: upstream has one over groups of bits
    too, and overwrites it.
    """
    scale = u.shape[-1] ** -0.5
    sign = torch.where(u.detach() > 0, scale, -scale)
    commitment = (sign - u).square().sum(-1).mean()
    p = torch.sigmoid(u * (-4.0 * scale))
    each = _entropy(p).sum(-1).mean()
    overall = _entropy(p.flatten(0, -2).mean(0)).sum()
    return beta * commitment + zeta * (gamma0 * each - gamma * overall)


def _entropy(p: Tensor) -> Tensor:
    """Of a bit that is 1 with probability p, in nats."""
    q = 1.0 - p
    return -(p * (p + 1e-8).log() + q * (q + 1e-8).log())
