"""Questions that people ask of runs.duckdb, ready to be changed: those of docs/sql.md that only read."""

from __future__ import annotations

from typing import NamedTuple


class Recipe(NamedTuple):
    name: str
    about: str
    sql: str


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "leaderboard",
        "Which model is best, and is it better than repeating the last price?",
        """\
SELECT place, id, val_pct_mae, naive_pct_mae, skill, dm_pvalue, hours
FROM leaderboard
ORDER BY data_fingerprint, horizon, place;""",
    ),
    Recipe(
        "newest runs",
        "What became of everything, the newest first",
        """\
SELECT id, name, state, cause, steps, steps_planned, round(seconds / 60, 1) AS minutes, submitted
FROM run_summary
ORDER BY submitted DESC
LIMIT 20;""",
    ),
    Recipe(
        "one curve",
        "One curve, as a chart wants it",
        """\
SELECT step, value
FROM metric_curve
WHERE id = 'toto-0001' AND metric = 'loss'
ORDER BY step;""",
    ),
    Recipe(
        "two curves",
        "Two runs side by side at the same steps",
        """\
PIVOT (FROM metric_curve WHERE metric = 'loss' AND id IN ('toto-0001', 'toto-0002'))
ON id USING first(value) GROUP BY step ORDER BY step;""",
    ),
    Recipe(
        "what differs",
        "Where two runs differ",
        """\
SELECT name, a.value AS first, b.value AS second
FROM (SELECT p.name, p.value FROM params p JOIN runs USING (run_id) WHERE id = 'toto-0001') a
FULL JOIN (SELECT p.name, p.value FROM params p JOIN runs USING (run_id) WHERE id = 'toto-0002') b USING (name)
WHERE a.value IS DISTINCT FROM b.value
ORDER BY name;""",
    ),
    Recipe(
        "what lr does",
        "What a learning rate does to the result",
        """\
SELECT p.number AS lr, count(*) AS runs, min(l.val_pct_mae) AS best, median(l.val_pct_mae) AS middle
FROM leaderboard l JOIN params p USING (run_id)
WHERE p.name = 'train.lr'
GROUP BY lr
ORDER BY best;""",
    ),
    Recipe(
        "overfitting",
        "The best validation step of each run, and what came after it (how much it overfits)",
        """\
SELECT id, arg_min(step, value) AS best_step, min(value) AS best, arg_max(value, step) AS last
FROM metric_curve
WHERE metric = 'val_pct_mae' AND isfinite(value)
GROUP BY id
ORDER BY best;""",
    ),
    Recipe(
        "worst symbols",
        "Symbols the best run is bad at, compared with naive",
        """\
SELECT e.symbol, e.value AS pct_mae, n.value AS naive, 1 - e.value / n.value AS skill
FROM evaluations e
JOIN evaluations n USING (run_id, split, symbol)
JOIN (SELECT run_id FROM leaderboard WHERE place = 1 LIMIT 1) USING (run_id)
WHERE e.split = 'val' AND e.symbol <> '' AND e.metric = 'pct_mae' AND n.metric = 'naive_pct_mae'
ORDER BY skill;""",
    ),
    Recipe(
        "why runs failed",
        "Why runs failed",
        """\
SELECT cause, count(*) AS runs, list(id ORDER BY id) AS ids
FROM runs
WHERE outcome = 'failed'
GROUP BY cause
ORDER BY runs DESC;""",
    ),
    Recipe(
        "by code",
        "Results by the state of the code",
        """\
SELECT "commit"[:9] AS code, branch, bool_or(dirty) AS uncommitted, count(*) AS runs, min(val_pct_mae) AS best
FROM run_summary
GROUP BY ALL
ORDER BY best NULLS LAST;""",
    ),
    Recipe(
        "hours and memory",
        "Device hours and peak memory of each family",
        """\
SELECT family, count(*) AS runs, round(sum(device_hours), 2) AS device_hours,
  format_bytes(max(peak_device_memory)::BIGINT) AS most_on_device, format_bytes(max(peak_memory)) AS most_in_memory
FROM run_summary
GROUP BY family;""",
    ),
    Recipe(
        "busy devices",
        "How busy the devices were, hour by hour",
        """\
SELECT date_trunc('hour', t) AS hour, name, round(avg(utilisation)) AS busy, format_bytes(max(memory_used)) AS most
FROM device_samples
GROUP BY ALL
ORDER BY hour, name;""",
    ),
    Recipe(
        "who else",
        "Who else used the devices",
        """\
SELECT username, name, count(DISTINCT pid) AS processes, format_bytes(max(memory)) AS most, max(t) AS last_seen
FROM process_samples
WHERE id IS NULL
GROUP BY ALL
ORDER BY last_seen DESC;""",
    ),
    Recipe(
        "the whole story",
        "Warnings, and what was asked of a run, in one story",
        """\
SELECT t, id, kind, coalesce(text, '') AS said
FROM (SELECT run_id, t, kind, text FROM events WHERE kind IN ('warning', 'oom', 'failed', 'finished')
      UNION ALL SELECT run_id, t, kind, why FROM orders)
JOIN runs USING (run_id)
ORDER BY t DESC
LIMIT 50;""",
    ),
    Recipe(
        "by tag",
        "Runs that were tagged",
        """\
SELECT tag, list(id ORDER BY id) AS runs, min(val_pct_mae) AS best
FROM tags JOIN run_summary USING (run_id)
GROUP BY tag
ORDER BY tag;""",
    ),
    Recipe(
        "symbols by run",
        "Which symbols each run is good at, a row a symbol and a column a run",
        """\
PIVOT (SELECT symbol, id, round(skill, 3) AS skill FROM symbol_results WHERE split = 'val')
ON id USING first(skill) GROUP BY symbol ORDER BY symbol;""",
    ),
    Recipe(
        "cost of families",
        "What each family cost in device hours and electricity",
        """\
SELECT family, count(DISTINCT id) AS runs, round(sum(hours), 2) AS device_hours, round(sum(kwh), 3) AS kwh,
  round(sum(hours) FILTER (kwh IS NULL), 2) AS hours_without_power
FROM gpu_hours
GROUP BY family
ORDER BY device_hours DESC;""",
    ),
    Recipe(
        "seed spread",
        "How much the seed alone changes the result: runs whose settings are equal but for the seed",
        """\
SELECT list(id ORDER BY id) AS runs, count(*) AS seeds, avg(val_pct_mae) AS mean, stddev_samp(val_pct_mae) AS spread
FROM leaderboard JOIN (
  SELECT run_id, bit_xor(hash(name, value)) AS settings
  FROM params WHERE name <> 'train.seed' AND name NOT LIKE 'used.%' GROUP BY run_id) USING (run_id)
GROUP BY settings, family, "commit", data_fingerprint, horizon, windows
ORDER BY mean;""",
    ),
    Recipe(
        "unseen data",
        "How far promoted runs fall short on what they had never seen (nobody else has test results here)",
        """\
SELECT r.id, e.split, 1 - max(e.value) FILTER (e.metric = 'pct_mae') / max(e.value) FILTER (e.metric = 'naive_pct_mae')
  - any_value(r.skill) AS skill_gained
FROM run_summary r JOIN evaluations e USING (run_id)
WHERE e.symbol = '' AND e.split <> 'val'
GROUP BY r.id, e.split
ORDER BY r.id, e.split;""",
    ),
    Recipe(
        "exports",
        "What was exported, taken back, or given a name such as `prod`",
        """\
SELECT t, kind, detail ->> 'alias' AS alias, detail ->> 'run' AS run, detail ->> 'checkpoint' AS checkpoint
FROM notes
WHERE kind IN ('export', 'undo', 'alias')
ORDER BY t;""",
    ),
)
