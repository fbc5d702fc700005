"""The optimizer of every family, fused AdamW or Muon beside it: where its state lives, and that state as tensors."""

from __future__ import annotations

from inspect import unwrap
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from trainers.device import in_main_memory, wait_for
from trainers.errors import ConfigError

if TYPE_CHECKING:
    from trainers.train_config import TrainConfig

# torch's optimizers load its compiler, 2.5 s of every start, only to tell it to leave them alone. Nothing here compiles
# an optimizer, so they are taken without: these three as they are inside, and `step` below.
for _name in ("state_dict", "load_state_dict", "add_param_group"):
    _inside = unwrap(getattr(torch.optim.Optimizer, _name))
    _inside.__dict__.setdefault("__dynamo_disable", _inside)

Group = dict[str, Any]
"""params and weight_decay; lr_scale, a factor on the common rate; hidden, whether Muon may take it (2-D only)."""


class Optimizer:
    """One or two of torch's optimizers as one. name: what is really used, for the `used` event.

    GradScaler takes it for an optimizer: it reads param_groups and calls step.
    """

    def __init__(self, parts: list[torch.optim.Optimizer], name: str) -> None:
        self.parts = parts
        self.name = name

    @property
    def param_groups(self) -> list[Group]:
        return [group for part in self.parts for group in part.param_groups]

    @torch.no_grad()
    def step(self) -> None:
        for part in self.parts:
            unwrap(type(part).step)(part)

    def set_lr(self, lr: float) -> None:
        for part in self.parts:
            set_lr(part, lr)

    def set_beta1(self, beta1: float) -> None:
        """Of AdamW's part; Muon's momentum stays."""
        for part in self.parts:
            for group in part.param_groups:
                if "betas" in group:
                    group["betas"] = (beta1, group["betas"][1])

    def state_tensors(self) -> dict[str, Tensor]:
        """Every state tensor under `<part>/<parameter number>/<key>`; the rest of the state follows from the config."""
        return {f"{i}/{name}": t for i, part in enumerate(self.parts) for name, t in state_tensors(part).items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        for i, part in enumerate(self.parts):
            mine = f"{i}/"
            load_state(part, {name.removeprefix(mine): t for name, t in tensors.items() if name.startswith(mine)})


class Offloaded(Optimizer):
    """The same on copies of the parameters in main memory: the state never touches the device.

    A step brings the gradients over, updates the copies, and sends them back; that costs two transfers of the model
    a step and saves two (Muon: one) of its sizes on the device.
    """

    def __init__(self, train: TrainConfig, groups: list[Group]) -> None:
        self._live: list[nn.Parameter] = [p for group in groups for p in group["params"]]
        self._copies = [nn.Parameter(in_main_memory(p)) for p in self._live]
        self._gradients = [in_main_memory(p) for p in self._live]
        copy_of = dict(zip(self._live, self._copies, strict=True))
        inner = _build([{**group, "params": [copy_of[p] for p in group["params"]]} for group in groups], train)
        super().__init__(inner.parts, f"{inner.name} on the CPU")
        self._groups = groups

    @property
    def param_groups(self) -> list[Group]:
        return self._groups

    @torch.no_grad()
    def step(self) -> None:
        for live, copy, gradient in zip(self._live, self._copies, self._gradients, strict=True):
            copy.grad = None if live.grad is None else gradient.copy_(live.grad, non_blocking=True)
        wait_for(self._live[0].device)
        super().step()
        for live, copy in zip(self._live, self._copies, strict=True):
            live.copy_(copy, non_blocking=True)
        # the next step overwrites the copies, so they must have arrived by then; its own wait sees to that

    @torch.no_grad()
    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """The copies are the parameters, which have been loaded by now."""
        for live, copy in zip(self._live, self._copies, strict=True):
            copy.copy_(live)
        super().load_state(tensors)


def build(train: TrainConfig, groups: list[Group]) -> Optimizer:
    """What train.optimizer and train.offload say, over the family's groups."""
    groups = [group for group in groups if group["params"]]
    return Offloaded(train, groups) if train.offload in ("optimizer", "both") else _build(groups, train)


def _build(groups: list[Group], train: TrainConfig) -> Optimizer:
    if train.optimizer == "adamw":
        return Optimizer([adamw(groups, train.lr, train.betas)], "AdamW(fused)")
    hidden = [group for group in groups if group.get("hidden")]
    others = [group for group in groups if not group.get("hidden")]
    if not hidden:
        raise ConfigError("train.optimizer = muon: this model trains no hidden matrices. Use train.optimizer=adamw.")
    muon = torch.optim.Muon(
        hidden, lr=train.lr, momentum=train.momentum, adjust_lr_fn="match_rms_adamw",
    )  # fmt: skip
    matrices, rest = (sum(len(group["params"]) for group in some) for some in (hidden, others))
    parts: list[torch.optim.Optimizer] = [muon]
    name = f"Muon(match_rms_adamw) of {matrices} matrices"
    if others:
        parts.append(adamw(others, train.lr, train.betas))
        name += f", AdamW(fused) of {rest} other tensors"
    return Optimizer(parts, name)


def adamw(groups: list[Group], lr: float, betas: tuple[float, ...]) -> torch.optim.AdamW:
    """Fused AdamW, the fastest of torch's three on CPU too: 1.4 ms against 7.6 (foreach) for 2M parameters."""
    return torch.optim.AdamW(groups, lr=lr, betas=(betas[0], betas[1]), fused=True)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def default_groups(model: nn.Module, weight_decay: float, hidden: str = "") -> list[Group]:
    """Matrices decay; vectors and scalars (biases, norms) do not.

    hidden: what the names of the parameters between embedding and head have in common: their matrices are what Muon
    is made for. Empty: there are none.
    """
    trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    inner = [p for name, p in trainable if hidden and hidden in name and p.ndim == 2]
    taken = {id(p) for p in inner}
    groups: list[Group] = [
        {"params": inner, "weight_decay": weight_decay, "hidden": True},
        {"params": [p for _, p in trainable if p.ndim >= 2 and id(p) not in taken], "weight_decay": weight_decay},
        {"params": [p for _, p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def zero_gradients(parameters: list[nn.Parameter], keep: bool) -> None:
    """Drop the gradients; keep: set them to zero where they are, or make them."""
    for p in parameters:
        if not keep:
            p.grad = None
        elif p.grad is None:
            p.grad = torch.zeros_like(p)
        else:
            p.grad.zero_()


def clip(parameters: list[nn.Parameter], limit: float) -> tuple[Tensor, Tensor]:
    """Scale the gradients so that their joint norm is at most `limit` (0: leave them).

    Returns the norm before, and that of every parameter that has a gradient, both on the device.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    each = torch.stack([norm.to(gradients[0].device) for norm in torch._foreach_norm(gradients)])
    norm = torch.linalg.vector_norm(each)
    if limit:
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm, each


def state_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every state tensor under `<parameter number>/<key>`."""
    state = optimizer.state_dict()["state"]
    return {f"{number}/{key}": value for number, entry in state.items() for key, value in entry.items()}


def load_state(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, key = name.split("/")
        state.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
