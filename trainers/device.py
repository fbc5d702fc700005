"""Which device and number format a run really uses, decided once and recorded."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from trainers.errors import ConfigError

if TYPE_CHECKING:
    from trainers.train_config import TrainConfig


@dataclass(frozen=True)
class Placement:
    """Where tensors live and how the forward pass computes. precision is fp32, bf16 or fp16, never auto."""

    device: torch.device
    precision: str

    def autocast(self) -> AbstractContextManager[object]:
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16 if self.precision == "bf16" else torch.float16)

    def scaler(self) -> torch.amp.GradScaler | None:
        """Keeps fp16's gradients from vanishing; the wider range of bf16 and fp32 needs none."""
        return torch.amp.GradScaler(self.device.type) if self.precision == "fp16" else None

    def check(self, train: TrainConfig) -> None:
        """ConfigError for what this device cannot do, or where it would change nothing."""
        if self.device.type == "cuda":
            return
        if train.compile == "reduce-overhead":
            raise ConfigError(
                f"train.compile = reduce-overhead: this run computes on {self.name()}, which has no CUDA graphs. "
                "Use train.compile=default."
            )
        if train.offload != "none":
            raise ConfigError(
                f"train.offload = {train.offload}: this run computes on {self.name()}, where everything is in main "
                "memory already. Leave it out, or give the run a GPU."
            )

    def memory(self) -> dict[str, int] | None:
        """The `memory` event's fields: the most bytes that torch held of this GPU, and what else of it is in use now.

        None where there is no GPU. The rest is CUDA's own, and that of other processes if there are some.
        """
        if self.device.type != "cuda":
            return None
        free, total = torch.cuda.mem_get_info(self.device)
        other = total - free - torch.cuda.memory_reserved(self.device)
        return {"reserved": torch.cuda.max_memory_reserved(self.device), "other": max(0, other)}

    def wait(self) -> None:
        """Until the device has done all it was told to do."""
        wait_for(self.device)

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
    if precision == "fp16":
        raise ConfigError(
            "train.precision = fp16: this run computes on cpu, where fp16 is slower than fp32 and needs a loss scale. "
            "Use train.precision=fp32 or bf16, or give the run a GPU."
        )
    return Placement(where, "fp32" if precision == "auto" else precision)


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_main_memory(x: Tensor) -> Tensor:
    """A copy of x on the CPU, pinned where there is a GPU, so that transfers need not wait for one another."""
    return torch.empty_like(x, device="cpu", pin_memory=torch.cuda.is_available()).copy_(x.detach())
