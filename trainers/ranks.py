"""The processes of one run on several devices: which one this is, and the few words they exchange.

Rank r of n takes the r-th of n equal parts of every batch; gradients are averaged by DistributedDataParallel, so n
processes train as one does. Only the first writes files and scores; the others wait. Words (a wish to stop, scores)
go over gloo, between the hosts, so that none makes a GPU wait.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from inspect import unwrap
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainers import launch
from trainers.errors import ConfigError
from trainers.family import Family

PATIENCE = timedelta(days=7)
"""How long the others wait for the first to score and save; a rank that died is noticed by the launcher at once."""


class LossOf(nn.Module):
    """A family's loss as a module, so that what wraps it, as DistributedDataParallel, is really in its path."""

    def __init__(self, family: Family, network: nn.Module) -> None:
        super().__init__()
        self.family, self.network = family, network

    def forward(self, batch: Any, horizon: int) -> Tensor:
        return self.family.loss(self.network, batch, horizon)


@dataclass(frozen=True)
class Ranks:
    """This process among the `count` of its run. `ALONE` is the ordinary case, in which nothing is exchanged."""

    rank: int = 0
    count: int = 1
    words: Any = None  # the gloo group

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, windows: int) -> range:
        """The places of this rank's windows among those of a step; their number is a multiple of count."""
        each = windows // self.count
        return range(self.rank * each, (self.rank + 1) * each)

    def wrap(self, loss: nn.Module) -> nn.Module:
        """The module whose backward leaves the mean over all ranks in the gradients."""
        return loss if self.count == 1 else _averaging(loss)

    def alone(self, wrapped: nn.Module, alone: bool) -> AbstractContextManager[None]:
        """Within it gradients only add up here: for all parts of a batch but the last, whose backward sends the sum."""
        if alone and isinstance(wrapped, nn.parallel.DistributedDataParallel):
            return wrapped.no_sync()
        return nullcontext()

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the ranks, on the values' device; the same bits everywhere."""
        if self.count > 1:
            dist.all_reduce(values)
            values = values / self.count
        return values

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Whether any rank's flag is up, for each flag: everybody gets the same answer at the same step."""
        if self.count == 1:
            return flags
        up = torch.tensor(flags, dtype=torch.uint8)
        dist.all_reduce(up, dist.ReduceOp.MAX, group=self.words)
        return tuple(bool(flag) for flag in up.tolist())

    def tell(self, value: Any) -> Any:
        """What the first rank says, to all; JSON values. The others' own value is ignored. Everybody waits for it."""
        if self.count == 1:
            return value
        text = json.dumps(value).encode() if self.first else b""
        size = torch.tensor([len(text)])
        dist.broadcast(size, 0, group=self.words)
        data = torch.tensor(list(text) or [0] * int(size), dtype=torch.uint8)
        dist.broadcast(data, 0, group=self.words)
        return json.loads(bytes(data.tolist()))

    def collect(self, value: Tensor) -> list[Tensor]:
        """Every rank's tensor, on the CPU, in order of rank; all of one shape and type."""
        value = value.cpu()
        if self.count == 1:
            return [value]
        out = [torch.empty_like(value) for _ in range(self.count)]
        dist.all_gather(out, value, group=self.words)
        return out

    def wait(self) -> None:
        """Until every rank is here."""
        if self.count > 1:
            dist.barrier(group=self.words)


ALONE = Ranks()


def _averaging(loss: nn.Module) -> nn.Module:
    """DistributedDataParallel of the loss, without torch's compiler in a run that compiles nothing.

    It loads that, 2 s of every rank's start, for one setting and for a mark that only compiled code looks at.
    """
    ddp = nn.parallel.DistributedDataParallel
    if "torch._dynamo" in sys.modules:
        return ddp(loss)
    inside = unwrap(ddp._inside_ddp_forward)
    inside.__dict__.setdefault("__dynamo_disable", inside)
    torch._dynamo = SimpleNamespace(utils=SimpleNamespace(get_optimize_ddp_mode=lambda: "ddp_optimizer"))  # its default
    try:
        return ddp(loss)
    finally:
        del torch._dynamo  # who asks for it from here on loads it


def here() -> int:
    """This process's rank, known before it has joined the others."""
    return int(os.environ["RANK"]) if launch.is_rank() else 0


@contextmanager
def join(device: str) -> Iterator[Ranks]:
    """This process's place among those that `launch` started; ALONE when it started none.

    device: train.device. On GPUs each rank takes the one of its number, and gradients go over NCCL.
    """
    if not launch.is_rank():
        yield ALONE
        return
    rank, count = here(), int(os.environ["WORLD_SIZE"])
    gpus = torch.cuda.device_count() if device != "cpu" else 0
    if 0 < gpus < count or (device == "cuda" and not gpus):
        raise ConfigError(
            f"train.processes = {count}: torch sees {gpus} GPUs. Ask for as many (--gpus {count}), or lower it."
        )
    if gpus:
        torch.cuda.set_device(rank)
        dist.init_process_group("nccl", device_id=torch.device("cuda", rank))
    else:
        dist.init_process_group("gloo", timeout=PATIENCE)
    us = Ranks(rank, count, dist.new_group(backend="gloo", timeout=PATIENCE))
    yield us
    us.wait()  # nobody leaves while another still writes: the leader would end the rest
    dist.destroy_process_group()  # not after an error: NCCL would wait for a peer that has gone


def lost_a_peer(error: BaseException) -> bool:
    """Whether the error only tells that another rank has gone: that one knows the cause."""
    if isinstance(error, dist.DistError):
        return True
    return isinstance(error, RuntimeError) and bool(
        re.search(r"gloo|NCCL|Connection (closed|reset) by peer|Broken pipe", str(error))
    )
