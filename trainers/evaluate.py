"""Scoring a model on every window of a split, beside the forecasts that cost nothing.

Shapes: B windows, V variates (0 is the target), T context + horizon, H horizon, Q levels.
Forecasts are made in fp32, as the forecaster makes them; only val_loss uses the precision of training.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainers import baselines
from trainers.calendar import season
from trainers.data.dataset import Dataset
from trainers.data.panel import Batch
from trainers.device import Placement
from trainers.errors import LossError
from trainers.family import Family, Forecast, Sampled
from trainers.lengths import Lengths, total_steps
from trainers.metrics import Metrics
from trainers.resolve import RunConfig

EVALUATED = ("val", "test", "unseen")
"""The splits that a training scores."""

Columns = dict[str, np.ndarray]
"""What was forecast, by name; one entry a window."""


class TrainWindows:
    """The training split by window number, as the loop takes it."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.starts = dataset.starts("train").cpu()  # the numbers come from the CPU too; one small copy a batch
        self.device = dataset.panel.values.device

    def __len__(self) -> int:
        return len(self.starts)

    def gather(self, numbers: Tensor, context: int | None = None, horizon: int | None = None) -> Batch:
        """Whole windows unless both are given."""
        return self.dataset.gather(self.placed(numbers), context, horizon)

    def placed(self, numbers: Tensor) -> Tensor:
        """Where the windows start in the panel, on its device."""
        starts = self.starts[numbers]
        return starts.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else starts


def training_windows(family: Family, model: nn.Module, config: RunConfig, dataset: Dataset, processes: int) -> Any:
    """What the loop takes its batches from: the family's own, such as tokens that are kept, or else values."""
    usual = TrainWindows(dataset)
    own = getattr(family, "training_windows", None)
    if own is None:
        return usual
    lengths = Lengths(config.train, config.data, processes * config.train.accumulate)
    found = own(model, config, dataset, lengths, total_steps(config, len(usual), lengths))
    return usual if found is None else found


def used(windows: Any) -> dict[str, Any]:
    """What windows of a family's own tell of themselves in the `used` event."""
    tell = getattr(windows, "used", None)
    return tell() if tell is not None else {}


@dataclass(frozen=True)
class Scorer:
    """Validation metrics of a model, for the loop: {"val_loss": ..., "val_pct_mae": ..., ...}."""

    family: Family
    config: RunConfig
    dataset: Dataset
    placement: Placement
    zero_shot: float | None = None
    """pct_mae of the weights that training started from, if they were loaded; told beside each validation."""

    def __call__(self, model: nn.Module, step: int, stop: Callable[[], bool]) -> dict[str, float] | None:
        """Over every validation window. None when asked to stop half-way."""
        if not scored(self.family, self.config):
            return self._loss_alone(model, stop)
        metrics = _metrics(self.config, self.dataset)
        loss_sum: Tensor | float = 0.0
        count = 0
        horizon = self.config.data.horizon
        for batch, groups, forecast in forecasts(self.family, model, self.config, self.dataset, "val"):
            if stop():
                return None
            _update(metrics, batch, groups, forecast.point_BH, forecast.quantiles_BHQ, horizon, step)
            with torch.no_grad(), self.placement.autocast():
                loss_sum = loss_sum + self.family.loss(model, batch, horizon).detach() * len(batch)
            count += len(batch)
        values = {f"val_{k}": v for k, v in metrics.values().items() if math.isfinite(v)}
        if self.zero_shot is not None:
            values["val_zeroshot_pct_mae"] = self.zero_shot
        return {"val_loss": float(loss_sum) / count, **values}

    def _loss_alone(self, model: nn.Module, stop: Callable[[], bool]) -> dict[str, float] | None:
        loss_sum: Tensor | float = 0.0
        count = 0
        for batch, _ in self.dataset.batches("val", self.config.eval.batch):
            if stop():
                return None
            with torch.no_grad(), self.placement.autocast():
                loss_sum = loss_sum + self.family.loss(model, batch, self.config.data.horizon).detach() * len(batch)
            count += len(batch)
        return {"val_loss": float(loss_sum) / count}


