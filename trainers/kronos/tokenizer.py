"""Bars to tokens and back: a causal encoder, a binary spherical quantiser, a causal decoder.

B windows, T bars, 6 features (open, high, low, close, volume, amount, normalised over history), d width, D bits.
One token, a pair of ids, for every bar; it depends on the bars up to there of its own window, and on nothing later.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.kronos.block import Attend, Block, Rotary, run
from trainers.kronos.config import TokenizerConfig
from trainers.kronos.quantiser import corner, ids, quantiser_loss, straight_through, unit


class Tokenizer(nn.Module):
    """Parameters are named as in the released files but for fused products (weights.py)."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        width, bits = config.d_model, config.s1_bits + config.s2_bits
        self.checkpointing = False  # while training, keep only the states between blocks for the backward pass
        self.rotary = Rotary(width // config.n_heads)
        self.embed = nn.Linear(config.d_in, width)
        self.encoder = nn.ModuleList(_block(config) for _ in range(config.n_enc_layers - 1))
        self.quant_embed = nn.Linear(width, bits)
        self.post_quant_embed_pre = nn.Linear(config.s1_bits, width)
        self.post_quant_embed = nn.Linear(bits, width)
        self.decoder = nn.ModuleList(_block(config) for _ in range(config.n_dec_layers - 1))
        self.head = nn.Linear(width, config.d_in)

    @torch.no_grad()
    def encode(self, x_BT6: Tensor) -> tuple[Tensor, Tensor]:
        """s1 and s2 [B,T], int64."""
        return ids(self.directions(x_BT6), self.config.s1_bits)

    def decode(self, s1_BT: Tensor, s2_BT: Tensor) -> Tensor:
        """Normalised bars [B,T,6]; that of position t depends on tokens up to t."""
        return self.bars(self.embedded(s1_BT, s2_BT))

    def embedded(self, s1_BT: Tensor, s2_BT: Tensor) -> Tensor:
        """What the decoder's blocks take in for pairs of ids [B,T,d]."""
        return _stream(self.post_quant_embed, corner(s1_BT, s2_BT, self.config.s1_bits, self.config.s2_bits))

    def bars(
        self, x_BTd: Tensor, attends: Sequence[Attend] | None = None, first: int = 0, last: int | None = None
    ) -> Tensor:
        """The decoder from `embedded`: [B,T,6], or of the `last` positions only.

        attends: one for each block (see block.Attend), with x at positions first and later.
        """
        turns = self.rotary(first, x_BTd.shape[1])
        out = run(self.decoder, x_BTd, turns, attends, self._again())
        return self.head(out if last is None else out[:, -last:]).float()  # type: ignore[no-any-return]

    def directions(self, x_BT6: Tensor) -> Tensor:
        """Unit vectors [B,T,D] whose signs are the bits."""
        h = run(self.encoder, _stream(self.embed, x_BT6), self.rotary(0, x_BT6.shape[1]), None, self._again())
        return unit(self.quant_embed(h))

    def training_loss(self, x_BT6: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Half of: both reconstructions' mean squared errors, from s1's bits and from all, and the quantiser's loss.

        The last tends to zeta·D·ln 2·(gamma0 - gamma), so a loss a little below zero is normal. parts: mse_s1, mse
        and bsq, and the directions and both reconstructions they were made from.
        """
        c = self.config
        u = self.directions(x_BT6)
        q = straight_through(u)
        both = torch.cat([_stream(self.post_quant_embed_pre, q[..., : c.s1_bits]), _stream(self.post_quant_embed, q)])
        coarse, fine = self.bars(both).chunk(2)  # one pass of twice the batch through the shared blocks
        bsq = quantiser_loss(u, c.beta, c.gamma0, c.gamma, c.zeta)
        parts = {"mse_s1": F.mse_loss(coarse, x_BT6), "mse": F.mse_loss(fine, x_BT6), "bsq": bsq}
        loss = (parts["mse_s1"] + parts["mse"] + bsq) / 2
        return loss, {k: v.detach() for k, v in parts.items()}

    def _again(self) -> bool:
        return self.checkpointing and self.training and torch.is_grad_enabled()


def _block(c: TokenizerConfig) -> Block:
    return Block(c.d_model, c.n_heads, c.ff_dim, c.ffn_dropout_p, c.attn_dropout_p, c.resid_dropout_p)


def _stream(linear: nn.Linear, x: Tensor) -> Tensor:
    """The residual stream and its norms stay float32 under autocast."""
    return linear(x).float()  # type: ignore[no-any-return]
