"""What a leaderboard is made of, asked of runs.duckdb: one row a run with its validation results, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import UsageError, did_you_mean
from engine.store_views import GPU_HOURS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# `metrics` is not read: `curves` stands for it, or 50M rows would take seconds. And what only shown rows need is asked
# of those alone: of 10,000 runs, each further column costs 5 ms to hand over.
_RANKED = """
WITH val AS (
  SELECT run_id, max(value) FILTER (metric = $short) AS value,
    max(value) FILTER (metric = 'naive_' || $short) AS naive,
    bool_or(metric = $short) AS scored, max(windows) AS windows, max(horizon) AS horizon
  FROM evaluations WHERE split = 'val' AND symbol = '' AND metric IN ($short, 'naive_' || $short, 'pct_mae')
  GROUP BY run_id),
logged AS (SELECT run_id, CASE WHEN $lower THEN least ELSE most END AS value FROM curves WHERE metric_id = $metric),
settings AS (
  SELECT run_id, bit_xor(hash(name, value)) AS settings
  FROM params WHERE name <> 'train.seed' AND name NOT LIKE 'used.%' GROUP BY run_id)
SELECT r.run_id, r.id, r.family, coalesce(v.scored, false),
  CASE WHEN isfinite(CASE WHEN v.scored THEN v.value ELSE l.value END)
    THEN CASE WHEN v.scored THEN v.value ELSE l.value END END,
  CASE WHEN isfinite(v.naive) THEN v.naive END,
  coalesce(r.data_fingerprint, ''), coalesce(r.data_path, ''), coalesce(v.horizon, r.horizon), v.windows,
  coalesce(r.synthetic, false), coalesce(epoch(r.submitted), 0), r.seed,
  hash(p.settings, r.family, r.command, r."commit", r.patch_sha)
FROM runs r LEFT JOIN val v USING (run_id) LEFT JOIN logged l USING (run_id) LEFT JOIN settings p USING (run_id)
WHERE NOT coalesce(r.archived, false) ORDER BY r.submitted, r.id
"""

# Equal for runs that differ in nothing but the seed, as `settings` above.
_KIN = """
SELECT r.id, r.seed, hash(p.settings, r.family, r.command, r."commit", r.patch_sha) AS kin
FROM runs r LEFT JOIN (
  SELECT run_id, bit_xor(hash(name, value)) AS settings
  FROM params WHERE name <> 'train.seed' AND name NOT LIKE 'used.%' GROUP BY run_id) p USING (run_id)
"""

_TOLD = """
WITH asked AS (SELECT unnest($ids::INTEGER[]) AS run_id),
results AS (
  SELECT run_id,
    max(value) FILTER (split = 'val' AND metric = 'skill') AS skill,
    max(value) FILTER (split = 'val' AND metric = 'dm_stat') AS dm_stat,
    max(value) FILTER (split = 'val' AND metric = 'dm_pvalue') AS dm_p,
    max(step) FILTER (split = 'val') AS step,
    max(value) FILTER (split = 'test' AND metric = $short) AS test,
    max(value) FILTER (split = 'unseen' AND metric = $short) AS unseen,
    max(value) FILTER (split = 'test' AND metric = 'skill') AS test_skill
  FROM evaluations SEMI JOIN asked USING (run_id) WHERE symbol = '' GROUP BY run_id),
stand AS (SELECT run_id, max(step) AS steps, max(t) AS t FROM curves SEMI JOIN asked USING (run_id) GROUP BY run_id)
SELECT r.run_id, coalesce(r.name, ''), r.outcome, e.skill, e.dm_stat, e.dm_p, coalesce(s.steps, e.step),
  epoch(coalesce(r.ended, s.t) - r.started) / 3600, coalesce(len(r.devices), 0), coalesce(r.best_checkpoint, ''),
  coalesce(r."commit", ''), e.test, e.unseen, e.test_skill
