"""Kronos as it is trained and saved: a predictor over the tokens of a tokenizer, one of the two learning at a time.

A folder of it is the predictor's in the hub's layout, with the tokenizer's in the same layout in tokenizer/.
B windows, T bars of 6 normalised features, stamps of 5 columns.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from trainers import hub
from trainers.kronos import layout, lora, weights
from trainers.kronos.config import ModelConfig, PredictorConfig, TokenizerConfig
from trainers.kronos.predictor import Predictor
from trainers.kronos.tokenizer import Tokenizer


class Kronos(nn.Module):
    """predictor and tokenizer; the one that is not being trained (config.phase) is frozen and stays in eval mode."""

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer, predictor: Predictor) -> None:
        super().__init__()
        self.config = config
        self.origin: dict[str, str] | None = None
        """source (as the config names it) and revision of the weights that it started from, if it did."""
        self.where: tuple[int, ...] = ()
        """Where the six features stand among a run's variates, see windows.places."""
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
            with torch.autocast(x_BT6.device.type, enabled=False):  # a bit near its edge would turn in bf16
                tokens = self.tokenizer.encode(x_BT6)
        assert stamps_BT5 is not None
        return self.predictor_losses(*tokens, stamps_BT5, valid_BT)

    def predictor_losses(
        self, s1_BT: Tensor, s2_BT: Tensor, stamps_BT5: Tensor, valid_BT: Tensor | None = None
    ) -> dict[str, Tensor]:
        """loss, s1 and s2; s2 is conditioned as config.condition says.

        Causal in training always; in validation too, unless config.validation is upstream's, where the states that s2
        is read from have seen its targets.
        """
        config = self.config
        causal = self.training or config.validation == "causal"
        given = s1_BT[:, 1:] if config.condition == "teacher" else None
        inputs = (s1_BT[:, :-1], s2_BT[:, :-1], stamps_BT5[:, :-1])
        targets = (s1_BT[:, 1:], s2_BT[:, 1:], None if valid_BT is None else valid_BT[:, 1:])
        s1, s2 = self.predictor.losses(*inputs, *targets, given=given, causal=causal)
        return {"loss": (s1 + s2) / 2, "s1": s1.detach(), "s2": s2.detach()}


def build(config: ModelConfig, seed: int) -> Kronos:
    """A model ready for training: parts from the weights that config names, the rest decided by the seed alone.

    Raises ConfigError where weights are not to be had or do not fit.
    """
    origin = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if config.tokenizer:
            found = hub.locate(config.tokenizer, hub.FILES, "model.tokenizer", layout.EXAMPLES["tokenizer"])
            folder = layout.tokenizer_in(found.folder)
            settled = layout.settled(layout.read_config(TokenizerConfig, folder), config, config.tokenizer)
            tokenizer = weights.load_tokenizer(folder, config=settled)
            origin = {"tokenizer": config.tokenizer, "tokenizer_revision": found.revision}
        else:
            tokenizer = Tokenizer(config.for_tokenizer)
        if config.weights:
            found = hub.locate(config.weights, hub.FILES, "model.weights", layout.EXAMPLES["weights"])
            stored = layout.settled(layout.read_config(PredictorConfig, found.folder), config, config.weights)
            predictor = weights.load_predictor(found.folder, config=stored)
            origin |= {"source": config.weights, "revision": found.revision}
        else:
            predictor = Predictor(config.for_predictor)
        lora.prepare(predictor, config)
    model = Kronos(config, tokenizer, predictor)
    model.origin = origin or None
    return model.train()


def save(model: Kronos, folder: Path, *, hub: bool = False) -> None:
    """Both parts, adapters merged. hub: without what upstream does not know, which `load` needs."""
    weights.save(model.predictor, folder)
    weights.save(model.tokenizer, folder / "tokenizer")
    if not hub:
        path = folder / "config.json"
        stored = {**json.loads(path.read_text()), layout.OWN: layout.own(model.config)}
        path.write_text(json.dumps(stored, indent=2, sort_keys=True))


def load(folder: Path, device: torch.device | str = "cpu") -> Kronos:
    """The model that `save` wrote, in evaluation mode. Raises ConfigError as `weights.load_predictor` does."""
    tokenizer = weights.load_tokenizer(folder / "tokenizer", device)
    predictor = weights.load_predictor(folder, device)
    return Kronos(layout.read_own(folder), tokenizer, predictor).eval()
