"""Kronos as it is trained and saved: a predictor over the tokens of a tokenizer, one of the two learning at a time.

B windows, T bars of 6 normalised features, stamps of 5 columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainers.kronos.config import ModelConfig
from trainers.kronos.predictor import Predictor, losses
from trainers.kronos.tokenizer import Tokenizer


class Kronos(nn.Module):
    """predictor and tokenizer; the one that is not being trained (config.phase) is frozen and stays in eval mode."""

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer, predictor: Predictor) -> None:
        super().__init__()
        self.config = config
        self.origin: dict[str, str] | None = None
        """source (as the config names it) and revision of the weights that it started from, if it did."""
        self.tokenizer, self.predictor = tokenizer, predictor
        (predictor if config.phase == "tokenizer" else tokenizer).requires_grad_(False)

    def train(self, mode: bool = True) -> Kronos:
        super().train(mode)
        (self.predictor if self.config.phase == "tokenizer" else self.tokenizer).eval()
        return self

    def checkpoint_blocks(self) -> None:
        """From now on, while training, every block's activations are computed again in the backward pass."""
        self.tokenizer.checkpointing = self.predictor.checkpointing = True

    def forward(
        self,
        x_BT6: Tensor | None,
        stamps_BT5: Tensor | None = None,
        tokens: tuple[Tensor, Tensor] | None = None,
        valid_BT: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The loss to train on, under `loss`, and its parts; gradients flow from the loss.

        In the tokenizer's phase of x alone. Otherwise of tokens (s1 and s2 [B,T], made from x if not given) and stamps:
        each bar's token from those before it. valid [B,T]: False where a window has no bar any more (after its end).
        """
        if self.config.phase == "tokenizer":
            assert x_BT6 is not None
            loss, parts = self.tokenizer.training_loss(x_BT6)
            return {"loss": loss, **parts}
        if tokens is None:
            assert x_BT6 is not None
            tokens = self.tokenizer.encode(x_BT6)
        assert stamps_BT5 is not None
        return self.predictor_losses(*tokens, stamps_BT5, valid_BT)

    def predictor_losses(
        self, s1_BT: Tensor, s2_BT: Tensor, stamps_BT5: Tensor, valid_BT: Tensor | None = None
    ) -> dict[str, Tensor]:
        """loss, s1 and s2, conditioned as config.condition says. Outside of training never on a draw unless asked for.

        In training always causal; in validation too unless config.validation is upstream's, where s2's states see
        their targets.
        """
        config = self.config
        causal = self.training or config.validation == "causal"
        given = s1_BT[:, 1:] if config.condition == "teacher" else None
        inputs = (s1_BT[:, :-1], s2_BT[:, :-1], stamps_BT5[:, :-1])
        logits = self.predictor(*inputs, given, causal=causal)
        s1, s2 = losses(*logits, s1_BT[:, 1:], s2_BT[:, 1:], None if valid_BT is None else valid_BT[:, 1:])
        return {"loss": (s1 + s2) / 2, "s1": s1.detach(), "s2": s2.detach()}


def new(config: ModelConfig, seed: int) -> Kronos:
    """A model whose weights the seed alone decides."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Kronos(config, Tokenizer(config.for_tokenizer), Predictor(config.for_predictor))
