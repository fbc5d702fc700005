"""What a batch of windows costs, beside a copy of the same bytes and a loop over items; and what synthetic data teach.

    python bench/data.py               64 windows x 512 steps x 5 columns: at most 0.5 ms (median), exit 1 above;
                                       and as Kronos takes them, normalised and with stamps: at most 15 us a window
    python bench/data.py --learnable   skill of a ridge regression on the synthetic series (see trainers/data/synth.py)

The panel has 40 symbols of 5,000 rows (5 MB): larger than the caches that would flatter the gather. One thread.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # the repository in place of bench/, whose queue.py would be taken for Python's own
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import tempfile
import time
from collections.abc import Callable
from statistics import median, quantiles

import numpy as np
import pandas as pd
import torch

from trainers.calendar import stamps
from trainers.data import synth
from trainers.data.config import DataConfig
from trainers.data.dataset import Dataset, load
from trainers.data.panel import Batch, Panel
from trainers.data.series import Series
from trainers.kronos import windows
from trainers.metrics import Metrics

WINDOWS, STEPS = 64, 512
COLUMNS = ("close", "open", "high", "low", "volume")
LIMIT_MS = 0.5
LAGS = 64
KRONOS_US = 15.0
BARS = ("open", "high", "low", "close", "volume", "amount")
STAMPS = ("minute", "hour", "weekday", "day", "month")


def main(argv: list[str]) -> int:
    torch.set_num_threads(1)
    if argv == ["--learnable"]:
        learnable()
        return 0
    if argv:
        print(f"unknown: {' '.join(argv)}\n\n{__doc__}", file=sys.stderr)
        return 2
    return max(batches(), kronos())


def batches() -> int:
    rng = np.random.default_rng(0)
    rows = 5_000
    times = np.arange(rows, dtype=np.int64) * 86_400_000_000_000
    series = [Series(f"S{s:02d}", times, {c: rng.lognormal(3, 1, rows) for c in COLUMNS}, "memory") for s in range(40)]
    panel = Panel.build(series, COLUMNS)
    # every batch at other places, as in training
    draws = [
        torch.from_numpy(rng.integers(0, 40, WINDOWS) * rows + rng.integers(0, rows - STEPS, WINDOWS))
        for _ in range(64)
    ]
    at = iter(range(10**9))

    def draw() -> torch.Tensor:
        return draws[next(at) % len(draws)]

    source = panel.gather(draws[0], STEPS)
    values, mask = torch.empty_like(source.values), torch.empty_like(source.mask)

    def copy() -> None:
        values.copy_(source.values)
        mask.copy_(source.mask)

    gather_ms = clock(lambda: panel.gather(draw(), STEPS))
    copy_ms = clock(copy)
    loop_ms = clock(lambda: loop(panel, draw()))
    assert torch.equal(loop(panel, draws[0]).values, source.values)
    size = values.nbytes + mask.nbytes
    print(
        f"a batch of {WINDOWS} windows x {STEPS} steps x {len(COLUMNS)} columns ({size / 1e6:.2f} MB), "
        "median (p95) of 1,000"
    )
    for name, (mid, p95) in (
        ("gather", gather_ms), ("floor: copy of the same bytes", copy_ms), ("loop over items", loop_ms)
    ):  # fmt: skip
        print(f"  {name:<30} {mid:7.3f} ms ({p95:.3f})   {mid / copy_ms[0]:5.1f}x the floor")
    good = gather_ms[0] <= LIMIT_MS
    print(f"  limit {LIMIT_MS} ms: {'met' if good else 'MISSED'}")
    return 0 if good else 1


def kronos() -> int:
    """Gather, six features, normalisation by the history and stamps, against a dataset that gives item after item."""
    history = STEPS - 48
    rng = np.random.default_rng(0)
    times = pd.date_range("2020-01-01", periods=5_000, freq="5min")
    columns = [{c: rng.lognormal(3, 0.1, len(times)) for c in COLUMNS} for _ in range(40)]
    series = [Series(f"S{s:02d}", times.as_unit("ns").asi8, c, "memory") for s, c in enumerate(columns)]
    source = windows.BarSource(Panel.build(series, COLUMNS).with_stamps(), windows.places(COLUMNS))
    place = rng.integers(0, 40, (64, WINDOWS)), rng.integers(0, len(times) - STEPS, (64, WINDOWS))
    draws = torch.from_numpy(place[0] * len(times) + place[1])
    at = iter(range(10**9))

    def ours() -> windows.Bars:
        return source.gather(draws[next(at) % len(draws)], history, STEPS)

    frames = [pd.DataFrame(c).assign(amount=lambda f: f.volume * f[list(COLUMNS[:4])].mean(axis=1)) for c in columns]
    for frame in frames:
        for name, part in zip(STAMPS, stamps(times.as_unit("ns").asi8).T, strict=True):
            frame[name] = part

    def item(symbol: int, first: int) -> tuple[torch.Tensor, torch.Tensor]:
        part = frames[symbol].iloc[first : first + STEPS]
        x = part[list(BARS)].values.astype(np.float32)
        mean, deviation = np.mean(x[:history], axis=0), np.std(x[:history], axis=0)
        x = np.clip((x - mean) / (deviation + 1e-5), -5, 5)
        return torch.from_numpy(x), torch.from_numpy(part[list(STAMPS)].values.astype(np.float32))

    def usual() -> list[torch.Tensor]:
        pairs = zip(*(p[next(at) % len(draws)] for p in place), strict=True)
        return [torch.stack(part) for part in zip(*(item(int(s), int(f)) for s, f in pairs), strict=True)]

    pairs = zip(place[0][0].tolist(), place[1][0].tolist(), strict=True)
    first = [torch.stack(part) for part in zip(*(item(*pair) for pair in pairs), strict=True)]
    made = ours()
    torch.testing.assert_close(made.values, first[0], rtol=1e-4, atol=1e-4)
    assert torch.equal(made.stamps.float(), first[1])
    ours_us, usual_us = (1e3 * clock(call, times)[0] / WINDOWS for call, times in ((ours, 1_000), (usual, 30)))
    good = ours_us <= KRONOS_US
    print(f"the same for Kronos, per window of {STEPS} bars, median\n"
          f"  {'all at once':<30} {ours_us:7.1f} us   limit {KRONOS_US:g} us: {'met' if good else 'MISSED'}\n"
          f"  {'item by item out of frames':<30} {usual_us:7.1f} us   {usual_us / ours_us:.0f}x")  # fmt: skip
    return 0 if good else 1


def loop(panel: Panel, starts: torch.Tensor) -> Batch:
    """The same batch as most loaders make it: item by item, then stacked."""
    items = [
        (panel.values[:, s : s + STEPS], panel.mask[:, s : s + STEPS], panel.row_symbol[s]) for s in starts.tolist()
    ]
    return Batch(*(torch.stack(part) for part in zip(*items, strict=True)), starts)


def clock(call: Callable[[], object], times: int = 1_000) -> tuple[float, float]:
    for _ in range(50):
        call()
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        took.append(1e3 * (time.perf_counter() - begin))
    return median(took), quantiles(took, n=20)[-1]


def learnable(symbols: int = 12, days: int = 1500, seed: int = 7) -> dict[str, dict[str, float]]:
    """Write synthetic series, fit the regression on their training windows, print and return its scores by split."""
    with tempfile.TemporaryDirectory() as folder:
        synth.write(Path(folder) / "data", symbols, days, seed)
        data = load(DataConfig(path="data", context=128, horizon=16), Path(folder))
    past, future = log_returns(data, data.starts("train"))
    weights = np.linalg.solve(past.T @ past + 1e-3 * len(past) * past.var() * np.eye(LAGS), past.T @ future)
    scores = {}
    print(f"ridge on {LAGS} log returns, {symbols} symbols x {days} days, seed {seed}, horizon 16")
    for split in ("val", "test"):
        metrics = Metrics(data.symbols)
        for batch, groups in data.batches(split, 256):
            past, _ = log_returns(data, batch.starts)
            context, target = batch.values[:, 0, :128], batch.values[:, 0, 128:]
            point = context[:, -1:].numpy() * np.exp(past @ weights)
            metrics.update(context=context, target=target, point=point, symbols=batch.symbols, origins=groups)
        scores[split] = metrics.values()
        show = ("pct_mae", "naive_pct_mae", "skill", "dm_stat", "dm_pvalue", "dir_acc")
        print(f"  {split:<5}", "  ".join(f"{k} {scores[split][k]:.4f}" for k in show))
    return scores


def log_returns(data: Dataset, starts: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """[W, LAGS] last log returns of the contexts, and [W, H] log price over the last observed one."""
    prices = np.log(data.gather(starts).values[:, 0].double().numpy())
    past, future = prices[:, : data.config.context], prices[:, data.config.context :]
    return np.diff(past)[:, -LAGS:], future - past[:, -1:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
