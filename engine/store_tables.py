"""The tables of runs.duckdb, with the comment on every column. Times are UTC."""

from __future__ import annotations

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
            "split": ("VARCHAR", "val, test, unseen, or holdout of a run of `engine evaluate`"),
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

CURVES: dict[str, tuple[str, Columns]] = {
    "curves": (
        "one row for each metric of a run, kept up to date with metrics: where its curve stands",
        {
            **RUN,
            "metric_id": ("SMALLINT", "the metric: metric_names.metric_id"),
            "points": ("BIGINT", "numbers logged"),
            "step": ("BIGINT", "the last training step"),
            "value": ("DOUBLE", "the value at that step; NULL where it was NaN or infinite"),
            "least": ("DOUBLE", "the smallest value; NULL when none was finite"),
            "most": ("DOUBLE", "the largest"),
            "t": ("TIMESTAMP", "when it was last logged, UTC"),
        },
    ),
}

META: tuple[str, Columns] = (
    "about this database",
    {"name": ("VARCHAR", "schema is the version of the tables"), "value": ("VARCHAR", "its value")},
)
