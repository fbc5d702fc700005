"""What comparisons and reports show of a few runs, asked of runs.duckdb: results, results by symbol, thinned curves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from engine.store_board import energy

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Results = dict[str, dict[str, float | None]]
"""Run -> metric with its split as prefix -> value."""
BySymbol = dict[str, dict[str, tuple[float | None, float | None]]]
"""Symbol -> run -> (skill, pct_mae)."""
Curves = dict[str, list[tuple[int, float]]]
"""Run -> points by step."""


POINTS = 200
"""Points of a curve at most: each is the mean of its stretch of steps."""


class Logged(NamedTuple):
    """None where it never was a number."""

    last: float | None
    least: float | None
    most: float | None


def results(con: DuckDBPyConnection, runs: Sequence[str]) -> Results:
    """Pooled results; those on test data and unseen symbols of promoted runs only."""
    found: Results = {run: {} for run in runs}
    for run, split, metric, value in con.execute(
        "SELECT r.id, split, metric, value FROM evaluations e JOIN runs r USING (run_id) WHERE symbol = '' "
        "AND r.id IN (SELECT unnest(?::VARCHAR[])) ORDER BY list_position(['val', 'test', 'unseen'], split)",
        [list(runs)],
    ).fetchall():
        found[run][f"{split}_{metric}"] = value
    return found


def logged(con: DuckDBPyConnection, runs: Sequence[str]) -> dict[str, dict[str, Logged]]:
    """Run -> metric -> what it was at last, at least and at most while it trained."""
    found: dict[str, dict[str, Logged]] = {run: {} for run in runs}
    for run, metric, *values in con.execute(
        "SELECT id, metric, value, least, most FROM latest WHERE id IN (SELECT unnest(?::VARCHAR[]))", [list(runs)]
    ).fetchall():
        found[run][metric] = Logged(*values)
    return found


def by_symbol(con: DuckDBPyConnection, runs: Sequence[str], split: str = "val") -> BySymbol:
    """Skill and error of each symbol; skill is told from pct_mae and naive's where it is not there."""
    found: BySymbol = {}
    # Not by the view symbol_results: it would first group what every run ever reached.
    for symbol, run, skill, error in con.execute(
        "SELECT symbol, id, coalesce(max(value) FILTER (metric = 'skill'), 1 - max(value) FILTER (metric = 'pct_mae') "
        "/ nullif(max(value) FILTER (metric = 'naive_pct_mae'), 0)), max(value) FILTER (metric = 'pct_mae') "
        "FROM evaluations JOIN (SELECT run_id, id FROM runs WHERE id IN (SELECT unnest($2::VARCHAR[]))) USING (run_id) "
        "WHERE split = $1 AND symbol <> '' GROUP BY symbol, id ORDER BY symbol",
        [split, list(runs)],
    ).fetchall():
        found.setdefault(symbol, {})[run] = (skill, error)
    return found


def curves(con: DuckDBPyConnection, runs: Sequence[str], metric: str) -> Curves:
    """Curves by step, thinned to POINTS stretches by their means; runs that never logged it are left out."""
    found: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for run, step, value in con.execute(
        "WITH asked AS (SELECT r.run_id, r.id, c.metric_id, greatest(1, ceil((c.step + 1) / ?))::BIGINT AS wide "
        "FROM runs r JOIN curves c USING (run_id) JOIN metric_names n USING (metric_id) "
        "WHERE n.name = ? AND r.id IN (SELECT unnest(?::VARCHAR[]))) "
        "SELECT a.id, max(m.step), avg(m.value) FROM metrics m JOIN asked a USING (run_id, metric_id) "
        "WHERE m.value IS NOT NULL GROUP BY a.id, m.step // a.wide ORDER BY a.id, max(m.step)",
        [POINTS, metric, list(runs)],
    ).fetchall():
        found[run].append((step, value))
    return dict(found)


