"""One position of every row through a stack of blocks, in inference, with few and small operations.

A step of few rows reads every weight once and computes little: what each of torch's calls costs counts there. The
same as block.run with an Attend for each block, but for rounding; adapters are passed through as there. A single row
has a way of its own (single.py).
N rows, d width, h heads of D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.kronos.block import Attend, Block, RMSNorm, Turns

EPS = 1e-5

Step = Callable[[Tensor, Tensor, Any], None]
"""A block's step: the stream [N,d+1], changed in place, turns of q, k and v [.,3,1,D/2], and the block's Attend."""


def stream(x_Nd: Tensor) -> Tensor:
    """x and a last column that makes the length of a row what RMSNorm divides by, times √d: sqrt(sum(x²) + d·eps)."""
    return F.pad(x_Nd, (0, 1), value=(x_Nd.shape[1] * EPS) ** 0.5)


def normed(norm: RMSNorm, stream_Ne: Tensor) -> Tensor:
    """What the norm makes of the stream's x."""
    return _unscaled(stream_Ne).mul_(_scale(norm))


def _unscaled(stream_Ne: Tensor) -> Tensor:
    return stream_Ne[:, :-1] / torch.linalg.vector_norm(stream_Ne, dim=-1, keepdim=True)


def _scale(norm: RMSNorm) -> Tensor:
    """The norm's weight times √d, by which `_unscaled` is too small."""
    return norm.weight * norm.weight.shape[0] ** 0.5


def steps(blocks: nn.ModuleList) -> list[Step]:
    """One for each block; a block that is changed afterwards needs a new one."""
    return [_several(block) for block in blocks]  # type: ignore[arg-type]


def step(blocks: Sequence[Step], x_Nd: Tensor, turns: Turns, attends: Sequence[Attend]) -> Tensor:
    """The stream [N,d+1] behind the blocks. turns: of one position, or of one for each row [N,1,1,D/2]."""
    cis = turns.cis.reshape(-1, 1, 1, turns.cis.shape[-1])
    cis = torch.cat([cis, cis, torch.ones_like(cis)], dim=1)  # values are not turned
    x = stream(x_Nd)
    for block, attend in zip(blocks, attends, strict=True):
        block(x, cis, attend)
    return x


def _several(block: Block) -> Step:
    attention, feed = block.self_attn, block.ffn
    scale1, scale2 = _scale(block.norm1), _scale(block.norm2)

    def through(stream: Tensor, cis: Tensor, attend: Attend) -> None:
        qkv = attention.qkv(_unscaled(stream).mul_(scale1)).float().unflatten(1, (3, attention.heads, -1, 2))
        torch.view_as_complex(qkv).mul_(cis)
        q, k, v = qkv.flatten(-2).unsqueeze(3).unbind(1)
        x = stream[:, :-1]
        x.add_(attention.out_proj(attend(q, k, v).flatten(1)))
        gate, value = feed.w13(_unscaled(stream).mul_(scale2)).chunk(2, dim=-1)
        x.add_(feed.w2(F.silu(gate).mul_(value)))

    return through
