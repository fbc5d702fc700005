"""The optimizer of every family: fused AdamW on the family's parameter groups, and its state as plain tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

NAME = "AdamW(fused)"


def adamw(groups: list[dict[str, Any]], lr: float, betas: tuple[float, ...]) -> torch.optim.AdamW:
    """Fused AdamW. A group may carry `lr_scale`, a factor on the common rate, beside params and weight_decay.

    Fused is the faster of torch's three on CPU too: 1.4 ms against 7.6 (foreach) for 2M parameters.
    """
    return torch.optim.AdamW(groups, lr=lr, betas=(betas[0], betas[1]), fused=True)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def default_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; vectors and scalars (biases, norms) do not."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def clip(parameters: list[nn.Parameter], limit: float) -> Tensor:
    """Scale the gradients so that their joint norm is at most `limit` (0: leave them); the norm before, on device."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if limit:
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm


def state_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every state tensor under `<parameter number>/<key>`; the rest of the state follows from the config."""
    state = optimizer.state_dict()["state"]
    return {f"{number}/{key}": value for number, entry in state.items() for key, value in entry.items()}


def load_state(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, key = name.split("/")
        state.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
