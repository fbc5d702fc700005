"""Forecasting with a checkpoint: a data frame of that kind of data in, quantiles in its own prices out.

    from trainers import load_forecaster
    f = load_forecaster()                      # what .best_model_path of the workspace names
    f.predict(frame, horizon=64, levels=[.1, .5, .9])

Shapes: B series, V variates (0 is the target), T time, H horizon, Q levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from trainers import checkpoint
from trainers import family as families
from trainers.calendar import future, stamps
from trainers.data.panel import fill
from trainers.data.series import Series, key, series_from_frame
from trainers.device import place
from trainers.errors import ConfigError, DataError
from trainers.evaluate import scored
from trainers.family import Sampled
from trainers.resolve import from_dict, workspace

SHORTEST = 16
"""Rows below which a series is refused; between this and the model's context it is padded and masked on the left."""

_AT_ONCE = 64


class Ahead(NamedTuple):
    """times: of the steps to forecast. known [n, H] float32: the columns of data.known_future then."""

    times: pd.DatetimeIndex
    known: np.ndarray


class Forecaster:
    """A trained model with what it needs to know of its data: column names, context, target."""

    def __init__(self, path: Path, device: str = "auto") -> None:
        about = checkpoint.about(path)
        self.path = path
        self.family = families.load(about["family"])
        self.config = from_dict(about["family"], about["config"])
        self.variates: tuple[str, ...] = tuple(about["variates"])
        self.target: str = about["target"]
        self.metrics: dict[str, float] = about.get("metrics", {})
        self.placement = place(device, "fp32")
        if not scored(self.family, self.config):
            raise ConfigError(f"{path}: a part of a model that makes no forecast by itself, such as a tokenizer.")
        self.model = self.family.load(path, self.placement.device)
        self.model.eval()

    def predict(
        self,
        frame: pd.DataFrame,
        horizon: int = 64,
        levels: Sequence[float] = (0.1, 0.5, 0.9),
        *,
        seed: int = 0,
        samples: int | None = None,
    ) -> pd.DataFrame:
        """Forecast the `horizon` steps after the last row of each series in the frame.

        frame: the model's columns in any case and order, with a date column or index; several series with a symbol
        column. Missing cells are masked; a missing column is an error. A model that was trained with data.known_future
        needs those columns for the horizon too: in rows after the last value of the target, which is where the forecast
        then begins. A horizon beyond the trained one is forecast
        on the model's own forecasts.
        Returns columns symbol (if the frame has several), timestamp, step (from 1), mean, from models that sample paths
        up (the probability of a rise over the last value), and one named after each level, in the units of the target.
        Raises DataError, ConfigError.
        """
        several = series_from_frame(frame, self.variates, "the frame")
        out = self.predict_series(several, horizon, levels, seed=seed, samples=samples)
        return out if len(several) > 1 else out.drop(columns="symbol")

    def paths(
        self, frame: pd.DataFrame, horizon: int = 64, *, seed: int = 0, samples: int | None = None
    ) -> pd.DataFrame:
        """The sampled paths themselves, from a model that samples them: the same that `predict` summarises.

        Returns columns symbol (if the frame has several), timestamp, step, path (from 1), and what the model samples,
        such as open, high, low, close, volume and amount. Raises DataError, ConfigError.
        """
        sample = getattr(self.family, "paths", None)
        if sample is None:
            raise ConfigError(f"{self.family.name} computes quantiles and draws no paths that could be shown.")
        several = series_from_frame(frame, self.variates, "the frame")
        parts = []
        for some, ahead, made in self._made(several, horizon, lambda values, mask, **more: sample(
            self.model, values, mask, horizon, seed, samples, **more
        )):  # fmt: skip
            S, H, F = made.shape[1:]
            for one, later, drawn in zip(some, ahead, made.double().cpu().numpy(), strict=True):
                told = {"symbol": one.symbol, "timestamp": np.tile(later.times, S)}
                told |= {"step": np.tile(np.arange(1, H + 1), S), "path": np.repeat(np.arange(1, S + 1), H)}
                parts.append(pd.DataFrame(told | dict(zip(self.family.columns, drawn.reshape(-1, F).T, strict=True))))  # type: ignore[attr-defined]
        out = pd.concat(parts, ignore_index=True)
        return out if len(several) > 1 else out.drop(columns="symbol")

    def predict_series(
        self,
        series: Sequence[Series],
        horizon: int = 64,
        levels: Sequence[float] = (0.1, 0.5, 0.9),
        *,
        seed: int = 0,
        samples: int | None = None,
    ) -> pd.DataFrame:
        """As `predict`, for series as trainers.data reads them; the symbol column is always there."""
        wanted = _levels(levels)
        told: dict[str, list[np.ndarray]] = {}  # whole columns: a frame for each series takes as long as a small model
        for some, ahead, made in self._made(series, horizon, lambda values, mask, **more: self.family.forecast(
            self.model, values, mask, horizon, wanted, seed, samples, **more
        )):  # fmt: skip
            columns = {
                "symbol": np.repeat(np.array([one.symbol for one in some], dtype=object), horizon),
                "timestamp": np.concatenate([one.times.to_numpy() for one in ahead]),
                "step": np.tile(np.arange(1, horizon + 1), len(some)),
                "mean": made.mean_BH.double().cpu().numpy().reshape(-1),
            }
            if isinstance(made, Sampled):
                columns["up"] = made.up_BH.cpu().numpy().reshape(-1)
            quantiles = made.quantiles_BHQ.double().cpu().numpy()
            columns |= {f"{level:g}": quantiles[:, :, q].reshape(-1) for q, level in enumerate(wanted)}
            for name, values in columns.items():
                told.setdefault(name, []).append(values)
        return pd.DataFrame({name: np.concatenate(parts) for name, parts in told.items()})

    def _made(
        self, series: Sequence[Series], horizon: int, make: Callable[..., Any]
    ) -> Iterator[tuple[Sequence[Series], Sequence[Ahead], Any]]:
        """A few series at a time: themselves, what is known of the steps ahead, what `make` made of their windows."""
        if not 1 <= horizon <= 8192:
            raise ConfigError(f"horizon = {horizon}: out of range [1, 8192].")
        for start in range(0, len(series), _AT_ONCE):
            some = series[start : start + _AT_ONCE]
            pasts, ahead = zip(*(self._parted(one, horizon) for one in some), strict=True)
            windows = [self._window(one) for one in pasts]
            values = torch.from_numpy(np.stack([v for v, _ in windows])).to(self.placement.device)
            mask = torch.from_numpy(np.stack([m for _, m in windows])).to(self.placement.device)
            more: dict[str, Any] = {}
            with torch.inference_mode(), torch.random.fork_rng([]):
                known = torch.from_numpy(np.stack([one.known for one in ahead])).to(self.placement.device)
                if known.shape[1]:
                    more["known"] = (known, torch.ones_like(known, dtype=torch.bool))
                if getattr(self.family, "stamps", False):
                    more["stamps"] = self._stamps(pasts, ahead)
                made = make(values, mask, **more)
            yield some, ahead, made

    def _parted(self, series: Series, horizon: int) -> tuple[Series, Ahead]:
        """The series up to where the forecast begins, and what is known of the `horizon` steps from there."""
        names = self.config.data.known_future
        if not names:
            return series, Ahead(future(series.times, horizon), np.empty((0, horizon), np.float32))
        observed = np.flatnonzero(np.isfinite(series.columns[key(self.target)]))
        now = int(observed[-1]) + 1 if len(observed) else len(series)
        later = np.stack([series.columns[key(name)][now : now + horizon] for name in names])
        for name, values in zip(names, later, strict=True):
            given = int(np.isfinite(values).sum())
            if given < horizon:
                last = str(pd.Timestamp(int(series.times[now - 1])))
                raise DataError(
                    f"{series.symbol}: column '{name}' must be known for the {horizon} steps after {last}, the last "
                    f"with a value of {self.target}, and is for {given}: append rows with date and {', '.join(names)}."
                )
        past = replace(series, times=series.times[:now], columns={k: v[:now] for k, v in series.columns.items()})
        return past, Ahead(pd.DatetimeIndex(series.times[now : now + horizon]), later.astype(np.float32))

    def _stamps(self, pasts: Sequence[Series], ahead: Sequence[Ahead]) -> torch.Tensor:
        """[B,T+H,5]: the calendar of the context's rows and of those to forecast; padding repeats the first row's."""
        context = self.config.data.context
        both = []
        for past, later in zip(pasts, ahead, strict=True):
            times = past.times[-context:]
            padded = np.concatenate([np.repeat(times[:1], context - len(times)), times])
            both.append(stamps(np.concatenate([padded, later.times.as_unit("ns").asi8])))
        return torch.from_numpy(np.stack(both)).to(self.placement.device)

    def _window(self, series: Series) -> tuple[np.ndarray, np.ndarray]:
        """values [V, T] float32 and mask [V, T] of the last `context` rows; filled as training windows are."""
        context = self.config.data.context
        both = [fill(series.columns[key(name)]) for name in self.variates]  # whole series: a gap may reach further back
        filled, seen = (np.stack(part)[:, -context:] for part in zip(*both, strict=True))
        shortest = min(SHORTEST, context)
        if seen[0].sum() < shortest:
            raise DataError(
                f"{series.symbol}: {int(seen[0].sum())} values of {self.target} are too short a history; "
                f"give at least {shortest}, better {context}."
            )
        for name, seen_T in zip(self.variates, seen, strict=True):
            if not seen_T.any():
                raise DataError(f"{series.symbol}: column '{name}' holds no number in its last {seen.shape[1]} rows.")
        pad = context - seen.shape[1]
        values = np.concatenate([np.repeat(filled[:, :1], pad, axis=1), filled], axis=1)
        mask = np.concatenate([np.zeros((len(seen), pad), bool), seen], axis=1)
        return values.astype(np.float32), mask


