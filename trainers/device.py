"""Which device and number format a run really uses, decided once and recorded."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from trainers.errors import ConfigError


@dataclass(frozen=True)
class Placement:
    """Where tensors live and how the forward pass computes. precision is fp32 or bf16, never auto."""

    device: torch.device
    precision: str

    def autocast(self) -> AbstractContextManager[object]:
        if self.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def name(self) -> str:
        if self.device.type == "cuda":
            return f"cuda:{self.device.index} {torch.cuda.get_device_name(self.device)}"
        return self.device.type


def place(device: str = "auto", precision: str = "auto", threads: int = 0) -> Placement:
    """Resolve `auto` to what this process can see; ConfigError where a demand cannot be met."""
    if threads:
        torch.set_num_threads(threads)
    gpu = torch.cuda.is_available()
    if device == "cuda" and not gpu:
        raise ConfigError("train.device = cuda: torch sees no GPU. Use train.device=cpu, or give the run a GPU.")
    where = torch.device("cuda", torch.cuda.current_device()) if gpu and device != "cpu" else torch.device("cpu")
    if where.type == "cuda":
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        if precision == "bf16" and not bf16:
            name = torch.cuda.get_device_name(where)
            raise ConfigError(f"train.precision = bf16: {name} cannot compute it. Use train.precision=fp32.")
        return Placement(where, "bf16" if bf16 and precision == "auto" else precision.replace("auto", "fp32"))
    return Placement(where, "fp32" if precision == "auto" else precision)
