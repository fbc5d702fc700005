"""`python -m trainers forecast`: the next steps of a symbol, from a checkpoint and the files the data come in."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from trainers.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from trainers.data.series import Series
    from trainers.forecast import Forecaster

TOLD_EVERY = 512
"""Series between two words on how far it is."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"forecast: {message}. See `python -m trainers forecast --help`.")


def main(argv: Sequence[str]) -> int:
    parser = _Parser(prog="python -m trainers forecast", description="Forecast with a checkpoint.", allow_abbrev=False)
    parser.add_argument("--model", default=None, help="checkpoint folder, or a .best_model_path file (default: ours)")
    parser.add_argument("--data", default=None, help="file or folder (default: the data the model was trained on)")
    parser.add_argument("--symbol", action="append", help="which series, repeatable (default: all)")
    parser.add_argument("--horizon", default="64", help="steps ahead")
    parser.add_argument("--levels", default=".1,.5,.9", help="quantile levels, comma-separated")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--out", default=None, help="write the forecasts to this .csv or .parquet file")
    parser.add_argument("--history", default="0", help="with --json: this many of the last values of each series too")
    parser.add_argument("--bench", action="store_true", help="tell how fast the model answers, and in what memory")
    asked = parser.parse_args(argv)
    try:
        horizon = int(asked.horizon)
        history = int(asked.history)
        levels = [float(part) for part in asked.levels.split(",") if part.strip()]
    except ValueError:
        raise ConfigError(
            f"--horizon {asked.horizon} --history {asked.history} --levels {asked.levels}: expected whole numbers, and "
            "numbers with commas."
        ) from None
    out = Path(asked.out) if asked.out else None
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"--out {out}: expected a name that ends in .csv or .parquet.")
    if out is not None and not out.parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.parent}.")

    from trainers.data.read import read
    from trainers.forecast import load_forecaster
    from trainers.resolve import workspace

    begun = time.perf_counter()
    forecaster = load_forecaster(asked.model, asked.device)
    loaded = time.perf_counter() - begun
    path = Path(asked.data) if asked.data else workspace() / forecaster.config.data.path
    if not path.exists():
        raise DataError(f"{path}: not there.")
    reading = read(path, forecaster.variates)
    series = list(reading.series)
    if asked.symbol:
        known = {one.symbol: one for one in series}
        for name in asked.symbol:
            if name not in known:
                raise DataError(f"{path}: no symbol '{name}' there.{did_you_mean(name, known)}")
        series = [known[name] for name in asked.symbol]
    if asked.bench:
        from trainers.forecast_bench import measure, render

        found = measure(forecaster, series, horizon, levels, loaded)
        print(json.dumps(found) if asked.json else render(found))
        return 0
    frame = _forecast(forecaster, series, horizon, levels)
    if out is not None:
        beside = out.with_name(f".{out.name}.{os.getpid()}")
        frame.to_csv(beside, index=False) if out.suffix == ".csv" else frame.to_parquet(beside, index=False)
        beside.rename(out)
        print(f"{len(frame):,} rows of {len(series):,} series in {out}", file=sys.stderr)
    if asked.json:
        rows = [{**row, "timestamp": row["timestamp"].isoformat()} for row in frame.to_dict("records")]
        print(json.dumps({
            "model": str(forecaster.path), "family": forecaster.family.name, "target": forecaster.target,
            "trained_horizon": forecaster.config.data.horizon, "synthetic": reading.synthetic,
            "last": {one.symbol: _last(one, forecaster.target) for one in series}, "forecast": rows,
            "history": {one.symbol: _history(one, forecaster.target, history) for one in series if history},
        }))  # fmt: skip
    elif out is None:
        if reading.synthetic:
            print("# the data are synthetic")
        print(frame.to_string(index=False, float_format=lambda v: f"{v:.6g}"))
    return 0


def _forecast(forecaster: Forecaster, series: Sequence[Series], horizon: int, levels: Sequence[float]) -> pd.DataFrame:
    """As `Forecaster.predict_series`, telling at a terminal how far it is."""
    import pandas as pd

    parts = []
    for start in range(0, len(series), TOLD_EVERY):
        parts.append(forecaster.predict_series(series[start : start + TOLD_EVERY], horizon, levels))
        if len(series) > TOLD_EVERY and sys.stderr.isatty():
            done = min(start + TOLD_EVERY, len(series))
            print(f"\r{done:,} of {len(series):,} series", end="\n" if done == len(series) else "", file=sys.stderr)
    return pd.concat(parts, ignore_index=True)


def _history(series: Series, target: str, count: int) -> list[float | None]:
    """The last values of the target; None where there was none."""
    from trainers.data.series import key

    return [value if math.isfinite(value) else None for value in series.columns[key(target)][-count:].tolist()]


def _last(series: Series, target: str) -> dict[str, object]:
    """The last observed value of the target, with its time."""
    import numpy as np
    import pandas as pd

    from trainers.data.series import key

    column = series.columns[key(target)]
    at = int(np.flatnonzero(np.isfinite(column))[-1])
    return {"timestamp": pd.Timestamp(int(series.times[at])).isoformat(), "value": float(column[at])}