FROM runs r SEMI JOIN asked USING (run_id) LEFT JOIN results e USING (run_id) LEFT JOIN stand s USING (run_id)
"""


class Scored(NamedTuple):
    """A run as ranking sees it; None is unknown."""

    run_id: int
    id: str
    family: str
    scored: bool
    """Whether its validation result holds the metric."""
    value: float | None
    """Finite: from the validation result, or where that does not hold the metric, the best that was logged."""
    naive: float | None
    fingerprint: str
    data: str
    """The path of the data as given."""
    horizon: int | None
    windows: int | None
    synthetic: bool
    submitted: float
    seed: int | None
    settings: int
    """Equal for runs that differ in nothing but the seed: config, command and code."""


class Told(NamedTuple):
    """What a row of the leaderboard tells besides."""

    run_id: int
    name: str
    state: str
    skill: float | None
    dm_stat: float | None
    dm_p: float | None
    steps: int | None
    hours: float | None
    devices: int
    """How many it had; 0 is the CPU."""
    checkpoint: str
    """Relative to the run folder."""
    commit: str
    test: float | None
    """On test data, and on unseen symbols below: None unless the run was promoted."""
    unseen: float | None
    test_skill: float | None


def metrics_of(con: DuckDBPyConnection) -> dict[str, int | None]:
    """Give everything that runs can be ranked by, validation results first, with the number it is logged under."""
    found: dict[str, int | None] = {row[0]: None for row in con.execute(
        "SELECT DISTINCT 'val_' || metric AS name FROM evaluations WHERE split = 'val' AND symbol = '' ORDER BY name"
    ).fetchall()}  # fmt: skip
    return found | dict(con.execute(
        "SELECT name, metric_id FROM metric_names WHERE NOT regexp_matches(name, '^(test|unseen)_') ORDER BY name"
    ).fetchall())  # fmt: skip


def seeds_of(con: DuckDBPyConnection, run: str) -> set[int]:
    """Give the seeds of all runs that differ from this one in nothing else, its own and archived ones included."""
    return {row[0] for row in con.execute(
        f"WITH kin AS ({_KIN}) SELECT r.seed FROM kin r WHERE r.kin = (SELECT kin FROM kin WHERE id = ?) "
        "AND r.seed IS NOT NULL", [run]
    ).fetchall()}  # fmt: skip


def scored_runs(con: DuckDBPyConnection, metric: str, *, lower: bool) -> list[Scored]:
    """Give every run with what it reached. metric: with or without `val_`; lower: whether less is better.

    Raises UsageError for a metric that nobody has logged or evaluated.
    """
    short = metric.removeprefix("val_")
    known = metrics_of(con)
    name = next((name for name in (metric, f"val_{short}") if name in known), None)
    if known and name is None:
        raise UsageError(
            f"No run has the metric '{metric}'.{did_you_mean(metric, known)} `engine sql \"FROM metric_names\"`"
        )
    number = known.get(name or metric)
    values = {"short": short, "metric": -1 if number is None else number, "lower": lower}
    made = partial(tuple.__new__, Scored)  # _make counts the parts of each of 10,000 rows
    return list(map(made, con.execute(_RANKED, values).fetchall()))


def told(con: DuckDBPyConnection, metric: str, run_ids: Sequence[int]) -> dict[int, Told]:
    """Give what else is known of these runs."""
    values = {"short": metric.removeprefix("val_"), "ids": list(run_ids)}
    return {row[0]: Told._make(row) for row in con.execute(_TOLD, values).fetchall()}


def energy(con: DuckDBPyConnection, run_ids: Sequence[int]) -> dict[int, float]:
    """Give the kWh of runs on devices, by the power sampled meanwhile; left out where a device has no sample.

    Only samples of their own times are read: a day of eight GPUs has 700,000.
    """
    if not con.execute("SELECT 1 FROM device_samples WHERE power IS NOT NULL LIMIT 1").fetchall():
        return {}
    within = (
        "AND EXISTS (SELECT 1 FROM runs a WHERE a.run_id IN (SELECT unnest($ids::INTEGER[])) AND a.started <= "
        "coalesce(r.ended, c.t, r.started) AND coalesce(a.ended, now()::TIMESTAMP) >= r.started "
        "AND list_has_any(a.devices, r.devices))"
    )
    rows = con.execute(
        f"SELECT run_id, sum(kwh) FROM ({GPU_HOURS.format(within=within)}) "
        "WHERE run_id IN (SELECT unnest($ids::INTEGER[])) GROUP BY run_id HAVING count(*) = count(kwh)",
        {"ids": list(run_ids)},
    ).fetchall()
    return dict(rows)
