"""What runs.duckdb looks like: tables by version, the comment on every column, and the views people read.

A version is a step of STEPS; an older database takes the steps it lacks, in one transaction. The views belong to no
version: they are made anew whenever the database is brought to the current one. Times are UTC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Columns = dict[str, tuple[str, str]]
"""Name -> (SQL type, comment)."""

RUN = {"run_id": ("INTEGER", "the run: runs.run_id")}
SOURCE = {"source": ("INTEGER", "the file it was read from: files.file_id")}

RUNS_TABLES: dict[str, tuple[str, Columns]] = {
    "files": (
        "how far each file of runs/ has been read; advanced in the transaction that writes its rows",
        {
            "file_id": ("INTEGER", "number of the file"),
            "path": ("VARCHAR", "relative to runs/"),
            "run_id": ("INTEGER", "the run it belongs to, NULL for runs/host/"),
            "inode": ("BIGINT", "of the file that was read: another one is read anew"),
            "size": ("BIGINT", "bytes read of it: the next line begins here"),
            "mtime": ("BIGINT", "nanoseconds; of files that are written as a whole"),
            "tail": ("BIGINT", "CRC-32 of the last bytes read: if they change, the run is read anew"),
            "passed": ("BIGINT", "lines passed over: torn, foreign, too long or of the wrong type"),
        },
    ),
    "runs": (
        "one row for each run: what it was asked to be, and what became of it",
        {
            "run_id": ("INTEGER PRIMARY KEY", "key within this database; another one after a rebuild"),
            "id": ("VARCHAR", "the name people use: toto-0007, a second attempt is toto-0007.2"),
            "family": ("VARCHAR", "family of the trainer, or exec for any other command"),
            "name": ("VARCHAR", "as given by --name"),
            "preset": ("VARCHAR", "preset the config was made from"),
            "command": ("VARCHAR[]", "the program and its arguments"),
            "cwd": ("VARCHAR", "folder it was started in"),
            "commit": ("VARCHAR", "git commit of the code"),
            "branch": ("VARCHAR", "git branch of the code"),
            "dirty": (
                "BOOLEAN",
                "whether the code had changes that were not committed: see code.patch in the run folder",
            ),
            "patch_sha": ("VARCHAR", "SHA-256 of code.patch"),
            "data_path": ("VARCHAR", "the data it trained on, as given"),
            "data_fingerprint": ("VARCHAR", "hash of those data: equal means the same bytes"),
            "data_bytes": ("BIGINT", "their size"),
            "synthetic": ("BOOLEAN", "whether the data are made up"),
            "horizon": ("INTEGER", "steps ahead that are forecast (config data.horizon)"),
            "seed": ("BIGINT", "random seed"),
            "gpus": ("INTEGER", "devices asked for; NULL is the default, 0 the CPU"),
            "priority": ("INTEGER", "the last one given; higher goes first"),
            "after": ("VARCHAR[]", "runs it waited for"),
            "resume_from": ("VARCHAR", "the run it goes on from"),
            "note": ("VARCHAR", "the last note given"),
            "username": ("VARCHAR", "who queued it"),
            "host": ("VARCHAR", "machine it was queued on"),
            "submitted": ("TIMESTAMP", "when it was queued, UTC"),
            "started": ("TIMESTAMP", "when its process started, UTC"),
            "ended": ("TIMESTAMP", "when its process ended, UTC"),
            "devices": ("VARCHAR[]", "UUIDs of its devices, empty on the CPU"),
            "pid": ("BIGINT", "of its process"),
            "exit_code": ("INTEGER", "NULL when it was ended by a signal, or is not known"),
            "signal": ("INTEGER", "the signal that ended it"),
            "exit_why": (
                "VARCHAR",
                "what its supervisor said of the end: stop and kill were asked for, limit was its time, "
                "hang its silence",
            ),
            "outcome": ("VARCHAR", "queued, open (started, no end told), ok, failed or stopped"),
            "cause": ("VARCHAR", "why it did not end well"),
            "finished": ("VARCHAR", "what the trainer said at its end: steps, early_stop, time, stopped"),
            "failed": ("VARCHAR", "the cause as the trainer put it"),
            "oom": ("VARCHAR", "the last out-of-memory event as JSON"),
            "stop_order": ("VARCHAR", "stop or kill, when that was ordered"),
            "start_ordered": ("BOOLEAN", "whether the engine has ordered its start"),
            "promoted": ("BOOLEAN", "whether it was exported: only then its test results are read"),
            "steps_planned": ("BIGINT", "steps it meant to train"),
            "utime": ("DOUBLE", "CPU seconds in its own code"),
            "stime": ("DOUBLE", "CPU seconds in the kernel"),
            "max_rss": ("BIGINT", "peak resident bytes of its main process"),
            "best_step": ("BIGINT", "step of the best checkpoint so far"),
            "best_checkpoint": ("VARCHAR", "its folder, relative to the run folder"),
            "best_metric": ("VARCHAR", "the metric it is best by"),
            "best_value": ("DOUBLE", "the value of that metric"),
        },
    ),
    "params": (
        "the resolved config, one row a field; used.* is what the trainer said it really used",
        {
            **RUN,
            "name": ("VARCHAR", "train.lr, data.context, used.precision"),
            "value": ("VARCHAR", "as text; JSON for a list"),
            "number": ("DOUBLE", "the value as a number, if it is one (true is 1)"),
        },
    ),
    "packages": (
        "versions of the packages that can change a result",
        {**RUN, "name": ("VARCHAR", "distribution"), "version": ("VARCHAR", "installed version")},
    ),
    "tags": ("tags as they are now", {**RUN, "tag": ("VARCHAR", "the tag")}),
    "metric_names": (
        "the name of each metric",
        {"metric_id": ("SMALLINT", "number in metrics"), "name": ("VARCHAR", "loss, lr, val_pct_mae")},
    ),
    "metrics": (
        "every number that was logged, as it came; the view metric_curve shows names",
        {
            **RUN,
            "metric_id": ("SMALLINT", "the metric: metric_names.metric_id"),
            "step": ("BIGINT", "training step"),
            "epoch": ("FLOAT", "epoch, if it was logged in the same call"),
            "t": ("TIMESTAMP", "when it was logged, UTC"),
            "value": ("DOUBLE", "NULL where it was NaN or infinite"),
        },
    ),
    "checkpoints": (
        "checkpoints that were saved; some are deleted again when better ones come",
        {
            **RUN,
            "t": ("TIMESTAMP", "when, UTC"),
            "step": ("BIGINT", "training step"),
            "path": ("VARCHAR", "folder, relative to the run folder"),
            "bytes": ("BIGINT", "size"),
            "val_pct_mae": ("DOUBLE", "its validation error, if it was scored"),
        },
    ),
    "evaluations": (
        "results of the best checkpoint on every window of a split; test and unseen only of promoted runs",
        {
            **RUN,
            "split": ("VARCHAR", "val, test or unseen"),
            "symbol": ("VARCHAR", "one series, or '' for all of them pooled"),
            "metric": ("VARCHAR", "without the split: pct_mae, naive_pct_mae, skill, dm_stat, dm_pvalue"),
            "value": ("DOUBLE", "NULL where it can't be told"),
            "step": ("BIGINT", "training step of the checkpoint"),
            "horizon": ("INTEGER", "steps ahead"),
            "windows": ("BIGINT", "windows scored, of this symbol or of all"),
        },
    ),
    "orders": (
        "what people and the engine asked of a run",
        {
            **RUN,
            "t": ("TIMESTAMP", "when, UTC"),
            "kind": ("VARCHAR", "start, stop, kill, hold, release, priority, note, tag, untag, promote"),
            "value": ("VARCHAR", "the priority, note, tag or path"),
            "why": ("VARCHAR", "the reason given"),
            "detail": ("JSON", "the whole line"),
        },
    ),
    "events": (
        "what the trainer said besides numbers",
        {
            **RUN,
            "t": ("TIMESTAMP", "when, UTC"),
            "kind": ("VARCHAR", "plan, used, phase, checkpoint, best, evaluation, warning, oom, finished, failed"),
            "step": ("BIGINT", "training step, if told"),
            "text": ("VARCHAR", "warning, cause, phase or reason in words"),
            "detail": ("JSON", "the whole line"),
        },
    ),
}

MACHINE_TABLES: dict[str, tuple[str, Columns]] = {
    "device_samples": (
        "each GPU, about once a second while runs train",
        {
            "t": ("TIMESTAMP", "when, UTC"),
            "uuid": ("VARCHAR", "of the GPU or MIG slice"),
            "idx": ("INTEGER", "its number on this machine"),
            "name": ("VARCHAR", "what it is"),
            "utilisation": ("FLOAT", "per cent; NULL is n/a, as in all columns here"),
            "memory_used": ("BIGINT", "bytes"),
            "memory_total": ("BIGINT", "bytes"),
            "power": ("FLOAT", "watts"),
            "temperature": ("FLOAT", "degrees Celsius"),
            **SOURCE,
        },
    ),
    "process_samples": (
        "each process on a GPU, ours and others'",
        {
            "t": ("TIMESTAMP", "when, UTC"),
            "uuid": ("VARCHAR", "the device"),
            "pid": ("BIGINT", "of the process; 0 for memory that no visible process accounts for"),
            "id": ("VARCHAR", "the run it belongs to: runs.id; NULL for somebody else's process"),
            "name": ("VARCHAR", "the program"),
            "username": ("VARCHAR", "its user"),
            "memory": ("BIGINT", "bytes on the device"),
            **SOURCE,
        },
    ),
    "host_samples": (
        "the machine itself, with the device samples",
        {
            "t": ("TIMESTAMP", "when, UTC"),
            "cpu": ("FLOAT", "per cent of all cores"),
            "load1": ("FLOAT", "processes that wanted to run, mean of a minute"),
            "memory_used": ("BIGINT", "bytes"),
            "memory_total": ("BIGINT", "bytes"),
            "disk_free": ("BIGINT", "bytes, of the disk that holds the workspace"),
            **SOURCE,
        },
    ),
    "notes": (
        "what was typed outside a single run, such as exports",
        {
            "t": ("TIMESTAMP", "when, UTC"),
            "kind": ("VARCHAR", "what it is"),
            "detail": ("JSON", "the whole line"),
            **SOURCE,
        },
    ),
}

META: tuple[str, Columns] = (
    "about this database",
    {"name": ("VARCHAR", "schema is the version of the tables"), "value": ("VARCHAR", "its value")},
)

LABELS: dict[str, tuple[str, Columns]] = {
    "runs": (
        RUNS_TABLES["runs"][0],
        {
            "archived": ("BOOLEAN", "hidden from lists by an order"),
            "imported": ("VARCHAR", "where it was brought in from, if this engine did not execute it"),
            "rerun_of": ("VARCHAR", "the run that it repeats exactly"),
            "frozen": ("VARCHAR", "the frozen code it executes, NULL for the code as it was when it started"),
        },
    )
}

Step = dict[str, tuple[str, Columns]]
STEPS: tuple[Step, ...] = ({"meta": META, **RUNS_TABLES}, MACHINE_TABLES, LABELS)
"""The tables each version adds, and the columns it adds to tables that are there."""
VERSION = len(STEPS)


def _tables() -> Step:
    found: Step = {}
    for step in STEPS:
        for name, (comment, columns) in step.items():
            found[name] = (comment, {**found.get(name, ("", {}))[1], **columns})
    return found


TABLES = _tables()
OF_RUN = tuple(name for name, (_, columns) in RUNS_TABLES.items() if "run_id" in columns)
OF_HOST = tuple(MACHINE_TABLES)

_CURVE = """
SELECT r.id AS id, n.name AS metric, m.step, m.epoch, m.t, m.value, m.run_id
FROM metrics m JOIN metric_names n USING (metric_id) JOIN runs r USING (run_id)
"""

_LATEST = """
SELECT r.id AS id, n.name AS metric, l.step, l.value, l.t, l.run_id
FROM (SELECT run_id, metric_id, max(step) AS step, arg_max_null(value, step) AS value, max(t) AS t
      FROM metrics GROUP BY run_id, metric_id) l
