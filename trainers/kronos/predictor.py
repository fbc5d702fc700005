"""The predictor: tokens and time stamps through a causal transformer to the next s1, and given s1 to the next s2.

B windows, T bars, d width, h heads, V1 and V2 values of s1 and s2. Logits at position t are about the token at t+1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.kronos.block import Attend, Block, CrossAttention, RMSNorm, Rotary, run
from trainers.kronos.chance import drawn, dropout
from trainers.kronos.config import PredictorConfig
from trainers.kronos.head import head_loss

STAMPS = (("minute", 60), ("hour", 24), ("weekday", 7), ("day", 32), ("month", 13))
"""Columns of a time stamp and how many values each has; weekday 0 is Monday, day and month count from 1."""

DEP_HEADS = 4
"""Heads of the dependency layer, whatever n_heads is."""


class Embedding(nn.Module):
    """Both ids' rows times √d, side by side through one linear map."""

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.width = config.d_model
        self.emb_s1 = _table(1 << config.s1_bits, self.width)
        self.emb_s2 = _table(1 << config.s2_bits, self.width)
        self.fusion_proj = nn.Linear(2 * self.width, self.width)

    def forward(self, s1_BT: Tensor, s2_BT: Tensor) -> Tensor:
        rows1, rows2 = self.emb_s1.weight, self.emb_s2.weight
        scale = math.sqrt(self.width)
        many = 2 * s1_BT.numel() > len(rows1) + len(rows2)
        if many and type(self.fusion_proj) is nn.Linear:  # an adapter around it must not be passed by
            # each id's row is mapped once however often it occurs, as the map of a pair is a sum over its halves
            half1, half2 = (self.fusion_proj.weight * scale).chunk(2, dim=1)
            mapped1, mapped2 = F.linear(rows1, half1, self.fusion_proj.bias), F.linear(rows2, half2)
            return (F.embedding(s1_BT, mapped1) + F.embedding(s2_BT, mapped2)).float()
        pair = torch.cat([F.embedding(s1_BT, rows1), F.embedding(s2_BT, rows2)], dim=-1)
        return self.fusion_proj(pair * scale).float()  # type: ignore[no-any-return]


class TimeEmbedding(nn.Module):
    """The sum of one row for each column of a stamp. fixed: sines and cosines that are not trained."""

    def __init__(self, width: int, fixed: bool) -> None:
        super().__init__()
        for name, size in STAMPS:
            table = _table(size, width)
            table.requires_grad_(not fixed)
            setattr(self, f"{name}_embed", table)

    def forward(self, stamps_BT5: Tensor) -> Tensor:
        columns = stamps_BT5.long()
        tables = [getattr(self, f"{name}_embed").weight for name, _ in STAMPS]
        if stamps_BT5.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            # one product with ones at the rows: a third of five look-ups and sums, forward and back
            firsts = [sum(size for _, size in STAMPS[:i]) for i in range(len(STAMPS) + 1)]
            ones = torch.zeros(*columns.shape[:-1], firsts.pop())
            return ones.scatter_(-1, columns + torch.tensor(firsts), 1.0) @ torch.cat(tables)
        order = (1, 2, 3, 4, 0)  # upstream's: hour, weekday, day, month, minute
        out: Tensor = sum(F.embedding(columns[..., i], tables[i]) for i in order)  # type: ignore[assignment]
        return out


