"""A training step and a forecast of our Toto beside the same network written in the ordinary way (bench/plain_toto.py).

    python bench/toto.py [SIZE ...] [--patches 32,128,256,1024] [--pairs 5] [--forecast] [--memory]

SIZE is base (151M parameters, the released shape), 10m or tiny; base and 10m by default. Both sides have the same
weights and windows, and loss and gradients are compared before anything is timed. Steps are timed in pairs, one of
each in turn, on one thread and by the process's own CPU time, so that a busy machine slows both alike; the ratio is
the median over the pairs. On a GPU both run under bf16 autocast and are timed by the clock after a synchronisation;
told as well is the share of the device's peak (--peak, TFLOP/s) that a step's operations come to (MFU).
--forecast: 256 paths of 64 steps after 512. --memory: peak resident memory, each case in a process of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # the repository in place of bench/, whose queue.py would be taken for Python's own
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace

import torch

from bench.plain_toto import PlainToto, plain_forecast, plain_loss, plain_optimizer
from trainers.toto import weights
from trainers.toto.config import ModelConfig, base
from trainers.toto.family import TotoFamily
from trainers.toto.model import Toto

RELEASED = {k.removeprefix("model."): v for k, v in base().items() if k.startswith("model.")} | {"dropout": 0.0}
SIZES = {
    "base": RELEASED,
    "10m": RELEASED | {"embed_dim": 256, "heads": 4, "layers": 8, "mlp_dim": 640, "space_every": 8},
    "tiny": RELEASED | {"embed_dim": 64, "heads": 2, "layers": 3, "mlp_dim": 128, "space_every": 3},
}
SHAPES = {32: (4, 1, 8), 128: (16, 1, 8), 256: (4, 4, 16), 1024: (16, 4, 16)}
"""Patches of a step -> series, variates and patches of context."""
LIMITS = {32: 1.9, 128: 1.5, 256: 1.5, 1024: 1.35}
PATHS, CONTEXT, HORIZON = 256, 512, 64
FAMILY = TotoFamily()
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision():
    return torch.autocast("cuda", dtype=torch.bfloat16) if DEVICE.type == "cuda" else nullcontext()


def clock() -> float:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def windows(patches: int, patch: int):
    """Random walks [B,V,T] of one patch more than the context, all observed, all of one group."""
    series, variates, count = SHAPES[patches]
    steps = torch.randn(series, variates, (count + 1) * patch, generator=torch.Generator().manual_seed(0))
    x = (100 + steps.cumsum(-1)).to(DEVICE)
    return x, torch.ones_like(x, dtype=torch.bool), torch.zeros_like(x, dtype=torch.int64)


def ours(size: str) -> Toto:
    torch.manual_seed(0)
    return Toto(ModelConfig(**SIZES[size])).to(DEVICE)


def plain(size: str, same: bool = True) -> PlainToto:
    """With the weights of ours, or with its own, which does without ours in memory."""
    if not same:
        return PlainToto(ModelConfig(**SIZES[size])).to(DEVICE)
    model = ours(size)
    made = PlainToto(model.config)
    made.load_state_dict(plain_keys(model.state_dict(), model.config.heads))
    return made.to(DEVICE)


def plain_keys(state, heads: int):
    def name(key: str) -> str:
        return key.removeprefix("model.").replace("mlp.0.w12", "mlp.0").replace("mlp.0.w3", "mlp.2")

    return {name(k): v for k, v in weights.to_hub(state, heads).items()}


def our_step(size: str, data) -> tuple[Toto, Callable[[], torch.Tensor], Callable[[], None]]:
    """The model, its loss, and what follows the backward pass."""
    model = ours(size)
    x, mask, _ = data
    batch = SimpleNamespace(values=x, mask=mask)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, eps=1e-7, weight_decay=0.01, fused=True)
    return model, lambda: FAMILY.loss(model, batch, HORIZON), lambda: _update(optimizer)


def plain_step(size: str, data, same: bool = True) -> tuple[PlainToto, Callable[[], torch.Tensor], Callable[[], None]]:
    model = plain(size, same)
    optimizer = plain_optimizer(model, lr=1e-5)
    return model, lambda: plain_loss(model, *data), lambda: _update(optimizer)


def _update(optimizer: torch.optim.Optimizer) -> None:
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def timed(loss: Callable[[], torch.Tensor], update: Callable[[], None]) -> float:
    begin = clock()
    with precision():
        value = loss()
    value.backward()
    update()
    return clock() - begin


def difference(mine, its) -> tuple[float, float]:
    """Relative: of the two losses, and of the gradient that differs most. Leaves no gradients behind."""
    (model, loss, _), (other, its_loss, _) = mine, its
    values = []
    for made in (loss(), its_loss()):
        made.backward()
        values.append(made.item())
    gradients = plain_keys({n: p.grad for n, p in model.named_parameters()}, model.config.heads)
    worst = max(
        ((gradients[n] - p.grad).norm() / p.grad.norm().clamp_min(1e-30)).item() for n, p in other.named_parameters()
    )
    for one in (model, other):
        one.zero_grad(set_to_none=True)
    return abs(values[0] - values[1]) / abs(values[1]), worst


def training(size: str, patches: int, pairs: int, memory: bool, peak: float) -> None:
    data = windows(patches, SIZES[size]["patch"])
    mine, its = our_step(size, data), plain_step(size, data)
    loss_off, gradient_off = difference(mine, its)
    for step in (mine, its):
        timed(*step[1:])
    taken = []
    for turn in range(pairs):  # the one that goes first changes, so that a drift of the machine favours neither
        first, second = (mine, its) if turn % 2 else (its, mine)
        a, b = timed(*first[1:]), timed(*second[1:])
        taken.append((a, b) if turn % 2 else (b, a))
    ratio = statistics.median(b / a for a, b in taken)
    fast, slow = (1000 * statistics.median(column) for column in zip(*taken, strict=True))
    text = (
        f"{size:5} {patches:5} patches  ours {fast:9.1f} ms  plain {slow:9.1f} ms  {ratio:5.2f}x (limit "
        f"{LIMITS[patches] if DEVICE.type == 'cpu' else 2.0}x)  loss off {loss_off:.0e}, gradients {gradient_off:.0e}"
    )
    if DEVICE.type == "cuda":
        operations = 3 * FAMILY.flops_per_window(_run(size, patches), SHAPES[patches][1]) * SHAPES[patches][0]
        text += f"  MFU {operations / fast / 1e9 / peak:.1%}"
    if memory:
        text += f"  peak {resident('ours', size, patches)} / {resident('plain', size, patches)} MB"
    print(text, flush=True)


def forecast(size: str, memory: bool) -> None:
    model, other = ours(size).eval(), plain(size)
    x = windows(32, 64)[0][:1, :, :CONTEXT]
    mask, ids = torch.ones_like(x, dtype=torch.bool), torch.zeros_like(x, dtype=torch.int64)
    taken = []
    for _ in range(3):
        begin = clock()
        made = our_forecast(model, x, mask)
        middle = clock()
        draws = plain_forecast(other, x, mask, ids, HORIZON, PATHS)
        taken.append((middle - begin, clock() - middle))
    fast, slow = (1000 * statistics.median(column) for column in zip(*taken, strict=True))
    theirs = draws[:, 0, 0].quantile(0.5, dim=0)
    spread = (draws[:, 0, 0].quantile(0.9, dim=0) - draws[:, 0, 0].quantile(0.1, dim=0)).mean()
    off = ((made.point_BH[0] - theirs).abs().mean() / spread).item()
    text = (
        f"{size:5} forecast, {PATHS} paths of {HORIZON} after {CONTEXT}: ours {fast:.1f} ms  plain {slow:.1f} ms  "
        f"{slow / fast:.0f}x (limit 10x)  medians apart by {off:.3f} of the 10-90 % spread"
    )
    if memory:
        text += f"  peak {resident('ours', size, 0)} / {resident('plain', size, 0)} MB"
    print(text, flush=True)


def our_forecast(model: Toto, x: torch.Tensor, mask: torch.Tensor):
    return FAMILY.forecast(model, x, mask, HORIZON, (0.1, 0.5, 0.9), 0, PATHS)


def resident(side: str, size: str, patches: int) -> int:
    """Peak resident memory in MB of two steps (or, with 0 patches, of a forecast) in a process of its own."""
    ask = [sys.executable, str(Path(__file__)), size, "--only", side, "--patches", str(patches)]
    return int(subprocess.run(ask, check=True, capture_output=True, text=True).stdout)


def only(side: str, size: str, patches: int) -> None:
    if patches:
        data = windows(patches, SIZES[size]["patch"])
        _, loss, update = our_step(size, data) if side == "ours" else plain_step(size, data, same=False)
        for _ in range(2):
            timed(loss, update)
    else:
        x, mask, ids = (a[:1, :, :CONTEXT] for a in windows(32, 64))
        if side == "ours":
            our_forecast(ours(size).eval(), x, mask)
        else:
            plain_forecast(plain(size, same=False), x, mask, ids, HORIZON, PATHS)
    if DEVICE.type == "cuda":
        print(torch.cuda.max_memory_allocated() >> 20)
    else:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)


def _run(size: str, patches: int):
    config = ModelConfig(**SIZES[size])
    data = SimpleNamespace(context=SHAPES[patches][2] * config.patch, horizon=config.patch)
    return SimpleNamespace(model=config, data=data)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ask.add_argument("sizes", nargs="*", metavar="SIZE", default=["base", "10m"])
    ask.add_argument("--patches", default=",".join(map(str, SHAPES)))
    ask.add_argument("--pairs", type=int, default=5)
    ask.add_argument("--forecast", action="store_true")
    ask.add_argument("--memory", action="store_true")
    ask.add_argument("--peak", type=float, default=989.0, help="TFLOP/s of the GPU in bf16, for MFU")
    ask.add_argument("--only", choices=("ours", "plain"), help=argparse.SUPPRESS)
    given = ask.parse_args()
    torch.set_num_threads(1)
    patches = [int(p) for p in given.patches.split(",") if p]
    if given.only:
        only(given.only, given.sizes[0], patches[0])
        return
    for size in given.sizes:
        for count in patches:
            training(size, count, given.pairs, given.memory, given.peak)
        if given.forecast:
            forecast(size, given.memory)


if __name__ == "__main__":
    main()