JOIN metric_names n USING (metric_id) JOIN runs r USING (run_id)
"""

_SUMMARY = """
WITH val AS (
  SELECT run_id,
    max(value) FILTER (metric = 'pct_mae') AS val_pct_mae,
    max(value) FILTER (metric = 'naive_pct_mae') AS naive_pct_mae,
    max(value) FILTER (metric = 'skill') AS skill,
    max(value) FILTER (metric = 'dm_stat') AS dm_stat,
    max(value) FILTER (metric = 'dm_pvalue') AS dm_pvalue,
    max(windows) AS windows, max(horizon) AS horizon
  FROM evaluations WHERE split = 'val' AND symbol = '' GROUP BY run_id),
logged AS (
  SELECT run_id, min(value) AS best_logged FROM metrics
  WHERE metric_id IN (SELECT metric_id FROM metric_names WHERE name = 'val_pct_mae') GROUP BY run_id),
steps AS (SELECT run_id, max(step) AS steps FROM metrics GROUP BY run_id),
memory AS (
  SELECT id, max(bytes) AS device_memory
  FROM (SELECT id, t, sum(memory) AS bytes FROM process_samples WHERE id IS NOT NULL GROUP BY id, t) GROUP BY id)
SELECT r.run_id, r.id, r.name, r.family, r.outcome AS state, r.cause, r."commit", r.branch, r.dirty,
  v.val_pct_mae, v.naive_pct_mae, v.skill, v.dm_stat, v.dm_pvalue, l.best_logged AS best_logged_val_pct_mae,
  s.steps, r.steps_planned, r.submitted, r.started, r.ended,
  epoch(r.ended - r.started) AS seconds,
  epoch(r.ended - r.started) / 3600 * len(r.devices) AS device_hours,
  r.max_rss AS peak_memory, m.device_memory AS peak_device_memory,
  r.data_fingerprint, r.synthetic, coalesce(v.horizon, r.horizon) AS horizon, v.windows, r.best_checkpoint
