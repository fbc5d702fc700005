"""A run that scores a finished model on data of any kind, walking forward: `python -m trainers evaluate RUN_FOLDER`.

The folder's spec.json says what in config.evaluate, see `Asked`. The result is evaluation/holdout.json beside the
forecasts; nothing is trained, and the model's own folder stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine import runlog
from trainers import evaluate, strategy
from trainers.data.dataset import Dataset
from trainers.data.panel import Panel
from trainers.data.read import Reading, fingerprint, read
from trainers.data.series import Series
from trainers.data.split import Held, walk
from trainers.errors import ConfigError, DataError, did_you_mean
from trainers.forecast import Forecaster, load_forecaster
from trainers.resolve import RunConfig, workspace
from trainers.run import read_spec, told

FAMILY = "evaluate"


@dataclass(frozen=True)
class Asked:
    """config.evaluate of the spec. Empty and 0 mean: as the model was trained."""

    model: str = ""
    """A checkpoint folder or a .best_model_path, relative to the workspace; else the exported one."""
    data: str = ""
    """File or folder; else the data that the model was trained on."""
    symbols: tuple[str, ...] = ()
    """Only these; else all."""
    unseen: bool = False
    """Only symbols that the model was not trained on."""
    since: str = ""
    """The first date that is forecast."""
    horizon: int = 0
    stride: int = 0
    """Rows between origins; else the horizon."""
    cost_bps: float = 10.0
    """Of the strategy check, for each unit of position traded."""
    device: str = "auto"


def run(folder: str | Path, stop: Callable[[], bool] = lambda: False) -> int:
    """Score what the folder says; the process's exit code."""
    where = Path(folder)
    spec = read_spec(where, FAMILY)
    runlog.open(where)
    return told(lambda: _score(asked_of(spec), where, stop), stop)


def asked_of(spec: Mapping[str, Any]) -> Asked:
    """Read config.evaluate. Raises ConfigError for a key that does not exist or a value of the wrong kind."""
    section = (spec.get("config") or {}).get("evaluate") or {}
    known: dict[str, Any] = {field.name: field.default for field in fields(Asked)}
    values: dict[str, Any] = {}
    for name, value in section.items():
        if name not in known:
            raise ConfigError(f"Unknown field 'evaluate.{name}'.{did_you_mean(name, known)}")
        default = known[name]
        if isinstance(default, tuple):
            if not isinstance(value, list | tuple):
                raise ConfigError(f"evaluate.{name} = {value}: expected a list of names.")
            values[name] = tuple(map(str, value))
        elif isinstance(default, bool) or isinstance(value, bool) or not isinstance(value, int | float | str):
            if not (isinstance(default, bool) and isinstance(value, bool)):
                raise ConfigError(f"evaluate.{name} = {value}: expected {type(default).__name__}.")
            values[name] = value
        else:
            try:
                values[name] = type(default)(value)
            except ValueError:
                raise ConfigError(f"evaluate.{name} = {value}: expected {type(default).__name__}.") from None
    asked = Asked(**values)
    for name in ("horizon", "stride"):
        if not 0 <= getattr(asked, name) <= 8192:
            raise ConfigError(f"evaluate.{name} = {getattr(asked, name)}: out of range [0, 8192].")
    if not 0 <= asked.cost_bps <= 1000:
        raise ConfigError(f"evaluate.cost_bps = {asked.cost_bps:g}: out of range [0, 1000].")
    return asked


def _score(asked: Asked, folder: Path, stop: Callable[[], bool]) -> int:
    runlog.event("phase", name="load")
    home = workspace()
    forecaster = load_forecaster(home / asked.model if asked.model else None, asked.device)
    config = _config(forecaster.config, asked)
    path = home / (asked.data or forecaster.config.data.path)
    if not path.exists():
        raise DataError(f"{path}: not there.")
    dataset = held(forecaster, config, path, asked).to(forecaster.placement.device)
    for note in dataset.notes:
        runlog.event("warning", code="data", text=note)
        print(f"data: {note}", flush=True)
    windows = len(dataset.splits["holdout"])
    runlog.event("plan", steps=0, epochs=None, windows={"holdout": windows}, symbols=len(dataset.symbols),
                 parameters=sum(p.numel() for p in forecaster.model.parameters()))  # fmt: skip
    runlog.event("used", device=forecaster.placement.name(), evaluation_precision="fp32", model=str(forecaster.path),
                 family=forecaster.family.name, data_fingerprint=dataset.fingerprint)  # fmt: skip
    print(
        f"{forecaster.path}: {windows} windows of {len(dataset.symbols)} symbols, horizon {config.data.horizon}",
        flush=True,
    )
    runlog.event("phase", name="evaluate")
    metrics = evaluate.write(forecaster.family, forecaster.model, config, dataset, "holdout", 0, folder, stop,
                             judge=lambda columns: judge(columns, dataset.symbols, config, asked))  # fmt: skip
    if metrics is None:
        runlog.event("finished", step=0, why="stopped")
        return 143
    runlog.event("evaluation", split="holdout", path="evaluation/holdout.json", metrics=metrics)
    runlog.event("finished", step=0, why="steps")
    print(f"holdout_pct_mae {metrics['holdout_pct_mae']:.5g} naive {metrics['holdout_naive_pct_mae']:.5g}", flush=True)
    return 0


