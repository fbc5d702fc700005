"""What a leaderboard is made of, asked of runs.duckdb: one row a run with its validation results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UsageError, did_you_mean
from engine.store_open import PATIENCE, reading

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_QUERY = """
WITH val AS (
  SELECT run_id,
    max(value) FILTER (metric = $short) AS value,
    max(value) FILTER (metric = 'naive_' || $short) AS naive,
    max(value) FILTER (metric = 'skill') AS skill,
    max(value) FILTER (metric = 'dm_stat') AS dm_stat,
    max(value) FILTER (metric = 'dm_pvalue') AS dm_p,
    bool_or(metric = $short) AS scored, max(windows) AS windows, max(horizon) AS horizon, max(step) AS step
  FROM evaluations WHERE split = 'val' AND symbol = '' GROUP BY run_id),
logged AS (
  SELECT run_id, min(value) AS least, max(value) AS most FROM metrics
  WHERE metric_id = (SELECT max(metric_id) FROM metric_names WHERE name = $name) AND isfinite(value) GROUP BY run_id),
steps AS (SELECT run_id, max(step) AS steps FROM metrics GROUP BY run_id)
SELECT r.id, coalesce(r.name, ''), r.family, r.outcome, coalesce(v.scored, false),
  v.value, CASE WHEN $lower THEN l.least ELSE l.most END, v.naive, v.skill, v.dm_stat, v.dm_p,
  coalesce(s.steps, v.step), epoch(coalesce(r.ended, s_now.t) - r.started) / 3600, coalesce(r.best_checkpoint, ''),
  coalesce(r."commit", ''), coalesce(r.data_fingerprint, ''), coalesce(v.horizon, r.horizon), v.windows,
  coalesce(r.synthetic, false), coalesce(epoch(r.submitted), 0)
FROM runs r LEFT JOIN val v USING (run_id) LEFT JOIN logged l USING (run_id) LEFT JOIN steps s USING (run_id)
LEFT JOIN (SELECT run_id, max(t) AS t FROM metrics GROUP BY run_id) s_now USING (run_id)
WHERE NOT coalesce(r.archived, false) ORDER BY r.submitted, r.id
"""


@dataclass(frozen=True)
class Scored:
    """A run as the leaderboard sees it; None is unknown."""

    id: str
    name: str
    family: str
    state: str
    scored: bool
    """Whether its validation result holds the metric; then `value` counts, else only `logged` is known."""
    value: float | None
    logged: float | None
    """The best value that was logged while training."""
    naive: float | None
    skill: float | None
    dm_stat: float | None
    dm_p: float | None
    steps: int | None
    hours: float | None
    checkpoint: str
    """Relative to the run folder."""
    commit: str
    fingerprint: str
    horizon: int | None
    windows: int | None
    synthetic: bool
    submitted: float


def scored_runs(database: Path | DuckDBPyConnection, metric: str, *, lower: bool) -> list[Scored]:
    """Give every run with what it reached. metric: with or without `val_`; lower: whether less is better.

    Raises UsageError for a metric that nobody has logged or evaluated, NothingToShow when there is no database.
    """
    if isinstance(database, Path):
        with reading(database, PATIENCE) as con:
            return scored_runs(con, metric, lower=lower)
    short = metric.removeprefix("val_")
    known = [row[0] for row in database.execute(
        "SELECT 'val_' || metric FROM evaluations WHERE split = 'val' AND symbol = '' "
        "UNION SELECT name FROM metric_names WHERE NOT regexp_matches(name, '^(test|unseen)_')"
    ).fetchall()]  # fmt: skip
    name = next((name for name in (metric, f"val_{short}") if name in known), None)
    if known and name is None:
        raise UsageError(
            f"No run has the metric '{metric}'.{did_you_mean(metric, known)} `engine sql \"FROM metric_names\"`"
        )
    values = {"short": short, "name": name or metric, "lower": lower}
    return [Scored(*row) for row in database.execute(_QUERY, values).fetchall()]
