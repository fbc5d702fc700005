"""One position of every row through a stack of blocks, in inference, with few and small operations.

A step of one sample reads every weight once and computes little: what each of torch's calls costs counts there. The
same as block.run with an Attend for each block, but for rounding; adapters are passed through as there.
N rows, d width, h heads of D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.kronos.block import Attend, Block, RMSNorm, Turns
from trainers.kronos.cache import Alone

ALONE = 32
"""Steps of a single row from which it pays to lay out the matrices for it: that costs as much as some ten steps."""

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


def steps(blocks: nn.ModuleList, rows: int, count: int) -> list[Step]:
    """One for each block, for `count` steps of that many rows; a block that is changed afterwards needs a new one."""
    return [(_alone if rows == 1 and count >= ALONE and _bare(block) else _several)(block) for block in blocks]


def step(blocks: Sequence[Step], x_Nd: Tensor, turns: Turns, attends: Sequence[Attend]) -> Tensor:
    """The stream [N,d+1] behind the blocks. turns: of one position, or of one for each row [N,1,1,D/2]."""
    cis = turns.cis.reshape(-1, 1, 1, turns.cis.shape[-1])
    cis = torch.cat([cis, cis, torch.ones_like(cis)], dim=1)  # values are not turned
    x = stream(x_Nd)
    for block, attend in zip(blocks, attends, strict=True):
        block(x, cis, attend)
    return x


def _bare(block: Block) -> bool:
    parts = (block.self_attn.qkv, block.self_attn.out_proj, block.ffn.w13, block.ffn.w2)
    return all(type(part) is nn.Linear and part.weight.device.type == "cpu" for part in parts)


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


def _alone(block: Block) -> Step:
    """Of a single row, with matrices column by column: it is through a third sooner, 9.2 against 12.6 ms for 100 MB.

    Each product has a place of its own, and what looks at it is made once.
    """
    heads = block.self_attn.heads
    qkv_matrix, w13_matrix = (
        linear.weight.t().contiguous().mul_(_scale(norm).unsqueeze(1))
        for linear, norm in ((block.self_attn.qkv, block.norm1), (block.ffn.w13, block.norm2))
    )
    out_matrix, w2_matrix = (linear.weight.t().contiguous() for linear in (block.self_attn.out_proj, block.ffn.w2))
    qkv_bias, out_bias = block.self_attn.qkv.bias, block.self_attn.out_proj.bias
    qkv, both = qkv_matrix.new_empty(1, qkv_matrix.shape[1]), w13_matrix.new_empty(1, w13_matrix.shape[1])
    turned = torch.view_as_complex(qkv.view(1, 3, heads, -1, 2))
    q, kv = qkv.view(3, heads, -1)[0].unsqueeze(1), qkv.view(3, heads, -1)[1:]
    gate, value = both.chunk(2, dim=-1)

    def through(stream: Tensor, cis: Tensor, attend: Alone) -> None:
        x = stream[:, :-1]
        torch.addmm(qkv_bias, _unscaled(stream), qkv_matrix, out=qkv)
        turned.mul_(cis)
        x.add_(torch.addmm(out_bias, attend.one(q, kv).view(1, -1), out_matrix))
        torch.mm(_unscaled(stream), w13_matrix, out=both)
        x.addmm_(F.silu(gate).mul_(value), w2_matrix)

    return through