def scored(family: Family, config: RunConfig) -> bool:
    """Whether the run's model makes forecasts; one that does not has a validation loss and nothing else."""
    asks = getattr(family, "scores", None)
    return asks is None or bool(asks(config))


def forecasts(
    family: Family, model: nn.Module, config: RunConfig, dataset: Dataset, split: str
) -> Iterator[tuple[Batch, Tensor, Forecast | Sampled]]:
    """All windows of a split in order: the batch, the number of its origin dates, the forecast of its horizon."""
    context, known = config.data.context, len(config.data.known_future)
    for batch, groups in dataset.batches(split, config.eval.batch):
        more: dict[str, Any] = {}
        if known:
            more["known"] = (batch.values[:, -known:, context:], batch.mask[:, -known:, context:])
        if getattr(family, "stamps", False):
            more["stamps"] = batch.stamps
        with torch.no_grad():
            made = family.forecast(
                model,
                batch.values[..., :context],
                batch.mask[..., :context],
                config.data.horizon,
                config.eval.levels,
                config.train.seed,
                config.eval.samples or None,
                **more,
            )
        yield batch, groups, made


def zero_shot(
    family: Family, model: nn.Module, config: RunConfig, dataset: Dataset, stop: Callable[[], bool] = lambda: False
) -> dict[str, dict[str, float | None]]:
    """The scores of the model as it is, by split; what `write` shows as zero_shot. Empty when asked to stop."""
    out: dict[str, dict[str, float | None]] = {}
    devices = [dataset.panel.values.device] if dataset.panel.values.device.type == "cuda" else []
    was_training = model.training
    model.eval()
    with torch.random.fork_rng(devices):  # training begins as if nothing had been scored
        for split in EVALUATED:
            metrics = _metrics(config, dataset)
            for batch, groups, made in forecasts(family, model, config, dataset, split):
                if stop():
                    return {}
                _update(metrics, batch, groups, made.point_BH, made.quantiles_BHQ, config.data.horizon, 0)
            if dataset.windows()[split]:
                out[split] = _plain(metrics)
    model.train(was_training)
    return out


def write(
    family: Family,
    model: nn.Module,
    config: RunConfig,
    dataset: Dataset,
    split: str,
    step: int,
    folder: Path,
    stop: Callable[[], bool] = lambda: False,
    untuned: Mapping[str, float | None] | None = None,
    more: Mapping[str, float] | None = None,
    judge: Callable[[Columns], Mapping[str, Any]] | None = None,
) -> dict[str, float] | None:
    """Write evaluation/<split>.json and <split>_forecasts.parquet; the metrics, prefixed and finite ones only.

    untuned: from `zero_shot`, the scores of the weights that training started from. more: goes among the metrics.
    judge: is given all windows and adds keys to the report; "metrics" among them joins the others.
    None, and nothing written, when asked to stop half-way.
    """
    horizon, context = config.data.horizon, config.data.context
    metrics = _metrics(config, dataset)
    length = season(dataset.panel.times[: int(dataset.panel.offsets[1])].numpy())
    free: dict[str, Callable[[Tensor], Tensor]] = {"drift": lambda x_BT: baselines.drift(x_BT, horizon)}
    if 1 < length <= context:
        free["seasonal_naive"] = lambda x_BT: baselines.seasonal_naive(x_BT, horizon, length)
    others = {name: Metrics(dataset.symbols, lags=metrics.lags) for name in free}
    parts: list[Columns] = []
    for batch, groups, made in forecasts(family, model, config, dataset, split):
        if stop():
            return None
        _update(metrics, batch, groups, made.point_BH, made.quantiles_BHQ, horizon, step)
        for name, forecast in free.items():
            _update(others[name], batch, groups, forecast(batch.values[:, 0, :context]), None, horizon, step)
        parts.append(_columns(batch, groups, made, dataset, context))
    report = metrics.report(split, step, horizon)
    report["baselines"] = {name: _plain(other) for name, other in others.items()}
    if untuned:
        report["baselines"]["zero_shot"] = dict(untuned)
        report["metrics"][f"{split}_zeroshot_pct_mae"] = untuned["pct_mae"]
    report["metrics"].update(more or {})
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    added = dict(judge(joined)) if judge else {}
    report["metrics"].update(added.pop("metrics", {}))
    report.update(added)
    report["season"] = length
    report["synthetic"] = dataset.synthetic
    target = folder / "evaluation"
    target.mkdir(exist_ok=True)
    _write_parquet(target / f"{split}_forecasts.parquet", joined, dataset, config)
    beside = target / f".{split}.json.{os.getpid()}"
    beside.write_text(json.dumps(report, indent=1))
    beside.rename(target / f"{split}.json")
    found: dict[str, float] = {k: v for k, v in report["metrics"].items() if v is not None}
    return found


