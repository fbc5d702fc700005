"""Which windows train, which validate, which test: by calendar time, the same dates for all symbols.

Symbols move together, so a window of one symbol tells about the same days of another. The cuts are therefore two
dates: targets before the first (less the purge) train, targets from there to the second (less the purge) validate,
targets from the second test. Contexts may reach back over a cut, targets never do. The purge holds twice: in steps
of the calendar that all symbols make together, and in rows of each symbol.

An unseen symbol has no window in any of these; its targets cover validation and test period together, so nothing
of its time was trained on either.

Origins of validation, test and unseen windows are `step` rows apart, counted from the cut. A symbol that starts
later joins at the next such date, so that the origins of different symbols fall on the same days. `groups` numbers
those days; a symbol with gaps of its own stays in the group that its origin falls into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from trainers.data.config import DataConfig
from trainers.data.errors import DataError, plain
from trainers.errors import did_you_mean

SPLITS = ("train", "val", "test", "unseen")


@dataclass(frozen=True)
class Split:
    """starts: [W] int64, rows of the windows' first steps, by symbol then time. groups: [W] int64, see the module."""

    name: str
    starts: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True)
class Splits:
    """The four splits; notes: one line for each thing a person should know (symbols left out and why).

    val_from, test_from: int64 ns, first target time of each (test_from is None without a test). train_end: [S] row
    of each symbol before which scalers may look (the symbol's first row for unseen symbols). step: rows between
    the origins of evaluation windows.
    """

    train: Split
    val: Split
    test: Split
    unseen: Split
    val_from: int
    test_from: int | None
    train_end: np.ndarray
    step: int
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> Split:
        return {"train": self.train, "val": self.val, "test": self.test, "unseen": self.unseen}[name]


@dataclass(frozen=True)
class Held:
    """In place of `Splits` where nothing is trained: one split, of `walk`."""

    holdout: Split

    def __getitem__(self, name: str) -> Split:
        return {"holdout": self.holdout}[name]


def cut(
    symbols: Sequence[str],
    offsets: np.ndarray,
    times: np.ndarray,
    observed: np.ndarray,
    config: DataConfig,
    step: int = 0,
    val_at: int | None = None,
) -> Splits:
    """Cut a panel (see `Panel` for symbols, offsets, times) into splits.

    observed: [N], where the target is there; a window needs one such row in its context and one in its horizon.
    step: rows between the origins of evaluation windows; 0 means the horizon. val_at: step of the calendar at which
    validation begins, in place of the configuration's. Raises DataError when nothing is left to train on or to
    validate with, saying how long the symbols are and what is needed.
    """
    step = step or config.horizon
    unseen = _unseen(symbols, config)
    calendar = np.unique(times)
    begins, test_at = _cuts(calendar, config)
    val_at = begins if val_at is None else val_at
    place = np.searchsorted(calendar, times)  # each row's step in the calendar
    seen_before = np.concatenate([[0], np.cumsum(observed)])
    starts: dict[str, list[np.ndarray]] = {s: [] for s in SPLITS}
    train_end = np.empty(len(symbols), np.int64)
    for s in range(len(symbols)):
        first, last = int(offsets[s]), int(offsets[s + 1])
        rows = place[first:last]

        def row(step_of_calendar: int, first: int = first, rows: np.ndarray = rows) -> int:
            return first + int(np.searchsorted(rows, step_of_calendar))

        val, test = row(val_at), row(test_at)
        train_end[s] = first if s in unseen else max(first, min(row(val_at - config.gap), val - config.gap))
        if s in unseen:
            windows = {"unseen": _origins(first, val, last, place, val_at, config, step)}
        else:
            val_end = last if test_at >= len(calendar) else min(row(test_at - config.gap), test - config.gap)
            windows = {
                "train": np.arange(int(train_end[s]) - config.context - config.horizon, first - 1, -config.stride)[
                    ::-1
                ],
                "val": _origins(first, val, val_end, place, val_at, config, step),
                "test": _origins(first, test, last, place, test_at, config, step),
            }
        for name, found in windows.items():
            middle, end = found + config.context, found + config.context + config.horizon
            full = (seen_before[middle] > seen_before[found]) & (seen_before[end] > seen_before[middle])
            starts[name].append(found[full])

    def split(name: str, origin: int) -> Split:
        rows = np.concatenate([np.empty(0, np.int64), *starts[name]])
        return Split(
            name, rows, (place[rows + config.context] - origin) // (config.stride if name == "train" else step)
        )

    splits = {
        name: split(name, at) for name, at in (("train", 0), ("val", val_at), ("test", test_at), ("unseen", val_at))
    }
    notes = _judge(symbols, offsets, starts, unseen, config, calendar, (val_at, test_at))
    return Splits(
        **splits,
        val_from=int(calendar[val_at]),
        test_from=int(calendar[test_at]) if test_at < len(calendar) else None,
        train_end=train_end,
        step=step,
        notes=tuple(notes),
    )