FROM runs r LEFT JOIN val v USING (run_id) LEFT JOIN logged l USING (run_id)
LEFT JOIN steps s USING (run_id) LEFT JOIN memory m ON m.id = r.id
"""

_LEADERBOARD = """
SELECT rank() OVER (PARTITION BY data_fingerprint, horizon, windows ORDER BY val_pct_mae) AS place,
  id, name, family, state, val_pct_mae, naive_pct_mae, skill, dm_stat, dm_pvalue, steps, seconds / 3600 AS hours,
  data_fingerprint, horizon, windows, synthetic, "commit", best_checkpoint, run_id
FROM run_summary WHERE isfinite(val_pct_mae)
ORDER BY data_fingerprint, horizon, windows, place, id
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
        {**_METRIC_COLUMNS, "metric": "its name", "id": _RUN_COLUMNS["id"], "t": "when it was last logged, UTC"},
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
}


def version(con: DuckDBPyConnection) -> int | None:
    """Give the version of a database: 0 for an empty one, None for one that is not ours. Not in a transaction."""
    import duckdb

    try:  # the quick way, a few times a second; outside of any transaction, which an error would end
        found = con.execute("SELECT value FROM meta WHERE name = 'schema'").fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):
        found = []
    if len(found) == 1 and str(found[0][0]).isdecimal():
        return int(found[0][0])
    query = "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
    names = {row[0] for row in con.execute(query).fetchall()}
    return None if names else 0


