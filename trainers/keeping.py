"""The tensors of a training loop in a checkpoint and back: weights, optimizer, averages, loss scale, random state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine import runlog
from trainers import checkpoint
from trainers.progress import Progress

if TYPE_CHECKING:
    from trainers.loop import Loop


def tensors(loop: Loop) -> dict[str, Tensor]:
    """Everything but the random state, by name: model/, optim/, scaler/, ema/."""
    out = {f"model/{k}": v for k, v in loop.model.state_dict().items()}
    out |= {f"optim/{k}": v for k, v in loop.optimizer.state_tensors().items()}
    if loop.scaler is not None:
        state = loop.scaler.state_dict()
        out |= {f"scaler/{key}": torch.tensor(state[key]) for key in ("scale", "_growth_tracker")}
    if loop.ema is not None:
        out |= {f"ema/{k}": v for k, v in loop.ema.tensors().items()}
    return out


def chance(loop: Loop) -> dict[str, Tensor]:
    """The random state of every rank, which all must ask for: rng/cpu of the first, rng/cpu/1 of the next."""
    states = {"cpu": torch.get_rng_state()}
    if loop.placement.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(loop.placement.device)
    return {
        f"rng/{kind}/{rank}".removesuffix("/0"): each
        for kind, state in states.items()
        for rank, each in enumerate(loop.ranks.collect(state))
    }


def restore(loop: Loop, path: Path) -> Progress:
    """Put the tensors of a checkpoint back into a loop; gives how far that was. Says so where dropout draws anew."""
    state, found = checkpoint.load_state(path)
    progress = Progress(**{k: v for k, v in state.items() if k in Progress.__dataclass_fields__})
    loop.sampler.position = progress.position
    loop.model.load_state_dict(_under("model/", found))
    loop.optimizer.load_state(_under("optim/", found))
    if loop.scaler is not None:
        now = {name: t.item() for name, t in _under("scaler/", found).items()}
        loop.scaler.load_state_dict({**loop.scaler.state_dict(), **now})
    if loop.ema is not None:
        loop.ema.load(_under("ema/", found), progress.averaged)
    before = sum(name.startswith("rng/cpu") for name in found)
    if before != loop.ranks.count:
        text = (f"this run goes on with {loop.ranks.count} processes where it had {before}: the same windows and "
                "weights, but dropout draws anew")  # fmt: skip
        runlog.event("warning", code="resume", text=text)
        loop.say(f"warning: {text}")
    mine = f"/{loop.ranks.rank}" if loop.ranks.rank else ""
    if f"rng/cpu{mine}" in found:
        torch.set_rng_state(found[f"rng/cpu{mine}"])
    if f"rng/cuda{mine}" in found and loop.placement.device.type == "cuda":
        torch.cuda.set_rng_state(found[f"rng/cuda{mine}"], loop.placement.device)
    return progress


def _under(prefix: str, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in named.items() if name.startswith(prefix)}
