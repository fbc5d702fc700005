"""Which run is best, by validation alone, with the naive forecast in its place among them.

Only runs that were scored on the same data, horizon and windows are compared; the note says what was left out and how
to choose. Test and unseen results never rank anything (DESIGN §6). CLI, screens and reports all ask here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.board import METRIC, NAIVE, Board, BoardRow, Direction, Seeds, direction_of, dm_words
from engine.errors import UnknownFamily, UsageError, did_you_mean
from engine.paired import SIGNIFICANT, Paired, p_words
from engine.store_board import Scored, Told, energy, scored_runs, told
from engine.store_forecasts import against
from engine.store_open import PATIENCE, reading

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

IMPORTED = "imported"
"""What data of imported runs are called: nobody knows what their numbers were measured on."""
TESTED = 10
"""How many of the first are tested against the best one, window by window."""
Group = tuple[str, int | None, int | None, bool]
"""Data fingerprint, horizon, windows, and whether the value comes from an evaluation."""


def leaderboard(
    database: Path | DuckDBPyConnection,
    metric: str = METRIC,
    direction: Direction | None = None,
    family: str | None = None,
    top_k: int | None = None,
    dataset: str | None = None,
    *,
    only: Sequence[str] | None = None,
) -> Board:
    """Rank the runs on one data set by a validation metric, or by the best value logged of any other.

    direction: "min" or "max"; None goes by the metric's name. top_k: how many runs to give. dataset: the beginning of
    the data's fingerprint, or its path; needed where runs are on several. Of one data set, the horizon and windows
    are those most runs have in common (of equals the latest). only: these runs and no others. A run without a finite
    value is in left_out, never among the rows.
    Raises UsageError for a test or unseen metric, one that nobody has, an unknown direction or data set, and for runs
    on several data sets without a choice; UnknownFamily; NothingToShow when there is no database.
    """
    return _boards(database, metric, direction, family, top_k, dataset, only, several=False)[0]


def leaderboards(
    database: Path | DuckDBPyConnection,
    metric: str = METRIC,
    direction: Direction | None = None,
    family: str | None = None,
    top_k: int | None = None,
    *,
    only: Sequence[str] | None = None,
) -> tuple[Board, ...]:
    """Give a leaderboard of each data set by itself, the one with the most runs first; else as `leaderboard`."""
    return _boards(database, metric, direction, family, top_k, None, only, several=True)


def _boards(
    database: Path | DuckDBPyConnection,
    metric: str,
    direction: Direction | None,
    family: str | None,
    top_k: int | None,
    dataset: str | None,
    only: Sequence[str] | None,
    several: bool,
) -> tuple[Board, ...]:
    if metric.startswith(("test_", "unseen_")):
        raise UsageError(
            f"'{metric}' can't rank runs: selection is on validation only. Try val_{metric.split('_', 1)[1]}."
        )
    if direction not in (None, "min", "max"):
        raise UsageError(f"'{direction}' is no direction: expected min or max.")
    if top_k is not None and top_k < 1:
        raise UsageError(f"top-k = {top_k}: expected at least 1.")
    if isinstance(database, Path):
        with reading(database, PATIENCE) as con:
            return _of(con, database.parent / "runs", metric, direction, family, top_k, dataset, only, several)
    return _of(database, None, metric, direction, family, top_k, dataset, only, several)


def _of(
    con: DuckDBPyConnection,
    folder: Path | None,
    metric: str,
    direction: Direction | None,
    family: str | None,
    top_k: int | None,
    dataset: str | None,
    only: Sequence[str] | None,
    several: bool,
) -> tuple[Board, ...]:
    way: Direction = direction or direction_of(metric)
    runs = scored_runs(con, metric, lower=way == "min")
    if only is not None:
        wanted = set(only)
        runs = [run for run in runs if run.id in wanted]
    if family is not None:
        families = {run.family for run in runs}
        if runs and family not in families:
            raise UnknownFamily(f"No run is of the family '{family}'.{did_you_mean(family, families)}")
        runs = [run for run in runs if run.family == family]
    if dataset is not None:
        if runs and not any(_on(run, dataset) for run in runs):
            there = "; ".join(_named(runs, fp) for fp in sorted({run.fingerprint for run in runs if run.fingerprint}))
            raise UsageError(f"No run is on data '{dataset}'. There are: {there}.")
        runs = [run for run in runs if _on(run, dataset)]
    groups: defaultdict[Group, list[Scored]] = defaultdict(list)
    without = []
    for run in runs:
        if run.value is None:
            without.append(run)
        else:
            groups[_group(run)].append(run)
    if not groups:
        nothing = Board(metric, way, sentence="No run has a result yet.", note=_missing(without, metric))
        return (replace(nothing, left_out=_ids(without)),)
    on = {key[0] for key in groups if key[0] not in ("", IMPORTED)}
    if len(on) > 1 and not several:
        there = "; ".join(_named(runs, fp) for fp in sorted(on))
        raise UsageError(
            f"These runs are on {len(on)} different data sets, and results on different data can't be ranked together: "
            f"{there}. Choose one with --dataset; `engine best --all-data` ranks each by itself."
        )
    if several:
        sets = [{key: found for key, found in groups.items() if key[0] == fp} for fp in {key[0] for key in groups}]
        sets.sort(key=lambda mine: -sum(map(len, mine.values())))
    else:
        sets = [groups]
    made = []
    for mine in sets:
        # What is known to be on the same data before what may be on any.
        chosen = max(mine, key=lambda key: _standing(key, mine[key]))
        others = {key: found for key, found in mine.items() if key != chosen}
        lost = [run for run in without if run.fingerprint == chosen[0]] if several else without
        made.append(_board(con, folder, metric, way, chosen, mine[chosen], others, lost, top_k))
    return tuple(made)


def _standing(key: Group, runs: Sequence[Scored]) -> tuple[bool, bool, bool, int, float]:
    return key[0] != IMPORTED, bool(key[0]), key[3], len(runs), max(run.submitted for run in runs)


def _on(run: Scored, dataset: str) -> bool:
    return bool(run.fingerprint) and (run.fingerprint.startswith(dataset) or run.data == dataset)


def _named(runs: Sequence[Scored], fingerprint: str) -> str:
    """`3f2a9c0d11ee (trainingdata, 12 runs)`."""
    mine = [run for run in runs if run.fingerprint == fingerprint]
    paths = ", ".join(sorted({run.data for run in mine if run.data}))
    return f"{fingerprint[:12]} ({f'{paths}, ' if paths else ''}{len(mine)} run{'' if len(mine) == 1 else 's'})"


def _group(run: Scored) -> Group:
    return run.fingerprint, run.horizon, run.windows if run.scored else None, run.scored


def _ids(runs: Sequence[Scored]) -> tuple[str, ...]:
    return tuple(run.id for run in runs)


def _board(
    con: DuckDBPyConnection,
    folder: Path | None,
    metric: str,
    way: Direction,
    chosen: Group,
    runs: list[Scored],
    others: dict[Group, list[Scored]],
    without: list[Scored],
    top_k: int | None,
) -> Board:
    sign = 1.0 if way == "min" else -1.0
    ranked = sorted(runs, key=lambda run: sign * (run.value or 0.0))  # sorted keeps the earlier of equals first
    naives = [run.naive for run in runs if run.naive is not None]
    naive = 0.0 if metric.removeprefix("val_") == "skill" else (naives[0] if naives else None)
    shown = ranked[:top_k]
    tests: dict[str, Paired] = {}
    if folder is not None and metric == METRIC and chosen[3]:
        tests = against(con, folder, ranked[0].id, _ids(shown[1:TESTED]))
    seeds = _seeds(runs, shown)
    more = told(con, metric, [run.run_id for run in shown])
    costs = energy(con, [run.run_id for run in shown if more[run.run_id].devices])
    rows = [_row(run, rank, more[run.run_id], seeds, costs.get(run.run_id)) for rank, run in enumerate(shown, 1)]
    rows = [rows[0], *(_beside(row, rows[0], tests.get(row.id)) for row in rows[1:])]
    best, ties = rows[0], sum(row.tie for row in rows)
    if naive is not None:
        place = sum(sign * row.value <= sign * naive for row in rows)
        rows.insert(place, BoardRow(None, NAIVE, naive, naive=naive, words="the last price, repeated"))
    notes = [_apart(others, chosen), _missing(without, metric)]
    if naives and max(naives) - min(naives) > 1e-3 * abs(max(naives)):
        notes.append(f"The naive forecast's value differs between these runs ({min(naives):.4g} to {max(naives):.4g}): "
                     "they were not scored on the same windows.")  # fmt: skip
    if not chosen[3]:
        notes.append(f"These are the best values logged while training; no evaluation holds {metric}.")
    return Board(
        metric,
        way,
        tuple(rows),
        naive,
        _sentence(best, naive, sign, ties),
        " ".join(note for note in notes if note),
        chosen[0],
        ", ".join(sorted({run.data for run in runs if run.data})),
        chosen[1],
        chosen[2],
        any(run.synthetic for run in runs),
        (*_ids(without), *(run.id for found in others.values() for run in found)),
        len(runs),
    )


def _seeds(runs: Sequence[Scored], shown: Sequence[Scored]) -> dict[int, Seeds]:
    """What the seeds of each shown config came to; of a seed that ran twice, the last."""
    found: dict[int, dict[int, float]] = {run.settings: {} for run in shown}
    for run in runs:
        if run.seed is not None and run.value is not None and run.settings in found:
            found[run.settings][run.seed] = run.value
    return {settings: Seeds.of(list(values.values())) for settings, values in found.items()}


def _row(run: Scored, rank: int, more: Told, seeds: dict[int, Seeds], kwh: float | None) -> BoardRow:
    assert run.value is not None
    same = seeds[run.settings] if run.seed is not None else Seeds()
    gap = more.test_skill - more.skill if more.test_skill is not None and more.skill is not None else None
    return BoardRow(
        rank, run.id, run.value, more.name, run.family, more.state, run.naive, more.skill, more.dm_stat, more.dm_p,
        dm_words(more.dm_stat, more.dm_p), more.steps, more.hours,
        f"runs/{run.id}/{more.checkpoint}" if more.checkpoint else "", more.commit, run.seed, same.number, same.mean,
        same.spread,
        device_hours=more.hours * more.devices if more.hours is not None and more.devices else None, kwh=kwh,
        test=more.test, unseen=more.unseen, gap=gap,
    )  # fmt: skip


def _beside(row: BoardRow, best: BoardRow, test: Paired | None) -> BoardRow:
    """Mark a tie with the best: within what two seeds of one config differ by, or no different by the test.

    The difference of two seeds has a standard deviation of sqrt(2) times theirs: so two seeds alone, of which nothing
    else is known, always tie.
    """
    spread = max((s for s in (row.spread, best.spread) if s is not None), default=None)
    if spread is not None and abs(row.value - best.value) <= math.sqrt(2) * spread * (1 + 1e-9):
        said = f"tie: seeds of one config differ by as much (±{math.sqrt(2) * spread:.2g})"
        return replace(row, tie=True, against_best=said)
    if test is None or not test.words:
        return row
    return replace(row, tie=test.same, against_best=f"tie: {test.words}" if test.same else test.words)


def _sentence(best: BoardRow, naive: float | None, sign: float, ties: int) -> str:
    tied = f" {ties} other{'' if ties == 1 else 's'} tie{'s' if ties == 1 else ''} with it." if ties else ""
    if naive is None:
        return f"The best is {best.id}.{tied}"
    gap = sign * (best.value - naive)
    size = f"{abs(gap / naive) * 100:.1f} %" if naive else f"{abs(gap):.3g}"
    if gap >= 0:
        how = f"is {size} worse" if gap > 0 else "is as good"
        return f"No run beats the naive forecast ({naive:.3g}); the best, {best.id}, {how}.{tied}"
    doubt = ""
    if best.dm_p is not None and best.dm_stat is not None:
        sure = best.dm_p < SIGNIFICANT and best.dm_stat < 0
        doubt = f" ({p_words(best.dm_p)})" if sure else f", which may be chance ({p_words(best.dm_p)})"
    return f"{best.id} beats the naive forecast ({naive:.3g}) by {size}{doubt}.{tied}"


def _missing(without: Sequence[Scored], metric: str) -> str:
    if not without:
        return ""
    few = ", ".join(_ids(without[:3])) + (", ..." if len(without) > 3 else "")
    return f"{len(without)} without a {metric} left out: {few}."


def _apart(others: dict[Group, list[Scored]], chosen: Group) -> str:
    count = sum(map(len, others.values()))
    if not count:
        return ""
    parts = []
    for key, found in sorted(others.items(), key=lambda item: -len(item[1]))[:4]:
        differs = []
        if key[0] != chosen[0]:
            differs.append("unknown data")
        if key[1] != chosen[1]:
            differs.append(f"horizon {key[1]}")
        if key[3] != chosen[3]:
            differs.append("no final evaluation")
        elif key[2] != chosen[2]:
            differs.append(f"{key[2]} windows")
        parts.append(f"{len(found)} with {', '.join(differs)}")
    return f"{count} left out that can't be compared: {'; '.join(parts)}."