def migrate(con: DuckDBPyConnection, have: int, to: int = VERSION) -> None:
    """Add what the versions after `have` brought; call it inside a transaction."""
    for step in STEPS[have:to]:
        for table, (comment, columns) in step.items():
            if any(table in earlier for earlier in STEPS[: STEPS.index(step)]):
                for name, (kind, _) in columns.items():
                    con.execute(f'ALTER TABLE "{table}" ADD COLUMN "{name}" {kind}')
            else:
                fields = ", ".join(f'"{name}" {kind}' for name, (kind, _) in columns.items())
                con.execute(f'CREATE TABLE "{table}" ({fields})')
                con.execute(f'COMMENT ON TABLE "{table}" IS {_quoted(comment)}')
            for name, (_, text) in columns.items():
                con.execute(f'COMMENT ON COLUMN "{table}"."{name}" IS {_quoted(text)}')
    if to == VERSION:
        for view, (comment, query, columns_of) in VIEWS.items():
            con.execute(f'CREATE OR REPLACE VIEW "{view}" AS {query}')
            con.execute(f'COMMENT ON VIEW "{view}" IS {_quoted(comment)}')
            for name, *_ in con.execute(f'SELECT * FROM "{view}" LIMIT 0').description or ():
                con.execute(f'COMMENT ON COLUMN "{view}"."{name}" IS {_quoted(columns_of[name])}')
    con.execute("DELETE FROM meta")
    con.execute("INSERT INTO meta VALUES ('schema', ?)", [str(to)])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
