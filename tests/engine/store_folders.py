"""Run folders made by hand in the formats of engine, supervisor and trainers, for tests of what reads them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from engine import rundir
from engine.workspace import Workspace

T0 = 1763600000.0
"""2025-11-20 00:53:20 UTC"""
NOT_THE_SAME = {"run_id", "file_id", "metric_id", "source", "inode", "mtime", "tail"}
"""Columns that a rebuild may number differently."""


class Run:
    """A run folder that is written step by step."""

    def __init__(self, workspace: Workspace, run_id: str = "toto-0001", **spec: Any) -> None:
        workspace.prepare()
        self.id = run_id
        self.folder = workspace.run(run_id)
        self.folder.mkdir()
        self.spec(**spec)

    def spec(self, **fields: Any) -> None:
        family, _, number = self.id.rpartition("-")
        spec: dict[str, Any] = {
            "id": self.id,
            "family": family,
            "name": "",
            "command": ["python", "-m", "trainers", family, "{run}"],
            "cwd": "/w",
            "config": {
                "train": {"lr": 3e-4, "ema": True, "optimizer": "adamw"},
                "data": {"context": 512, "horizon": 64},
            },
            "preset": "small",
            "seed": 7,
            "tags": ["first"],
            "note": "",
            "submitted": T0 + int(number.split(".")[0]),
            "user": "ann",
            "host": "box",
            "git": {"commit": "a" * 40, "branch": "main", "dirty": False, "patch_sha": ""},
            "packages": {"torch": "2.13.0"},
            "data": {"path": "trainingdata", "fingerprint": "f" * 32, "files": 2, "bytes": 99, "synthetic": True},
        }
        rundir.write_new(self.folder / "spec.json", json.dumps(spec | fields).encode())

    def order(self, kind: str, value: Any = None, **fields: Any) -> None:
        line = {"t": T0 + 1, "order": kind, **({} if value is None else {"value": value}), **fields}
        rundir.append(self.folder / "orders.jsonl", line)

    def event(self, kind: str, **fields: Any) -> None:
        rundir.append(self.folder / "events.jsonl", {"t": T0 + 5, "event": kind, **fields})

    def log(self, step: int, **scalars: float | None) -> None:
        rundir.append(self.folder / "metrics.jsonl", {"t": T0 + 10 + step, "step": step, **scalars})

    def logs(self, steps: int, first: int = 0) -> None:
        """Many lines at once: loss, lr and epoch at each step, a validation error at each tenth."""
        with open(self.folder / "metrics.jsonl", "ab") as file:
            for step in range(first, first + steps):
                line: dict[str, float] = {"loss": 1 / (step + 1), "lr": 3e-4, "epoch": step / 100}
                if step % 10 == 0:
                    line["val_pct_mae"] = 0.6 - step / 1e5
                file.write(json.dumps(line | {"step": step, "t": T0 + 10 + step}).encode() + b"\n")

    def start(self, devices: tuple[str, ...] = ("cpu",)) -> None:
        self.order("start", devices=list(devices))
        line = {"t": T0 + 2, "event": "started", "pid": 41, "supervisor": 40, "devices": list(devices), "host": "box"}
        rundir.append(self.folder / "lifecycle.jsonl", line)

    def end(self, code: int | None = 0, signal: int | None = None, why: str = "exit", after: float = 3600.0) -> None:
        line = {"t": T0 + 2 + after, "event": "exited", "code": code, "signal": signal, "max_rss_bytes": 1 << 30}
        rundir.append(self.folder / "lifecycle.jsonl", {**line, "utime": 3.5, "stime": 0.5, "why": why})

    def evaluate(
        self, split: str = "val", *, pct_mae: float | None = 0.55, naive: float = 0.588, **fields: Any
    ) -> None:
        (self.folder / "evaluation").mkdir(exist_ok=True)
        metrics = {
            "pct_mae": pct_mae,
            "naive_pct_mae": naive,
            "skill": None if pct_mae is None else 1 - pct_mae / naive,
            "dm_stat": fields.pop("dm_stat", -1.0),
            "dm_pvalue": fields.pop("dm_pvalue", 0.3),
        }
        found = {
            "split": split,
            "step": 100,
            "horizon": 64,
            "windows": 1000,
            "metrics": {f"{split}_{name}": value for name, value in metrics.items()},
            "symbols": {"ARM": {"pct_mae": pct_mae, "naive_pct_mae": naive, "windows": 400}},
        }
        rundir.write_new(self.folder / "evaluation" / f"{split}.json", json.dumps(found | fields).encode())

    def checkpoint(self, step: int = 100, value: float = 0.55) -> Path:
        path = f"checkpoints/step-{step:06d}"
        folder = self.folder / path
        folder.mkdir(parents=True)
        weights = b"weights of step %d" % step
        header = {"w": {"dtype": "U8", "shape": [len(weights)], "data_offsets": [0, len(weights)]}}
        head = json.dumps(header).encode()
        (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + weights)
        (folder / "config.json").write_text("{}")
        self.event("checkpoint", step=step, path=path, bytes=20, metrics={"val_pct_mae": value})
        self.event("best", step=step, path=path, metric="val_pct_mae", value=value)
        return folder

    def forecasts(self, errors: list[float], *, symbols: tuple[str, ...] = ("ARM",), split: str = "val") -> None:
        """Forecasts of a flat price of 100: one window an origin and symbol, each off by that many per cent."""
        (self.folder / "evaluation").mkdir(exist_ok=True)
        path = self.folder / "evaluation" / f"{split}_forecasts.parquet"
        values = ", ".join(f"({day}, {error})" for day, error in enumerate(errors))
        names = ", ".join(f"'{symbol}'" for symbol in symbols)
        duckdb.execute(
            f"COPY (SELECT symbol, TIMESTAMP_NS '2025-01-01' + INTERVAL (day) DAY AS origin, step::INTEGER AS step, "
            "100.0::DOUBLE AS target, target AS naive, target + error AS mean, mean - 5 AS p10, mean AS p50, "
            f"mean + 5 AS p90 FROM (VALUES {values}) e (day, error), unnest([{names}]) s (symbol), "
            f"range(1, 5) r (step) ORDER BY symbol, day, step) TO '{path}' (FORMAT parquet)"
        )

    def windows(self, prices: list[float], stride: int, *, symbol: str = "ARM", horizon: int = 4) -> None:
        """Forecasts of a true path of prices, `stride` steps apart, each window `horizon` steps; always 1 too high."""
        (self.folder / "evaluation").mkdir(exist_ok=True)
        path = self.folder / "evaluation" / "val_forecasts.parquet"
        rows = ", ".join(
            f"('{symbol}', TIMESTAMP_NS '2025-01-01' + INTERVAL {start} DAY, {step}, {prices[start + step]!r}::DOUBLE, "
            f"{prices[start]!r}::DOUBLE)"
            for start in range(4, len(prices) - horizon, stride)
            for step in range(1, horizon + 1)
        )
        duckdb.execute(
            "COPY (SELECT *, target + 1 AS mean, target - 4 AS p10, target + 1 AS p50, target + 6 AS p90 "
            f"FROM (VALUES {rows}) w (symbol, origin, step, target, naive)) TO '{path}' (FORMAT parquet)"
        )


def finished(workspace: Workspace, run_id: str, pct_mae: float | None = 0.55, **fields: Any) -> Run:
    """A run that went well, with everything a good run leaves."""
    spec = {key: fields.pop(key) for key in ("name", "data", "submitted", "config", "seed", "git") if key in fields}
    run = Run(workspace, run_id, **spec)
    run.start()
    run.event("plan", steps=100, epochs=1.0)
    run.logs(20)
    run.checkpoint()
    run.evaluate(pct_mae=pct_mae, **fields)
    run.event("finished", step=100, why="steps")
    run.end()
    return run


@cache
def client() -> duckdb.DuckDBPyConnection:
    """A DuckDB of the tests' own: it costs 0.05 s, and attaching a file to it next to nothing."""
    return duckdb.connect(":memory:")


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Read a database inside the block, as any client would."""
    con = client()
    con.execute(f"ATTACH '{os.fspath(path)}' AS opened (READ_ONLY)")
    try:
        con.execute("USE opened")
        yield con
    finally:
        con.execute("USE memory")
        con.execute("DETACH opened")


def ask(workspace: Workspace, sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
    with opened(workspace.database) as con:
        return con.execute(sql, values or []).fetchall()


def contents(path: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Everything a database holds, whatever its order and numbers: each run and metric by its name."""
    found: dict[str, list[str]] = {}
    with opened(path) as con:
        query = "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() "
        tables = con.execute(query + "JOIN duckdb_tables() USING (database_name, table_name) GROUP BY 1").fetchall()
        for table, columns in tables:
            if table == "metric_names":  # a name stays when its last run is gone
                continue
            wanted = [f't."{name}"' for name in columns if name not in NOT_THE_SAME]
            joins = ""
            if "run_id" in columns and table != "runs":
                wanted.append("r.id AS of_run")
                joins += " LEFT JOIN runs r ON r.run_id = t.run_id"
            if "metric_id" in columns:
                wanted.append("n.name AS of_metric")
                joins += " LEFT JOIN metric_names n ON n.metric_id = t.metric_id"
            rows = con.execute(f"SELECT {', '.join(wanted)} FROM {table} t{joins}").fetchall()
            found[table] = sorted(map(repr, rows))
    return found
