"""Several runs side by side: where they differ, what they reached on the windows they share, symbol by symbol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from engine import rundir
from engine.board import HIGHER_IS_BETTER, direction_of
from engine.differ import Difference, differences, terminal
from engine.errors import EngineError, UnknownRun, UsageError
from engine.paired import Paired
from engine.records import Spec, decode_spec
from engine.store_forecasts import against
from engine.store_open import PATIENCE, reading
from engine.store_runs import BySymbol, Curves, Logged, by_symbol, curves, logged, results
from engine.workspace import Workspace

MOST = 32
"""Runs that can be compared at once."""
SPLITS = ("val", "test", "unseen")
FIRST = ("pct_mae", "naive_pct_mae", "skill", "dm_stat", "dm_pvalue")
CURVES = ("val_pct_mae", "loss")
COUNTS = ("epoch", "lr", "step", "t", "tokens")


@dataclass(frozen=True)
class Metric:
    name: str
    """With its split: val_pct_mae."""
    values: tuple[float | None, ...]
    best: int | None
    """The number of the run that is best by it; None for what is no score, and where runs are not comparable."""


@dataclass(frozen=True)
class Comparison:
    runs: tuple[str, ...]
    names: tuple[str, ...]
    states: tuple[str, ...]
    differences: tuple[Difference, ...]
    metrics: tuple[Metric, ...]
    tests: dict[str, Paired]
    """Of each further run against the first, over the validation windows both have forecast."""
    symbols: BySymbol
    curves: dict[str, Curves]
    note: str = ""
    """Why results can't be compared, where that is so."""
    logged: bool = False
    """Whether the metrics are what was logged while training, the best of each, because no run was evaluated."""

    def as_json(self) -> dict[str, Any]:
        plain = asdict(self)
        plain["differences"] = msgspec.to_builtins(self.differences)
        plain["tests"] = {run: asdict(test) | {"words": test.words} for run, test in self.tests.items()}
        plain["symbols"] = {
            symbol: {run: {"skill": skill, "pct_mae": error} for run, (skill, error) in row.items()}
            for symbol, row in self.symbols.items()
        }
        return plain


def compare(workspace: Workspace, runs: Sequence[str]) -> Comparison:
    """Compare runs by their whole ids; the first is what the others are tested against.

    Raises UsageError for fewer than two or more than MOST, UnknownRun, NothingToShow when there is no database.
    """
    runs = list(dict.fromkeys(runs))
    if not 2 <= len(runs) <= MOST:
        raise UsageError(f"{len(runs)} run{'' if len(runs) == 1 else 's'} to compare: expected 2 to {MOST}.")
    specs = [spec_of(workspace, run) for run in runs]
    with reading(workspace.database, PATIENCE) as con:
        states = dict(con.execute(
            "SELECT id, outcome FROM runs WHERE id IN (SELECT unnest(?::VARCHAR[]))", [runs]
        ).fetchall())  # fmt: skip
        found = results(con, runs)
        told = {} if any(found.values()) else logged(con, runs)
        tests = against(con, workspace.runs, runs[0], runs[1:])
        symbols = by_symbol(con, runs)
        drawn = {metric: points for metric in CURVES if (points := curves(con, runs, metric))}
    note = _apart(specs)
    names = sorted({name for run in runs for name in found[run]}, key=_place)
    metrics = tuple(_metric(name, [found[run].get(name) for run in runs], not note) for name in names)
    metrics = metrics or _logged([told.get(run, {}) for run in runs], comparable=not note)
    return Comparison(
        tuple(runs),
        tuple(spec.name for spec in specs),
        tuple(states.get(run, "") for run in runs),
        tuple(one for one in differences(specs) if not terminal(one) and one.name != "name"),  # names head the columns
        metrics,
        tests,
        symbols,
        drawn,
        note,
        any(told.values()),
    )


def _place(name: str) -> tuple[int, int, str]:
    """Validation first, and of each split what the leaderboard shows."""
    split, _, short = name.partition("_")
    return SPLITS.index(split) if split in SPLITS else len(SPLITS), FIRST.index(short) if short in FIRST else 9, short


def spec_of(workspace: Workspace, run: str) -> Spec:
    """Raises UnknownRun, and EngineError for a spec that can't be read."""
    path = workspace.run(run) / rundir.SPEC
    try:
        return decode_spec(path.read_bytes())
    except FileNotFoundError:
        raise UnknownRun(f"There is no run '{run}'. `engine ls` shows all.") from None
    except (OSError, msgspec.DecodeError) as error:
        raise EngineError(f"{path} can't be read: {error}") from None


def _apart(specs: Sequence[Spec]) -> str:
    prints = {spec.data.fingerprint if spec.data else "" for spec in specs}
    horizons = {spec.config.get("data", {}).get("horizon") for spec in specs}
    differ = [word for word, values in (("data", prints), ("horizons", horizons)) if len(values) > 1]
    return f"The runs are on different {' and '.join(differ)}: their results do not compare." if differ else ""


def _logged(told: Sequence[Mapping[str, Logged]], *, comparable: bool) -> tuple[Metric, ...]:
    """Of a score the best value, of all else the last one; rates and what only counts on are left out."""
    names = {name for one in told for name in one if name not in COUNTS and not name.endswith("_per_s")}
    made = []
    for name in sorted(names, key=lambda name: (*_place(name), name)):
        if not _is_score(name):
            values = [one[name].last if name in one else None for one in told]
            made.append(Metric(name, tuple(values), None))
            continue
        least = direction_of(name) == "min"
        values = [(one[name].least if least else one[name].most) if name in one else None for one in told]
        # _metric takes what stands before the name for the split.
        made.append(replace(_metric(name if name.startswith("val_") else f"val_{name}", values, comparable), name=name))
    return tuple(made)


def _is_score(name: str) -> bool:
    return name.startswith("val_") or name.rpartition("_")[2] in ("loss", "mae", "mse", *HIGHER_IS_BETTER)


def _metric(name: str, values: list[float | None], comparable: bool) -> Metric:
    short = name.partition("_")[2]
    known = [value for value in values if value is not None]
    if not comparable or len(known) < 2 or short.startswith(("naive_", "dm_")) or short == "coverage":
        return Metric(name, tuple(values), None)
    first = min(known) if direction_of(short) == "min" else max(known)
    return Metric(name, tuple(values), values.index(first) if known.count(first) == 1 else None)