def _config(config: RunConfig, asked: Asked) -> RunConfig:
    data = replace(config.data, horizon=asked.horizon or config.data.horizon)
    return replace(config, data=data, eval=replace(config.eval, stride=asked.stride))


def held(forecaster: Forecaster, config: RunConfig, path: Path, asked: Asked) -> Dataset:
    """The data with one split, "holdout", of all windows that were asked for. Raises DataError."""
    reading = read(path, forecaster.variates, skip_bad=config.data.skip_bad)
    trained = _trained_on(forecaster)
    series = _chosen(reading, asked, trained)
    panel = Panel.build(series, forecaster.variates)
    split = walk(
        panel.offsets.numpy(), panel.times.numpy(), panel.mask[0].numpy(), config.data, asked.stride, asked.since
    )
    notes = ["the data are synthetic"] if reading.synthetic else []
    notes += [f"left out: {error}" for error in reading.bad]
    overlap = sorted({one.symbol for one in series} & trained) if not asked.since else []
    if overlap:
        notes.append(
            f"{len(overlap)} of {len(series)} symbols carry names of the training data ({', '.join(overlap[:5])}"
            f"{', ...' if len(overlap) > 5 else ''}): what it was trained on may be among these; --from leaves it out"
        )
    splits: Any = Held(split)  # whatever scores looks splits up by name
    return Dataset(config.data, panel, splits, reading, fingerprint([path]), tuple(notes))


def _trained_on(forecaster: Forecaster) -> set[str]:
    """The symbols of the model's own training data; empty where these are gone."""
    data = forecaster.config.data
    path = workspace() / data.path
    try:
        names = (
            {one.symbol for one in read(path, forecaster.variates, skip_bad=True).series} if path.exists() else set()
        )
    except DataError:
        return set()
    return (names & set(data.symbols) if data.symbols else names) - set(data.unseen)


def _chosen(reading: Reading, asked: Asked, trained: set[str]) -> list[Series]:
    series = list(reading.series)
    names = [one.symbol for one in series]
    for name in asked.symbols:
        if name not in names:
            raise DataError(f"no symbol '{name}' there.{did_you_mean(name, names)}")
    chosen = [one for one in series if not asked.symbols or one.symbol in asked.symbols]
    if asked.unseen:
        if not trained:
            raise DataError("--unseen: the model's training data are gone, so what it has not seen can't be told.")
        chosen = [one for one in chosen if one.symbol not in trained]
        if not chosen:
            raise DataError(f"--unseen: the model was trained on all {len(series)} symbols there.")
    return chosen


def judge(columns: evaluate.Columns, symbols: tuple[str, ...], config: RunConfig, asked: Asked) -> dict[str, Any]:
    """The strategy check, where origins lie at least a horizon apart; else why there is none."""
    if asked.stride and asked.stride < config.data.horizon:
        why = f"no strategy check: origins are {asked.stride} rows apart, horizons {config.data.horizon} long"
        print(why, flush=True)
        return {"strategy": why}
    found = strategy.check(
        np.asarray(symbols)[columns["symbol"]],
        columns["group"],
        columns["naive"][:, -1],
        columns["target"][:, -1],
        columns["point"][:, -1],
        asked.cost_bps,
    )
    return {
        "metrics": {
            f"holdout_strategy_{name}": value if math.isfinite(value) else None for name, value in found.items()
        },
        "strategy": strategy.MEANING.format(cost=asked.cost_bps),
    }