def _metrics(config: RunConfig, dataset: Dataset) -> Metrics:
    stride = config.eval.stride or config.data.horizon
    return Metrics(dataset.symbols, config.eval.levels, lags=math.ceil(config.data.horizon / stride) - 1)


def _plain(metrics: Metrics) -> dict[str, float | None]:
    return {k: v if math.isfinite(v) else None for k, v in metrics.values().items() if "naive" not in k}


def _update(
    metrics: Metrics, batch: Batch, groups: Tensor, point: Tensor, quantiles: Tensor | None, horizon: int, step: int
) -> None:
    values, mask = batch.values[:, 0], batch.mask[:, 0]
    try:
        metrics.update(
            context=values[:, :-horizon],
            target=values[:, -horizon:],
            point=point,
            symbols=batch.symbols,
            origins=groups,
            context_mask=mask[:, :-horizon],
            target_mask=mask[:, -horizon:],
            quantiles=quantiles,
        )
    except ValueError as error:
        raise LossError(f"Scoring at step {step}: {error} Lower train.lr, or look at the data.") from error


def _columns(batch: Batch, groups: Tensor, made: Forecast | Sampled, dataset: Dataset, context: int) -> Columns:
    """What is kept of every window: [B] or [B, H] or [B, H, Q]. All but group and point goes into the Parquet file."""
    values, mask = batch.values[:, 0].double().cpu(), batch.mask[:, 0].cpu()
    target = torch.where(mask[:, context:], values[:, context:], math.nan)
    return {
        "symbol": batch.symbols.cpu().numpy(),
        "origin": dataset.origins(batch.starts).numpy(),
        "group": groups.cpu().numpy(),
        "point": made.point_BH.double().cpu().numpy(),
        "target": target.numpy(),
        "naive": values[:, context - 1 : context].expand_as(target).numpy(),
        "mean": made.mean_BH.double().cpu().numpy(),
        "quantiles": made.quantiles_BHQ.double().cpu().numpy(),
    }


def _write_parquet(path: Path, joined: Columns, dataset: Dataset, config: RunConfig) -> None:
    """One row for each window and step: symbol, origin, step, target, naive, mean, and a column for each level."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    windows, horizon = joined["target"].shape
    symbols = pa.DictionaryArray.from_arrays(
        pa.array(np.repeat(joined["symbol"], horizon), pa.int32()), pa.array(dataset.symbols)
    )
    columns = {
        "symbol": symbols,
        "origin": pa.array(np.repeat(joined["origin"], horizon), pa.timestamp("ns")),
        "step": pa.array(np.tile(np.arange(1, horizon + 1, dtype=np.int32), windows)),
        **{name: pa.array(joined[name].reshape(-1)) for name in ("target", "naive", "mean")},
        **{
            f"p{100 * level:g}": pa.array(joined["quantiles"][..., q].reshape(-1))
            for q, level in enumerate(config.eval.levels)
        },
    }
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(pa.table(columns), beside, compression="zstd")
    beside.rename(path)
