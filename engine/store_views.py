"""The views of runs.duckdb that people read, made anew whenever the database is brought to the current version."""

from __future__ import annotations

from engine.store_tables import CURVES, RUNS_TABLES

_CURVE = """
SELECT r.id AS id, n.name AS metric, m.step, m.epoch, m.t, m.value, m.run_id
FROM metrics m JOIN metric_names n USING (metric_id) JOIN runs r USING (run_id)
"""

_LATEST = """
SELECT r.id AS id, n.name AS metric, c.step, c.value, c.t, c.points, c.least, c.most, c.run_id
FROM curves c JOIN metric_names n USING (metric_id) JOIN runs r USING (run_id)
"""

# metrics itself is not read: 50M rows take seconds, curves stands for them in milliseconds.
_RESULTS = """
WITH val AS (
  SELECT run_id,
    max(value) FILTER (metric = 'pct_mae') AS val_pct_mae,
    max(value) FILTER (metric = 'naive_pct_mae') AS naive_pct_mae,
    max(value) FILTER (metric = 'skill') AS skill,
    max(value) FILTER (metric = 'dm_stat') AS dm_stat,
    max(value) FILTER (metric = 'dm_pvalue') AS dm_pvalue,
    max(windows) AS windows, max(horizon) AS horizon
  FROM evaluations WHERE split = 'val' AND symbol = '' GROUP BY run_id),
stand AS (
  SELECT run_id, max(step) AS steps, max(t) AS last_logged,
    min(least) FILTER (metric_id IN (SELECT metric_id FROM metric_names WHERE name = 'val_pct_mae')) AS best_logged
  FROM curves GROUP BY run_id)
SELECT r.run_id, r.id, r.name, r.family, r.outcome AS state, r.cause, r."commit", r.branch, r.dirty,
  v.val_pct_mae, v.naive_pct_mae, v.skill, v.dm_stat, v.dm_pvalue, s.best_logged AS best_logged_val_pct_mae,
  s.steps, r.steps_planned, r.submitted, r.started, r.ended,
  epoch(r.ended - r.started) AS seconds,
  epoch(r.ended - r.started) / 3600 * len(r.devices) AS device_hours,
  r.max_rss AS peak_memory,
  r.data_fingerprint, r.synthetic, coalesce(v.horizon, r.horizon) AS horizon, v.windows, r.best_checkpoint
FROM runs r LEFT JOIN val v USING (run_id) LEFT JOIN stand s USING (run_id)
"""

_SUMMARY = f"""
SELECT s.* EXCLUDE (data_fingerprint, synthetic, horizon, windows, best_checkpoint),
  m.device_memory AS peak_device_memory, s.data_fingerprint, s.synthetic, s.horizon, s.windows, s.best_checkpoint
FROM ({_RESULTS}) s LEFT JOIN (
  SELECT id, max(bytes) AS device_memory
  FROM (SELECT id, t, sum(memory) AS bytes FROM process_samples WHERE id IS NOT NULL GROUP BY id, t) GROUP BY id
) m USING (id)
"""

_LEADERBOARD = f"""
SELECT rank() OVER (PARTITION BY data_fingerprint, horizon, windows ORDER BY val_pct_mae) AS place,
  id, name, family, state, val_pct_mae, naive_pct_mae, skill, dm_stat, dm_pvalue, steps, seconds / 3600 AS hours,
  data_fingerprint, horizon, windows, synthetic, "commit", best_checkpoint, run_id
FROM ({_RESULTS}) WHERE isfinite(val_pct_mae)
ORDER BY data_fingerprint, horizon, windows, place, id
"""

_SYMBOLS = """
SELECT r.id, r.family, e.split, e.symbol,
  max(e.value) FILTER (metric = 'pct_mae') AS pct_mae,
  max(e.value) FILTER (metric = 'naive_pct_mae') AS naive_pct_mae,
  max(e.value) FILTER (metric = 'skill') AS skill,
  max(e.value) FILTER (metric = 'dir_acc') AS dir_acc,
  max(e.value) FILTER (metric = 'crps') AS crps,
  max(e.windows) AS windows, e.run_id
FROM evaluations e JOIN runs r USING (run_id) WHERE e.symbol <> '' GROUP BY ALL
"""