class DependencyLayer(nn.Module):
    """What the hidden states say, asked by the id of s1: cross-attention, residual, norm; no feed-forward."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cross_attn = CrossAttention(width, DEP_HEADS)
        self.norm = RMSNorm(width)

    def forward(self, h_BTd: Tensor, s1_BQ: Tensor, rows_Vd: Tensor, rotate: bool, causal: bool) -> Tensor:
        """rows: the embedding of all s1, unscaled. With fewer ids than states they belong to the last ones."""
        q_proj = self.cross_attn.q_proj
        # each id's query is made once, however often it occurs; an adapter's dropout is for each position
        once = s1_BQ.numel() > len(rows_Vd) and type(q_proj) is nn.Linear
        q = F.embedding(s1_BQ, q_proj(rows_Vd)) if once else q_proj(F.embedding(s1_BQ, rows_Vd))
        return self.norm(h_BTd[:, -s1_BQ.shape[1] :] + self.cross_attn(q, h_BTd, rotate, causal))


class Heads(nn.Module):
    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.proj_s1 = nn.Linear(config.d_model, 1 << config.s1_bits)
        self.proj_s2 = nn.Linear(config.d_model, 1 << config.s2_bits)


class Predictor(nn.Module):
    """Parameters are named as in the released files but for fused products (weights.py)."""

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.config = c = config
        self.checkpointing = False  # while training, keep only the states between blocks for the backward pass
        self.rotary = Rotary(c.d_model // c.n_heads)
        self.embedding = Embedding(c)
        self.time_emb = TimeEmbedding(c.d_model, fixed=not c.learn_te)
        self.transformer = nn.ModuleList(
            Block(c.d_model, c.n_heads, c.ff_dim, c.ffn_dropout_p, c.attn_dropout_p, c.resid_dropout_p)
            for _ in range(c.n_layers)
        )
        self.norm = RMSNorm(c.d_model)
        self.dep_layer = DependencyLayer(c.d_model)
        self.head = Heads(c)
        if not self.norm.weight.is_meta:  # to be filled from a file
            self._draw()

    def embed(self, s1_BT: Tensor, s2_BT: Tensor, stamps_BT5: Tensor) -> Tensor:
        """What the blocks take in [B,T,d]."""
        x = self.embedding(s1_BT, s2_BT) + self.time_emb(stamps_BT5)
        return dropout(x, self.config.token_dropout_p, self.training)

    def backbone(self, x_BTd: Tensor, cache: Sequence[Attend] | None = None, first: int = 0) -> Tensor:
        """Hidden states [B,T,d]. cache: one Attend for each block, with x at positions first and later."""
        again = self.checkpointing and self.training and torch.is_grad_enabled()
        return self.norm(run(self.transformer, x_BTd, self.rotary(first, x_BTd.shape[1]), cache, again))

    def s1_logits(self, h_BTd: Tensor) -> Tensor:
        """[B,T,V1], float32."""
        return self.head.proj_s1(h_BTd).float()  # type: ignore[no-any-return]

    def s2_logits(self, h_BTd: Tensor, s1_BQ: Tensor, rotate: bool = True, causal: bool = True) -> Tensor:
        """[B,Q,V2], float32: about the last Q of the T positions, each given an id of s1.

        Three ways occur upstream. Training: rotate, causal. Its validation: rotate, not causal, so that a position
        sees states that know its target. Generating: one query for the last position and no rotation.
        """
        return self.head.proj_s2(self.conditioned(h_BTd, s1_BQ, rotate, causal)).float()  # type: ignore[no-any-return]

    def forward(
        self, s1_BT: Tensor, s2_BT: Tensor, stamps_BT5: Tensor, s1_targets: Tensor | None = None, causal: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Logits of the next s1 and s2 at every position.

        s2 is conditioned on s1_targets [B,T] (teacher forcing), or else on one draw from the s1 logits per position.
        """
        h = self.backbone(self.embed(s1_BT, s2_BT, stamps_BT5))
        s1_logits = self.s1_logits(h)
        given = drawn(s1_logits.flatten(0, 1)).view_as(s1_BT) if s1_targets is None else s1_targets
        return s1_logits, self.s2_logits(h, given, causal=causal)

    def losses(
        self,
        s1_BT: Tensor,
        s2_BT: Tensor,
        stamps_BT5: Tensor,
        s1_targets: Tensor,
        s2_targets: Tensor,
        valid_BT: Tensor | None = None,
        given: Tensor | None = None,
        causal: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Mean cross-entropies of the next s1 and s2, whose mean is the loss.

        given [B,T]: the s1 that s2 is conditioned on, else drawn as in `forward`. valid: of targets, see `head_loss`.
        """
        h = self.backbone(self.embed(s1_BT, s2_BT, stamps_BT5))
        s1_loss, ids = head_loss(self.head.proj_s1, h, s1_targets, valid_BT, draw=given is None)
        asked = self.conditioned(h, ids if given is None else given, rotate=True, causal=causal)  # type: ignore[arg-type]
        return s1_loss, head_loss(self.head.proj_s2, asked, s2_targets, valid_BT)[0]

    def conditioned(self, h_BTd: Tensor, s1_BQ: Tensor, rotate: bool, causal: bool) -> Tensor:
        """The states that s2 is read from [B,Q,d], see `s2_logits`."""
        out: Tensor = self.dep_layer(h_BTd, s1_BQ, self.embedding.emb_s1.weight, rotate, causal)
        return out

    @torch.no_grad()
    def _draw(self) -> None:
        """Xavier-normal matrices, each as wide as in the release, zero biases, embeddings of unit length."""
        for name, p in self.named_parameters():
            if "emb" in name and "fusion_proj" not in name:
                p.normal_(std=self.config.d_model**-0.5)
            elif p.ndim == 1:
                p.fill_(0.0 if name.endswith("bias") else 1.0)
            else:
                parts = 3 if ".qkv." in name else 2 if ".kv." in name or ".w13." in name else 1
                for part in p.chunk(parts):
                    nn.init.xavier_normal_(part)
        if not self.config.learn_te:
            for name, size in STAMPS:
                getattr(self.time_emb, f"{name}_embed").weight.copy_(_waves(size, self.config.d_model))


def _table(size: int, width: int) -> nn.Embedding:
    """Not drawn: the predictor does that, and torch's own way takes 2 s of imports on the meta device."""
    return nn.Embedding.from_pretrained(torch.empty(size, width), freeze=False)


def _waves(size: int, width: int) -> Tensor:
    """Sines and cosines of 0 .. size-1, of unit length like drawn rows [size,width]."""
    angle = torch.arange(size).float().unsqueeze(-1) * 10000.0 ** (-torch.arange(0, width, 2).float() / width)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width] * (2 / width) ** 0.5
