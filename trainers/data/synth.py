"""Invented prices that behave like stocks, with a known small part that can be forecast.

log price = fair value + deviation. The fair value is a random walk with a common and an own part, volatility that
clusters (GARCH(1,1)) and rare jumps; it cannot be forecast. The deviation is an Ornstein-Uhlenbeck process around it
(see REVERSION) with the same volatility: from a price alone it can be seen only dimly, and it decays within some
days. That is what there is to learn.

How much: a ridge regression on the last 64 log returns, fitted on the training windows of all symbols, beats the
naive forecast at horizon 16 by a skill of 0.082 on the validation windows and 0.053 on the test windows (seed 7, the
defaults; seeds 1 to 3: 0.08 to 0.10 and 0.08 to 0.09). `python bench/data.py --learnable` measures it. It marks what
a good small model can reach.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainers.data.errors import DataError
from trainers.data.table import MARKER, find

REVERSION = 0.85  # what is left of a deviation after a day
DEVIATION = 0.05  # its standard deviation, in log price
DAILY = 0.008  # standard deviation of a day's change of the fair value
START = "2019-01-02"
WHY = "made by `data synth`: no real prices were at hand; see trainers/data/synth.py for the process"


@dataclass(frozen=True)
class Written:
    """files: names written, or found when nothing was done. said: one line for the person."""

    files: tuple[str, ...]
    said: str


def make(symbols: int, days: int, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Columns date (datetime64[D]), open, high, low, close, volume by symbol; the seed decides all of it."""
    rng = np.random.default_rng(seed)
    dates = _calendar(days)
    common, spread = _garch(rng, days)
    out = {}
    for number in range(symbols):
        own, own_spread = _garch(rng, days)
        beta = rng.uniform(0.2, 0.6)
        change = DAILY * (beta * common + np.sqrt(1 - beta**2) * own)
        jumps = rng.random(days) < 0.004
        change += np.where(jumps, rng.normal(0, 0.06, days), 0.0)
        activity = np.sqrt(beta**2 * spread**2 + (1 - beta**2) * own_spread**2)
        shocks = activity * DEVIATION * np.sqrt(1 - REVERSION**2) * rng.standard_normal(days)
        deviation = np.empty(days)
        deviation[0] = DEVIATION * rng.standard_normal()
        for t in range(1, days):
            deviation[t] = REVERSION * deviation[t - 1] + shocks[t]
        # scales from cents to thousands, spread evenly over the symbols
        scale = np.exp(np.log(0.8) + (np.log(2000) - np.log(0.8)) * (number + 0.5 * rng.random()) / max(symbols - 1, 1))
        close = np.clip(scale * np.exp(np.cumsum(change) + deviation), 0.05, 1e6)
        out[f"SYN{number + 1:02d}"] = _bars(rng, dates, close, activity, jumps, late=number % 6 == 5)
    return out


def write(
    folder: Path, symbols: int = 12, days: int = 1500, seed: int = 7, force: bool = False, *, rehearse: bool = False
) -> Written:
    """Write one CSV per symbol and the marker, unless the folder holds data already.

    force: replaces synthetic data; never anything else (DataError). A crash leaves old or new files, and the marker.
    rehearse: says what it would do.
    """
    there = find(folder)[0] if folder.exists() else []
    if there:
        made = made_files(folder)
        foreign = [f for f in there if f not in made]
        names = tuple(f.relative_to(folder).as_posix() for f in there)
        if force and foreign:
            raise DataError(
                f"{len(foreign)} files here are not synthetic ('{foreign[0].name}'): left as they are; "
                "choose another folder with --out",
                file=folder,
            )
        if not force:
            kind = "data" if foreign else "synthetic data"
            return Written(names, f"{folder} holds {kind} already ({len(there)} files): left as it is.")
    if rehearse:
        names = tuple(f"{name}.csv" for name in make(symbols, days, seed))
        told = f"Dry run: {len(names)} synthetic symbols of {days} days (seed {seed}) would go to {folder}"
        return Written(names, f"{told}{f', in place of {len(there)} files' if there else ''}.")
    folder.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".synth-", dir=folder))
    try:
        hashes = {}
        for name, columns in make(symbols, days, seed).items():
            text = _csv(columns)
            hashes[f"{name}.csv"] = hashlib.sha256(text.encode()).hexdigest()
            (beside / f"{name}.csv").write_text(text)
        old = {f.name: _sha(f) for f in there}
        marker = {"synthetic": True, "seed": seed, "why": WHY, "files": hashes}
        # while files are swapped, the marker vouches for both generations
        _replace_marker(folder, beside, {**marker, "replaced": old})
        for name in hashes:
            os.replace(beside / name, folder / name)
        for file in there:
            if file.name not in hashes:
                file.unlink()
        _replace_marker(folder, beside, marker)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Written(tuple(hashes), f"Wrote {len(hashes)} synthetic symbols of {days} days (seed {seed}) to {folder}.")


