"""A head's cross-entropy, and if asked a draw from its distribution, without ever holding all logits.

On a CPU a few hundred positions at a time stay in the cache from their product to their gradient, which is computed on
the way forward. N positions, d width, V ids.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trainers.kronos.chance import drawn, drawn_from

ROWS = 512


class _Head(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, h: Tensor, matrix: Tensor, bias: Tensor, targets: Tensor, share: Tensor, draw: bool, learn: bool
    ) -> tuple[Tensor, Tensor]:
        to_h, to_matrix, to_bias = (
            torch.zeros_like(x) if learn and x.requires_grad else None for x in (h, matrix, bias)
        )
        loss, ids = h.new_zeros(()), torch.empty_like(targets)
        for first in range(0, len(h), ROWS):
            some = slice(first, first + ROWS)
            logits = torch.addmm(bias, h[some], matrix.T)
            place = targets[some].unsqueeze(-1)
            p = logits.softmax(-1)
            loss += _surprise(logits, p, place) @ share[some]
            if draw:
                ids[some] = drawn_from(p)
            if to_h is None and to_matrix is None:
                continue
            p.scatter_add_(-1, place, p.new_full((), -1.0).expand_as(place)).mul_(share[some].unsqueeze(-1))
            if to_h is not None:
                torch.mm(p, matrix, out=to_h[some])
            if to_matrix is not None:
                to_matrix.addmm_(p.T, h[some])
            if to_bias is not None:
                to_bias += p.sum(0)
        ctx.gradients = to_h, to_matrix, to_bias
        ctx.mark_non_differentiable(ids)
        return loss, ids

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        return *(None if x is None else x * upstream for x in ctx.gradients), None, None, None, None


def _surprise(logits: Tensor, p: Tensor, place: Tensor) -> Tensor:
    """-log of the targets' probabilities [N], also of those too small for a float."""
    found = p.gather(-1, place)
    if bool((found > 1e-30).all()):
        return found.log_().neg_().squeeze(-1)
    # the logarithm of the sum of exponentials, from the largest, whose probability is not small
    return logits.amax(-1) - p.amax(-1).log() - logits.gather(-1, place).squeeze(-1)


def head_loss(
    head: nn.Module, h_BTd: Tensor, ids_BT: Tensor, valid_BT: Tensor | None, draw: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Mean cross-entropy with the targets, and one id drawn for each position [B,T] if asked.

    valid: False where a target is none; then it is the mean of every window over its targets, and over windows.
    """
    h, targets = h_BTd.flatten(0, 1), ids_BT.flatten()
    share = h.new_full(targets.shape, 1 / len(targets), dtype=torch.float32)
    if valid_BT is not None:
        share = (valid_BT / valid_BT.sum(-1, keepdim=True).clamp_min(1) / len(valid_BT)).flatten()
    autocast = torch.is_autocast_enabled(h.device.type)
    if h.is_cuda or autocast or torch.compiler.is_compiling() or type(head) is not nn.Linear:
        logits = head(h).float()
        loss = F.cross_entropy(logits, targets, reduction="none") @ share
        return loss, drawn(logits).view_as(ids_BT) if draw else None
    loss, ids = _Head.apply(h, head.weight, head.bias, targets, share, draw, torch.is_grad_enabled())
    return loss, ids.view_as(ids_BT) if draw else None