# Samples and runs meet by device and stretch of ten minutes; by device alone, each sample would meet every run that the
# device ever had, and by time alone DuckDB compares all with all.
GPU_HOURS = """
WITH used AS (
  SELECT r.run_id, r.id, r.family, unnest(r.devices) AS uuid, r.started, coalesce(r.ended, c.t, r.started) AS ended
  FROM runs r LEFT JOIN (SELECT run_id, max(t) AS t FROM curves GROUP BY run_id) c USING (run_id)
  WHERE r.started IS NOT NULL AND len(r.devices) > 0 {within}),
stretches AS (
  SELECT run_id, uuid, started, ended,
    unnest(range(epoch_us(started) // 600000000, epoch_us(ended) // 600000000 + 1)) AS at
  FROM used),
met AS (
  SELECT u.run_id, s.uuid, s.name, s.utilisation, s.power, count(*) OVER (PARTITION BY s.uuid, s.t) AS sharing
  FROM device_samples s JOIN stretches u ON s.uuid = u.uuid AND epoch_us(s.t) // 600000000 = u.at
  WHERE s.t >= u.started AND s.t <= u.ended),
seen AS (
  SELECT run_id, uuid, any_value(name) AS device, avg(utilisation) AS utilisation, avg(power / sharing) AS power,
    count(*) AS samples
  FROM met GROUP BY run_id, uuid)
SELECT u.id, u.family, u.uuid, s.device, epoch(u.ended - u.started) / 3600 AS hours, s.utilisation,
  s.power, s.power * epoch(u.ended - u.started) / 3.6e6 AS kwh, s.samples, u.started, u.ended, u.run_id
FROM used u LEFT JOIN seen s USING (run_id, uuid)
"""

_RUN_COLUMNS = {name: comment for name, (_, comment) in RUNS_TABLES["runs"][1].items()}
_METRIC_COLUMNS = {name: comment for name, (_, comment) in RUNS_TABLES["metrics"][1].items()}
_VALIDATION = {
    "val_pct_mae": "error of its best checkpoint on every validation window, per cent of the last price",
    "naive_pct_mae": "the same of the naive forecast, which repeats the last price",
    "skill": "1 - val_pct_mae / naive_pct_mae: positive is better than naive",
    "dm_stat": "Diebold-Mariano statistic against naive: negative is better than naive",
    "dm_pvalue": "its two-sided p-value",
    "windows": "validation windows scored",
    "steps": "the last training step logged",
}

VIEWS: dict[str, tuple[str, str, dict[str, str]]] = {
    "metric_curve": (
        "metrics with names: the curve of a run is WHERE id = ... AND metric = ... ORDER BY step",
        _CURVE,
        {**_METRIC_COLUMNS, "metric": "its name", "id": _RUN_COLUMNS["id"]},
    ),
    "latest": (
        "the value of each metric at the last step of each run",
        _LATEST,
        {
            **{name: comment for name, (_, comment) in CURVES["curves"][1].items()},
            "metric": "its name",
            "id": _RUN_COLUMNS["id"],
        },
    ),
    "run_summary": (
        "one row a run with its results",
        _SUMMARY,
        {
            **_RUN_COLUMNS,
            **_VALIDATION,
            "state": _RUN_COLUMNS["outcome"],
            "best_logged_val_pct_mae": "the least val_pct_mae it logged while training",
            "seconds": "from start to end",
            "device_hours": "hours times devices; 0 on the CPU",
            "peak_memory": _RUN_COLUMNS["max_rss"],
            "peak_device_memory": "the most bytes it held on its devices at one sample",
        },
    ),
    "leaderboard": (
        "runs by validation error; places count within the same data, horizon and windows",
        _LEADERBOARD,
        {
            **_RUN_COLUMNS,
            **_VALIDATION,
            "place": "1 is best among runs on the same data, horizon and windows",
            "state": _RUN_COLUMNS["outcome"],
            "hours": "from start to end",
        },
    ),
    "symbol_results": (
        "results of each symbol of a split; test and unseen only of promoted runs",
        _SYMBOLS,
        {
            **_RUN_COLUMNS,
            "split": "val, test or unseen",
            "symbol": "the series",
            "pct_mae": "error on its windows, per cent of the last price",
            "naive_pct_mae": "the same of the naive forecast",
            "skill": "1 - pct_mae / naive_pct_mae: positive is better than naive",
            "dir_acc": "share of steps forecast on the right side of the last price",
            "crps": "continuous ranked probability score, per cent of the last price",
            "windows": "windows scored of this symbol",
        },
    ),
    "gpu_hours": (
        "what each run cost on each of its devices; runs on the CPU have no row",
        GPU_HOURS.format(within=""),
        {
            **_RUN_COLUMNS,
            "uuid": "the device",
            "device": "what it is; NULL without a sample",
            "hours": "from the run's start to its end, or to the last number it logged",
            "utilisation": "mean per cent busy over the samples taken meanwhile",
            "power": "mean watts over those samples, split evenly where several runs were on the device",
            "kwh": "power times hours; NULL where no power is known",
            "samples": "samples taken meanwhile",
        },
    ),
}