def walk(
    offsets: np.ndarray, times: np.ndarray, observed: np.ndarray, config: DataConfig, step: int = 0, since: str = ""
) -> Split:
    """All evaluation windows of a panel, walking forward: for data that a finished model is only scored on.

    since: the first date that is forecast, else the first for which a symbol has a context. step and observed: see
    `cut`. Raises DataError when no window fits.
    """
    step = step or config.horizon
    calendar = np.unique(times)
    place = np.searchsorted(calendar, times)
    at = int(np.searchsorted(calendar, _ns(since))) if since else min(config.context, len(calendar) - 1)
    seen_before = np.concatenate([[0], np.cumsum(observed)])
    found = []
    for first, last in pairwise(offsets.tolist()):
        begin = first + int(np.searchsorted(place[first:last], at))
        starts = _origins(first, begin, last, place, at, config, step)
        middle, end = starts + config.context, starts + config.context + config.horizon
        found.append(starts[(seen_before[middle] > seen_before[starts]) & (seen_before[end] > seen_before[middle])])
    rows = np.concatenate([np.empty(0, np.int64), *found])
    if not len(rows):
        longest = int(np.diff(offsets).max(initial=0))
        raise DataError(
            f"no window to forecast{f' since {since}' if since else ''}: {config.context} rows of context and "
            f"{config.horizon} to forecast are needed, and the longest symbol has {longest} rows"
        )
    return Split("holdout", rows, (place[rows + config.context] - at) // step)


def _unseen(symbols: Sequence[str], config: DataConfig) -> set[int]:
    for name in config.unseen:
        if name not in symbols:
            raise DataError(f"data.unseen: no symbol '{plain(name, 40)}'.{did_you_mean(name, symbols)}")
    if len(set(config.unseen)) == len(symbols):
        raise DataError("data.unseen names every symbol: nothing is left to train on")
    return {symbols.index(name) for name in config.unseen}


def _cuts(calendar: np.ndarray, config: DataConfig) -> tuple[int, int]:
    """Steps of the calendar at which validation and test begin; the test's is its length when there is no test."""
    n = len(calendar)
    if config.test_from:
        test = int(np.searchsorted(calendar, _ns(config.test_from)))
    else:
        test = n - round(n * config.test_fraction)
    val = (
        int(np.searchsorted(calendar, _ns(config.val_from)))
        if config.val_from
        else test - round(n * config.val_fraction)
    )
    begin, end = (str(pd.Timestamp(int(t)))[:10] for t in calendar[[0, -1]])
    for name, at, text in (("val_from", val, config.val_from), ("test_from", test, config.test_from)):
        if text and not 0 < at < n:
            raise DataError(f"data.{name} = {text} lies outside of the data, {begin} to {end}")
    if not 0 < val < test:
        raise DataError(
            f"no room for validation: {n} dates from {begin} to {end}, of which the test begins at number {test + 1} "
            f"and validation would at {val + 1}; change data.val_from, data.test_from or their fractions"
        )
    return val, test


def _ns(text: str) -> int:
    stamp = pd.Timestamp(text)
    return int((stamp.tz_convert("UTC").tz_localize(None) if stamp.tzinfo else stamp).as_unit("ns").value)


def _origins(
    first: int, begin: int, end: int, place: np.ndarray, cut_at: int, config: DataConfig, step: int
) -> np.ndarray:
    """Starts of the windows whose targets lie in rows [begin, end) and whose contexts begin at `first` or later."""
    target = max(begin, first + config.context)
    if target > begin or (target < end and place[target] > cut_at):  # joins later than the cut: at the next common date
        ahead = np.flatnonzero((place[target : min(target + step, end)] - cut_at) % step == 0)
        target += int(ahead[0]) if len(ahead) else 0
    return np.arange(target, end - config.horizon + 1, step, dtype=np.int64) - config.context


def _judge(
    symbols: Sequence[str],
    offsets: np.ndarray,
    starts: dict[str, list[np.ndarray]],
    unseen: set[int],
    config: DataConfig,
    calendar: np.ndarray,
    cuts: tuple[int, int],
) -> list[str]:
    """What to tell about symbols that lack windows; DataError when a split that is needed has none."""
    need = config.context + config.horizon
    lengths = dict(zip(symbols, np.diff(offsets).tolist(), strict=True))
    known = [name for s, name in enumerate(symbols) if s not in unseen]
    counts = {name: dict(zip(known, map(len, starts[name]), strict=True)) for name in ("train", "val", "test")}
    held = dict(zip([symbols[s] for s in sorted(unseen)], map(len, starts["unseen"]), strict=True))

    def tell(names: Sequence[str]) -> str:
        rest = f" and {len(names) - 8} more" if len(names) > 8 else ""
        return ", ".join(f"{plain(n, 30)} {lengths[n]}" for n in names[:8]) + rest

    asked = f"data.context {config.context} + data.horizon {config.horizon} = {need} rows"
    for name in ("train", "val"):
        if not any(counts[name].values()):
            val, test = cuts
            kind, steps = (
                ("training", val - config.gap)
                if name == "train"
                else ("validation", (test if test == len(calendar) else test - config.gap) - val)
            )
            wanted = (
                f"{asked} before the cut"
                if name == "train"
                else f"data.horizon {config.horizon} of them, after a context of {config.context} rows"
            )
            raise DataError(
                f"too short for {kind}: {wanted} are needed, and the calendar leaves {max(steps, 0)} dates for it "
                f"with a purge of {config.gap}. Rows: {tell(known)}. "
                "Lower data.context or data.horizon, or bring more data."
            )
    short = [n for n, windows in held.items() if not windows] + [
        n for n in config.symbols if n in lengths and lengths[n] < need and n not in held
    ]
    if short:
        raise DataError(f"too short: {asked} are needed, and these named symbols cannot give a window: {tell(short)}")
    notes = []
    nothing = [n for n in known if not any(counts[k][n] for k in counts)]
    if nothing:
        notes.append(f"left out, too short for {asked}: {tell(nothing)}")
    for name, kind in (("train", "training"), ("val", "validation"), ("test", "test")):
        lacking = [n for n in known if not counts[name][n] and n not in nothing]
        if lacking and any(counts[name].values()):
            notes.append(f"no {kind} window, too few rows there (rows in all): {tell(lacking)}")
    if not any(counts["test"].values()):
        notes.append(
            "no test: data.test_fraction is 0"
            if cuts[1] >= len(calendar)
            else "no test window: the test period is too short"
        )
    return notes
