"""One sample of one series, position by position, in numpy: where reading the weights is all that a step costs.

A product with one row goes through a matrix as fast as memory gives it, in numpy as it lies; torch is a fifth slower at
that, and every small call of its costs two to three times as much. The same as generate.Samples but for rounding.
d width, h heads of D dimensions, T positions so far.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from trainers.kronos.block import Block, RMSNorm, Turns
from trainers.kronos.predictor import Predictor

if TYPE_CHECKING:
    from trainers.kronos.generate import Read

EPS = 1e-5


class Matrix:
    """A linear layer's product with a vector; what it returns is written over by its next one."""

    def __init__(self, linear: nn.Linear) -> None:
        self.weight = linear.weight.detach().numpy()
        self.bias = None if linear.bias is None else linear.bias.detach().numpy()
        self.out = np.empty(len(self.weight), np.float32)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        np.dot(self.weight, x, out=self.out)
        if self.bias is not None:
            self.out += self.bias
        return self.out


class Normed:
    """RMSNorm of a vector."""

    def __init__(self, norm: RMSNorm) -> None:
        self.weight = norm.weight.detach().numpy()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        root = math.sqrt(float(np.dot(x, x)) / len(x) + EPS)
        made: np.ndarray = x * self.weight
        made /= root
        return made


class Kept:
    """Keys and values [h,T,D] of a history [1,h,T,D] with room for more, and what a query finds in them."""

    def __init__(self, k_1hTD: Tensor, v_1hTD: Tensor, room: int) -> None:
        _, heads, self.used, size = k_1hTD.shape
        self.k, self.v = (np.empty((heads, self.used + room, size), np.float32) for _ in range(2))
        self.k[:, : self.used], self.v[:, : self.used] = k_1hTD[0].numpy(), v_1hTD[0].numpy()
        self.scale = size**-0.5

    def add(self, k_hD: np.ndarray, v_hD: np.ndarray) -> None:
        self.k[:, self.used], self.v[:, self.used] = k_hD, v_hD
        self.used += 1

    def ask(self, q_hD: np.ndarray) -> np.ndarray:
        """[d]; q is scaled in place."""
        q_hD *= self.scale
        share = np.matmul(self.k[:, : self.used], q_hD[:, :, None])
        share -= share.max(axis=1, keepdims=True)
        np.exp(share, out=share)
        found = np.matmul(share.swapaxes(1, 2), self.v[:, : self.used])
        found /= share.sum(axis=1, keepdims=True)
        out: np.ndarray = found.reshape(-1)
        return out


class _Step:
    """A block with what it keeps; changes the stream [d] in place."""

    def __init__(self, block: Block, kept: Kept) -> None:
        self.norm1, self.norm2, self.kept = Normed(block.norm1), Normed(block.norm2), kept
        self.qkv, self.out_proj = Matrix(block.self_attn.qkv), Matrix(block.self_attn.out_proj)
        self.w13, self.w2 = Matrix(block.ffn.w13), Matrix(block.ffn.w2)
        self.parts = self.qkv.out.reshape(3, block.self_attn.heads, -1)
        self.turned = self.parts[:2].view(np.complex64)
        self.gate, self.value = np.split(self.w13.out, 2)

    def __call__(self, x: np.ndarray, cis: np.ndarray) -> None:
        self.qkv(self.norm1(x))
        self.turned *= cis
        q, k, v = self.parts
        self.kept.add(k, v)
        x += self.out_proj(self.kept.ask(q))
        self.w13(self.norm2(x))
        low = np.exp(-self.gate)
        low += 1.0
        self.value *= self.gate
        self.value /= low
        x += self.w2(self.value)


class Single:
    """generate.Samples for one sample of one series. What is no number is handed on silently, as in torch."""

    def __init__(self, predictor: Predictor, history: Read, room: int) -> None:
        layer, embedding = predictor.dep_layer, predictor.embedding
        *kept, self.dependency = (Kept(k, v, room) for k, v in history.kept.kept)
        self.steps = [_Step(block, its) for block, its in zip(predictor.transformer, kept, strict=True)]  # type: ignore[arg-type]
        self.norm, self.dep_norm = Normed(predictor.norm), Normed(layer.norm)
        self.q_proj, self.kv = Matrix(layer.cross_attn.q_proj), Matrix(layer.cross_attn.kv)
        self.out_proj = Matrix(layer.cross_attn.out_proj)
        self.proj_s1, self.proj_s2 = Matrix(predictor.head.proj_s1), Matrix(predictor.head.proj_s2)
        self.fusion, self.scale = Matrix(embedding.fusion_proj), math.sqrt(embedding.width)
        self.rows1, self.rows2 = (e.weight.detach().numpy() for e in (embedding.emb_s1, embedding.emb_s2))
        self.heads = layer.cross_attn.heads
        self.h = history.last[0].numpy()

    def __len__(self) -> int:
        return 1

    def add(self, x_11d: Tensor, turns: Turns) -> None:
        """The next position, embedded."""
        x, cis = x_11d[0, 0].numpy().copy(), turns.cis[0].numpy()
        with np.errstate(all="ignore"):
            for step in self.steps:
                step(x, cis)
            self.h = self.norm(x)
        self.dependency.add(*self.kv(self.h).reshape(2, self.heads, -1))

    def embedded(self, s1_11: Tensor, s2_11: Tensor) -> Tensor:
        """[1,1,d], without the time."""
        both = np.concatenate([self.rows1[int(s1_11)], self.rows2[int(s2_11)]])
        both *= self.scale
        return torch.from_numpy(self.fusion(both).copy()).view(1, 1, -1)

    def s1_logits(self) -> Tensor:
        return torch.from_numpy(self.proj_s1(self.h).copy()).unsqueeze(0)

    def s2_logits(self, s1_1: Tensor) -> Tensor:
        q = self.q_proj(self.rows1[int(s1_1)]).reshape(self.heads, -1)
        with np.errstate(all="ignore"):
            asked = self.dep_norm(self.out_proj(self.dependency.ask(q)) + self.h)
            return torch.from_numpy(self.proj_s2(asked).copy()).unsqueeze(0)


def serves(predictor: Predictor) -> bool:
    """Whether all that a step goes through is a float32 matrix in main memory, without an adapter around it."""
    kinds = {type(m) for m in predictor.modules() if getattr(m, "weight", None) is not None}
    plain = kinds <= {nn.Linear, nn.Embedding, RMSNorm}
    return plain and all(p.device.type == "cpu" and p.dtype == torch.float32 for p in predictor.parameters())
