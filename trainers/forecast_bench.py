"""How fast a forecaster answers, and in what memory: `engine predict --bench`."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from trainers.data.series import Series
    from trainers.forecast import Forecaster

ROUNDS = 7


def measure(
    forecaster: Forecaster, series: Sequence[Series], horizon: int, levels: Sequence[float], load_s: float
) -> dict[str, Any]:
    """Seconds and bytes: loading, the first forecast, later ones, and the model's call alone on the same windows.

    cold_s: from the start of this process to the first forecast. warm_s: the median of ROUNDS forecasts of all series,
    data frame and all; model_s: the part of it that the model itself took. peak_bytes: resident; device_peak_bytes:
    of the GPU, None without one.
    """
    begun = time.perf_counter()
    forecaster.predict_series(series, horizon, levels)
    first = time.perf_counter() - begun
    cold = time.time() - _born()
    on_gpu = forecaster.placement.device.type == "cuda"
    inside = 0.0
    forecast = forecaster.family.forecast

    def timed(*args: Any, **kwargs: Any) -> Any:
        nonlocal inside
        begun = time.perf_counter()
        made = forecast(*args, **kwargs)
        if on_gpu:
            torch.cuda.synchronize()
        inside += time.perf_counter() - begun
        return made

    forecaster.family.forecast = timed  # type: ignore[method-assign]
    warm, bare = [], []
    try:
        for _ in range(ROUNDS):
            inside, begun = 0.0, time.perf_counter()
            forecaster.predict_series(series, horizon, levels)
            warm.append(time.perf_counter() - begun)
            bare.append(inside)
    finally:
        forecaster.family.forecast = forecast  # type: ignore[method-assign]
    return {
        "model": str(forecaster.path),
        "device": forecaster.placement.name(),
        "series": len(series),
        "horizon": horizon,
        "load_s": load_s,
        "first_s": first,
        "cold_s": cold,
        "warm_s": statistics.median(warm),
        "model_s": statistics.median(bare),
        "ratio": statistics.median(whole / part for whole, part in zip(warm, bare, strict=True)),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "device_peak_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
    }


def render(found: dict[str, Any]) -> str:
    """The measurements as text."""
    gpu = found["device_peak_bytes"]
    return "\n".join(
        f"{name:<16}{value}"
        for name, value in (
            ("model", found["model"]),
            ("device", found["device"]),
            ("asked", f"{found['series']} series, horizon {found['horizon']}"),
            ("cold", f"{found['cold_s']:.2f} s from the start of the process to the first forecast"),
            ("load", f"{found['load_s']:.2f} s of it"),
            (
                "warm",
                f"{1e3 * found['warm_s']:.1f} ms for all, {1e3 * found['warm_s'] / found['series']:.2f} ms a series",
            ),
            ("model alone", f"{1e3 * found['model_s']:.1f} ms, {found['ratio']:.2f}x of it in all"),
            ("memory", f"{found['peak_bytes'] / 2**20:,.0f} MiB" + (f", {gpu / 2**20:,.0f} on the GPU" if gpu else "")),
        )
    )


def _born() -> float:
    """When this process began, unix seconds."""
    ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    boot = next(
        int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime")
    )
    return boot + ticks / os.sysconf("SC_CLK_TCK")