@dataclass(frozen=True)
class Summary:
    """A run as a report tells of it; None is unknown."""

    id: str
    name: str
    family: str
    state: str
    cause: str
    value: float | None
    """val_pct_mae of its best checkpoint."""
    hours: float | None
    devices: int
    submitted: float
    promoted: bool
    synthetic: bool
    fingerprint: str


def choose(con: DuckDBPyConnection, *, family: str = "", tag: str = "", since: float | None = None) -> list[str]:
    """Whole ids in the order they were queued. since: unix seconds; a run counts that was queued then or later."""
    return [row[0] for row in con.execute(
        "SELECT id FROM runs WHERE ($family = '' OR family = $family) "
        "AND ($since IS NULL OR epoch(submitted) >= $since) "
        "AND ($tag = '' OR run_id IN (SELECT run_id FROM tags WHERE tag = $tag)) ORDER BY submitted, id",
        {"family": family, "tag": tag, "since": since},
    ).fetchall()]  # fmt: skip


def known(con: DuckDBPyConnection) -> tuple[list[str], list[str]]:
    """Families and tags there are."""
    families = [row[0] for row in con.execute("SELECT DISTINCT family FROM runs ORDER BY 1").fetchall()]
    return families, [row[0] for row in con.execute("SELECT DISTINCT tag FROM tags ORDER BY 1").fetchall()]


def summaries(con: DuckDBPyConnection, runs: Sequence[str]) -> list[Summary]:
    """In the order they were queued."""
    return [Summary(*row) for row in con.execute(
        "SELECT r.id, coalesce(r.name, ''), r.family, coalesce(r.outcome, ''), coalesce(r.cause, ''), e.value, "
        "epoch(coalesce(r.ended, c.t) - r.started) / 3600, coalesce(len(r.devices), 0), "
        "coalesce(epoch(r.submitted), 0), coalesce(r.promoted, false), coalesce(r.synthetic, false), "
        "coalesce(r.data_fingerprint, '') FROM runs r LEFT JOIN (SELECT run_id, max(value) AS value FROM evaluations "
        "WHERE split = 'val' AND symbol = '' AND metric = 'pct_mae' GROUP BY run_id) e USING (run_id) "
        "LEFT JOIN (SELECT run_id, max(t) AS t FROM curves GROUP BY run_id) c USING (run_id) "
        "WHERE r.id IN (SELECT unnest(?::VARCHAR[])) ORDER BY r.submitted, r.id",
        [list(runs)],
    ).fetchall()]  # fmt: skip


def settings(con: DuckDBPyConnection, runs: Sequence[str]) -> dict[str, dict[str, tuple[str, float | None]]]:
    """Fields of the config that are not the same in all these runs: field -> run -> (as text, as a number)."""
    found: defaultdict[str, dict[str, tuple[str, float | None]]] = defaultdict(dict)
    for name, run, value, number in con.execute(
        "WITH p AS (SELECT p.name, r.id, coalesce(p.value, '-') AS value, p.number FROM params p "
        "JOIN runs r USING (run_id) WHERE r.id IN (SELECT unnest(?::VARCHAR[])) AND p.name NOT LIKE 'used.%') "
        "SELECT * FROM p WHERE name IN (SELECT name FROM p GROUP BY name HAVING count(DISTINCT value) > 1) ORDER BY 1",
        [list(runs)],
    ).fetchall():
        found[name][run] = (value, number)
    return dict(found)


def energy_of(con: DuckDBPyConnection, runs: Sequence[str]) -> dict[str, float]:
    """kWh of each run on devices whose power was sampled."""
    ids = dict(con.execute(
        "SELECT run_id, id FROM runs WHERE len(devices) > 0 AND id IN (SELECT unnest(?::VARCHAR[]))", [list(runs)]
    ).fetchall())  # fmt: skip
    return {ids[run_id]: kwh for run_id, kwh in energy(con, list(ids)).items()} if ids else {}
