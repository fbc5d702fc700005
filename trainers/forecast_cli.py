"""`python -m trainers forecast`: the next steps of a symbol, from a checkpoint and the files the data come in."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from trainers.errors import ConfigError, DataError, did_you_mean


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
    asked = parser.parse_args(argv)
    try:
        horizon = int(asked.horizon)
        levels = [float(part) for part in asked.levels.split(",") if part.strip()]
    except ValueError:
        raise ConfigError(
            f"--horizon {asked.horizon} --levels {asked.levels}: expected a whole number, and numbers with commas."
        ) from None

    from trainers.data.read import read
    from trainers.forecast import load_forecaster
    from trainers.resolve import workspace

    forecaster = load_forecaster(asked.model, asked.device)
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
    frame = forecaster.predict_series(series, horizon, levels)
    if asked.json:
        rows = [{**row, "timestamp": row["timestamp"].isoformat()} for row in frame.to_dict("records")]
        print(json.dumps({
            "model": str(forecaster.path), "family": forecaster.family.name, "target": forecaster.target,
            "trained_horizon": forecaster.config.data.horizon, "synthetic": reading.synthetic,
            "last": {one.symbol: _last(one, forecaster.target) for one in series}, "forecast": rows,
        }))  # fmt: skip
    else:
        if reading.synthetic:
            print("# the data are synthetic")
        print(frame.to_string(index=False, float_format=lambda v: f"{v:.6g}"))
    return 0


def _last(series: object, target: str) -> dict[str, object]:
    """The last observed value of the target, with its time."""
    import numpy as np
    import pandas as pd

    from trainers.data.series import Series, key

    assert isinstance(series, Series)
    column = series.columns[key(target)]
    at = int(np.flatnonzero(np.isfinite(column))[-1])
    return {"timestamp": pd.Timestamp(int(series.times[at])).isoformat(), "value": float(column[at])}