def load_forecaster(path: str | Path | None = None, device: str = "auto", *, alias: str = "") -> Forecaster:
    """The forecaster of a checkpoint folder; without a path, of the one that .best_model_path names.

    That file lies in ENGINE_HOME, else in the current directory; relative paths in it start there. path may also name
    such a file, or a folder that `engine export --to` made. alias: what .best_model_path.<alias> names instead, see
    `engine export --alias`. Raises DataError when there is none, ConfigError when it is not ours.
    """
    home = workspace()
    if path is not None and alias:
        raise ConfigError(f"path = {path} and alias = {alias}: give one of them.")
    if alias and (alias != Path(alias).name or alias.startswith(".")):
        raise ConfigError(f"alias = {alias!r} is no name of a model; `engine aliases` lists them.")
    given = Path(path) if path is not None else home / f".best_model_path{f'.{alias}' if alias else ''}"
    if given.is_dir():
        return Forecaster(given, device)
    if not given.exists():
        if alias:
            hint = f"`engine export RUN --alias {alias}` writes it; `engine aliases` lists what there is."
        elif path is None:
            hint = "`engine export best` writes it."
        else:
            hint = "Give a checkpoint folder or a .best_model_path."
        raise DataError(f"{given}: not there. {hint}")
    line = given.read_text().strip()
    if not line or "\n" in line:
        raise DataError(f"{given}: expected one line with the path of a checkpoint folder. `engine export` writes it.")
    return Forecaster(given.parent / line, device)


def _levels(levels: Sequence[float]) -> tuple[float, ...]:
    wanted = tuple(float(level) for level in levels)
    if not wanted or any(not 0 < level < 1 for level in wanted) or len(set(wanted)) < len(wanted):
        raise ConfigError(f"levels = {','.join(f'{v:g}' for v in wanted)}: expected different numbers between 0 and 1.")
    return tuple(sorted(wanted))
