"""Relative moves of the last 8 values in, the next 16 out; quantiles are a normal band of learned width."""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import NormalDist
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainers import optim
from trainers.family import Forecast

PAST, AHEAD = 8, 16


class ToyModel(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.inner = nn.Linear(PAST, config.width)
        self.drop = nn.Dropout(config.dropout)
        self.outer = nn.Linear(config.width, AHEAD)
        self.spread = nn.Parameter(torch.tensor(-3.0))
        self.calls = 0
        self.checkpointing = False

    def forward(self, past_BT: Tensor) -> Tensor:
        if self.checkpointing and self.training:
            return self.outer(checkpoint(self._hidden, past_BT, use_reentrant=False))
        return self.outer(self._hidden(past_BT))

    def _hidden(self, past_BT: Tensor) -> Tensor:
        return self.drop(torch.tanh(self.inner(past_BT)))


def _past(x_BVT: Tensor) -> tuple[Tensor, Tensor]:
    x = x_BVT[:, 0]
    last = x[:, -1:]
    return (x[:, -PAST:] / last - 1) * 100, last


class ToyFamily:
    name = "toy"

    def build(self, config: Any, variates: int, seed: int) -> ToyModel:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return ToyModel(config.model)

    def loss(self, model: nn.Module, batch: Any, horizon: int) -> Tensor:
        past, last = _past(batch.values[..., :-horizon])
        target = (batch.values[:, 0, -horizon:] / last - 1) * 100
        error = model(past)[:, :horizon] - target
        config: Any = model.config
        time.sleep(config.pause)
        torch.empty(config.hog, dtype=torch.uint8)
        model.calls += int(model.training)  # type: ignore[operator,assignment]
        nan = float("nan") if 0 < config.explode <= model.calls else 0.0  # type: ignore[operator]
        if config.loss == "huber":
            each = nn.functional.huber_loss(error, torch.zeros_like(error), delta=config.delta, reduction="none")
        else:
            each = error**2
        return each.mean() + (model.spread + 3.0) ** 2 + nan  # type: ignore[operator]

    def forecast(
        self, model: nn.Module, values_BVT: Tensor, mask_BVT: Tensor, horizon: int, levels: tuple[float, ...],
        seed: int, samples: int | None = None,
    ) -> Forecast:  # fmt: skip
        past, last = _past(values_BVT)
        move = model(past)[:, [min(h, AHEAD - 1) for h in range(horizon)]]
        point = last * (1 + move / 100)
        z = torch.tensor([NormalDist().inv_cdf(level) for level in levels], dtype=point.dtype, device=point.device)
        return Forecast(point, point, point.unsqueeze(-1) + last.unsqueeze(-1) * z * model.spread.exp())  # type: ignore[operator]

    def parameter_groups(self, model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
        return optim.default_groups(model, weight_decay, hidden="inner.")

    def checkpoint_layers(self, model: nn.Module) -> None:
        model.checkpointing = True  # type: ignore[assignment]

    def save(self, model: nn.Module, folder: Path) -> None:
        save_file(model.state_dict(), folder / "model.safetensors")

    def load(self, folder: Path, device: torch.device | str) -> ToyModel:
        from tests.trainers.toy.config import ModelConfig

        config = json.loads((folder / "config.json").read_text())["config"]["model"]
        model = ToyModel(ModelConfig(**config))
        model.load_state_dict(load_file(folder / "model.safetensors", device=str(device)))
        return model.to(device).eval()

    def flops_per_window(self, config: Any, variates: int) -> float:
        return 2.0 * config.model.width * (PAST + AHEAD)
