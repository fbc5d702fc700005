"""How fast run folders become rows of runs.duckdb, and how long a burst keeps others out of it.

    python bench/store.py            3M points from 40 runs, then bursts on a database of 10M rows; exit 1 if too slow
    python bench/store.py --quick    a tenth of it, nothing is judged

Filling: Store.rebuild beside its peers on the same files: DuckDB's own read_json with the columns given and UNPIVOT
into a bare table (no names resolved, no offsets, no bad line forgiven), and executemany on a small sample.
Bursts: catch_up of 60 to 500 new points beside a bare connect + INSERT of 60 rows + close on a copy of the same file.
Absolute figures move with the machine, so falling short of one is forgiven where the peer falls short with it.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # the repository in place of bench/, so that no file here shadows a module
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import json
import random
import shutil
import tempfile
import time
from statistics import median, quantiles

import duckdb

from engine import rundir
from engine.store import Store
from engine.workspace import Workspace

NAMES = ("loss", "lr", "grad_norm", "windows_per_s", "steps_per_s", "val_pct_mae")
FLOOR, FLOOR_RATIO = 1_500_000, 0.68
"""Points a second, and the share of the peer that is where the peer makes 2.2M."""
LIMIT_MS, LIMIT_RATIO = 60.0, 2.7
"""Milliseconds, and the same over a bare burst of 22 ms."""


def main(argv: list[str]) -> int:
    if argv not in ([], ["--quick"]):
        print(f"unknown: {' '.join(argv)}\n\n{__doc__}", file=sys.stderr)
        return 2
    quick = bool(argv)
    with tempfile.TemporaryDirectory() as folder:
        good = fill(Workspace(Path(folder) / "fill"), steps=1_250 if quick else 12_500, repeat=1 if quick else 3)
        good = bursts(Workspace(Path(folder) / "burst"), rows=1_000_000 if quick else 10_000_000) and good
    return 0 if good or quick else 1


def run(workspace: Workspace, number: int, steps: int) -> Path:
    workspace.prepare()
    folder = workspace.run(f"toto-{number:04d}")
    folder.mkdir(parents=True)
    (folder / rundir.SPEC).write_text(json.dumps({"id": folder.name, "family": "toto", "command": ["x"], "cwd": "/"}))
    with open(folder / rundir.METRICS, "wb") as file:
        file.write(b"".join(line(step) for step in range(steps)))
    return folder


def line(step: int) -> bytes:
    values: dict[str, float] = {name: random.random() for name in NAMES}
    return json.dumps({**values, "epoch": step / 1000, "step": step, "t": 1.7636e9 + step / 7}).encode() + b"\n"


def fill(workspace: Workspace, steps: int, repeat: int) -> bool:
    for number in range(1, 41):
        run(workspace, number, steps)
    points = 40 * steps * len(NAMES)
    ours, theirs = [], []
    for _ in range(repeat):  # in turns, so that a busy moment of the machine meets both
        theirs.append(unpivot(workspace))
        store = Store(workspace)
        begun = time.perf_counter()
        report = store.rebuild()
        ours.append(time.perf_counter() - begun)
        assert report.rows >= points, report
    rate, peer = points / min(ours), points / min(theirs)
    size = workspace.database.stat().st_size
    print(f"filling, {points:,} points: Store.rebuild {rate:,.0f}/s, read_json + UNPIVOT {peer:,.0f}/s,", end=" ")
    print(f"ratio {rate / peer:.2f}; executemany {executemany(workspace):,.0f}/s; {size / points:.1f} bytes a point")
    return rate >= FLOOR or rate >= FLOOR_RATIO * peer


def unpivot(workspace: Workspace) -> float:
    path = workspace.root / "peer.duckdb"
    path.unlink(missing_ok=True)
    columns = ", ".join(f"{name}: 'DOUBLE'" for name in (*NAMES, "epoch", "t")) + ", step: 'BIGINT'"
    begun = time.perf_counter()
    with duckdb.connect(str(path), config={"threads": 2}) as con:
        con.execute("CREATE TABLE points (metric VARCHAR, step BIGINT, t DOUBLE, value DOUBLE)")
        con.execute(
            f"INSERT INTO points SELECT metric, step, t, value FROM (UNPIVOT (FROM read_json("
            f"'{workspace.runs}/*/metrics.jsonl', format = 'newline_delimited', columns = {{{columns}}})) "
            f"ON {', '.join(NAMES)} INTO NAME metric VALUE value)"
        )
    return time.perf_counter() - begun


def executemany(workspace: Workspace, rows: int = 1_000) -> float:
    path = workspace.root / "many.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE points (run INTEGER, metric SMALLINT, step BIGINT, t DOUBLE, value DOUBLE)")
        begun = time.perf_counter()
        con.execute("BEGIN")
        con.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?)", [(1, 1, i, i / 7, 0.5) for i in range(rows)])
        con.execute("COMMIT")
        return rows / (time.perf_counter() - begun)


def bursts(workspace: Workspace, rows: int) -> bool:
    folder = run(workspace, 1, 100)
    for number in range(2, 101):
        run(workspace, number, 10)
    store = Store(workspace)
    store.catch_up().check()
    with duckdb.connect(str(workspace.database)) as con:
        con.execute(
            "INSERT INTO metrics SELECT 2 + i // 100000, 1 + i % 6, i // 6 % 16667, 0, "
            "make_timestamp(1763600000000000 + i * 1000), random() FROM range(?) r(i)",
            [rows],
        )
    copy = workspace.root / "copy.duckdb"
    shutil.copy(workspace.database, copy)
    held: list[float] = []
    bare: list[float] = []
    step = 100
    for turn in range(41):
        count = (10, 84)[turn % 2]  # lines of 6 points
        with open(folder / rundir.METRICS, "ab") as file:
            file.write(b"".join(line(step + i) for i in range(count)))
        step += count
        report = store.catch_up().check()
        assert report.rows == count * len(NAMES), report
        begun = time.perf_counter()
        with duckdb.connect(str(copy)) as con:
            con.execute("INSERT INTO metrics SELECT 1, 1, i, 0, make_timestamp(0), 0.5 FROM range(60) r(i)")
        if turn:  # the first one warms up
            held.append(report.held * 1e3)
            bare.append((time.perf_counter() - begun) * 1e3)
    ours, peer = median(held), median(bare)
    size = workspace.database.stat().st_size / (1 << 20)
    print(f"bursts of 60 and 504 points on {rows:,} rows ({size:.0f} MiB): held {ours:.1f} ms median,", end=" ")
    print(f"{quantiles(held, n=20)[-1]:.1f} p95; bare connect + insert + close {peer:.1f} ms; ratio {ours / peer:.2f}")
    return ours <= LIMIT_MS or ours <= LIMIT_RATIO * peer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