def made_files(folder: Path) -> set[Path]:
    """The files in the folder that are exactly as `write` left them; one that was edited or replaced is not."""
    try:
        marker = json.loads((folder / MARKER).read_bytes())
        listed = [(n, h) for part in ("files", "replaced") for n, h in marker.get(part, {}).items()]
    except (OSError, ValueError, RecursionError, AttributeError):
        return set()
    plain = [(n, h) for n, h in listed if n == Path(n).name]
    return {folder / n for n, h in plain if (folder / n).is_file() and _sha(folder / n) == h}


def _sha(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _replace_marker(folder: Path, beside: Path, marker: dict[str, object]) -> None:
    (beside / MARKER).write_text(json.dumps(marker, indent=1) + "\n")
    os.replace(beside / MARKER, folder / MARKER)


def _calendar(days: int) -> np.ndarray:
    """Business days without the fixed American holidays."""
    all_days = np.arange(np.datetime64(START), np.datetime64(START) + np.timedelta64(2 * days + 30, "D"))
    off = np.array([str(d)[5:] in ("01-01", "06-19", "07-04", "12-25") for d in all_days])
    return all_days[np.is_busday(all_days) & ~off][:days]


def _garch(rng: np.random.Generator, days: int) -> tuple[np.ndarray, np.ndarray]:
    """Shocks of mean variance 1 whose volatility clusters, and that volatility."""
    alpha, beta = 0.09, 0.88
    shocks = rng.standard_t(6, days) / np.sqrt(1.5)
    out, spread, variance = np.empty(days), np.empty(days), 1.0
    for t in range(days):
        spread[t] = np.sqrt(variance)
        out[t] = spread[t] * shocks[t]
        variance = 1 - alpha - beta + alpha * min(out[t] ** 2, 16.0) + beta * variance
    return out, spread


def _bars(
    rng: np.random.Generator, dates: np.ndarray, close: np.ndarray, spread: np.ndarray, jumps: np.ndarray, late: bool
) -> dict[str, np.ndarray]:
    days = len(close)
    before = np.concatenate([close[:1], close[:-1]])
    # most of a day's move happens while the market is open
    start = before * np.exp(0.25 * np.log(close / before) + 0.004 * spread * rng.standard_normal(days))
    reach = 0.007 * spread
    high = np.maximum(start, close) * np.exp(reach * np.abs(rng.standard_normal(days)))
    low = np.minimum(start, close) * np.exp(-reach * np.abs(rng.standard_normal(days)))
    typical = np.exp(rng.normal(14.0, 1.0))
    volume = typical * np.exp(0.8 * np.log(spread) + 1.2 * jumps + 0.25 * rng.standard_normal(days))
    digits = 2 if close.min() >= 5 else 4
    first = days // 3 if late else 0  # some were listed later
    return {
        "date": dates[first:],
        **{
            name: np.round(values, digits)[first:]
            for name, values in (("open", start), ("high", high), ("low", low), ("close", close))
        },
        "volume": np.round(volume).astype(np.int64)[first:],
    }


def _csv(columns: dict[str, np.ndarray]) -> str:
    rows = zip(*(c.tolist() for c in columns.values()), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n"
